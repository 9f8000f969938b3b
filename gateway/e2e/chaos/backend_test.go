package chaos

import (
	"context"
	"fmt"
	"sync"
	"testing"
	"time"

	"sluice/amqp"
	"sluice/amqp/client"
	"sluice/amqp/message"
	"sluice/gateway/e2e/rig"
	"sluice/mapping"
)

// backend is the application on the bus: it consumes what devices send, Wills included, and sends to them. It is connected to RabbitMQ
// directly; only a restart of RabbitMQ disturbs it.
type backend struct {
	client   *client.Client
	receiver amqp.Receiver
	book     *ledger
	names    names
	ready    chan struct{} // closed at the first attachment

	sequence map[stream]int
	once     sync.Once
	sending  sync.WaitGroup
	stop     chan struct{}
}

func startBackend(t *testing.T, url string, n names, book *ledger) *backend {
	t.Helper()
	c, err := client.Open(client.Options{URLs: []string{url}, ContainerID: n.prefix + "-backend", Logger: rig.Logger(t), Connections: 1, Lanes: 1})
	if err != nil {
		t.Fatal(err)
	}
	b := &backend{client: c, book: book, names: n, ready: make(chan struct{}), sequence: map[stream]int{}, stop: make(chan struct{})}
	queue := n.prefix + "-backend"
	rig.Eventually(t, "the backend is connected", func() error { return c.Ready(rig.Context(t)) })
	if err := c.EnsureInbox(rig.Context(t), amqp.Inbox{Name: queue, Expires: uint64(10 * time.Minute / time.Millisecond)}); err != nil {
		t.Fatal(err)
	}
	patterns := amqp.Topics(mapping.RabbitMQ.Pattern(n.prefix+"/up/#"), mapping.RabbitMQ.Pattern(n.prefix+"/will/#"))
	if err := c.Subscribe(rig.Context(t), queue, patterns); err != nil {
		t.Fatal(err)
	}
	b.receiver = c.Attach(amqp.Source{Inbox: queue, Credit: 1000}, (*consumer)(b))
	t.Cleanup(func() { b.end(t, queue) })
	select {
	case <-b.ready:
	case <-rig.Context(t).Done():
		t.Fatal("the backend has no consumer")
	}
	return b
}

func (b *backend) end(t *testing.T, queue string) {
	b.quiet()
	if err := b.receiver.Close(rig.Context(t)); err != nil {
		t.Errorf("closing the backend's consumer: %v", err)
	}
	if err := b.client.DeleteInbox(rig.Context(t), queue); err != nil {
		t.Errorf("removing the backend's queue: %v", err)
	}
	if err := b.client.Close(rig.Context(t)); err != nil {
		t.Errorf("closing the backend's connections: %v", err)
	}
}

// consumer keeps the methods of amqp.Handler off backend.
type consumer backend

// Attached implements amqp.Handler.
func (c *consumer) Attached() { c.once.Do(func() { close(c.ready) }) }

// Detached implements amqp.Handler.
func (c *consumer) Detached(error) bool { return true }

// Delivered implements amqp.Handler.
func (c *consumer) Delivered(d amqp.Delivery) {
	<-c.ready // Attach has not returned before
	defer c.receiver.Settle(d.Tag, message.Outcome{Kind: message.Accepted})
	if d.Malformed != nil {
		c.book.violation("malformed", "the backend got %v", d.Malformed)
		return
	}
	var payload []byte
	for _, part := range d.Message.Data {
		payload = append(payload, part...)
	}
	a := arrival{at: time.Now(), messageID: fmt.Sprint(d.Message.Properties.MessageID)}
	a.flagged = mapping.PossibleDuplicate(d.Message)
	id, err := parseIdentity(payload)
	if err != nil {
		c.will(payload, a)
		return
	}
	// What the backend has acknowledged comes again only after the loss of its own connection, and the bus says so.
	if d.Redelivered && c.book.seen(id, a.messageID, a.flagged) {
		return
	}
	c.book.arrived(id, a)
}

func (c *consumer) will(payload []byte, a arrival) {
	var w willID
	if _, err := fmt.Sscanf(string(payload), "%d %d", &w.device, &w.attempt); err != nil {
		c.book.violation("unknown", "the backend got %q", payload)
		return
	}
	c.book.willArrived(w, a)
}

// send sends the next message of a device, and notes its outcome when that comes.
func (b *backend) send(device int, qos uint8) {
	s := stream{down, device, qos}
	b.sequence[s]++
	id := identity{direction: down, device: device, qos: qos, sequence: b.sequence[s]}
	m := rig.Message(mapping.RabbitMQ, b.names.topic(id), id.payload(), qos)
	// Each second QoS 1 message has no message-id: the gateway has to know it again by itself. At QoS 2 "once" needs one (README): without it a
	// message whose settlement was lost cannot be told from a new one with the same content, and twice is better than never.
	if qos == 2 || id.sequence%2 == 0 {
		m.Properties.MessageID = b.names.prefix + " " + id.String()
	}
	b.book.sent(id, time.Now())
	b.client.Publish(0, m, false, func(o message.Outcome) { b.book.decided(id, o, time.Now()) })
}

// load sends to the devices in turn until quiet.
func (b *backend) load(devices, rate int) {
	b.sending.Go(func() {
		tick := time.NewTicker(2 * time.Second / time.Duration(rate))
		defer tick.Stop()
		for i := 0; ; i++ {
			select {
			case <-tick.C:
				b.send(i%devices, 1+uint8(i/devices)%2)
			case <-b.stop:
				return
			}
		}
	})
}

// quiet ends the load.
func (b *backend) quiet() {
	select {
	case <-b.stop:
	default:
		close(b.stop)
	}
	b.sending.Wait()
}

// nobody gives nil when no queue on the bus gets what is sent to a device any more.
func (b *backend) nobody(ctx context.Context, device int) error {
	answer := make(chan message.Outcome, 1)
	m := rig.Message(mapping.RabbitMQ, b.names.topic(identity{direction: down, device: device, qos: 1}), []byte("is anybody there?"), 1)
	b.client.Publish(0, m, false, func(o message.Outcome) { answer <- o })
	select {
	case o := <-answer:
		if o.Kind != message.Released {
			return fmt.Errorf("a message for device %d was %v", device, o.Kind)
		}
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}
