package gateway

import (
	"context"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"sluice/sessionstore"
)

// claims counts how often work was asked for.
type claims struct {
	sessionstore.Store
	asked atomic.Int64
}

// Due implements sessionstore.Store.
func (c *claims) Due(ctx context.Context, most int) ([]sessionstore.Work, error) {
	c.asked.Add(1)
	return c.Store.Due(ctx, most)
}

// Once a node that stops has done its work it claims no more: nobody else would get that before the lease of it is over.
func TestAStoppingNodeClaimsNoMoreWork(t *testing.T) {
	inBubble(t, func(b *bubble) {
		t := b.t
		store := &claims{Store: b.store}
		n := b.start("n", store)
		time.Sleep(3 * duePause)
		synctest.Wait()
		before := store.asked.Load()
		if before == 0 {
			t.Fatal("a running node has not asked for work")
		}
		n.upkeep.finish(b.t.Context())
		for range cap(n.upkeep.slots) { // which it leaves taken
			<-n.upkeep.slots
		}
		finished := store.asked.Load()
		if finished == before {
			t.Error("the last work was not asked for")
		}
		n.upkeep.kick()
		time.Sleep(3 * duePause)
		synctest.Wait()
		if after := store.asked.Load(); after != finished {
			t.Errorf("work was asked for %d times after the end", after-finished)
		}
	})
}
