package sim

import (
	"context"
	"errors"
	"slices"
	"time"

	"sluice/amqp"
	"sluice/amqp/message"
	"sluice/gateway/bridge"
	"sluice/mapping"
	"sluice/mqtt/session"
	"sluice/sessionstore"
)

// opQueue runs operations that take time one after the other (gateway/opqueue.go).
type opQueue struct {
	ops     []func(done func())
	running bool
	idle    []func()
}

func (q *opQueue) add(op func(done func())) {
	q.ops = append(q.ops, op)
	if !q.running {
		q.running = true
		q.next()
	}
}

func (q *opQueue) next() {
	if len(q.ops) == 0 {
		q.running = false
		idle := q.idle
		q.idle = nil
		for _, f := range idle {
			f()
		}
		return
	}
	op := q.ops[0]
	q.ops = q.ops[1:]
	op(q.next)
}

func (q *opQueue) wait(then func()) {
	if !q.running {
		then()
		return
	}
	q.idle = append(q.idle, then)
}

// retrying tries an operation until it succeeds, fails for good, or the time is over (gateway/lanes.go).
type retrying struct {
	n     *node
	until time.Time
	scope *scope
	pause time.Duration
	ended bool
}

func (r *retrying) run(op func(done func(error)), then func(error)) {
	r.pause = retryFirst
	end := func(err error) {
		if !r.ended {
			r.ended = true
			then(err)
		}
	}
	if r.scope != nil {
		if r.scope.ended {
			end(context.Canceled)
			return
		}
		r.scope.then = append(r.scope.then, func() { end(context.Canceled) })
	}
	r.n.after(r.until.Sub(r.n.w.now), func() { end(context.DeadlineExceeded) })
	var attempt func()
	attempt = func() {
		if r.ended {
			return
		}
		op(func(err error) {
			if err == nil || !(errors.Is(err, amqp.ErrUnavailable) || errors.Is(err, sessionstore.ErrUnavailable)) {
				end(err)
				return
			}
			r.n.after(r.pause, attempt)
			r.pause = min(2*r.pause, retryMax)
		})
	}
	attempt()
}

func (sh *shell) retry(op func(done func(error)), then func(error)) {
	r := &retrying{n: sh.n, until: sh.w.now.Add(grace), scope: &sh.scope}
	r.run(op, then)
}

// changeLanes carries out bridge.ChangeLanes, step by step as gateway/lanes.go does.
func (sh *shell) changeLanes(e bridge.ChangeLanes, done func()) {
	result := bridge.LanesChanged{ID: e.ID, Session: bridge.LaneOK, Node: bridge.LaneOK}
	finish := func() {
		if e.ID != 0 {
			sh.post(result)
		}
		done()
	}
	flush := func() {
		if !e.Flush || max(result.Session, result.Node) != bridge.LaneOK {
			finish()
			return
		}
		sh.n.lane.flush(sh, func(err error) {
			result.Session = laneResult(err)
			result.Node = result.Session
			finish()
		})
	}
	leaveNode := func() {
		sh.n.lane.remove(sh, e.NodeRemove)
		sh.filters = without(sh.filters, e.NodeRemove)
		sh.leaveGroups(e.SharedRemove, &result, flush)
	}
	leave := func() {
		sh.lane.filters = without(sh.lane.filters, e.SessionRemove)
		if len(e.SessionRemove) == 0 || !sh.lane.made {
			leaveNode()
			return
		}
		sh.retry(func(done func(error)) { sh.n.bus.unsubscribe(sh.lane.inbox, patterns(e.SessionRemove), done) }, func(err error) {
			result.Session = max(result.Session, laneResult(err))
			leaveNode()
		})
	}
	joinNode := func() {
		if len(e.NodeAdd) == 0 {
			sh.joinGroups(e.SharedAdd, &result, leave)
			return
		}
		sh.retry(func(done func(error)) { sh.n.lane.add(sh, e.NodeAdd, done) }, func(err error) {
			result.Node = laneResult(err)
			sh.filters = with(sh.filters, e.NodeAdd)
			sh.joinGroups(e.SharedAdd, &result, leave)
		})
	}
	retained := func() {
		if len(e.Retained) == 0 || result.Session != bridge.LaneOK {
			joinNode()
			return
		}
		sh.copyRetained(e.Retained, func(err error) {
			result.Session = laneResult(err)
			joinNode()
		})
	}
	if len(e.SessionAdd) == 0 {
		retained()
		return
	}
	sh.retry(func(done func(error)) { sh.joinSession(e.SessionAdd, done) }, func(err error) {
		result.Session = laneResult(err)
		retained()
	})
}

// joinSession records the inbox, makes it and binds it, then attaches.
func (sh *shell) joinSession(filters []string, done func(error)) {
	l := sh.lane
	bind := func() {
		l.filters = with(l.filters, filters)
		subscribed := func(err error) {
			if sh.scope.ended {
				return // retry has given up, as calls do whose context ends
			}
			if err == nil {
				l.attach()
			}
			done(err)
		}
		sh.n.bus.subscribe(l.inbox, patterns(filters), func(err error) {
			if errors.Is(err, amqp.ErrNotFound) && !sh.scope.ended {
				l.prepare(subscribed)
				return
			}
			subscribed(err)
		})
	}
	if l.made {
		bind()
		return
	}
	sh.writeInbox(func(err error) {
		if err != nil || sh.scope.ended {
			done(err)
			return
		}
		sh.n.bus.ensureInbox(amqp.Inbox{Name: l.inbox, SingleActive: true}, func(err error) {
			if err != nil || sh.scope.ended {
				done(err)
				return
			}
			l.made = true
			bind()
		})
	})
}

func (sh *shell) writeInbox(done func(error)) {
	sh.n.store.write(sh.fence, []sessionstore.Op{sessionstore.SetInbox{Name: sh.lane.inbox}}, done)
}

func (sh *shell) resumeLanes(e bridge.ResumeLanes) {
	if len(e.Session) > 0 || e.Begun || sh.lane.made {
		sh.lane.filters = with(sh.lane.filters, e.Session)
		sh.lane.attach()
	}
	if len(e.Node)+len(e.Shared) == 0 {
		return
	}
	sh.ops.add(func(done func()) {
		var result bridge.LanesChanged
		finish := func() {
			if worst := max(result.Node, result.Shared); worst != bridge.LaneOK {
				sh.post(bridge.LanesFailed{Result: worst})
			}
			done()
		}
		if len(e.Node) == 0 {
			sh.joinGroups(e.Shared, &result, finish)
			return
		}
		sh.filters = with(sh.filters, e.Node)
		sh.retry(func(done func(error)) { sh.n.lane.add(sh, e.Node, done) }, func(err error) {
			result.Node = laneResult(err)
			sh.joinGroups(e.Shared, &result, finish)
		})
	})
}

func laneResult(err error) bridge.LaneResult {
	switch {
	case err == nil:
		return bridge.LaneOK
	case errors.Is(err, sessionstore.ErrFenced):
		return bridge.LaneFenced
	case errors.Is(err, sessionstore.ErrFull):
		return bridge.LaneFull
	case errors.Is(err, amqp.ErrUnavailable), errors.Is(err, sessionstore.ErrUnavailable),
		errors.Is(err, context.Canceled), errors.Is(err, context.DeadlineExceeded):
		return bridge.LaneLost
	}
	return bridge.LaneRefused
}

func patterns(filters []string) []string {
	out := make([]string, len(filters))
	for i, f := range filters {
		out[i] = mapping.RabbitMQ.Pattern(f)
	}
	return out
}

func with(list, more []string) []string {
	out := slices.Clone(list)
	for _, s := range more {
		if !slices.Contains(out, s) {
			out = append(out, s)
		}
	}
	return out
}

func without(list, less []string) []string {
	var out []string
	for _, s := range list {
		if !slices.Contains(less, s) {
			out = append(out, s)
		}
	}
	return out
}

// sessionLane is the device's receiver on its session's inbox (gateway/sessionlane.go).
type sessionLane struct {
	sh       *shell
	inbox    string
	made     bool
	filters  []string
	receiver *receiver
}

func (l *sessionLane) attach() {
	if l.receiver == nil {
		l.receiver = l.sh.n.bus.attach(l.inbox, 0, l.prepare, l)
	}
}

// prepare makes the inbox again, if the store confirms that the session is still ours.
func (l *sessionLane) prepare(done func(error)) {
	l.sh.writeInbox(func(err error) {
		if err != nil {
			done(err)
			return
		}
		l.remake(done)
	})
}

func (l *sessionLane) remake(done func(error)) {
	bus := l.sh.n.bus
	bus.ensureInbox(amqp.Inbox{Name: l.inbox, SingleActive: true}, func(err error) {
		if err != nil {
			done(err)
			return
		}
		bus.subscribe(l.inbox, patterns(l.filters), done)
	})
}

func (l *sessionLane) attached() { l.sh.post(session.LaneAttached{}) }
func (l *sessionLane) detached(err error) bool {
	l.sh.post(session.LaneDetached{})
	if errors.Is(err, sessionstore.ErrFenced) {
		l.sh.post(takenOver)
		return false
	}
	return true
}
func (l *sessionLane) delivered(tag uint64, m *message.Message, redelivered bool) {
	l.sh.post(bridge.DeliveryArrived{Tag: tag, Message: m, Redelivered: redelivered})
}
