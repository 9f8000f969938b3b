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
	place := d.place
	d.mu.Unlock()
	if place != nil {
		place.Close()
	}
	d.tellLost(e)
	d.ends("Connection lost") // unless something was said
	if d.timer != nil {
		d.timer.Stop()
	}
	d.writer.CloseAfterFlush()
	d.life.end()
	d.records.close()
	close(d.quiet)
	d.gw.tallies.leave(d.tally)
	go d.teardown(e)
}

// teardown gives back what the device had. The session's release does not wait for the bus: a device that comes back at once, on another node, must
// not find the Will that it took back, or a session that has ended. The bus does not mind: until our link is gone it gives the next owner
// nothing (amqp.Inbox.SingleActive), and takes our deliveries back in order.
func (d *device) teardown(e bridge.Finish) {
	defer close(d.done)
	result := make(chan released, 1)
	go func() { result <- d.release(e) }()
	late := d.laneOps.wait()
	d.feeds.wait()
	d.leaveLanes()
	r := <-result
	if r.work {
		d.gw.upkeep.kick() // not before: an inbox is better left before it is removed
	}
	if e.Opened && (!r.ours || e.End && late) {
		d.removeStray()
	}
	d.gw.directory.leave(d)
}

// leaveLanes gives deliveries back to the bus, in order, and ends what the node lane did for the device.
func (d *device) leaveLanes() {
	ctx, cancel := context.WithTimeout(d.gw.ctx, closeWait)
	defer cancel()
	d.waitRefusals(ctx)
	for _, l := range d.lanes.all() {
		if err := l.close(ctx); err != nil {
			d.log().Debug("lane not closed in time", zap.String("lane", l.name), zap.Error(err))
		}
	}
	d.gw.nodes.remove(ctx, d, d.nodeFilters.list())
}

// release ends the ownership. What is left to do after it, the Will to publish or the inbox to remove, becomes due work in the store, so that it
// is done even if this node dies now.
func (d *device) release(e bridge.Finish) released {
	if !e.Opened {
		return released{}
	}
	ctx, cancel := context.WithTimeout(d.gw.ctx, max(d.gw.opt.Bridge.Grace, closeWait))
	defer cancel()
	req := sessionstore.ReleaseRequest{Now: time.Now(), End: e.End, Will: sessionstore.WillDropped}
	if e.KeepWill {
		req.Will = sessionstore.WillKept
	}
	work, err := d.gw.opt.Store.Release(ctx, d.fence, req)
	if work && e.End {
		d.gw.upkeep.noteEnded(d.fence)
	}
	if errors.Is(err, sessionstore.ErrFenced) {
		return released{work: work}
	}
	if err != nil {
		d.log().Warn("session not released; it stays until it is claimed, or this node's lease ends", zap.String("client", d.fence.Key.ClientID), zap.Error(err))
	}
	return released{ours: true, work: work}
}

// released is what a release has found.
type released struct {
	ours bool // no other connection owned the session already
	work bool // some is due at once
}

// removeStray removes what was made too late: while we waited for the bus, or had not heard that the session was taken over, it ended, and its inbox
// was removed before we had made it. Nobody else knows of it now.
func (d *device) removeStray() {
	l := d.lanes.session
	if l == nil || !l.made {
		return
	}
	ctx, cancel := context.WithTimeout(d.gw.ctx, max(d.gw.opt.Bridge.Grace, closeWait))
	defer cancel()
	s, err := d.gw.opt.Store.Get(ctx, d.fence.Key, time.Now())
	if err == nil && s.Incarnation == d.incarnation || err != nil && !errors.Is(err, sessionstore.ErrNotFound) {
		return
	}
	// Its name has the incarnation in it, so no other session can have it.
	if err := retryUntil(ctx, func(ctx context.Context) error { return d.gw.opt.Bus.DeleteInbox(ctx, l.inbox) }); err != nil {
		d.log().Warn("a stray inbox stays on the bus until it expires", zap.String("inbox", l.inbox), zap.Error(err))
	}
}
