package gateway

import (
	"context"
	"errors"
	"math/rand/v2"
	"time"

	"sluice/amqp"
	"sluice/sessionstore"
)

// retry tries an operation on bus or store until it succeeds, fails for good, or the grace is over.
func (gw *Gateway) retry(ctx context.Context, op func(context.Context) error) error {
	ctx, cancel := context.WithTimeout(ctx, gw.opt.Bridge.Grace)
	defer cancel()
	return retryUntil(ctx, op)
}

func retryUntil(ctx context.Context, op func(context.Context) error) error {
	for pause := retryFirst; ; pause = min(2*pause, retryMax) {
		err := op(ctx)
		if err == nil || !(errors.Is(err, amqp.ErrUnavailable) || errors.Is(err, sessionstore.ErrUnavailable)) {
			return err
		}
		if !sleep(ctx, jitter(pause)) {
			return err
		}
	}
}

// jitter takes up to half off a pause. What fails together, on all nodes when the bus is away, does not come again together; and an attempt does not keep
// step with losses that come at intervals.
func jitter(pause time.Duration) time.Duration { return pause - rand.N(pause/2+1) }

// sleep waits, and is false when ctx ends first.
func sleep(ctx context.Context, d time.Duration) bool {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
		return true
	case <-ctx.Done():
		return false
	}
}
