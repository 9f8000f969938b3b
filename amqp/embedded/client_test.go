package embedded_test

import (
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/Azure/go-amqp"

	"sluice/amqp/embedded"
	"sluice/amqp/embedded/queues"
)

// rig is a broker with one connection, its management pair and one session: what most tests start from.
type rig struct {
	*manager
	conn *amqp.Conn
	s    *amqp.Session
}

func newRig(t *testing.T, o embedded.Options) *rig {
	t.Helper()
	b := newBench(t, o)
	conn := b.dial(nil)
	return &rig{manager: b.manager(conn), conn: conn, s: b.session(conn)}
}

func text(to, body string) *amqp.Message {
	m := amqp.NewMessage([]byte(body))
	if to != "" {
		m.Properties = &amqp.MessageProperties{To: &to}
	}
	return m
}

func manual(credit uint32, t testing.TB, r *amqp.Receiver) {
	t.Helper()
	if err := r.IssueCredit(credit); err != nil {
		t.Fatal(err)
	}
}

// outcome puts a delivery state into words.
func outcome(state amqp.DeliveryState) string {
	switch s := state.(type) {
	case *amqp.StateRejected:
		if s.Error == nil {
			return "rejected"
		}
		return fmt.Sprint("rejected ", s.Error.Condition, " ", s.Error.Info["reason"])
	case *amqp.StateModified:
		return fmt.Sprint("modified ", s.DeliveryFailed, s.UndeliverableHere)
	}
	return strings.ToLower(strings.TrimPrefix(fmt.Sprintf("%T", state), "*encoding.State"))
}

func (r *rig) info(queue string) queues.QueueInfo {
	r.t.Helper()
	info, ok := r.broker.Snapshot().Queue(queue)
	if !ok {
		r.t.Fatalf("no queue %q", queue)
	}
	return info
}

func TestPublishOutcomes(t *testing.T) {
	r := newRig(t, embedded.Options{})
	r.queue("q", nil)
	r.queue("full", map[string]any{"x-max-length": 0, "x-overflow": "reject-publish"})
	r.bind("amq.topic", "q", "a.*.#")
	r.bind("amq.topic", "full", "full")
	r.bind("amq.fanout", "q", "")
	sender := r.sender(r.s, "", nil)
	for _, c := range []struct{ to, want string }{
		{"/exchanges/amq.topic/a.b", "accepted"},
		{"/exchanges/amq.topic/a", "released"},
		{"/exchanges/amq.topic", "released"},
		{"/exchanges/amq.topic/a.b%2Fc%20d.e", "accepted"},
		{"/exchanges/amq.fanout", "accepted"},
		{"/exchanges/amq.fanout/any", "accepted"},
		{"/exchanges/amq.direct/nobody", "released"},
		{"/exchanges/amq.topic/full", "rejected amqp:resource-limit-exceeded maxlen"},
		{"/queues/q", "accepted"},
		{"/queues/none", "released"},
		{"/exchanges/none/a", "rejected amqp:not-found <nil>"},
		{"/exchanges/amq.topic/a/b", "rejected amqp:precondition-failed <nil>"},
		{"/exchanges/amq.topic/%zz", "rejected amqp:precondition-failed <nil>"},
		{"/exchanges//a", "rejected amqp:precondition-failed <nil>"},
		{"/topic/a", "rejected amqp:precondition-failed <nil>"},
		{"q", "rejected amqp:precondition-failed <nil>"},
		{"", "rejected amqp:precondition-failed <nil>"},
	} {
		if got := outcome(r.publish(sender, text(c.to, "x"))); got != c.want {
			t.Errorf("to %q: %s, want %s", c.to, got, c.want)
		}
	}
	if got := r.info("q").Ready; got != 5 {
		t.Errorf("%d messages in the queue, want 5", got)
	}
}

func TestFixedTargets(t *testing.T) {
	r := newRig(t, embedded.Options{})
	r.queue("a%2Fb%20c", nil)
	r.bind("amq.topic", "a/b c", "k")
	for _, c := range []struct{ target, want string }{
		{"/queues/a%2Fb%20c", "accepted"},
		{"/exchanges/amq.topic/k", "accepted"},
		{"/exchanges/amq.topic", "released"},
		{"/exchanges/amq.direct/k", "released"},
	} {
		if got := outcome(r.publish(r.sender(r.s, c.target, nil), text("/ignored", "x"))); got != c.want {
			t.Errorf("target %q: %s, want %s", c.target, got, c.want)
		}
	}
	if got := r.info("a/b c").Ready; got != 2 {
		t.Errorf("%d messages in the queue, want 2", got)
	}
}

// TestRefusedAttach: link refused, and the session lives on.
func TestRefusedAttach(t *testing.T) {
	r := newRig(t, embedded.Options{})
	cases := []struct {
		address string
		sender  bool
		want    amqp.ErrCond
	}{
		{"/queues/none", true, amqp.ErrCondNotFound},
		{"/exchanges/none/k", true, amqp.ErrCondNotFound},
		{"/exchanges/none", true, amqp.ErrCondNotFound},
		{"topic", true, amqp.ErrCondInvalidField},
		{"/topic/a", true, amqp.ErrCondInvalidField},
		{"/management", true, amqp.ErrCondPreconditionFailed},
		{"/queues/none", false, amqp.ErrCondNotFound},
		{"/exchanges/amq.topic/k", false, amqp.ErrCondInvalidField},
		{"/topic/a", false, amqp.ErrCondInvalidField},
		{"/management", false, amqp.ErrCondPreconditionFailed},
		{"", false, amqp.ErrCondInvalidField},
	}
	for _, c := range cases {
		var err error
		if c.sender {
			_, err = r.s.NewSender(r.ctx, c.address, nil)
		} else {
			_, err = r.s.NewReceiver(r.ctx, c.address, nil)
		}
		var refused *amqp.Error
		if !errors.As(err, &refused) || refused.Condition != c.want {
			t.Errorf("%+v: %v", c, err)
		}
	}
	r.queue("q", nil)
	if got := outcome(r.publish(r.sender(r.s, "/queues/q", nil), text("", "x"))); got != "accepted" {
		t.Errorf("the session did not survive: %s", got)
	}
}

// TestSettledFault: a settled message that cannot be routed ends its link, the only way to tell; one that nobody wants just goes.
func TestSettledFault(t *testing.T) {
	r := newRig(t, embedded.Options{})
	settled := amqp.SenderSettleModeSettled
	sender := r.sender(r.s, "", &amqp.SenderOptions{SettlementMode: &settled})
	if err := sender.Send(r.ctx, text("/exchanges/amq.topic/nobody", "x"), nil); err != nil {
		t.Fatal(err)
	}
	before := r.broker.Stats().Detached
	err := sender.Send(r.ctx, text("/exchanges/none/a", "x"), nil) // may be told of the end already
	if err := r.broker.Await(r.ctx, func(s embedded.Stats) bool { return s.Detached > before }); err != nil {
		t.Fatal(err)
	}
	for err == nil {
		err = sender.Send(r.ctx, text("/exchanges/amq.topic/nobody", "x"), nil)
	}
	var lost *amqp.LinkError
	if !errors.As(err, &lost) || lost.RemoteErr == nil || lost.RemoteErr.Condition != amqp.ErrCondNotFound {
		t.Errorf("the link ended with %v", err)
	}
}

func TestPipelined(t *testing.T) {
	const count = 10_000
	r := newRig(t, embedded.Options{})
	r.queue("q", nil)
	sender := r.sender(r.s, "/queues/q", nil)
	receipts := make(chan amqp.SendReceipt, count)
	go func() {
		defer close(receipts)
		for i := range count {
			receipt, err := sender.SendWithReceipt(r.ctx, text("", fmt.Sprint(i)), nil)
			if err != nil {
				t.Error(err)
				return
			}
			receipts <- receipt
		}
	}()
	for receipt := range receipts {
		if state, err := receipt.Wait(r.ctx); err != nil || outcome(state) != "accepted" {
			t.Fatal(state, err)
		}
	}
	receiver := r.receiver(r.s, "/queues/q", &amqp.ReceiverOptions{Credit: 500})
	for i := range count {
		m := r.receive(receiver)
		if got := string(m.GetData()); got != fmt.Sprint(i) {
			t.Fatalf("message %d is %q", i, got)
		}
		if err := receiver.AcceptMessage(r.ctx, m); err != nil {
			t.Fatal(err)
		}
	}
	if err := r.broker.Await(r.ctx, func(s embedded.Stats) bool { return s.Settled == count }); err != nil {
		t.Fatal(err)
	}
	if info := r.info("q"); info.Ready+info.Unsettled != 0 || r.broker.Snapshot().Bytes != 0 {
		t.Errorf("left over: %+v", info)
	}
}

func TestMultiFrame(t *testing.T) {
	for _, frameSize := range []uint32{512, 4096, 1 << 20} {
		t.Run(fmt.Sprint(frameSize), func(t *testing.T) {
			b := newBench(t, embedded.Options{MaxFrameSize: 64 << 10})
			conn := b.dial(&amqp.ConnOptions{MaxFrameSize: frameSize})
			m := b.manager(conn)
			m.queue("q", nil)
			s := b.session(conn)
			body := make([]byte, 1<<20)
			for i := range body {
				body[i] = byte(i * 31 >> 3)
			}
			sender := b.sender(s, "/queues/q", nil)
			for range 3 {
				if got := outcome(b.publish(sender, amqp.NewMessage(body))); got != "accepted" {
					t.Fatal(got)
				}
			}
			receiver := b.receiver(s, "/queues/q", &amqp.ReceiverOptions{Credit: 3})
			for range 3 {
				msg := b.receive(receiver)
				if string(msg.GetData()) != string(body) {
					t.Fatal("the body has changed")
				}
				if err := receiver.AcceptMessage(b.ctx, msg); err != nil {
					t.Fatal(err)
				}
			}
		})
	}
}

func TestMessageTooLarge(t *testing.T) {
	r := newRig(t, embedded.Options{MaxMessageSize: 1000})
	r.queue("q", nil)
	sender := r.sender(r.s, "/queues/q", nil)
	if got := sender.MaxMessageSize(); got != 1000 {
		t.Errorf("max-message-size %d", got)
	}
	_, err := sender.SendWithReceipt(r.ctx, amqp.NewMessage(make([]byte, 2000)), nil)
	if err == nil {
		t.Error("go-amqp sent more than the link allows")
	}
}

func TestManualCreditAndDrain(t *testing.T) {
	r := newRig(t, embedded.Options{})
	r.queue("q", nil)
	sender := r.sender(r.s, "/queues/q", nil)
	for i := range 5 {
		r.publish(sender, text("", fmt.Sprint(i)))
	}
	receiver := r.receiver(r.s, "/queues/q", &amqp.ReceiverOptions{Credit: -1})
	manual(2, t, receiver)
	for i := range 2 {
		if got := string(r.receive(receiver).GetData()); got != fmt.Sprint(i) {
			t.Fatalf("message %d is %q", i, got)
		}
	}
	if info := r.info("q"); info.Ready != 3 || info.Unsettled != 2 {
		t.Fatalf("beyond the credit: %+v", info)
	}
	manual(10, t, receiver)
	for i := 2; i < 5; i++ {
		if got := string(r.receive(receiver).GetData()); got != fmt.Sprint(i) {
			t.Fatalf("message %d is %q", i, got)
		}
	}
	if err := receiver.DrainCredit(r.ctx, nil); err != nil {
		t.Fatal(err)
	}
	r.publish(sender, text("", "later"))
	if info := r.info("q"); info.Ready != 1 {
		t.Fatalf("delivered on drained credit: %+v", info)
	}
	manual(1, t, receiver)
	if got := string(r.receive(receiver).GetData()); got != "later" {
		t.Fatal(got)
	}
}

func TestConsumerOutcomes(t *testing.T) {
	r := newRig(t, embedded.Options{})
	r.queue("dead", nil)
	r.queue("q", map[string]any{"x-dead-letter-exchange": "", "x-dead-letter-routing-key": "dead"})
	sender := r.sender(r.s, "/queues/q", nil)
	for _, body := range []string{"release", "modify", "failed", "here", "reject", "accept"} {
		r.publish(sender, text("", body))
	}
	receiver := r.receiver(r.s, "/queues/q", &amqp.ReceiverOptions{Credit: -1})
	manual(6, t, receiver)
	for range 6 {
		m := r.receive(receiver)
		if m.Header == nil || !m.Header.FirstAcquirer || m.Header.DeliveryCount != 0 {
			t.Errorf("first delivery with header %+v", m.Header)
		}
		var err error
		switch string(m.GetData()) {
		case "release":
			err = receiver.ReleaseMessage(r.ctx, m)
		case "modify":
			err = receiver.ModifyMessage(r.ctx, m, &amqp.ModifyMessageOptions{Annotations: amqp.Annotations{"x-opt-why": "because"}})
		case "failed":
			err = receiver.ModifyMessage(r.ctx, m, &amqp.ModifyMessageOptions{DeliveryFailed: true})
		case "here":
			err = receiver.ModifyMessage(r.ctx, m, &amqp.ModifyMessageOptions{UndeliverableHere: true})
		case "reject":
			err = receiver.RejectMessage(r.ctx, m, &amqp.Error{Condition: "x:y"})
		default:
			err = receiver.AcceptMessage(r.ctx, m)
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	manual(6, t, receiver)
	for _, want := range []struct {
		body  string
		count uint32
	}{{"release", 0}, {"modify", 0}, {"failed", 1}} {
		m := r.receive(receiver)
		if string(m.GetData()) != want.body || m.Header.FirstAcquirer || m.Header.DeliveryCount != want.count {
			t.Errorf("redelivery %q with header %+v, want %+v", m.GetData(), m.Header, want)
		}
		if why := m.Annotations["x-opt-why"]; (why == "because") != (want.body == "modify") {
			t.Errorf("redelivery %q with annotations %v", want.body, m.Annotations)
		}
		if err := receiver.AcceptMessage(r.ctx, m); err != nil {
			t.Fatal(err)
		}
	}
	dead := r.receiver(r.s, "/queues/dead", &amqp.ReceiverOptions{Credit: 10})
	for _, want := range []string{"here", "reject"} {
		m := r.receive(dead)
		if string(m.GetData()) != want || m.Annotations["x-first-death-queue"] != "q" || m.Annotations["x-first-death-reason"] != "rejected" ||
			m.Annotations["x-routing-key"] != "dead" {
			t.Errorf("dead letter %q with %v, want %s", m.GetData(), m.Annotations, want)
		}
	}
}

func TestManyLinks(t *testing.T) {
	const links = 200
	r := newRig(t, embedded.Options{})
	var receivers []*amqp.Receiver
	for i := range links {
		name := fmt.Sprint("q", i)
		r.queue(name, nil)
		r.bind("amq.topic", name, "all")
		receivers = append(receivers, r.receiver(r.s, "/queues/"+name, &amqp.ReceiverOptions{Credit: 10}))
	}
	sender := r.sender(r.session(r.conn), "/exchanges/amq.topic/all", nil)
	for i := range 5 {
		if got := outcome(r.publish(sender, text("", fmt.Sprint(i)))); got != "accepted" {
			t.Fatal(got)
		}
	}
	for _, receiver := range receivers {
		for i := range 5 {
			m := r.receive(receiver)
			if string(m.GetData()) != fmt.Sprint(i) {
				t.Fatalf("message %d is %q", i, m.GetData())
			}
			if err := receiver.AcceptMessage(r.ctx, m); err != nil {
				t.Fatal(err)
			}
		}
		if err := receiver.Close(r.ctx); err != nil {
			t.Fatal(err)
		}
	}
}
