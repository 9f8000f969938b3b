package bridge

import (
	"sluice/mqtt/packet"
	"sluice/mqtt/session"
)

// lanes knows on which lane each filter is, and which changes wait for the bus.
type lanes struct {
	session map[string]bool // filter -> on the session lane; false: on the node lane
	pending map[uint64]pendingChange
	leaving ChangeLanes // what the SUBSCRIBE under way moves to the other lane
	next    uint64
}

// pendingChange is a ChangeLanes that has not been answered: a SUBSCRIBE, or an UNSUBSCRIBE when subscriptions is nil.
type pendingChange struct {
	id            packet.ID
	subscriptions []packet.Subscription
}

func newLanes() lanes {
	return lanes{session: map[string]bool{}, pending: map[uint64]pendingChange{}}
}

// resume puts the filters of a resumed session on their lanes. What was begun is completed even when the subscription has ended since
// [MQTT-3.10.4-3], so its messages are wanted back from the bus.
func (l *lanes) resume(s session.State, out []Effect) []Effect {
	r := ResumeLanes{Begun: len(s.Outbound) > 0}
	for _, s := range s.Subscriptions {
		l.session[s.Filter] = s.QoS > 0
		if s.QoS > 0 {
			r.Session = append(r.Session, s.Filter)
		} else {
			r.Node = append(r.Node, s.Filter)
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
	c := b.lanes.change(pendingChange{id: e.ID, subscriptions: e.Subscriptions})
	for _, s := range e.Subscriptions {
		before, existed := b.lanes.session[s.Filter]
		onSession := s.QoS > 0
		switch {
		case onSession && (!existed || !before):
			c.SessionAdd = append(c.SessionAdd, s.Filter)
		case !onSession && (!existed || before):
			c.NodeAdd = append(c.NodeAdd, s.Filter)
		}
	}
	return append(out, c)
}

// lanesChanged answers the machine. A filter that moved to the other lane leaves its old one only with SUBACK, so that no message falls between
// the two; meanwhile the machine ignores what the node lane brings for a filter of QoS 1 or 2.
func (b *Bridge) lanesChanged(ev LanesChanged, out []Effect) []Effect {
	p, ok := b.lanes.pending[ev.ID]
	if !ok {
		return out
	}
	delete(b.lanes.pending, ev.ID)
	if worst := max(ev.Session, ev.Node); worst > LaneRefused {
		b.lanesFailed(worst)
		return out
	}
	if p.subscriptions == nil {
		b.tell(session.Unsubscribed{ID: p.id})
		return out
	}
	reasons := make([]packet.ReasonCode, len(p.subscriptions))
	for i, s := range p.subscriptions {
		reasons[i] = packet.ReasonCode(s.QoS)
		if s.QoS > 0 && ev.Session == LaneRefused || s.QoS == 0 && ev.Node == LaneRefused {
			reasons[i] = packet.ImplementationSpecificError
		}
	}
	b.tell(session.Subscribed{ID: p.id, Reasons: reasons})
	b.lanes.leaving = b.lanes.moved(p.subscriptions, reasons)
	return out
}

// subackSent has filters leave their old lane: the subscription on the new one is stored. Before, a node that died would leave a record of a
// subscription that nothing is bound for.
func (l *lanes) subackSent(out []Effect) []Effect {
	leave := l.leaving
	l.leaving = ChangeLanes{}
	if len(leave.SessionRemove)+len(leave.NodeRemove) == 0 {
		return out
	}
	return append(out, leave)
}

// lanesFailed ends the connection: what the device was promised cannot be kept for the moment.
func (b *Bridge) lanesFailed(r LaneResult) {
	if r == LaneFenced {
		b.tell(session.CloseRequested{Reason: packet.SessionTakenOver, NoWill: true})
		return
	}
	b.tell(session.CloseRequested{Reason: packet.ServerBusy, Text: "the message bus did not answer in time; subscriptions were not changed"})
}

// moved notes the lanes of the filters that a SUBSCRIBE put in force, and gives the filters that are to leave their old lane.
func (l *lanes) moved(subs []packet.Subscription, reasons []packet.ReasonCode) (leave ChangeLanes) {
	for i, s := range subs {
		if reasons[i].Failed() {
			continue
		}
		before, existed := l.session[s.Filter]
		l.session[s.Filter] = s.QoS > 0
		switch {
		case existed && before && s.QoS == 0:
			leave.SessionRemove = append(leave.SessionRemove, s.Filter)
		case existed && !before && s.QoS > 0:
			leave.NodeRemove = append(leave.NodeRemove, s.Filter)
		}
	}
	return leave
}

func (b *Bridge) unsubscribe(e session.Unsubscribe, out []Effect) []Effect {
	c := b.lanes.change(pendingChange{id: e.ID})
	for _, f := range e.Filters {
		onSession, existed := b.lanes.session[f]
		if !existed {
			continue
		}
		delete(b.lanes.session, f)
		if onSession {
			c.SessionRemove = append(c.SessionRemove, f)
		} else {
			c.NodeRemove = append(c.NodeRemove, f)
		}
	}
	return append(out, c)
}
