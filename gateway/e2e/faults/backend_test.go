package faults

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"sluice/amqp"
	"sluice/amqp/client"
	"sluice/gateway/e2e/rig"
	"sluice/mapping"
)

// backend is an application on the bus. Its queues keep everything; a consumer that is attached only after a fault sees what the gateway
// really put on the bus, each message as often as it did.
type backend struct {
	t       *testing.T
	dialect mapping.Dialect
	client  *client.Client
}

func openBackend(t *testing.T, url string) *backend {
	t.Helper()
	c, err := client.Open(client.Options{URLs: []string{url}, ContainerID: rig.Prefix(t) + "-backend", Logger: rig.Logger(t), Connections: 1, Lanes: 1})
	if err != nil {
		t.Fatal(err)
	}
	b := &backend{t: t, client: c}
	t.Cleanup(func() {
		if err := c.Close(rig.Context(t)); err != nil {
			t.Errorf("closing the backend's connections: %v", err)
		}
	})
	b.ready()
	return b
}

func (b *backend) ready() {
	b.t.Helper()
	rig.Eventually(b.t, "the backend is connected", func() error { return b.client.Ready(rig.Context(b.t)) })
}

// queue makes a queue bound to the topic filters. It is removed with the test.
func (b *backend) queue(filters ...string) string {
	b.t.Helper()
	name := rig.Prefix(b.t) + "-queue"
	if err := b.client.EnsureInbox(rig.Context(b.t), amqp.Inbox{Name: name, Expires: uint64(10 * time.Minute / time.Millisecond)}); err != nil {
		b.t.Fatal(err)
	}
	b.t.Cleanup(func() {
		if err := b.client.DeleteInbox(rig.Context(b.t), name); err != nil {
			b.t.Errorf("removing the backend's queue: %v", err)
		}
	})
	patterns := make([]string, len(filters))
	for i, f := range filters {
		patterns[i] = b.dialect.Pattern(f)
	}
	if err := b.client.Subscribe(rig.Context(b.t), name, amqp.Topics(patterns...)); err != nil {
		b.t.Fatal(err)
	}
	return name
}

// consume takes everything from a queue until the test ends.
func (b *backend) consume(queue string) *consumer {
	b.t.Helper()
	c := &consumer{first: map[string]arrival{}, again: map[string]int{}}
	c.mu.Lock()
	c.receiver = b.client.Attach(amqp.Source{Inbox: queue, Credit: 1000}, (*consumerHandler)(c))
	c.mu.Unlock() // a delivery that came before waits here
	b.t.Cleanup(func() {
		if err := c.receiver.Close(rig.Context(b.t)); err != nil {
			b.t.Errorf("closing the backend's consumer: %v", err)
		}
	})
	return c
}

// consumer notes what a queue brought, by payload: the tests' payloads are unique.
type consumer struct {
	receiver amqp.Receiver

	mu      sync.Mutex
	order   []string // payloads in the order of their first arrival
	first   map[string]arrival
	again   map[string]int // further arrivals that were flagged
	unsaid  []string       // further arrivals without the flag
	strange []string       // further arrivals under another message-id
}

type arrival struct{ messageID string }

type consumerHandler consumer

// Attached implements amqp.Handler.
func (h *consumerHandler) Attached() {}

// Detached implements amqp.Handler.
func (h *consumerHandler) Detached(error) bool { return true }

// Delivered implements amqp.Handler.
func (h *consumerHandler) Delivered(d amqp.Delivery) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.receiver.Settle(d.Tag, accepted)
	if d.Malformed != nil {
		h.strange = append(h.strange, "malformed: "+d.Malformed.Error())
		return
	}
	payload := string(slices.Concat(d.Message.Data...))
	id := fmt.Sprint(d.Message.Properties.MessageID)
	before, known := h.first[payload]
	if !known {
		h.first[payload] = arrival{messageID: id}
		h.order = append(h.order, payload)
		return
	}
	switch {
	case !mapping.PossibleDuplicate(d.Message):
		h.unsaid = append(h.unsaid, payload)
	case before.messageID != id:
		h.strange = append(h.strange, payload+": "+before.messageID+" and "+id)
	default:
		h.again[payload]++
	}
}

// missing gives which of the payloads have not arrived.
func (c *consumer) missing(payloads []string) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	var gone []string
	for _, p := range payloads {
		if _, ok := c.first[p]; !ok {
			gone = append(gone, p)
		}
	}
	if len(gone) == 0 {
		return nil
	}
	return fmt.Errorf("%d of %d messages are missing, first %q", len(gone), len(payloads), gone[0])
}

// has reports whether a payload has arrived.
func (c *consumer) has(payload string) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	_, ok := c.first[payload]
	return ok
}

// expect waits for the payloads and demands that every duplicate was flagged as a possible one, under the message-id of the first.
func (c *consumer) expect(t *testing.T, payloads []string) {
	t.Helper()
	rig.Eventually(t, "all messages are at the backend", func() error { return c.missing(payloads) })
	c.mu.Lock()
	defer c.mu.Unlock()
	if len(c.unsaid) > 0 {
		t.Errorf("%d duplicates without the flag, first %q", len(c.unsaid), c.unsaid[0])
	}
	if len(c.strange) > 0 {
		t.Errorf("%d duplicates under another message-id, first %q", len(c.strange), c.strange[0])
	}
}

// expectNoDuplicates demands that nothing came twice, flagged or not.
func (c *consumer) expectNoDuplicates(t *testing.T) {
	t.Helper()
	c.mu.Lock()
	defer c.mu.Unlock()
	if len(c.again)+len(c.unsaid)+len(c.strange) > 0 {
		t.Errorf("messages came twice: %v %v %v", slices.Sorted(maps.Keys(c.again)), c.unsaid, c.strange)
	}
}

// expectOrder demands that the messages whose payload begins with prefix first arrived in the order of their numbers.
func (c *consumer) expectOrder(t *testing.T, prefix string) {
	t.Helper()
	c.mu.Lock()
	defer c.mu.Unlock()
	last := ""
	for _, p := range c.order {
		if !strings.HasPrefix(p, prefix) {
			continue
		}
		if p < last {
			t.Errorf("%q came after %q", p, last)
			return
		}
		last = p
	}
}
