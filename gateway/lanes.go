package gateway

import (
	"context"
	"errors"

	"go.uber.org/zap"

	"sluice/amqp"
	"sluice/gateway/bridge"
	"sluice/sessionstore"
)

// changeLanes carries out bridge.ChangeLanes on the device's operation queue. The record of the inbox is written before the inbox is made: what
// the store knows of can be cleaned up.
func (d *device) changeLanes(e bridge.ChangeLanes) {
	result := bridge.LanesChanged{ID: e.ID}
	d.joinLanes(e, &result)
	d.leaveFilters(e, &result)
	if e.Flush && max(result.Session, result.Node) == bridge.LaneOK {
		r := d.laneResult("bring what the node lane had", d.flushNodeLane())
		result.Session, result.Node = r, r
	}
	if e.ID != 0 {
		d.post(result)
	}
}

func (d *device) joinLanes(e bridge.ChangeLanes, result *bridge.LanesChanged) {
	if len(e.SessionAdd) > 0 || e.Inbox {
		result.Session = d.laneResult("subscribe", d.retry(func(ctx context.Context) error { return d.joinSession(ctx, e.SessionAdd) }))
	}
	if len(e.Retained) > 0 && result.Session == bridge.LaneOK {
		// Bound first, copied then: what is published in between comes at least once.
		result.Session = d.laneResult("take the retained messages of a new subscription", d.copyRetained(e.Retained))
	}
	if len(e.NodeAdd) > 0 {
		result.Node = d.laneResult("subscribe at QoS 0", d.retry(func(ctx context.Context) error { return d.gw.nodes.add(ctx, d, e.NodeAdd) }))
		d.nodeFilters.add(e.NodeAdd)
	}
	for _, s := range e.SharedAdd {
		r := d.laneResult("join a shared subscription", d.retry(func(ctx context.Context) error { return d.joinShared(ctx, s) }))
		result.Shared = max(result.Shared, r)
	}
}

func (d *device) leaveFilters(e bridge.ChangeLanes, result *bridge.LanesChanged) {
	if l := d.lanes.session; len(e.SessionRemove) > 0 {
		l.filters.remove(e.SessionRemove)
		if l.made {
			r := d.laneResult("unsubscribe", d.retry(func(ctx context.Context) error {
				// The bus knows no epochs: it would unbind what our successor has bound meanwhile. So the store is asked each time.
				if err := d.writeInbox(ctx); err != nil {
					return err
				}
				return d.gw.opt.Bus.Unsubscribe(ctx, l.inbox, d.gw.unneeded(e.SessionRemove, l.filters.list()))
			}))
			result.Session = max(result.Session, r)
		}
	}
	if len(e.NodeRemove) > 0 {
		ctx, cancel := d.within(closeWait)
		d.gw.nodes.remove(ctx, d, e.NodeRemove)
		cancel()
		d.nodeFilters.remove(e.NodeRemove)
	}
	for _, filter := range e.SharedRemove {
		r := d.laneResult("leave a shared subscription", d.retry(func(ctx context.Context) error { return d.leaveShared(ctx, filter) }))
		result.Shared = max(result.Shared, r)
	}
}

func (d *device) joinSession(ctx context.Context, filters []string) error {
	l := d.lanes.session
	if !l.made {
		if err := d.writeInbox(ctx); err != nil {
			return err
		}
		if err := d.gw.opt.Bus.EnsureInbox(ctx, d.gw.sessionInbox(l.inbox)); err != nil {
			return err
		}
		l.made = true
	}
	if len(filters) == 0 {
		l.attach() // prepare makes the inbox if the bus has lost it
		return nil
	}
	l.filters.add(filters)
	err := d.gw.bind(ctx, l.inbox, d.gw.bindings(filters))
	if errors.Is(err, amqp.ErrNotFound) {
		err = l.prepare(ctx)
	}
	if err != nil {
		return err
	}
	l.attach()
	return nil
}

func (d *device) writeInbox(ctx context.Context) error {
	return d.write(ctx, sessionstore.SetInbox{Name: d.lanes.session.inbox})
}

// write changes the session's record and waits for it.
func (d *device) write(ctx context.Context, op sessionstore.Op) error {
	written := make(chan error, 1)
	d.gw.opt.Store.Write(d.fence, []sessionstore.Op{op}, func(err error) { written <- err })
	select {
	case err := <-written:
		return err
	case <-ctx.Done():
		return sessionstore.ErrUnavailable
	}
}

func (d *device) flushNodeLane() error {
	ctx, cancel := d.within(d.gw.opt.Bridge.Grace)
	defer cancel()
	return d.gw.nodes.flush(ctx, d.shard)
}

// resumeLanes attaches to what the session had. The bindings are there already, but for those that rules ask for: the rules may be others than those of
// the node that made them, and the bus may have lost an exchange in between. A lane that cannot be joined now is joined when the bus is back.
func (d *device) resumeLanes(e bridge.ResumeLanes) {
	l := d.lanes.session
	if len(e.Session) > 0 || e.Begun || l.made {
		l.filters.add(e.Session)
		l.attach()
	}
	again := len(d.gw.fromRules(e.Session)) > 0
	if !again && len(e.Node)+len(e.Shared) == 0 {
		return
	}
	d.laneOps.add(func() {
		result := bridge.LanesChanged{}
		if again {
			result.Session = d.laneResult("bind what rules ask for", d.retry(func(ctx context.Context) error { return d.bindFromRules(ctx, l.inbox, e.Session) }))
		}
		d.joinLanes(bridge.ChangeLanes{NodeAdd: e.Node, SharedAdd: e.Shared}, &result)
		if worst := max(result.Session, result.Node, result.Shared); worst != bridge.LaneOK {
			d.post(bridge.LanesFailed{Result: worst})
		}
	})
}

// retry tries an operation on bus or store until it succeeds, fails for good, or the grace is over.
func (d *device) retry(op func(context.Context) error) error {
	ctx, leave := d.life.enter(d.gw.ctx)
	defer leave()
	return d.gw.retry(ctx, op)
}

func (d *device) laneResult(what string, err error) bridge.LaneResult {
	switch {
	case err == nil:
		return bridge.LaneOK
	case errors.Is(err, sessionstore.ErrFenced):
		return bridge.LaneFenced
	case errors.Is(err, sessionstore.ErrFull), errors.Is(err, errInboxFull):
		d.log().Warn("the bus did not "+what, zap.Error(err))
		return bridge.LaneFull
	}
	if !d.ended() {
		d.log().Warn("the bus did not "+what, zap.Error(err))
	}
	if errors.Is(err, amqp.ErrUnavailable) || errors.Is(err, sessionstore.ErrUnavailable) || errors.Is(err, context.Canceled) || errors.Is(err, context.DeadlineExceeded) {
		return bridge.LaneLost
	}
	return bridge.LaneRefused
}
