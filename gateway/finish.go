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
	close(d.quiet)
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
	switch {
	case errors.Is(err, sessionstore.ErrFenced):
		d.removeStray(ctx)
	case err != nil:
		d.log.Warn("session not released; it stays until it is claimed, or this node's lease ends", zap.String("client", d.fence.Key.ClientID), zap.Error(err))
	}
}

// removeStray removes an inbox that was made too late: while we waited for the bus another connection ended our session, and its inbox was
// removed before we had made it. Nobody else knows of it now. Its name has the incarnation in it, so no other session can have it.
func (d *device) removeStray(ctx context.Context) {
	if d.lane == nil || !d.lane.made {
		return
	}
	s, err := d.gw.opt.Store.Get(ctx, d.fence.Key, time.Now())
	if err == nil && s.Inbox == d.lane.inbox || err != nil && !errors.Is(err, sessionstore.ErrNotFound) {
		return
	}
	inbox := d.lane.inbox
	if err := retryUntil(ctx, func(ctx context.Context) error { return d.gw.opt.Bus.DeleteInbox(ctx, inbox) }); err != nil {
		d.log.Warn("a stray inbox stays on the bus until it expires", zap.String("inbox", inbox), zap.Error(err))
	}
}
