package embedded_test

import (
	"context"
	"errors"
	"fmt"
	"net"
	"testing"
	"time"

	"github.com/Azure/go-amqp"

	"sluice/amqp/embedded"
	"sluice/amqp/message"
)

func TestAnswerFaults(t *testing.T) {
	r := newRig(t, embedded.Options{})
	r.queue("q", nil)
	sender := r.sender(r.s, "", nil)
	f := r.broker.Faults()
	broken := &message.Error{Condition: "x:broken", Description: "by a test", Info: map[string]any{"reason": "unavailable"}}
	f.Answer(embedded.Answer{Address: "/queues/q", Count: 2, Outcome: message.Outcome{Kind: message.Rejected, Error: broken}})
	f.Answer(embedded.Answer{Address: "/queues/q", Count: 1, Outcome: message.Outcome{Kind: message.Released}})
	f.Answer(embedded.Answer{Address: "/queues/q", Outcome: message.Outcome{Kind: message.Modified, DeliveryFailed: true}})
	for i, want := range []string{"rejected x:broken unavailable", "rejected x:broken unavailable", "released", "modified true false", "modified true false"} {
		if got := outcome(r.publish(sender, text("/queues/q", "x"))); got != want {
			t.Errorf("publish %d: %s, want %s", i, got, want)
		}
	}
	if got := outcome(r.publish(sender, text("/queues/other", "x"))); got != "released" {
		t.Errorf("another address: %s", got)
	}
	f.Clear()
	if got := outcome(r.publish(sender, text("/queues/q", "x"))); got != "accepted" || r.info("q").Ready != 1 {
		t.Errorf("after Clear: %s, %+v", got, r.info("q"))
	}
}

func TestWithheldOutcomes(t *testing.T) {
	r := newRig(t, embedded.Options{})
	r.queue("q", nil)
	sender := r.sender(r.s, "/queues/q", nil)
	f := r.broker.Faults()
	f.Answer(embedded.Answer{Count: 1, Never: true})
	f.Answer(embedded.Answer{Count: 1, Gated: true})
	f.Answer(embedded.Answer{Count: 1, Delay: time.Millisecond})
	var receipts []amqp.SendReceipt
	for range 4 {
		receipt, err := sender.SendWithReceipt(r.ctx, text("", "x"), nil)
		if err != nil {
			t.Fatal(err)
		}
		receipts = append(receipts, receipt)
	}
	for _, i := range []int{3, 2} { // the delayed one comes by itself
		if state, err := receipts[i].Wait(r.ctx); err != nil || outcome(state) != "accepted" {
			t.Fatal(i, state, err)
		}
	}
	if got := r.broker.Stats(); got.Withheld != 3 || got.Accepted != 2 {
		t.Errorf("%+v", got)
	}
	if got := f.OpenGate(); got != 1 {
		t.Errorf("%d behind the gate", got)
	}
	if state, err := receipts[1].Wait(r.ctx); err != nil || outcome(state) != "accepted" {
		t.Fatal(state, err)
	}
	if got := r.info("q").Ready; got != 4 {
		t.Errorf("%d messages routed, want all 4", got)
	}
	ctx, cancel := context.WithCancel(r.ctx)
	cancel()
	if _, err := receipts[0].Wait(ctx); err == nil {
		t.Error("the outcome that never comes has come")
	}
}

// TestStalls: neither without credit nor without a session window does a message come through; both go on where they stood.
func TestStalls(t *testing.T) {
	for name, stall := range map[string]func(*embedded.Faults, bool){
		"credit": (*embedded.Faults).StallPublishers,
		"window": (*embedded.Faults).HoldWindows,
	} {
		t.Run(name, func(t *testing.T) {
			r := newRig(t, embedded.Options{Credit: 10})
			r.queue("q", nil)
			stall(r.broker.Faults(), true)
			s := r.session(r.conn) // begun during the stall
			sender := r.sender(s, "/queues/q", nil)
			states := make(chan string, 30)
			go func() {
				for range 30 {
					receipt, err := sender.SendWithReceipt(context.Background(), text("", "x"), nil)
					if err != nil {
						states <- err.Error()
						return
					}
					state, err := receipt.Wait(context.Background())
					if err != nil {
						states <- err.Error()
						return
					}
					states <- outcome(state)
				}
			}()
			// A round trip on the same connection, after which a transfer that was allowed would have arrived.
			r.receiver(r.s, "/queues/q", &amqp.ReceiverOptions{Credit: -1})
			if got := r.broker.Stats().Received; got != 0 {
				t.Errorf("%d messages came through", got)
			}
			stall(r.broker.Faults(), false)
			for i := range 30 {
				if got := <-states; got != "accepted" {
					t.Fatalf("message %d: %s", i, got)
				}
			}
		})
	}
}

func TestPauseDelivery(t *testing.T) {
	r := newRig(t, embedded.Options{})
	r.queue("q", nil)
	r.broker.Faults().PauseDelivery(true)
	receiver := r.receiver(r.s, "/queues/q", &amqp.ReceiverOptions{Credit: 10})
	sender := r.sender(r.s, "/queues/q", nil)
	r.publish(sender, text("", "x"))
	if got := r.broker.Stats().Delivered; got != 0 {
		t.Errorf("%d delivered during the pause", got)
	}
	r.broker.Faults().PauseDelivery(false)
	if got := string(r.receive(receiver).GetData()); got != "x" {
		t.Error(got)
	}
}

func TestDetachEndCloseCut(t *testing.T) {
	broken := &message.Error{Condition: "x:broken", Description: "by a test"}
	has := func(err error) bool {
		var remote *amqp.Error
		return errors.As(err, &remote) && remote.Condition == "x:broken"
	}
	for name, c := range map[string]struct {
		do    func(*embedded.Faults) int
		count int
		check func(error) bool
	}{
		"publishers":  {func(f *embedded.Faults) int { return f.DetachPublishers(broken) }, 1, has},
		"sessions":    {func(f *embedded.Faults) int { return f.EndSessions(broken) }, 2, has},
		"connections": {func(f *embedded.Faults) int { return f.CloseConnections(broken) }, 1, has},
		"cut": {(*embedded.Faults).Cut, 1, func(err error) bool {
			var lost *amqp.ConnError
			return errors.As(err, &lost)
		}},
	} {
		t.Run(name, func(t *testing.T) {
			r := newRig(t, embedded.Options{})
			r.queue("q", nil)
			sender := r.sender(r.s, "/queues/q", nil)
			f := r.broker.Faults()
			f.Answer(embedded.Answer{Never: true})
			receipt, err := sender.SendWithReceipt(r.ctx, text("", "x"), nil)
			if err != nil {
				t.Fatal(err)
			}
			if err := r.broker.Await(r.ctx, func(s embedded.Stats) bool { return s.Withheld == 1 }); err != nil {
				t.Fatal(err)
			}
			if got := c.do(f); got != c.count {
				t.Errorf("%d, want %d", got, c.count)
			}
			if _, err := receipt.Wait(r.ctx); !c.check(err) {
				t.Errorf("the sender learned %v", err)
			}
		})
	}
}

func TestDetachConsumers(t *testing.T) {
	r := newRig(t, embedded.Options{})
	r.queue("q", nil)
	r.publish(r.sender(r.s, "/queues/q", nil), text("", "x"))
	receiver := r.receiver(r.s, "/queues/q", &amqp.ReceiverOptions{Credit: 1})
	r.receive(receiver)
	if n := r.broker.Faults().DetachConsumers(&message.Error{Condition: "x:broken"}); n != 1 {
		t.Errorf("%d links", n)
	}
	_, err := receiver.Receive(r.ctx, nil)
	var gone *amqp.LinkError
	if !errors.As(err, &gone) || gone.RemoteErr == nil || gone.RemoteErr.Condition != "x:broken" {
		t.Errorf("the receiver learned %v", err)
	}
	if info := r.info("q"); info.Ready != 1 || info.Unsettled != 0 {
		t.Errorf("%+v", info)
	}
}

// TestOutage: the same broker goes away and comes back on the same address, with its queues or without.
func TestOutage(t *testing.T) {
	for _, keep := range []bool{true, false} {
		t.Run(fmt.Sprint("keep=", keep), func(t *testing.T) {
			r := newRig(t, embedded.Options{})
			r.queue("q", nil)
			r.publish(r.sender(r.s, "/queues/q", nil), text("", "x"))
			receiver := r.receiver(r.s, "/queues/q", &amqp.ReceiverOptions{Credit: 1})
			r.receive(receiver)
			if keep {
				r.broker.Faults().Cut()
			} else {
				r.broker.Wipe()
			}
			if err := r.broker.Await(r.ctx, func(s embedded.Stats) bool { return s.Disconnects == 1 }); err != nil {
				t.Fatal(err)
			}
			l, err := net.Listen("tcp", "127.0.0.1:0")
			if err != nil {
				t.Fatal(err)
			}
			served := make(chan error)
			go func() { served <- r.broker.Serve(l) }()
			conn, err := amqp.Dial(r.ctx, "amqp://"+l.Addr().String(), nil)
			if err != nil {
				t.Fatal(err)
			}
			again, err := r.session(conn).NewReceiver(r.ctx, "/queues/q", nil)
			if keep {
				if err != nil {
					t.Fatal(err)
				}
				m := r.receive(again)
				if m.Header.FirstAcquirer || m.Header.DeliveryCount != 1 {
					t.Errorf("redelivered after a lost connection with %+v", m.Header)
				}
			} else if err == nil {
				t.Error("the queue has survived Wipe")
			}
			_ = l.Close()
			if err := <-served; err != nil {
				t.Error(err)
			}
			// The connection outlives its listener.
			if _, err := conn.NewSession(r.ctx, nil); err != nil {
				t.Error(err)
			}
			_ = conn.Close()
		})
	}
}

func TestRefuseConnections(t *testing.T) {
	b := newBench(t, embedded.Options{MaxConnections: 1})
	b.broker.Faults().RefuseConnections(true)
	if conn, err := amqp.Dial(b.ctx, b.url, nil); err == nil {
		_ = conn.Close()
		t.Error("a connection was accepted")
	}
	b.broker.Faults().RefuseConnections(false)
	b.dial(nil)
	if conn, err := amqp.Dial(b.ctx, b.url, nil); err == nil {
		_ = conn.Close()
		t.Error("a connection beyond MaxConnections was accepted")
	}
}
