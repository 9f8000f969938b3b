package bridge

import (
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
)

func laneOf(filter string, qos packet.QoS) lane {
	switch {
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
	pending map[uint64]pendingChange
	next    uint64

	// What is to happen once the SUBACK under way has been sent.
	leaving ChangeLanes // what it moves to the other lane
	sending []string    // filters of the node lane whose retained messages are wanted
}

// pendingChange is a ChangeLanes that has not been answered: a SUBSCRIBE, or an UNSUBSCRIBE when subscriptions is nil.
type pendingChange struct {
	id            packet.ID
	subscriptions []packet.Subscription
	retained      []bool // as in session.Subscribe
}

func newLanes() lanes {
	return lanes{on: map[string]lane{}, pending: map[uint64]pendingChange{}}
}

// resume puts the filters of a resumed session on their lanes. What was begun is completed even when the subscription has ended since
// [MQTT-3.10.4-3], so its messages are wanted back from the bus.
func (l *lanes) resume(s session.State, out []Effect) []Effect {
	r := ResumeLanes{Begun: len(s.Outbound) > 0}
	for _, s := range s.Subscriptions {
		on := laneOf(s.Filter, s.QoS)
		l.on[s.Filter] = on
		switch on {
		case sessionLane:
			r.Session = append(r.Session, s.Filter)
		case nodeLane:
			r.Node = append(r.Node, s.Filter)
		case sharedLane:
			r.Shared = append(r.Shared, Shared{Filter: s.Filter, Inbox: s.QoS == 2})
		}
	}
	if len(s.Subscriptions) == 0 && !r.Begun {
		return out
	}
	return append(out, r)
}

// change begins a ChangeLanes and gives it its number.
func (l *lanes) change(p pendingChange) ChangeLanes {
	l.next++
	l.pending[l.next] = p
	return ChangeLanes{ID: l.next}
}

func (b *Bridge) subscribe(e session.Subscribe, out []Effect) []Effect {
	p := pendingChange{id: e.ID, subscriptions: e.Subscriptions, retained: e.Retained}
	c := b.lanes.change(p)
	for i, s := range e.Subscriptions {
		on := laneOf(s.Filter, s.QoS)
		moves := b.lanes.on[s.Filter] != on
		switch {
		case on == sharedLane:
			c.SharedAdd = append(c.SharedAdd, Shared{Filter: s.Filter, Inbox: s.QoS == 2})
		case on == sessionLane && moves:
			c.SessionAdd = append(c.SessionAdd, s.Filter)
		case on == nodeLane && moves:
			c.NodeAdd = append(c.NodeAdd, s.Filter)
		}
		if on == sessionLane && p.wantsRetained(i) {
			c.Retained = append(c.Retained, s.Filter)
		}
	}
	return append(out, c)
}

func (p pendingChange) wantsRetained(i int) bool { return i < len(p.retained) && p.retained[i] }

// lanesChanged answers the machine. A filter that moved to the other lane leaves its old one only with SUBACK, so that no message falls between
// the two; meanwhile the machine ignores what the node lane brings for a filter of QoS 1 or 2.
func (b *Bridge) lanesChanged(ev LanesChanged, out []Effect) []Effect {
	p, ok := b.lanes.pending[ev.ID]
	if !ok {
		return out
	}
	delete(b.lanes.pending, ev.ID)
	if worst := max(ev.Session, ev.Node, ev.Shared); worst >= LaneLost {
		b.lanesFailed(worst)
		return out
	}
	if p.subscriptions == nil {
		b.tell(session.Unsubscribed{ID: p.id})
		return out
	}
	reasons := make([]packet.ReasonCode, len(p.subscriptions))
	for i, s := range p.subscriptions {
		switch ev.of(laneOf(s.Filter, s.QoS)) {
		case LaneOK:
			reasons[i] = packet.ReasonCode(s.QoS)
		case LaneFull:
			reasons[i] = packet.QuotaExceeded
		default:
			reasons[i] = packet.ImplementationSpecificError
		}
	}
	b.tell(session.Subscribed{ID: p.id, Reasons: reasons})
	b.lanes.moved(p, reasons)
	return out
}

func (ev LanesChanged) of(on lane) LaneResult {
	switch on {
	case sessionLane:
		return ev.Session
	case sharedLane:
		return ev.Shared
	}
	return ev.Node
}

// subackSent has filters leave their old lane: the subscription on the new one is stored. Before, a node that died would leave a record of a
// subscription that nothing is bound for. The retained messages of QoS 0 come now; nobody waits for them.
func (l *lanes) subackSent(out []Effect) []Effect {
	leave, send := l.leaving, l.sending
	l.leaving, l.sending = ChangeLanes{}, nil
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
		b.tell(session.CloseRequested{Reason: packet.SessionTakenOver, NoWill: true})
		return
	}
	b.tell(session.CloseRequested{Reason: packet.ServerBusy, Text: "the message bus did not answer in time; subscriptions were not changed"})
}

// moved notes the lanes of the filters that a SUBSCRIBE put in force, and what follows once SUBACK is sent.
func (l *lanes) moved(p pendingChange, reasons []packet.ReasonCode) {
	l.leaving, l.sending = ChangeLanes{}, nil
	for i, s := range p.subscriptions {
		if reasons[i].Failed() {
			continue
		}
		before, now := l.on[s.Filter], laneOf(s.Filter, s.QoS)
		l.on[s.Filter] = now
		switch {
		case before == sessionLane && now == nodeLane:
			l.leaving.SessionRemove = append(l.leaving.SessionRemove, s.Filter)
		case before == nodeLane && now == sessionLane:
			l.leaving.NodeRemove = append(l.leaving.NodeRemove, s.Filter)
		}
		if now == nodeLane && p.wantsRetained(i) {
			l.sending = append(l.sending, s.Filter)
		}
	}
}

func (b *Bridge) unsubscribe(e session.Unsubscribe, out []Effect) []Effect {
	c := b.lanes.change(pendingChange{id: e.ID})
	for _, f := range e.Filters {
		switch b.lanes.on[f] {
		case sessionLane:
			c.SessionRemove = append(c.SessionRemove, f)
		case nodeLane:
			c.NodeRemove = append(c.NodeRemove, f)
		case sharedLane:
			c.SharedRemove = append(c.SharedRemove, f)
		}
		delete(b.lanes.on, f)
	}
	return append(out, c)
}
