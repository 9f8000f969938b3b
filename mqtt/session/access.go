package session

import "sluice/mqtt/packet"

// Access says what the device may hear. It may answer otherwise at any time; AccessChanged says that it does. It has no effect on the machine.
type Access interface {
	// Subscribe gives the QoS that a topic filter is granted at most, which may be that of a shared subscription. ok is false when it is refused.
	Subscribe(filter string) (most packet.QoS, ok bool)
	// Deliver gives the QoS that a message of this topic may have at most. ok is false when it is held back from the device.
	Deliver(name string) (most packet.QoS, ok bool)
}

// Names of what Access refuses, for Failure.Cause.
const (
	causeDenied = "subscribe-denied"
	causeEnded  = "subscription-ended"
)

// permitted gives the QoS that a subscription gets of the one that it would get otherwise. The error topic is each device's own.
func (m *Machine) permitted(filter string, asked packet.QoS) (granted packet.QoS, ok bool) {
	if m.hooks.Access == nil || filter == ErrorTopic {
		return asked, true
	}
	most, ok := m.hooks.Access.Subscribe(filter)
	return min(asked, most), ok
}

// hears is the same for a message: a filter may match more than the device may hear.
func (m *Machine) hears(name string, as packet.QoS) (qos packet.QoS, ok bool) {
	if m.hooks.Access == nil || OwnTopic(name) {
		return as, true
	}
	most, ok := m.hooks.Access.Deliver(name)
	return min(as, most), ok
}

// holdBack settles a message that the device may not hear. Its own copy has been dealt with then; what is a group's goes back to it, and the lane ends with
// the subscription, which is granted only where all of its messages may be heard.
func (m *Machine) holdBack(l *lane, ev MessageArrived) {
	if l.shared() {
		m.emit(Settle{Delivery: ev.Delivery, Outcome: SettleReleased})
		return
	}
	m.settleUnasked(l, ev, accepted)
}

// wants reports whether a shared lane has a subscription that may be served.
func (m *Machine) wants(filter string) bool {
	if m.subs.of(filter, false) == nil {
		return false
	}
	_, ok := m.permitted(filter, 0)
	return ok
}

// accessChanged has the subscriptions looked at, once those under way are answered. Messages are looked at one by one in any case.
func (m *Machine) accessChanged() {
	if m.hooks.Access == nil || m.phase != phaseOpen {
		return
	}
	m.noteWanted()
	if n := len(m.subs.requests); n > 0 && m.subs.requests[n-1].waitsToReview() {
		return
	}
	m.subs.requests = append(m.subs.requests, &request{review: true})
	m.nextRequest()
}

// waitsToReview: it will see what has changed.
func (r *request) waitsToReview() bool { return r.review && r.reasons == nil }

// startReview ends the subscriptions that are refused now, as an UNSUBSCRIBE of the device would. It has no packet for that, so the error topic tells it.
func (m *Machine) startReview(r *request) {
	r.unsub = &packet.Unsubscribe{}
	var ops []Op
	for i := range m.subs.list {
		filter := m.subs.list[i].Filter
		if _, ok := m.permitted(filter, 0); ok {
			continue
		}
		r.unsub.Filters = append(r.unsub.Filters, filter)
		ops = append(ops, DeleteSubscription{Filter: filter})
		m.explain(Failure{Reason: packet.NotAuthorized, Cause: causeEnded, Filter: filter})
	}
	r.reasons = make([]packet.ReasonCode, len(ops))
	if len(ops) == 0 {
		m.endRequest(nil)
		return
	}
	m.store(pendingStore{then: thenUnsubscribe}, ops...)
}
