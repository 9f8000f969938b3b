package gateway

import (
	"context"
	"errors"
	"sync"
	"time"

	"go.uber.org/zap"

	"sluice/gateway/bridge"
	"sluice/gateway/events"
	"sluice/mapping/failure"
	"sluice/mqtt/session"
	"sluice/sessionstore"
)

// upkeep does a node's share of what no connection is there for: it keeps the node's lease, takes over the sessions of nodes that died, does
// the work whose time has come on any of them: Wills to publish, inboxes of ended sessions to remove, and ends connections that have lost
// their sessions unnoticed (epochs.go). The store sees to it that each piece of work is with one node at a time.
type upkeep struct {
	gw     *Gateway
	kicks  chan struct{}  // work is due now
	missed chan struct{}  // notices of takeovers may have been lost
	slots  chan struct{}  // bounds the pieces of work under way
	tasks  sync.WaitGroup // the loops, and the pieces of work

	// The loop that claims work ends before the others, so that a node that stops claims none that it has no time for: nobody else would get it
	// before its lease is over.
	claiming context.Context
	stop     context.CancelFunc
	claimed  chan struct{} // closed when it has ended

	mu    sync.Mutex
	ended map[sessionstore.Fence]struct{} // sessions that ended with their connection here: who had it was told
}

func newUpkeep(gw *Gateway) *upkeep {
	u := &upkeep{
		gw: gw, kicks: make(chan struct{}, 1), missed: make(chan struct{}, 1), slots: make(chan struct{}, workMax), claimed: make(chan struct{}),
	}
	u.claiming, u.stop = context.WithCancel(gw.ctx)
	return u
}

// start takes the node's first lease, which must be there before the first Claim, and begins the loops.
func (u *upkeep) start(ctx context.Context) error {
	if err := u.gw.opt.Store.KeepLease(ctx, u.gw.opt.NodeID); err != nil {
		return err
	}
	u.tasks.Go(func() { u.every(u.gw.ctx, leasePause, nil, u.keepLease) })
	u.tasks.Go(func() { u.every(u.gw.ctx, sweepPause, nil, u.sweep) })
	u.tasks.Go(func() {
		defer close(u.claimed)
		u.every(u.claiming, duePause, u.kicks, u.work)
	})
	u.tasks.Go(func() { u.every(u.gw.ctx, trimPause, nil, u.trim) })
	if len(u.gw.targets.list) > 0 {
		u.tasks.Go(func() { u.every(u.gw.ctx, targetsPause, nil, u.gw.targets.watch) })
	}
	u.tasks.Go(func() { u.every(u.gw.ctx, wedgePause, nil, u.gw.tallies.look) })
	u.tasks.Go(func() {
		u.every(u.gw.ctx, linesWindow, nil, u.gw.lines.look)
		u.gw.lines.end()
	})
	u.tasks.Go(func() { u.every(u.gw.ctx, beatPause, nil, u.beat) })
	u.tasks.Go(u.compareEpochs)
	u.tasks.Go(func() { u.every(u.gw.ctx, revocationsPause, u.gw.revocations.kicks, u.gw.revocations.look) })
	u.tasks.Go(func() { u.every(u.gw.ctx, bindingsPause, nil, u.renewBindings) })
	return nil
}

// noteEnded notes a session that ended with its connection.
func (u *upkeep) noteEnded(f sessionstore.Fence) {
	u.mu.Lock()
	defer u.mu.Unlock()
	if u.ended == nil || len(u.ended) >= endedMax {
		u.ended = map[sessionstore.Fence]struct{}{} // another node may have done the work of those
	}
	u.ended[f] = struct{}{}
}

// tellSessionEnded tells the backend of a session that ended otherwise than with its connection: what it had is gone.
func (u *upkeep) tellSessionEnded(w sessionstore.Work) {
	f := sessionstore.Fence{Key: w.Key, Epoch: w.Epoch}
	u.mu.Lock()
	_, known := u.ended[f]
	delete(u.ended, f)
	u.mu.Unlock()
	if known {
		return
	}
	e := about(events.SessionEnded, w.Key)
	e.Cause = "it expired, or was discarded by a clean start"
	u.gw.events.tell(e)
}

// kick has due work looked for at once.
func (u *upkeep) kick() {
	select {
	case u.kicks <- struct{}{}:
	default:
	}
}

// every runs step again and again until ctx ends, which is the gateway's or comes from it. A step that asks for it is run again at once.
func (u *upkeep) every(ctx context.Context, pause time.Duration, kicks <-chan struct{}, step func(context.Context) (again bool)) {
	t := time.NewTimer(pause)
	defer t.Stop()
	for {
		select {
		case <-t.C:
		case <-kicks:
		case <-ctx.Done():
			return
		}
		for ctx.Err() == nil && step(u.gw.ctx) {
		}
		t.Reset(pause)
	}
}

func (u *upkeep) beat(context.Context) (again bool) {
	u.gw.beats.Add(1)
	return false
}

// keepLease renews the lease. A node that was gone for so long that others took its sessions drops all its connections: none of them owns
// what it believes to own.
func (u *upkeep) keepLease(ctx context.Context) bool {
	ctx, cancel := context.WithTimeout(ctx, upkeepWait)
	defer cancel()
	err := u.gw.opt.Store.KeepLease(ctx, u.gw.opt.NodeID)
	switch {
	case errors.Is(err, sessionstore.ErrFenced):
		devices := u.gw.directory.connections()
		u.gw.log.Error("this node was out of reach of the store for so long that others took over its sessions; its devices have to connect again",
			zap.Int("devices", len(devices)))
		for _, d := range devices {
			d.post(swept)
		}
	case err != nil:
		u.gw.log.Debug("lease not renewed", zap.Error(err))
		return sleep(u.gw.ctx, leaseRetry)
	}
	return false
}

// swept ends a connection whose node has lost its sessions. The Will is the business of whoever took them.
var swept = func() session.CloseRequested {
	c := bridge.CloseFor(failure.NodeFenced)
	c.NoWill = true
	return c
}()

func (u *upkeep) sweep(ctx context.Context) bool {
	ctx, cancel := context.WithTimeout(ctx, upkeepWait)
	defer cancel()
	taken, err := u.gw.opt.Store.Sweep(ctx, u.gw.opt.NodeID)
	if taken > 0 {
		u.gw.metrics.swept.Add(float64(taken))
		u.gw.log.Info("sessions of a node that died were released", zap.Int("sessions", taken))
		u.kick()
	}
	return err == nil && taken > 0
}

// trim removes retained messages that have expired.
func (u *upkeep) trim(ctx context.Context) bool {
	ctx, cancel := context.WithTimeout(ctx, upkeepWait)
	defer cancel()
	removed, err := u.gw.opt.Store.TrimRetained(ctx)
	return err == nil && removed >= sessionstore.MaxTrim
}

// work does what is due, several pieces at a time.
func (u *upkeep) work(ctx context.Context) (again bool) {
	ctx, cancel := context.WithTimeout(ctx, upkeepWait)
	defer cancel()
	pieces, err := u.gw.opt.Store.Due(ctx, workBatch)
	if err != nil {
		return false
	}
	for _, w := range pieces {
		select {
		case u.slots <- struct{}{}:
		case <-u.gw.ctx.Done():
			return false // its lease runs out; another node does it
		}
		u.tasks.Go(func() {
			defer func() { <-u.slots }()
			u.do(w)
		})
	}
	return len(pieces) == workBatch
}

// finish does what is due and waits for it, until ctx ends: the last devices of a node that stops leave some, and there may be no other node.
func (u *upkeep) finish(ctx context.Context) {
	u.stop()
	select {
	case <-u.claimed:
	case <-ctx.Done():
		return
	}
	for ctx.Err() == nil && u.work(ctx) {
	}
	for range cap(u.slots) { // all free: nothing is under way
		select {
		case u.slots <- struct{}{}:
		case <-ctx.Done():
			return
		}
	}
}

// do does one piece of work. What fails is not finished: when its lease runs out, some node gets it again.
func (u *upkeep) do(w sessionstore.Work) {
	ctx, cancel := context.WithTimeout(u.gw.ctx, workWait)
	defer cancel()
	log := u.gw.log.With(zap.String("client", w.Key.ClientID))
	if w.Will != nil {
		if err := u.gw.publishWill(ctx, w); err != nil {
			log.Warn("will not published yet", zap.Error(err))
			return
		}
	}
	if w.Inbox != "" {
		err := retryUntil(ctx, func(ctx context.Context) error { return u.gw.opt.Bus.DeleteInbox(ctx, w.Inbox) })
		if err != nil {
			log.Warn("inbox of an ended session not removed yet", zap.String("inbox", w.Inbox), zap.Error(err))
			return
		}
	}
	if err := u.gw.dissolve(ctx, w); err != nil {
		log.Warn("a group of a shared subscription not left yet", zap.Error(err))
		return
	}
	if w.Ended && w.Group == nil {
		u.gw.metrics.ended.Inc()
		u.tellSessionEnded(w)
	}
	if err := u.gw.opt.Store.Finish(ctx, w); err != nil && !errors.Is(err, sessionstore.ErrFenced) {
		log.Debug("work done and not recorded as such: it will be done again", zap.Error(err))
	}
}
