package gateway

import (
	"context"
	"errors"
	"time"

	"go.uber.org/zap"

	"sluice/gateway/bridge"
	"sluice/sessionstore"
)

// finish carries out bridge.Finish: no event is handled after it. What is left takes time and runs on a goroutine of its own.
func (d *device) finish(e bridge.Finish) {
	d.mu.Lock()
	if d.finished {
		d.mu.Unlock()
		return
	}
	d.finished = true
	d.inbox = nil
	d.wake.Broadcast()
	d.mu.Unlock()
	if d.timer != nil {
		d.timer.Stop()
	}
	d.writer.CloseAfterFlush()
	d.cancel()
	go d.teardown(e)
}

// teardown gives back what the device had, in the order that keeps promises: first the bus gets its messages back, in order; then the session
// is free for its next owner.
func (d *device) teardown(e bridge.Finish) {
	defer close(d.done)
	d.laneOps.wait()
	d.leaveLanes()
	if e.Opened {
		d.release(e)
	}
	d.gw.directory.leave(d)
}

// leaveLanes gives deliveries back to the bus, in order, and ends what the node lane did for the device.
func (d *device) leaveLanes() {
	ctx, cancel := context.WithTimeout(d.gw.ctx, closeWait)
	defer cancel()
	if d.lane != nil {
		if err := d.lane.close(ctx); err != nil {
			d.log.Debug("session lane not closed in time", zap.Error(err))
		}
	}
	d.gw.nodes.remove(ctx, d, d.nodeFilters.list())
}

// release ends the ownership. What is left to do after it, the Will to publish or the inbox to remove, becomes due work in the store, so that it
// is done even if this node dies now.
func (d *device) release(e bridge.Finish) {
	ctx, cancel := context.WithTimeout(d.gw.ctx, max(d.gw.opt.Bridge.Grace, closeWait))
	defer cancel()
	req := sessionstore.ReleaseRequest{Now: time.Now(), End: e.End, Will: sessionstore.WillDropped}
	if e.KeepWill {
		req.Will = sessionstore.WillKept
	}
	work, err := d.gw.opt.Store.Release(ctx, d.fence, req)
	if work {
		d.gw.upkeep.kick()
	}
	if err != nil && !errors.Is(err, sessionstore.ErrFenced) {
		d.log.Warn("session not released; it stays until it is claimed, or this node's lease ends", zap.String("client", d.fence.Key.ClientID), zap.Error(err))
	}
}
