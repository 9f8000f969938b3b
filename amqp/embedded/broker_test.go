package embedded_test

import (
	"errors"
	"fmt"
	"testing"
	"time"

	"github.com/Azure/go-amqp"

	"sluice/amqp/embedded"
)

func TestAuthentication(t *testing.T) {
	open := newBench(t, embedded.Options{})
	closed := newBench(t, embedded.Options{User: "alice", Password: "secret"})
	for _, c := range []struct {
		name string
		b    *bench
		sasl amqp.SASLType
		ok   bool
	}{
		{"open, none", open, nil, true},
		{"open, anonymous", open, amqp.SASLTypeAnonymous(), true},
		{"open, any user", open, amqp.SASLTypePlain("bob", "x"), true},
		{"closed, none", closed, nil, false},
		{"closed, anonymous", closed, amqp.SASLTypeAnonymous(), false},
		{"closed, wrong password", closed, amqp.SASLTypePlain("alice", "x"), false},
		{"closed, wrong user", closed, amqp.SASLTypePlain("bob", "secret"), false},
		{"closed, right", closed, amqp.SASLTypePlain("alice", "secret"), true},
	} {
		conn, err := amqp.Dial(c.b.ctx, c.b.url, &amqp.ConnOptions{SASLType: c.sasl})
		if (err == nil) != c.ok {
			t.Errorf("%s: %v", c.name, err)
		}
		if err != nil {
			continue
		}
		if p := conn.Properties(); p["product"] != "Sluice" || p["version"] == "" {
			t.Errorf("open.properties %v", p)
		}
		_ = conn.Close()
	}
}

func TestManagementPair(t *testing.T) {
	r := newRig(t, embedded.Options{})
	body := map[string]any{"durable": true, "exclusive": false, "auto_delete": false, "arguments": map[string]any{"x-queue-type": "classic", "x-expires": uint64(60000)}}
	r.want("201", "PUT", "/queues/a%20b", body)
	r.want("200", "PUT", "/queues/a%20b", body)
	r.want("409", "PUT", "/queues/a%20b", map[string]any{})
	r.want("204", "PUT", "/exchanges/x", map[string]any{"type": "topic"})
	r.want("204", "POST", "/bindings", map[string]any{"source": "x", "destination_queue": "a b", "binding_key": "k.#"})
	list, _ := r.want("200", "GET", "/bindings?src=x&dstq=a%20b", nil).([]any)
	if len(list) != 1 {
		t.Fatalf("bindings %v", list)
	}
	location, _ := list[0].(map[string]any)["location"].(string)
	if location != "/bindings/src=x;dstq=a%20b;key=k.%23;args=" {
		t.Errorf("location %q", location)
	}
	r.publish(r.sender(r.s, "/exchanges/x/k.1", nil), text("", "x"))
	info, _ := r.want("200", "GET", "/queues/a%20b", nil).(map[string]any)
	if info["message_count"] != uint64(1) || info["consumer_count"] != uint32(0) || info["type"] != "classic" {
		t.Errorf("info %v", info)
	}
	if got := r.want("200", "DELETE", "/queues/a%20b/messages", nil).(map[string]any)["message_count"]; got != uint64(1) {
		t.Errorf("purged %v", got)
	}
	r.want("204", "DELETE", location, nil)
	r.want("204", "DELETE", location, nil)
	if list, _ := r.want("200", "GET", "/bindings?src=x", nil).([]any); len(list) != 0 {
		t.Errorf("bindings %v", list)
	}
	r.want("200", "DELETE", "/queues/a%20b", nil)
	r.want("200", "DELETE", "/queues/a%20b", nil)
	r.want("204", "DELETE", "/exchanges/x", nil)
	for _, c := range []struct{ status, method, path string }{
		{"404", "GET", "/queues/none"}, {"404", "DELETE", "/queues/none/messages"}, {"404", "GET", "/users"},
		{"400", "GET", "queues"}, {"400", "GET", "/queues/%zz"}, {"405", "POST", "/queues/q"}, {"400", "GET", "/bindings"},
		{"400", "DELETE", "/bindings/src=x"}, {"405", "PUT", "/bindings"}, {"405", "GET", "/bindings/src=x"}, {"405", "GET", "/exchanges/x"},
	} {
		r.want(c.status, c.method, c.path, nil)
	}
	for _, c := range []struct {
		status, path string
		body         any
	}{
		{"403", "/queues/amq.q", map[string]any{}}, {"400", "/queues/q", nil}, {"400", "/queues/q", "text"},
		{"400", "/queues/q", map[string]any{"durable": "yes"}}, {"400", "/queues/q", map[string]any{"durabel": true}},
		{"400", "/queues/q", map[string]any{"arguments": "x"}}, {"409", "/queues/q", map[string]any{"arguments": map[string]any{"x-expires": 0}}},
		{"400", "/exchanges/x", map[string]any{"type": "headers"}}, {"403", "/exchanges/amq.x", map[string]any{}},
	} {
		r.want(c.status, "PUT", c.path, c.body)
	}
	r.want("404", "POST", "/bindings", map[string]any{"source": "none", "destination_queue": "none"})
	r.want("400", "POST", "/bindings", map[string]any{"source": "amq.topic", "destination_exchange": "amq.fanout"})
}

// TestManagementPipelined: eight requests may be under way.
func TestManagementPipelined(t *testing.T) {
	r := newRig(t, embedded.Options{})
	for round := range 5 {
		for i := range 8 {
			to, method := fmt.Sprintf("/queues/q%d-%d", round, i), "PUT"
			err := r.requests.Send(r.ctx, &amqp.Message{
				Properties: &amqp.MessageProperties{MessageID: uint64(i), To: &to, Subject: &method}, Value: map[string]any{},
			}, nil)
			if err != nil {
				t.Fatal(err)
			}
		}
		for i := range 8 {
			if m := r.receive(r.replies); m.Properties.CorrelationID != uint64(i) || *m.Properties.Subject != "201" {
				t.Fatalf("answer %d: %+v", i, m.Properties)
			}
		}
	}
}

// TestManagementWithoutPair: a request that cannot be answered ends its session, as in RabbitMQ.
func TestManagementWithoutPair(t *testing.T) {
	b := newBench(t, embedded.Options{})
	s := b.session(b.dial(nil))
	settled := amqp.SenderSettleModeSettled
	sender := b.sender(s, "/management", &amqp.SenderOptions{
		Name: "alone", SourceAddress: "$me", Properties: map[string]any{"paired": true}, SettlementMode: &settled,
	})
	to, method := "/queues/q", "PUT"
	request := &amqp.Message{Properties: &amqp.MessageProperties{MessageID: "1", To: &to, Subject: &method}, Value: map[string]any{}}
	var err error
	for err == nil {
		err = sender.Send(b.ctx, request, nil)
	}
	var ended *amqp.SessionError
	if !errors.As(err, &ended) || ended.RemoteErr == nil || ended.RemoteErr.Condition != amqp.ErrCondPreconditionFailed {
		t.Errorf("the session ended with %v", err)
	}
}

// TestManagementWithoutCredit: a few answers wait for credit; more requests end the session.
func TestManagementWithoutCredit(t *testing.T) {
	b := newBench(t, embedded.Options{})
	s := b.session(b.dial(nil))
	settled, paired := amqp.SenderSettleModeSettled, map[string]any{"paired": true}
	replies := b.receiver(s, "/management", &amqp.ReceiverOptions{Name: "pair", TargetAddress: "$me", Properties: paired, Credit: -1})
	requests := b.sender(s, "/management", &amqp.SenderOptions{Name: "pair", SourceAddress: "$me", Properties: paired, SettlementMode: &settled})
	method := "PUT"
	ask := func(i int) error {
		to := fmt.Sprint("/queues/q", i)
		return requests.Send(b.ctx, &amqp.Message{
			Properties: &amqp.MessageProperties{MessageID: uint64(i), To: &to, Subject: &method}, Value: map[string]any{},
		}, nil)
	}
	for i := range 8 {
		if err := ask(i); err != nil {
			t.Fatal(err)
		}
	}
	manual(8, t, replies)
	for i := range 8 {
		if m := b.receive(replies); m.Properties.CorrelationID != uint64(i) {
			t.Fatalf("answer %d: %+v", i, m.Properties)
		}
	}
	var err error
	for i := 0; err == nil; i++ {
		err = ask(i)
	}
	var ended *amqp.SessionError
	if !errors.As(err, &ended) || ended.RemoteErr == nil || ended.RemoteErr.Condition != amqp.ErrCondPreconditionFailed {
		t.Errorf("the session ended with %v", err)
	}
}

// TestDynamicSource: a request and its reply over a queue that lives as long as its link.
func TestDynamicSource(t *testing.T) {
	r := newRig(t, embedded.Options{})
	r.queue("service", nil)
	replies := r.receiver(r.s, "", &amqp.ReceiverOptions{DynamicAddress: true, Credit: 1})
	back := replies.Address()
	request := text("", "question")
	request.Properties = &amqp.MessageProperties{ReplyTo: &back}
	r.publish(r.sender(r.s, "/queues/service", nil), request)

	server := r.session(r.dial(nil))
	got := r.receive(r.receiver(server, "/queues/service", nil))
	if s := outcome(r.publish(r.sender(server, "", nil), text(*got.Properties.ReplyTo, "answer"))); s != "accepted" {
		t.Fatalf("the reply to %s was %s", back, s)
	}
	if got := string(r.receive(replies).GetData()); got != "answer" {
		t.Error(got)
	}
	if err := replies.Close(r.ctx); err != nil {
		t.Fatal(err)
	}
	if n := len(r.broker.Snapshot().Queues); n != 1 {
		t.Errorf("%d queues left, want 1", n)
	}
}

func TestExclusiveQueue(t *testing.T) {
	r := newRig(t, embedded.Options{})
	r.want("201", "PUT", "/queues/mine", map[string]any{"exclusive": true})
	stranger := r.dial(nil)
	_, err := r.session(stranger).NewReceiver(r.ctx, "/queues/mine", nil)
	var refused *amqp.Error
	if !errors.As(err, &refused) || refused.Condition != amqp.ErrCondResourceLocked {
		t.Errorf("another connection attached: %v", err)
	}
	r.bench.manager(stranger).want("409", "DELETE", "/queues/mine", nil)
	if err := r.conn.Close(); err != nil {
		t.Fatal(err)
	}
	if err := r.broker.Await(r.ctx, func(s embedded.Stats) bool { return s.Disconnects == 1 }); err != nil {
		t.Fatal(err)
	}
	if n := len(r.broker.Snapshot().Queues); n != 0 {
		t.Errorf("%d queues left", n)
	}
}

func TestQueueDeletedUnderLink(t *testing.T) {
	r := newRig(t, embedded.Options{})
	r.queue("q", nil)
	receiver := r.receiver(r.s, "/queues/q", &amqp.ReceiverOptions{Credit: 1})
	r.want("200", "DELETE", "/queues/q", nil)
	_, err := receiver.Receive(r.ctx, nil)
	var lost *amqp.LinkError
	if !errors.As(err, &lost) || lost.RemoteErr == nil || lost.RemoteErr.Condition != amqp.ErrCondResourceDeleted {
		t.Errorf("the link ended with %v", err)
	}
}

// TestDetachGivesBack: what a receiver held goes back to its place, uncounted, when it is closed.
func TestDetachGivesBack(t *testing.T) {
	r := newRig(t, embedded.Options{})
	r.queue("q", map[string]any{"x-single-active-consumer": true})
	sender := r.sender(r.s, "/queues/q", nil)
	first := r.receiver(r.s, "/queues/q", &amqp.ReceiverOptions{Credit: 3})
	second := r.receiver(r.session(r.dial(nil)), "/queues/q", &amqp.ReceiverOptions{Credit: 10})
	for i := range 5 {
		r.publish(sender, text("", fmt.Sprint(i)))
	}
	for range 3 {
		r.receive(first)
	}
	if err := first.Close(r.ctx); err != nil {
		t.Fatal(err)
	}
	for i := range 5 {
		m := r.receive(second)
		if string(m.GetData()) != fmt.Sprint(i) || m.Header.DeliveryCount != 0 || m.Header.FirstAcquirer != (i >= 3) {
			t.Errorf("message %d is %q with %+v", i, m.GetData(), m.Header)
		}
	}
}

func TestSettledConsumer(t *testing.T) {
	r := newRig(t, embedded.Options{})
	r.queue("q", nil)
	settled := amqp.SenderSettleModeSettled
	receiver := r.receiver(r.s, "/queues/q", &amqp.ReceiverOptions{Credit: 10, RequestedSenderSettleMode: &settled})
	r.publish(r.sender(r.s, "/queues/q", nil), text("", "x"))
	if got := string(r.receive(receiver).GetData()); got != "x" {
		t.Error(got)
	}
	if info := r.info("q"); info.Ready+info.Unsettled != 0 {
		t.Errorf("left over: %+v", info)
	}
}

// TestTTL: a message tells how long it still lives, and expires without anybody asking.
func TestTTL(t *testing.T) {
	r := newRig(t, embedded.Options{})
	r.queue("dead", nil)
	r.queue("q", map[string]any{"x-dead-letter-exchange": "", "x-dead-letter-routing-key": "dead"})
	sender := r.sender(r.s, "/queues/q", nil)
	long := text("", "long")
	long.Header = &amqp.MessageHeader{Durable: true, Priority: 7, TTL: time.Hour}
	r.publish(sender, long)
	receiver := r.receiver(r.s, "/queues/q", nil)
	m := r.receive(receiver)
	if h := m.Header; h.TTL <= 0 || h.TTL > time.Hour || !h.Durable || h.Priority != 7 {
		t.Errorf("header %+v", h)
	}
	short := text("", "short")
	short.Header = &amqp.MessageHeader{TTL: 20 * time.Millisecond}
	r.publish(sender, short)
	if got := string(r.receive(r.receiver(r.s, "/queues/dead", nil)).GetData()); got != "short" {
		t.Error(got)
	}
}

// TestMemoryPressure: publishers lose their credit when the queues are nearly full and get it back; nothing that was accepted is lost.
func TestMemoryPressure(t *testing.T) {
	const size, count = 10_000, 300
	r := newRig(t, embedded.Options{MaxQueueBytes: 1 << 20, Credit: 4})
	r.queue("q", nil)
	sender := r.sender(r.s, "/queues/q", nil)
	states := make(chan string, count)
	go func() {
		defer close(states)
		for range count {
			receipt, err := sender.SendWithReceipt(r.ctx, amqp.NewMessage(make([]byte, size)), nil)
			if err != nil {
				t.Error(err)
				return
			}
			state, err := receipt.Wait(r.ctx)
			if err != nil {
				t.Error(err)
				return
			}
			states <- outcome(state)
		}
	}()
	receiver := r.receiver(r.session(r.dial(nil)), "/queues/q", &amqp.ReceiverOptions{Credit: -1})
	for n := 0; !r.broker.Snapshot().Full; n++ {
		if got := <-states; got != "accepted" {
			t.Fatalf("message %d: %s", n, got)
		}
	}
	manual(count, t, receiver)
	for range count {
		m := r.receive(receiver)
		if err := receiver.AcceptMessage(r.ctx, m); err != nil {
			t.Fatal(err)
		}
	}
	for got := range states {
		if got != "accepted" {
			t.Fatal(got)
		}
	}
}

// Exchanges and queues of the options are there from the start, and after all was forgotten.
func TestFurnished(t *testing.T) {
	b := newBench(t, embedded.Options{Exchanges: []string{"plants", "amq.topic", "amq.mine"}, Queues: []string{"meters"}})
	for _, when := range []string{"at the start", "after Wipe"} {
		conn, err := amqp.Dial(b.ctx, b.url, nil)
		if err != nil {
			t.Fatal(err)
		}
		for address, there := range map[string]bool{"/exchanges/plants": true, "/exchanges/amq.topic": true, "/queues/meters": true, "/exchanges/amq.mine": false} {
			session, err := conn.NewSession(b.ctx, nil)
			if err != nil {
				t.Fatal(err)
			}
			if _, err := session.NewSender(b.ctx, address, nil); (err == nil) != there {
				t.Errorf("%s, %s: %v", when, address, err)
			}
		}
		b.broker.Wipe()
	}
}
