package gateway

import (
	"context"
	"errors"
	"time"

	"go.uber.org/zap"

	"sluice/sessionstore"
)

// A Claim that was not answered in time may have been made all the same, or be made yet. Its device was refused, so the session has an owner without a
// connection: it would not expire, for as long as this node lives, until the device comes back. So the store is asked what became of the
// Claim, and the session is released.

// unanswered looks after the session of a Claim without an answer.
func (gw *Gateway) unanswered(d *device, key sessionstore.Key) {
	select {
	case gw.unansweredSlots <- struct{}{}:
	default:
		gw.log.Warn("too many claims are without an answer; a session may have an owner without a connection until its device is back", zap.String("client", key.ClientID))
		return
	}
	gw.upkeep.tasks.Go(func() {
		defer func() { <-gw.unansweredSlots }()
		ctx, cancel := context.WithTimeout(gw.ctx, unansweredWait)
		defer cancel()
		for looks := 0; looks < unansweredLooks && sleep(ctx, unansweredPause); {
			if gw.releaseUnserved(ctx, d, key) {
				looks++
			}
		}
	})
}

// releaseUnserved releases the session if the store takes this node for its owner, and no connection here has it. It is false when the store
// does not answer.
func (gw *Gateway) releaseUnserved(ctx context.Context, refused *device, key sessionstore.Key) bool {
	s, err := gw.opt.Store.Get(ctx, key, time.Now())
	if err != nil {
		return errors.Is(err, sessionstore.ErrNotFound)
	}
	if s.Owner != gw.opt.NodeID || gw.directory.servedBy(key, refused) {
		return true
	}
	// The connection was never accepted, so its Will was not either [MQTT-3.1.2-7]. One that claims the session at this moment has another epoch.
	work, err := gw.opt.Store.Release(ctx, sessionstore.Fence{Key: key, Epoch: s.Epoch}, sessionstore.ReleaseRequest{Now: time.Now(), Will: sessionstore.WillDropped})
	if work {
		gw.upkeep.kick()
	}
	return err == nil || errors.Is(err, sessionstore.ErrFenced)
}
