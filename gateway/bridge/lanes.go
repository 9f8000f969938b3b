package bridge

import (
	"time"

	"sluice/mapping/failure"
	"sluice/mqtt/packet"
	"sluice/mqtt/session"
	"sluice/mqtt/topic"
)

// lane is one of the ways in which messages come from the bus.
type lane uint8

const (
	nodeLane    lane = iota + 1 // QoS 0
	sessionLane                 // QoS 1 and 2
	sharedLane                  // a shared subscription, whatever its QoS
	ownLane                     // the gateway's own topics: nothing is bound for them on the bus
)

func laneOf(filter string, qos packet.QoS) lane {
	switch {
	case session.OwnTopic(filter):
		return ownLane
	case topic.IsShared(filter):
		return sharedLane
	case qos > 0:
		return sessionLane
	}
	return nodeLane
}

// lanes knows on which lane each filter is, and which changes wait for the bus.
type lanes struct {
	on      map[string]lane // by filter
	noLocal map[string]bool // filters of the session lane with that option
	pending map[uint64]pendingChange
	next    uint64

	moves moves
	after *afterSuback // nil: there is nothing
}

// afterSuback is what is to happen once the SUBACK under way has been sent.
type afterSuback struct {
	leaving ChangeLanes // what it moves to the other lane
	moved   []string    // filters of leaving.SessionRemove that are on the node lane now
	sending []string    // filters of the node lane whose retained messages are wanted
}

// pendingChange is a ChangeLanes that has not been answered. It belongs to a SUBSCRIBE, to an UNSUBSCRIBE when subscriptions is nil, to the end of
// subscriptions that are not allowed any more, or to no request of the machine when id is zero as well.
type pendingChange struct {
	id            packet.ID
	ended         bool
	subscriptions []packet.Subscription
	retained      []bool       // as in session.Subscribe
	moving        []string     // as in moves.begin, to be ended with the answer
	then          *ChangeLanes // what has to be done before the packet is answered
}

// resume puts the filters of a resumed session on their lanes. What was begun is completed even when the subscription has ended since
// [MQTT-3.10.4-3], so its messages are wanted back from the bus.
func (l *lanes) resume(s session.State, out []Effect) []Effect {
	r := ResumeLanes{Begun: len(s.Outbound) > 0}
	for _, s := range s.Subscriptions {
		on := laneOf(s.Filter, s.QoS)
		l.place(s.Subscription)
		switch on {
		case sessionLane:
			r.Session = append(r.Session, s.Filter)
		case nodeLane:
			r.Node = append(r.Node, s.Filter)
			l.moves.suspect(s.Filter)
		case sharedLane:
			r.Shared = append(r.Shared, Shared{Filter: s.Filter, Inbox: s.QoS == 2})
		}
	}
	l.noteOwn()
	l.moves.resumed = true
	return append(out, r)
}

// await gives the number of a ChangeLanes whose answer is waited for.
func (l *lanes) await(p pendingChange) uint64 {
	if l.pending == nil {
		l.pending = map[uint64]pendingChange{}
	}
	l.next++
	l.pending[l.next] = p
	return l.next
}

func (b *Bridge) subscribe(e session.Subscribe, out []Effect) []Effect {
	l := &b.lanes
	p := pendingChange{id: e.ID, subscriptions: e.Subscriptions, retained: e.Retained}
	var c ChangeLanes
	for i, s := range e.Subscriptions {
		if p.last(s.Filter) != i {
			continue
		}
		before, on := l.on[s.Filter], laneOf(s.Filter, s.QoS)
		switch {
		case on == ownLane:
			c.Inbox = c.Inbox || s.QoS > 0 // that is where records are kept
		case on == sharedLane:
			c.SharedAdd = append(c.SharedAdd, Shared{Filter: s.Filter, Inbox: s.QoS == 2})
		case on == sessionLane && before != on:
			c.SessionAdd = append(c.SessionAdd, s.Filter)
			if l.meetsNodeLane(s.Filter) {
				p.moving = append(p.moving, s.Filter)
			}
		case on == nodeLane && before != on:
			c.NodeAdd = append(c.NodeAdd, s.Filter)
			if before == sessionLane {
				p.moving = append(p.moving, s.Filter)
			}
		}
		if on == sessionLane && p.wantsRetained(s.Filter) {
			c.Retained = append(c.Retained, s.Filter)
		}
	}
	l.moves.begin(p.moving)
	// With a filter that moves to the session lane, what the bus routed before it was bound there comes by the node lane only, so that one must serve
	// until it has. With one that moves to the node lane, from then on all that comes there was routed since we watch.
	c.Flush = len(p.moving) > 0
	c.ID = l.await(p)
	return append(out, c)
}

// requested reports whether the machine waits for the answer.
func (p pendingChange) requested() bool { return p.id != 0 || p.ended }

// last is the index of the last subscription with this filter, which alone counts.
func (p pendingChange) last(filter string) int {
	i := len(p.subscriptions) - 1
	for p.subscriptions[i].Filter != filter {
		i--
	}
	return i
}

// meetsNodeLane reports whether the node lane brings messages that the filter matches.
func (l *lanes) meetsNodeLane(filter string) bool {
	for f, on := range l.on {
		if on == nodeLane && topic.Overlap(f, filter) {
			return true
		}
	}
	return false
}

func (p pendingChange) wantsRetained(filter string) bool {
	for i, wanted := range p.retained {
		if wanted && p.subscriptions[i].Filter == filter {
			return true
		}
	}
	return false
}

// lanesChanged answers the machine. A filter that moved to the other lane leaves its old one only with SUBACK, so that no message falls between
// the two; from Subscribed on the machine ignores what the node lane brings for a filter of QoS 1 or 2.
func (b *Bridge) lanesChanged(now time.Time, ev LanesChanged, out []Effect) []Effect {
	l := &b.lanes
	p, ok := l.pending[ev.ID]
	if !ok {
		return out
	}
	delete(l.pending, ev.ID)
	worst := max(ev.Session, ev.Node, ev.Shared)
	switch {
	case worst == LaneLost && !p.requested():
		l.moves.notUnbound(p.moving)
	case worst >= LaneLost:
		b.lanesFailed(worst)
		return out
	case p.then != nil:
		l.moves.covered = nil
		c := *p.then
		c.ID, c.Flush = l.await(pendingChange{id: p.id, ended: p.ended, moving: p.moving}), true
		return append(out, c)
	}
	l.moves.end(now, p.moving, b.cfg.Dialect.RoutesLate())
	switch {
	case p.subscriptions != nil:
		b.subscribed(p, ev)
	case p.requested():
		b.tell(session.Unsubscribed{ID: p.id})
	}
	return out
}

func (b *Bridge) subscribed(p pendingChange, ev LanesChanged) {
	reasons := make([]packet.ReasonCode, len(p.subscriptions))
	causes := make([]string, len(p.subscriptions))
	for i, s := range p.subscriptions {
		final := p.subscriptions[p.last(s.Filter)]
		switch ev.of(laneOf(final.Filter, final.QoS)) {
		case LaneOK:
			reasons[i] = packet.ReasonCode(s.QoS)
		case LaneFull:
			reasons[i], causes[i] = failure.SubscriptionQuota.Reason(), failure.SubscriptionQuota.Name
		default:
			reasons[i], causes[i] = failure.SubscriptionRefused.Reason(), failure.SubscriptionRefused.Name
		}
	}
	b.tell(session.Subscribed{ID: p.id, Reasons: reasons, Causes: causes})
	b.lanes.put(p, reasons)
	for i, s := range p.subscriptions {
		if !reasons[i].Failed() {
			b.failures.subscription(s.Filter, s.QoS)
		}
	}
}

func (ev LanesChanged) of(on lane) LaneResult {
	switch on {
	case sessionLane, ownLane:
		return ev.Session
	case sharedLane:
		return ev.Shared
	}
	return ev.Node
}

// subackSent has filters leave their old lane: the subscription on the new one is stored. Before, a node that died would leave a record of a
// subscription that nothing is bound for. The retained messages of QoS 0 come now; nobody waits for them.
func (l *lanes) subackSent(out []Effect) []Effect {
	if l.after == nil {
		return out
	}
	leave, moved, send := l.after.leaving, l.after.moved, l.after.sending
	l.after = nil
	if len(leave.SessionRemove) > 0 {
		leave.ID, leave.Flush = l.await(pendingChange{moving: moved}), len(moved) > 0
	}
	if len(leave.SessionRemove)+len(leave.NodeRemove) > 0 {
		out = append(out, leave)
	}
	if len(send) > 0 {
		out = append(out, SendRetained{Filters: send})
	}
	return out
}

// lanesFailed ends the connection: what the device was promised cannot be kept for the moment.
func (b *Bridge) lanesFailed(r LaneResult) {
	if r == LaneFenced {
		c := CloseFor(failure.SessionTaken)
		c.NoWill = true
		b.tell(c)
		return
	}
	b.tell(CloseFor(failure.BusUnavailable))
}

// put notes the lanes of the filters that a SUBSCRIBE put in force, and what follows once SUBACK is sent.
func (l *lanes) put(p pendingChange, reasons []packet.ReasonCode) {
	after := &afterSuback{}
	l.after = after
	for i, s := range p.subscriptions {
		if p.last(s.Filter) != i {
			continue
		}
		before, now := l.on[s.Filter], laneOf(s.Filter, s.QoS)
		if reasons[i].Failed() {
			if now == sessionLane && before != now {
				after.leaving.SessionRemove = append(after.leaving.SessionRemove, s.Filter) // it may be bound
				l.moves.leave(s.Filter)
			}
			continue
		}
		l.place(s)
		if now == sessionLane {
			delete(l.moves.stale, s.Filter)
		}
		switch {
		case before == 0 && now == nodeLane && l.moves.resumed:
			l.moves.suspect(s.Filter)
		case before == sessionLane && now == nodeLane:
			after.leaving.SessionRemove = append(after.leaving.SessionRemove, s.Filter)
			after.moved = append(after.moved, s.Filter)
			l.moves.leave(s.Filter)
		case before == nodeLane && now == sessionLane:
			after.leaving.NodeRemove = append(after.leaving.NodeRemove, s.Filter)
		}
		if now == nodeLane && p.wantsRetained(s.Filter) {
			after.sending = append(after.sending, s.Filter)
		}
	}
	l.moves.begin(after.moved)
	l.noteOwn()
}

func (l *lanes) place(s packet.Subscription) {
	on := laneOf(s.Filter, s.QoS)
	if l.on == nil {
		l.on = map[string]lane{}
	}
	l.on[s.Filter] = on
	if delete(l.noLocal, s.Filter); on == sessionLane && s.NoLocal {
		if l.noLocal == nil {
			l.noLocal = map[string]bool{}
		}
		l.noLocal[s.Filter] = true
	}
}

// noteOwn finds out whose own messages may come by both lanes.
func (l *lanes) noteOwn() {
	l.moves.own = nil
	for f := range l.noLocal {
		if l.meetsNodeLane(f) {
			l.moves.own = append(l.moves.own, f)
		}
	}
}

// unsubscribe leaves the lanes. Where a filter of the session lane overlaps one that stays on the node lane, the messages of both move there. The
// session lane brings all of them until it is unbound; the node lane may be behind, so it is waited for until it brings nothing that was routed
// before we watched. Only then it is its turn.
func (b *Bridge) unsubscribe(e session.Unsubscribe, out []Effect) []Effect {
	l := &b.lanes
	var c ChangeLanes
	left := make(map[string]lane, len(e.Filters))
	for _, f := range e.Filters {
		if f == session.ErrorTopic {
			b.failures.subscribed, b.failures.kept = false, false
		}
		left[f] = l.on[f]
		delete(l.on, f)
		delete(l.noLocal, f)
	}
	l.noteOwn()
	var moving []string
	for _, f := range e.Filters {
		switch left[f] {
		case sessionLane:
			c.SessionRemove = append(c.SessionRemove, f)
			l.moves.leave(f)
			if l.meetsNodeLane(f) {
				moving = append(moving, f)
			}
		case nodeLane:
			c.NodeRemove = append(c.NodeRemove, f)
			if _, stale := l.moves.stale[f]; stale {
				delete(l.moves.stale, f)
				c.SessionRemove = append(c.SessionRemove, f)
			}
		case sharedLane:
			c.SharedRemove = append(c.SharedRemove, f)
		}
	}
	if len(moving) == 0 {
		c.ID = l.await(pendingChange{id: e.ID, ended: e.ID == 0})
		return append(out, c)
	}
	l.moves.begin(moving)
	l.moves.covered = moving
	return append(out, ChangeLanes{ID: l.await(pendingChange{id: e.ID, ended: e.ID == 0, moving: moving, then: &c}), Flush: true})
}
