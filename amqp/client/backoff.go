package client

import (
	"context"
	"math/rand/v2"
	"time"
)

// backoff is the wait between attempts: it doubles from backoffMin to backoffMax, each time with a random half taken off, so that the nodes of a
// cluster do not come back in step.
type backoff struct{ next time.Duration }

func (b *backoff) reset() { b.next = 0 }

func (b *backoff) duration() time.Duration {
	b.next = min(max(2*b.next, backoffMin), backoffMax)
	return b.next/2 + rand.N(b.next/2+1)
}

// wait sleeps; false when ctx ended or stop was closed meanwhile.
func (b *backoff) wait(ctx context.Context, stop <-chan struct{}) bool {
	return sleep(ctx, stop, b.duration())
}

// sleep waits; false when ctx ended or stop was closed meanwhile.
func sleep(ctx context.Context, stop <-chan struct{}, d time.Duration) bool {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
		return true
	case <-ctx.Done():
	case <-stop:
	}
	return false
}
