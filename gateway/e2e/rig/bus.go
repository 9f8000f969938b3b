package rig

import (
	"sync"
	"testing"
	"time"

	"sluice/amqp"
	"sluice/amqp/client"
	"sluice/amqp/message"
	"sluice/amqp/topology"
	"sluice/mapping"
)

// Bus is a backend on the bus: it publishes and sees the outcomes, and it consumes and decides them.
type Bus struct {
	t       testing.TB
	dialect mapping.Dialect
	url     string
	client  *client.Client
	adminMu sync.Mutex
	admin   *artemis // nil until it is needed
}

// OpenBus connects a backend to the bus of n.
func OpenBus(t testing.TB, n *Node) *Bus {
	t.Helper()
	return openBus(t, n.BusURL, n.config.Dialect, n.config.BusTopology())
}

// Open is OpenBus for a bus that is outside of nodes.
func (b Backend) Open(t testing.TB) *Bus {
	t.Helper()
	return openBus(t, b.busURL, b.Dialect, "")
}

func openBus(t testing.TB, url string, dialect mapping.Dialect, kind topology.Kind) *Bus {
	t.Helper()
	c, err := client.Open(client.Options{URLs: []string{url}, ContainerID: Prefix(t) + "-backend", Logger: Logger(t), Connections: 1, Lanes: 1, Kind: kind})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := c.Close(Context(t)); err != nil {
			t.Errorf("closing the backend's connections: %v", err)
		}
	})
	b := &Bus{t: t, dialect: dialect, url: url, client: c}
	Eventually(t, "the backend is connected", func() error { return c.Ready(Context(t)) })
	return b
}

// Message is a durable message for the devices that subscribe to topic, delivered at most at qos.
func (b *Bus) Message(topic string, payload []byte, qos uint8) *message.Message {
	return Message(b.dialect, topic, payload, qos)
}

// Message is Bus.Message for a bus of this dialect.
func Message(dialect mapping.Dialect, topic string, payload []byte, qos uint8) *message.Message {
	return &message.Message{
		Header:      message.Header{Durable: true, Priority: message.DefaultPriority},
		Annotations: map[string]any{mapping.AnnotationQoS: qos},
		Properties:  message.Properties{To: dialect.ToTopic(topic)},
		Data:        [][]byte{payload},
	}
}

// InboxAddress is where a message is sent that is for this queue alone, and where others receive from it.
func (b *Bus) InboxAddress(queue string) string { return b.client.InboxAddress(queue) }

// Publish sends m and waits for its outcome.
func (b *Bus) Publish(m *message.Message) message.Outcome {
	b.t.Helper()
	return b.PublishAll([]*message.Message{m})[0]
}

// PublishAll sends the messages in order, without waiting in between, and gives their outcomes.
func (b *Bus) PublishAll(messages []*message.Message) []message.Outcome {
	b.t.Helper()
	type answer struct {
		index   int
		outcome message.Outcome
	}
	answers := make(chan answer, len(messages))
	for i, m := range messages {
		b.client.Publish(0, m, false, func(o message.Outcome) { answers <- answer{i, o} })
	}
	outcomes := make([]message.Outcome, len(messages))
	ctx := Context(b.t)
	for range messages {
		select {
		case a := <-answers:
			outcomes[a.index] = a.outcome
		case <-ctx.Done():
			b.t.Fatalf("the bus has not answered all of %d messages", len(messages))
		}
	}
	return outcomes
}

// Send publishes and expects accepted.
func (b *Bus) Send(m *message.Message) {
	b.t.Helper()
	b.SendAll([]*message.Message{m})
}

// SendAll publishes in order and expects accepted for each.
func (b *Bus) SendAll(messages []*message.Message) {
	b.t.Helper()
	for i, o := range b.PublishAll(messages) {
		if o.Kind != message.Accepted {
			b.t.Fatalf("message %d of %d to %s: %v (%v)", i+1, len(messages), messages[i].Properties.To, o.Kind, o.Error)
		}
	}
}

// ExpectNobody waits until no queue on the bus gets what is sent to topic: the bus answers released, or is asked. So it proves that the queues of ended
// sessions are gone.
func (b *Bus) ExpectNobody(topic string) {
	b.t.Helper()
	if !b.dialect.TellsUnrouted() {
		b.expectNoDivert(topic)
		return
	}
	Eventually(b.t, "nothing on the bus is bound to "+topic, func() error {
		if o := b.Publish(b.Message(topic, []byte("is anybody there?"), 1)); o.Kind != message.Released {
			return &message.Error{Condition: o.Kind.String(), Description: "some queue took the message"}
		}
		return nil
	})
}

// Remove removes a queue with the end of the test.
func (b *Bus) Remove(name string) {
	b.t.Helper()
	b.t.Cleanup(func() {
		if err := b.client.DeleteInbox(Context(b.t), name); err != nil {
			b.t.Errorf("removing the queue %s: %v", name, err)
		}
	})
}

// Delete removes a queue now.
func (b *Bus) Delete(name string) {
	b.t.Helper()
	if err := b.client.DeleteInbox(Context(b.t), name); err != nil {
		b.t.Fatalf("removing the queue %s: %v", name, err)
	}
}

// Bounded makes a queue that refuses what is beyond its length. It is removed with the test.
func (b *Bus) Bounded(name string, length uint64) {
	b.t.Helper()
	if err := b.client.EnsureInbox(Context(b.t), amqp.Inbox{Name: name, MaxLength: length}); err != nil {
		b.t.Fatal(err)
	}
	b.Remove(name)
}

// Queue is a queue of the backend's own with a consumer.
type Queue struct {
	t          testing.TB
	Name       string
	receiver   amqp.Receiver
	deliveries chan amqp.Delivery
	attached   chan struct{}
}

// Bind makes a queue bound to the topic filters, for a consumer that is somebody else, and returns its name. It is removed with the test.
func (b *Bus) Bind(filters ...string) string {
	b.t.Helper()
	return b.bind(Prefix(b.t)+"-queue", filters)
}

// Source is Bind with one filter for a consumer of any make: the address that it attaches to. On Artemis the queue is one that Sluice has no part
// in, as an operator would make it.
func (b *Bus) Source(filter string) string {
	b.t.Helper()
	if b.dialect.HasExchanges() {
		return b.InboxAddress(b.Bind(filter))
	}
	return b.multicastQueue(Prefix(b.t)+"-queue", filter)
}

func (b *Bus) bind(name string, filters []string) string {
	b.t.Helper()
	ctx := Context(b.t)
	if err := b.client.EnsureInbox(ctx, amqp.Inbox{Name: name, Expires: uint64(10 * time.Minute / time.Millisecond)}); err != nil {
		b.t.Fatal(err)
	}
	b.t.Cleanup(func() {
		if err := b.client.DeleteInbox(Context(b.t), name); err != nil {
			b.t.Errorf("removing the backend's queue: %v", err)
		}
	})
	patterns := make([]string, len(filters))
	for i, f := range filters {
		patterns[i] = b.dialect.Pattern(f)
	}
	if err := b.client.Subscribe(ctx, name, amqp.Topics(patterns...)); err != nil {
		b.t.Fatal(err)
	}
	return name
}

// Queue is Bind with a consumer.
func (b *Bus) Queue(filters ...string) *Queue {
	b.t.Helper()
	return b.consume(b.Bind(filters...))
}

// QueueNamed is Queue with a name of one's own.
func (b *Bus) QueueNamed(name string, filters ...string) *Queue {
	b.t.Helper()
	return b.consume(b.bind(name, filters))
}

// Attach consumes a queue that somebody else has made, or is about to.
func (b *Bus) Attach(name string) *Queue {
	b.t.Helper()
	return b.consume(name)
}

func (b *Bus) consume(name string) *Queue {
	b.t.Helper()
	q := &Queue{t: b.t, Name: name, deliveries: make(chan amqp.Delivery, deliveriesMax), attached: make(chan struct{}, 1)}
	q.receiver = b.client.Attach(amqp.Source{Inbox: q.Name, Credit: 100}, (*queueHandler)(q))
	b.t.Cleanup(func() {
		if err := q.receiver.Close(Context(b.t)); err != nil {
			b.t.Errorf("closing the backend's consumer: %v", err)
		}
	})
	select {
	case <-q.attached:
	case <-Context(b.t).Done():
		b.t.Fatalf("no consumer on %s", q.Name)
	}
	return q
}

// Next is the next message. It stays unsettled until Settle.
func (q *Queue) Next() amqp.Delivery {
	q.t.Helper()
	select {
	case d := <-q.deliveries:
		if d.Malformed != nil {
			q.t.Fatalf("a malformed message on %s: %v", q.Name, d.Malformed)
		}
		return d
	case <-Context(q.t).Done():
		q.t.Fatalf("no message on %s", q.Name)
	}
	return amqp.Delivery{}
}

// ExpectNothing demands that no message comes for as long as window.
func (q *Queue) ExpectNothing(window time.Duration) {
	q.t.Helper()
	limit := time.NewTimer(window)
	defer limit.Stop()
	select {
	case d := <-q.deliveries:
		q.t.Fatalf("a message came on %s: %v", q.Name, d.Message)
	case <-limit.C:
	}
}

// Take is the next message, accepted.
func (q *Queue) Take() *message.Message {
	q.t.Helper()
	d := q.Next()
	q.Settle(d, message.Outcome{Kind: message.Accepted})
	return d.Message
}

// Settle decides the outcome of a delivery.
func (q *Queue) Settle(d amqp.Delivery, o message.Outcome) { q.receiver.Settle(d.Tag, o) }

// queueHandler keeps the methods of amqp.Handler off Queue.
type queueHandler Queue

// Attached implements amqp.Handler.
func (q *queueHandler) Attached() {
	select {
	case q.attached <- struct{}{}:
	default:
	}
}

// Delivered implements amqp.Handler.
func (q *queueHandler) Delivered(d amqp.Delivery) { q.deliveries <- d }

// Detached implements amqp.Handler.
func (q *queueHandler) Detached(error) bool { return true }
