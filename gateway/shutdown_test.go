package gateway

import (
	"context"
	"testing"
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
