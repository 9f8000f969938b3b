package gateway

import (
	"context"
	"errors"
	"time"

	"go.uber.org/zap"

	"sluice/amqp/message"
	"sluice/gateway/bridge"
	"sluice/mapping"
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
	ended := e.End
	if e.Opened {
		ended = d.release(e.End)
	}
	if e.Will != nil {
		d.gw.wills.publish(d.fence, e, ended)
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

// release ends the ownership and reports whether the session has ended with it; then its inbox goes too.
func (d *device) release(end bool) (ended bool) {
	ctx, cancel := context.WithTimeout(d.gw.ctx, max(d.gw.opt.Bridge.Grace, closeWait))
	defer cancel()
	_, err := d.gw.opt.Store.Release(ctx, d.fence, sessionstore.ReleaseRequest{Now: time.Now(), End: end})
	switch {
	case errors.Is(err, sessionstore.ErrFenced):
		return false // another connection has it: nothing here is ours any more
	case err != nil:
		d.log.Warn("session not released; it stays until it is claimed or expires", zap.String("client", d.fence.Key.ClientID), zap.Error(err))
		return false
	}
	if end && d.lane != nil && d.lane.made {
		d.gw.deleteInbox(d.lane.inbox)
	}
	return end
}

// wills publishes Will Messages. One with a delay waits on this node.
type wills struct {
	gw    *Gateway
	slots chan struct{} // bounds those that wait
}

func newWills(gw *Gateway) *wills {
	return &wills{gw: gw, slots: make(chan struct{}, delayedWillsMax)}
}

// publish sends the Will now, or after its delay unless the device is back by then [MQTT-3.1.3-9]. A session that has ended waits for
// nothing [MQTT-3.1.2-8].
func (w *wills) publish(f sessionstore.Fence, e bridge.Finish, ended bool) {
	delay := time.Duration(e.WillDelay) * time.Second
	if ended {
		delay = 0
	}
	select {
	case w.slots <- struct{}{}:
	default:
		w.gw.log.Error("will not published: too many wait already", zap.String("client", f.Key.ClientID))
		return
	}
	w.gw.background(func() {
		defer func() { <-w.slots }()
		if delay > 0 && !w.due(f, delay) {
			return
		}
		w.send(f, e.Will, e.WillSettled)
	})
}

// due waits for the delay and reports whether the device stayed away.
func (w *wills) due(f sessionstore.Fence, delay time.Duration) bool {
	t := time.NewTimer(delay)
	defer t.Stop()
	select {
	case <-t.C:
	case <-w.gw.ctx.Done():
		return false
	}
	s, err := w.gw.opt.Store.Get(w.gw.ctx, f.Key, time.Now())
	return errors.Is(err, sessionstore.ErrNotFound) || err == nil && s.Epoch == f.Epoch
}

// send publishes until the bus has answered or the grace is over.
func (w *wills) send(f sessionstore.Fence, m *message.Message, settled bool) {
	ctx, cancel := context.WithTimeout(w.gw.ctx, w.gw.opt.Bridge.Grace)
	defer cancel()
	for pause := retryFirst; ; pause = min(2*pause, retryMax) {
		outcome := make(chan message.Outcome, 1)
		w.gw.opt.Bus.Publish(shardOf(f.Key), m, settled, func(o message.Outcome) { outcome <- o })
		var o message.Outcome
		select {
		case o = <-outcome:
		case <-ctx.Done():
			w.gw.log.Error("will not published in time", zap.String("client", f.Key.ClientID))
			return
		}
		switch answer := mapping.Classify(o, mapping.OutcomeRule{}); {
		case answer.Class == mapping.Success:
			w.gw.metrics.wills.Inc()
			return
		case answer.Class == mapping.Refused, settled:
			w.gw.log.Warn("will refused by the bus", zap.String("client", f.Key.ClientID), zap.String("outcome", o.Kind.String()))
			return
		}
		select {
		case <-time.After(pause):
		case <-ctx.Done():
		}
	}
}
