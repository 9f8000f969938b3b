package gateway

import (
	"context"
	"errors"
	"time"

	"go.uber.org/zap"

	"sluice/amqp"
	"sluice/gateway/bridge"
	"sluice/mapping"
	"sluice/sessionstore"
)

// changeLanes carries out bridge.ChangeLanes on the device's operation queue. The record of the inbox is written before the inbox is made: what
// the store knows of can be cleaned up.
func (d *device) changeLanes(e bridge.ChangeLanes) {
	result := bridge.LanesChanged{ID: e.ID, Session: bridge.LaneOK, Node: bridge.LaneOK}
	if len(e.SessionAdd) > 0 {
		result.Session = d.laneResult("subscribe", d.retry(func(ctx context.Context) error { return d.joinSession(ctx, e.SessionAdd) }))
	}
	if len(e.NodeAdd) > 0 {
		result.Node = d.laneResult("subscribe at QoS 0", d.retry(func(ctx context.Context) error { return d.gw.nodes.add(ctx, d, e.NodeAdd) }))
		d.nodeFilters.add(e.NodeAdd)
	}
	if len(e.SessionRemove) > 0 {
		r := d.laneResult("unsubscribe", d.retry(func(ctx context.Context) error {
			return d.gw.opt.Bus.Unsubscribe(ctx, d.lane.inbox, patterns(e.SessionRemove))
		}))
		if result.Session == bridge.LaneOK {
			result.Session = r
		}
		d.lane.filters.remove(e.SessionRemove)
	}
	if len(e.NodeRemove) > 0 {
		ctx, cancel := context.WithTimeout(d.ctx, closeWait)
		d.gw.nodes.remove(ctx, d, e.NodeRemove)
		cancel()
		d.nodeFilters.remove(e.NodeRemove)
	}
	if e.ID != 0 {
		d.post(result)
	}
}

func (d *device) joinSession(ctx context.Context, filters []string) error {
	if !d.lane.made {
		if err := d.writeInbox(ctx); err != nil {
			return err
		}
		if err := d.gw.opt.Bus.EnsureInbox(ctx, d.gw.sessionInbox(d.lane.inbox)); err != nil {
			return err
		}
		d.lane.made = true
	}
	d.lane.filters.add(filters)
	err := d.gw.opt.Bus.Subscribe(ctx, d.lane.inbox, patterns(filters))
	if errors.Is(err, amqp.ErrNotFound) {
		err = d.lane.prepare(ctx)
	}
	if err != nil {
		return err
	}
	d.lane.attach()
	return nil
}

func (d *device) writeInbox(ctx context.Context) error {
	written := make(chan error, 1)
	d.gw.opt.Store.Write(d.fence, []sessionstore.Op{sessionstore.SetInbox{Name: d.lane.inbox}}, func(err error) { written <- err })
	select {
	case err := <-written:
		return err
	case <-ctx.Done():
		return sessionstore.ErrUnavailable
	}
}

// resumeLanes attaches to what the session had. The bindings are there already; a lane that cannot be joined now is joined when the bus is
// back.
func (d *device) resumeLanes(e bridge.ResumeLanes) {
	if len(e.Session) > 0 || e.Begun {
		d.lane.filters.add(e.Session)
		d.lane.attach()
	}
	if len(e.Node) == 0 {
		return
	}
	d.laneOps.add(func() {
		d.nodeFilters.add(e.Node)
		if err := d.retry(func(ctx context.Context) error { return d.gw.nodes.add(ctx, d, e.Node) }); err != nil {
			d.post(bridge.LanesFailed{Result: d.laneResult("resume the QoS 0 subscriptions", err)})
		}
	})
}

// retry tries an operation on the bus until it succeeds, fails for good, or the grace is over.
func (d *device) retry(op func(context.Context) error) error {
	ctx, cancel := context.WithTimeout(d.ctx, d.gw.opt.Bridge.Grace)
	defer cancel()
	return retryUntil(ctx, op)
}

func retryUntil(ctx context.Context, op func(context.Context) error) error {
	for pause := retryFirst; ; pause = min(2*pause, retryMax) {
		err := op(ctx)
		if err == nil || !(errors.Is(err, amqp.ErrUnavailable) || errors.Is(err, sessionstore.ErrUnavailable)) {
			return err
		}
		t := time.NewTimer(pause)
		select {
		case <-t.C:
		case <-ctx.Done():
			t.Stop()
			return err
		}
	}
}

func (d *device) laneResult(what string, err error) bridge.LaneResult {
	switch {
	case err == nil:
		return bridge.LaneOK
	case errors.Is(err, sessionstore.ErrFenced):
		return bridge.LaneFenced
	}
	if d.ctx.Err() == nil {
		d.log.Warn("the bus did not "+what, zap.Error(err))
	}
	if errors.Is(err, amqp.ErrUnavailable) || errors.Is(err, sessionstore.ErrUnavailable) || errors.Is(err, context.Canceled) || errors.Is(err, context.DeadlineExceeded) {
		return bridge.LaneLost
	}
	return bridge.LaneRefused
}

func patterns(filters []string) []string {
	out := make([]string, len(filters))
	for i, f := range filters {
		out[i] = mapping.Pattern(f)
	}
	return out
}
