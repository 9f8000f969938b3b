package gateway

import (
	"context"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"sluice/amqp"
	"sluice/mqtt/packet"
)

// unheard is a bus that does not answer when an inbox is to be removed.
type unheard struct{ amqp.Bus }

func (u unheard) DeleteInbox(ctx context.Context, _ string) error {
	<-ctx.Done()
	return ctx.Err()
}

// A node whose bus is away is not kept from stopping by it, whatever time it is given.
func TestShutdownDoesNotWaitForABusThatIsAway(t *testing.T) {
	inBubble(t, func(b *bubble) {
		b.inFront = func(bus amqp.Bus) amqp.Bus { return unheard{bus} }
		n := b.start("n1", b.store)
		d, _ := n.connect("d", packet.V5)
		d.Subscribe("a", 0) // now the node has an inbox
		began := time.Now()
		ctx, cancel := context.WithTimeout(b.t.Context(), time.Hour)
		defer cancel()
		n.stop(ctx)
		// The device does not read its DISCONNECT: that takes the write timeout and an eighth.
		if took := time.Since(began); took > n.opt.WriteTimeout*9/8+closeWait {
			b.t.Errorf("it took %v", took)
		}
	})
}

// unbinding counts the requests to take bindings away.
type unbinding struct {
	amqp.Bus
	requests atomic.Int64
}

func (u *unbinding) Unsubscribe(ctx context.Context, inbox string, list []amqp.Binding) error {
	u.requests.Add(1)
	return u.Bus.Unsubscribe(ctx, inbox, list)
}

// The bindings of a node that stops go with its inbox. One by one they would keep a bus busy for minutes, and the SUBSCRIBE packets of others waiting.
func TestANodeThatStopsDoesNotUnbind(t *testing.T) {
	inBubble(t, func(b *bubble) {
		var bus unbinding
		b.inFront = func(real amqp.Bus) amqp.Bus {
			bus.Bus = real
			return &bus
		}
		n := b.start("n1", b.store)
		leaver, _ := n.connect("leaver", packet.V5)
		leaver.Subscribe("a", 0)
		leaver.Disconnect()
		synctest.Wait()
		if got := bus.requests.Load(); got != 1 {
			b.t.Errorf("%d requests to unbind when the only device that wanted a filter left, want 1", got)
		}
		for _, name := range []string{"c", "d"} {
			d, _ := n.connect(name, packet.V5)
			d.Subscribe(name, 0)
		}
		n.stop(b.t.Context())
		if got := bus.requests.Load(); got != 1 {
			b.t.Errorf("%d requests to unbind when the node stopped", got-1)
		}
		if _, there := b.broker.Snapshot().Queue(n.nodes.inbox.Name); there {
			b.t.Error("the node's inbox is still there")
		}
	})
}
