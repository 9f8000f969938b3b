package client

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"go.uber.org/zap"
	"go.uber.org/zap/zapcore"
	"go.uber.org/zap/zaptest/observer"

	"sluice/amqp"
	"sluice/amqp/frame"
	"sluice/amqp/message"
)

// outcomes collects what Publish answers, in order, and finds a second answer to the same message.
type outcomes struct {
	t    testing.TB
	mu   sync.Mutex
	all  []message.Outcome
	seen map[int]int
}

func newOutcomes(t testing.TB) *outcomes { return &outcomes{t: t, seen: map[int]int{}} }

func (o *outcomes) done(i int) func(message.Outcome) {
	return func(got message.Outcome) {
		o.mu.Lock()
		defer o.mu.Unlock()
		o.all = append(o.all, got)
		if o.seen[i]++; o.seen[i] > 1 {
			o.t.Errorf("message %d got a second outcome: %v", i, got)
		}
	}
}

func (o *outcomes) kinds() map[message.OutcomeKind]int {
	o.mu.Lock()
	defer o.mu.Unlock()
	n := map[message.OutcomeKind]int{}
	for _, x := range o.all {
		n[x.Kind]++
	}
	return n
}

func (o *outcomes) wait(n int) map[message.OutcomeKind]int {
	o.t.Helper()
	eventually(o.t, fmt.Sprintf("%d outcomes are there", n), func() error {
		if len(o.snapshot()) < n {
			return fmt.Errorf("%d are", len(o.snapshot()))
		}
		return nil
	})
	return o.kinds()
}

func (o *outcomes) snapshot() []message.Outcome {
	o.mu.Lock()
	defer o.mu.Unlock()
	return append([]message.Outcome(nil), o.all...)
}

// oneLane makes every shard use the same lane.
func oneLane(b *fakeBus) Options {
	return Options{URLs: []string{"amqp://fake"}, Dial: b.dial, Connections: 1, Lanes: 1}
}

func TestNoCreditIsBackpressureNotLoss(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newFakeBus(t)
		b.credit.Store(0)
		o := oneLane(b)
		o.Queue = 3
		c := open(t, o)
		connections := b.accepted.Load()
		got := newOutcomes(t)
		for i := range 10 { // three in the queue, at most one with the link, the others Busy
			c.Publish(0, textMessage("x", fmt.Sprint(i)), false, got.done(i))
			synctest.Wait()
		}
		time.Sleep(100 * defaultSendTimeout) // virtual
		refused := got.kinds()[message.Busy]
		if k := got.kinds(); refused < 6 || refused > 7 || len(k) != 1 {
			t.Errorf("without credit: %v", k)
		}
		if n := b.accepted.Load(); n != connections {
			t.Errorf("%d connections were made anew", n-connections)
		}
		b.grantAll(100)
		if k := got.wait(10); k[message.Accepted] != 10-refused || k[message.Busy] != refused {
			t.Errorf("after credit: %v", k)
		}
	})
}

// In an alarm RabbitMQ sets the session's window to zero. The library then ignores contexts; sends wait, nothing is lost, and Close still works.
func TestClosedWindowIsBackpressureNotLoss(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newFakeBus(t)
		b.window.Store(0)
		c := open(t, oneLane(b))
		connections := b.accepted.Load()
		got := newOutcomes(t)
		for i := range 10 {
			c.Publish(0, textMessage("x", fmt.Sprint(i)), false, got.done(i))
		}
		time.Sleep(100 * defaultSendTimeout) // virtual
		if n := len(got.snapshot()); n > 0 || b.accepted.Load() != connections {
			t.Fatalf("%v, %d connections", got.kinds(), b.accepted.Load())
		}
		b.window.Store(100)
		b.grantAll(100)
		if k := got.wait(10); k[message.Accepted] != 10 {
			t.Errorf("after the alarm: %v", k)
		}
	})
}

func TestCloseDuringAnAlarm(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newFakeBus(t)
		b.window.Store(0)
		c := open(t, oneLane(b))
		got := newOutcomes(t)
		for i := range 3 {
			c.Publish(0, textMessage("x", fmt.Sprint(i)), false, got.done(i))
		}
		synctest.Wait()
		start := time.Now()
		if err := c.Close(deadline(t)); err != nil || time.Since(start) > time.Second {
			t.Errorf("Close took %v: %v", time.Since(start), err)
		}
		if k := got.kinds(); k[message.Lost]+k[message.Busy] != 3 || k[message.Lost] > 1 {
			t.Errorf("%v", k)
		}
	})
}

func TestUnansweredTransferIsLostAfterSendTimeout(t *testing.T) {
	synctest.Test(t, testUnanswered)
}

func testUnanswered(t *testing.T) {
	b := newFakeBus(t)
	b.onTransfer = func(s *fakeSession, tr *frame.Transfer, _ []byte) {}
	o := oneLane(b)
	o.SendTimeout, o.Window = 5*time.Second, 2
	c := open(t, o)
	connections := b.accepted.Load()
	got := newOutcomes(t)
	for i := range 6 {
		c.Publish(0, textMessage("x", fmt.Sprint(i)), false, got.done(i))
	}
	got.wait(6)
	all := got.snapshot()
	for i := 1; i < len(all); i++ {
		if all[i-1].Kind == message.Busy && all[i].Kind == message.Lost {
			t.Errorf("Lost came after Busy: %v", got.kinds())
		}
	}
	if k := got.kinds(); k[message.Lost] != o.Window || k[message.Lost]+k[message.Busy] != 6 {
		t.Errorf("%v", k)
	}
	eventually(t, "the connection is made anew", func() error {
		if b.accepted.Load() == connections {
			return errors.New("not yet")
		}
		return c.Ready(context.Background())
	})
}

func TestEachStateBecomesItsOutcome(t *testing.T) {
	b := newFakeBus(t)
	states := []frame.DeliveryState{
		&frame.Accepted{}, &frame.Released{}, &frame.Rejected{},
		&frame.Rejected{Error: &frame.Error{Condition: "amqp:resource-limit-exceeded", Description: "full",
			Info: frame.Map{{Key: frame.Symbol("queue"), Value: "q"}, {Key: frame.Symbol("reason"), Value: frame.Symbol("maxlen")}}}},
		&frame.Modified{DeliveryFailed: true, UndeliverableHere: true},
		nil, &frame.Received{},
	}
	next := 0
	b.onTransfer = func(s *fakeSession, tr *frame.Transfer, _ []byte) {
		s.answer(tr.DeliveryID.Value, states[next])
		next++
	}
	c := open(t, oneLane(b))
	want := []message.OutcomeKind{message.Accepted, message.Released, message.Rejected, message.Rejected, message.Modified, message.Lost, message.Lost}
	for i, kind := range want {
		o := publish(t, c, 0, textMessage("x", "y"))
		if o.Kind != kind {
			t.Errorf("state %T: outcome %v (%v), want %v", states[i], o.Kind, o.Error, kind)
		}
		switch i {
		case 3:
			if o.Error == nil || o.Error.Condition != "amqp:resource-limit-exceeded" || o.Error.Info["queue"] != "q" || o.Error.Info["reason"] != "maxlen" {
				t.Errorf("error %+v", o.Error)
			}
		case 4:
			if !o.DeliveryFailed || !o.UndeliverableHere {
				t.Errorf("modified %+v", o)
			}
		}
	}
}

func TestDetachLosesInFlightThenTheLaneComesBack(t *testing.T) {
	b := newFakeBus(t)
	b.onTransfer = func(s *fakeSession, tr *frame.Transfer, payload []byte) {
		if tr.DeliveryID.Value == 1 {
			s.send(&frame.Detach{Handle: tr.Handle, Closed: true, Error: &frame.Error{Condition: "amqp:internal-error", Description: "test"}}, nil)
			return
		}
		s.answer(tr.DeliveryID.Value, &frame.Accepted{})
	}
	c := open(t, oneLane(b))
	connections := b.accepted.Load()
	if o := publish(t, c, 0, textMessage("x", "0")); o.Kind != message.Accepted {
		t.Fatalf("outcome %v", o)
	}
	if o := publish(t, c, 0, textMessage("x", "1")); o.Kind != message.Lost || o.Error.Condition != condLinkLost {
		t.Fatalf("outcome %v (%v), want lost", o, o.Error)
	}
	eventually(t, "the lane is back", func() error { return c.Ready(context.Background()) })
	if o := publish(t, c, 0, textMessage("x", "2")); o.Kind != message.Accepted {
		t.Fatalf("outcome %v (%v)", o, o.Error)
	}
	if n := b.accepted.Load(); n != connections {
		t.Error("the connection was given up for a detached link")
	}
}

func TestIdleLaneNoticesItsDetach(t *testing.T) {
	b := newFakeBus(t)
	c := open(t, oneLane(b))
	b.mu.Lock()
	for _, l := range b.links {
		if !l.receiver && !l.settled {
			l.session.send(&frame.Detach{Handle: l.handle, Closed: true}, nil)
		}
	}
	before := len(b.links)
	b.mu.Unlock()
	eventually(t, "the lane has another link", func() error {
		b.mu.Lock()
		defer b.mu.Unlock()
		if len(b.links) == before {
			return errors.New("not yet")
		}
		return nil
	})
	eventually(t, "the lane is ready", func() error { return c.Ready(context.Background()) })
	if o := publish(t, c, 0, textMessage("x", "y")); o.Kind != message.Accepted {
		t.Errorf("outcome %v (%v)", o, o.Error)
	}
}

func TestCloseCutsWhatIsNotAnswered(t *testing.T) {
	b := newFakeBus(t)
	b.onTransfer = func(*fakeSession, *frame.Transfer, []byte) {}
	arrived := make(chan struct{}, 10)
	b.onTransfer = func(*fakeSession, *frame.Transfer, []byte) { arrived <- struct{}{} }
	c, err := Open(oneLane(b))
	if err != nil {
		t.Fatal(err)
	}
	eventually(t, "ready", func() error { return c.Ready(context.Background()) })
	got := newOutcomes(t)
	c.Publish(0, textMessage("x", "y"), false, got.done(0))
	<-arrived
	ctx, cancel := context.WithTimeout(context.Background(), 50*time.Millisecond)
	defer cancel()
	if err := c.Close(ctx); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("Close: %v", err)
	}
	if k := got.wait(1); k[message.Lost] != 1 {
		t.Errorf("%v", k)
	}
	c.Publish(0, textMessage("x", "y"), false, got.done(1))
	if k := got.wait(2); k[message.Busy] != 1 {
		t.Errorf("after Close: %v", k)
	}
	if err := c.Ready(context.Background()); !errors.Is(err, amqp.ErrUnavailable) {
		t.Errorf("Ready after Close: %v", err)
	}
}

func TestCloseWaitsForOutcomes(t *testing.T) {
	b := newFakeBus(t)
	type answer struct {
		s  *fakeSession
		id uint32
	}
	arrived := make(chan answer, 1)
	b.onTransfer = func(s *fakeSession, tr *frame.Transfer, _ []byte) { arrived <- answer{s, tr.DeliveryID.Value} }
	c, err := Open(oneLane(b))
	if err != nil {
		t.Fatal(err)
	}
	eventually(t, "ready", func() error { return c.Ready(context.Background()) })
	got := newOutcomes(t)
	c.Publish(0, textMessage("x", "y"), false, got.done(0))
	a := <-arrived
	closed := make(chan error)
	go func() { closed <- c.Close(deadline(t)) }()
	eventually(t, "the lane refuses", func() error {
		if c.closing.Err() == nil {
			return errors.New("not yet")
		}
		return nil
	})
	a.s.answer(a.id, &frame.Accepted{})
	if err := <-closed; err != nil {
		t.Errorf("Close: %v", err)
	}
	if k := got.kinds(); k[message.Accepted] != 1 {
		t.Errorf("%v", k)
	}
}

func TestAbsurdDispositionEndsTheConnectionWithALogLine(t *testing.T) {
	b := newFakeBus(t)
	first := true
	b.onTransfer = func(s *fakeSession, tr *frame.Transfer, _ []byte) {
		if first {
			first = false
			s.send(&frame.Disposition{Role: frame.RoleReceiver, Last: frame.Some(uint32(1<<32 - 1)), Settled: true, State: &frame.Accepted{}}, nil)
			return
		}
		s.answer(tr.DeliveryID.Value, &frame.Accepted{})
	}
	core, logs := observer.New(zapcore.InfoLevel)
	o := oneLane(b)
	o.Logger = zap.New(core)
	c := open(t, o)
	if got := publish(t, c, 0, textMessage("x", "y")); got.Kind != message.Lost {
		t.Errorf("outcome %v, want lost", got)
	}
	eventually(t, "the bus is back", func() error { return c.Ready(context.Background()) })
	if got := publish(t, c, 0, textMessage("x", "y")); got.Kind != message.Accepted {
		t.Errorf("outcome %v (%v)", got, got.Error)
	}
	if n := logs.FilterMessage("bus connection lost, reconnecting").Len(); n != 1 {
		t.Errorf("%d lines tell of the loss: %v", n, logs.All())
	}
	back := 0
	for _, l := range logs.FilterMessage("bus connected").All() {
		if l.ContextMap()["connection"] == "publish-0" {
			back++
		}
	}
	if back != 2 {
		t.Errorf("%d lines tell of the connection", back)
	}
}

func TestUnencodableIsRejected(t *testing.T) {
	b := newFakeBus(t)
	c := open(t, oneLane(b))
	m := textMessage("x", "y")
	m.ApplicationProperties = map[string]any{"k": message.Opaque{Type: "char"}}
	if o := publish(t, c, 0, m); o.Kind != message.Rejected || o.Error.Condition != condEncode {
		t.Errorf("opaque: %v (%v)", o.Kind, o.Error)
	}
	m = textMessage("x", "y")
	m.ApplicationProperties = map[string]any{"k": "\xff"}
	if o := publish(t, c, 0, m); o.Kind != message.Rejected || o.Error.Condition != condEncode {
		t.Errorf("invalid UTF-8: %v (%v)", o.Kind, o.Error)
	}
	m = textMessage("x", "")
	m.Data = [][]byte{make([]byte, 1<<20+1)}
	if o := publish(t, c, 0, m); o.Kind != message.Rejected || o.Error.Condition != "amqp:link:message-size-exceeded" {
		t.Errorf("too large: %v (%v)", o.Kind, o.Error)
	}
	if o := publish(t, c, 0, textMessage("x", "y")); o.Kind != message.Accepted {
		t.Errorf("afterwards: %v (%v)", o.Kind, o.Error)
	}
}

func TestFailoverToTheNextHost(t *testing.T) {
	b := newFakeBus(t)
	c := open(t, Options{URLs: []string{"amqp://dead", "amqp://fake"}, Dial: b.dial})
	if c.Info().Product != "Fake" {
		t.Errorf("Info %+v", c.Info())
	}
}

func TestDisconnectedIsBusyAtOnce(t *testing.T) {
	c, err := Open(Options{URLs: []string{"amqp://user:secret@127.0.0.1:1"}})
	if err != nil {
		t.Fatal(err)
	}
	got := newOutcomes(t)
	c.Publish(0, textMessage("x", "y"), false, got.done(0))
	c.Publish(0, textMessage("x", "y"), true, got.done(1))
	if k := got.kinds(); k[message.Busy] != 2 {
		t.Errorf("%v", k)
	}
	if err := c.Ready(context.Background()); !errors.Is(err, amqp.ErrUnavailable) {
		t.Errorf("Ready: %v", err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	if err := c.DeleteInbox(ctx, "x"); !errors.Is(err, amqp.ErrUnavailable) {
		t.Errorf("DeleteInbox: %v", err)
	}
	if err := c.Close(deadline(t)); err != nil {
		t.Errorf("Close: %v", err)
	}
}
