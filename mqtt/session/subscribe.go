package session

import (
	"slices"
	"strings"

	"sluice/mqtt/packet"
	"sluice/mqtt/topic"
)

// subscriptions are those of the session, in the order they were first made, and the packets that change them. The packets are worked
// off one after the other: a SUBSCRIBE and an UNSUBSCRIBE of the same filter must not overtake each other on the bus.
type subscriptions struct {
	list     []subscription
	resumed  int // how many came from the store
	requests []*request
	under    []subscription // of the SUBSCRIBE that the bus was asked for; Subscribed puts them into list, or not
	left     leftFilters
}

type subscription struct {
	Subscription
	match  string // the filter, without the share prefix
	shared bool
}

func newSubscription(s Subscription) subscription {
	if _, rest, ok := topic.Shared(s.Filter); ok {
		return subscription{Subscription: s, match: rest, shared: true}
	}
	return subscription{Subscription: s, match: s.Filter}
}

// leftFilters are those that the session lane may still bring messages for although there is no subscription: the inbox keeps what it
// had, and the bus may be slow to stop. The oldest goes when there are too many.
type leftFilters []string

func (l *leftFilters) add(filter string) {
	l.remove(filter)
	if len(*l) >= leftFiltersMax {
		*l = slices.Delete(*l, 0, 1)
	}
	*l = append(*l, filter)
}

func (l *leftFilters) remove(filter string) {
	if i := slices.Index(*l, filter); i >= 0 {
		*l = slices.Delete(*l, i, i+1)
	}
}

func (l leftFilters) match(name string) bool {
	return slices.ContainsFunc(l, func(filter string) bool { return topic.Match(filter, name) })
}

// request is a SUBSCRIBE or UNSUBSCRIBE without answer.
type request struct {
	id      packet.ID
	sub     *packet.Subscribe   // or
	unsub   *packet.Unsubscribe // one of both; of a review it has the filters that are refused
	review  bool                // no packet: see accessChanged
	reasons []packet.ReasonCode
	causes  []string // of the reasons, as Subscribed named them
	asked   []int    // sub: which of its filters the bus was asked for
	waiting bool     // for Subscribed or Unsubscribed
}

func (s *subscriptions) find(filter string) int {
	for i := range s.list {
		if s.list[i].Filter == filter {
			return i
		}
	}
	return -1
}

// of is the subscription of a filter, nil for none. Where a SUBSCRIBE under way replaces it, newer says which of the two is meant.
func (s *subscriptions) of(filter string, newer bool) *subscription {
	u := len(s.under) - 1 // of two for one filter in a packet the last counts
	for u >= 0 && s.under[u].Filter != filter {
		u--
	}
	i := s.find(filter)
	switch {
	case u >= 0 && (i < 0 || newer):
		return &s.under[u]
	case i >= 0:
		return &s.list[i]
	}
	return nil
}

// put adds a subscription, or replaces the one with the same filter in its place [MQTT-3.8.4-3].
func (s *subscriptions) put(sub Subscription) {
	e := newSubscription(sub)
	s.left.remove(sub.Filter)
	if i := s.find(sub.Filter); i >= 0 {
		s.list[i] = e
		return
	}
	s.list = append(s.list, e)
}

func (m *Machine) subscribe(p *packet.Subscribe) {
	switch {
	case len(p.Subscriptions) == 0:
		m.fail(packet.ProtocolError, "MQTT-3.8.3-2", "SUBSCRIBE has no Topic Filter")
		return
	case m.requestPending(p.ID):
		m.fail(packet.ProtocolError, "MQTT-2.2.1-3", "SUBSCRIBE has the Packet Identifier of a request that has no answer yet")
		return
	}
	m.subs.requests = append(m.subs.requests, &request{id: p.ID, sub: p})
	m.nextRequest()
}

func (m *Machine) unsubscribe(p *packet.Unsubscribe) {
	switch {
	case len(p.Filters) == 0:
		m.fail(packet.ProtocolError, "MQTT-3.10.3-2", "UNSUBSCRIBE has no Topic Filter")
		return
	case m.requestPending(p.ID):
		m.fail(packet.ProtocolError, "MQTT-2.2.1-3", "UNSUBSCRIBE has the Packet Identifier of a request that has no answer yet")
		return
	}
	m.subs.requests = append(m.subs.requests, &request{id: p.ID, unsub: p})
	m.nextRequest()
}

func (m *Machine) requestPending(id packet.ID) bool {
	for _, r := range m.subs.requests {
		if r.id == id {
			return true
		}
	}
	return false
}

// nextRequest starts the oldest request that is not under way.
func (m *Machine) nextRequest() {
	if m.phase != phaseOpen || len(m.subs.requests) == 0 || m.subs.requests[0].reasons != nil {
		return
	}
	switch r := m.subs.requests[0]; {
	case r.review:
		m.startReview(r)
	case r.sub != nil:
		m.startSubscribe(r)
	default:
		m.startUnsubscribe(r)
	}
}

// endRequest sends the answer of the oldest request, nil for none, and starts the next.
func (m *Machine) endRequest(answer packet.Packet) {
	m.subs.requests[0] = nil
	m.subs.requests = m.subs.requests[1:]
	if m.phase != phaseOpen {
		return
	}
	if answer != nil {
		m.send(answer)
	}
	m.nextRequest()
}

func (m *Machine) startSubscribe(r *request) {
	p := r.sub
	r.reasons = make([]packet.ReasonCode, len(p.Subscriptions))
	r.causes = make([]string, len(p.Subscriptions))
	var ask []packet.Subscription
	var retained []bool
	added := make(map[string]bool)
	for i, s := range p.Subscriptions {
		s.Filter = strings.Clone(s.Filter) // outlives the packet
		s.QoS = m.granted(s)
		r.reasons[i], r.causes[i] = m.checkFilter(&s, added)
		if r.reasons[i].Failed() {
			continue
		}
		existed := m.subs.find(s.Filter) >= 0 || added[s.Filter]
		if !existed {
			added[s.Filter] = true
		}
		ask = append(ask, s)
		retained = append(retained, m.wantsRetained(s, existed))
		r.asked = append(r.asked, i)
		m.subs.under = append(m.subs.under, newSubscription(Subscription{Subscription: s, SubID: subID(p)}))
	}
	if len(ask) == 0 {
		m.suback()
		return
	}
	r.waiting = true
	m.noteWanted()
	if !slices.Contains(retained, true) {
		retained = nil
	}
	m.emit(Subscribe{ID: r.id, Subscriptions: ask, SubID: subID(p), Properties: &p.Properties, Retained: retained})
}

// granted is the QoS of a subscription: not above the one asked for.
func (m *Machine) granted(s packet.Subscription) packet.QoS {
	most := packet.QoS(m.cfg.MaximumQoS)
	switch {
	case m.cfg.NoInbox:
		most = 0
	case s.Filter == ErrorTopic:
		most = min(most, 1) // a record may come twice
	}
	return min(s.QoS, most)
}

// wantsRetained reports whether the retained messages are to be sent for a subscription: never for a shared one (MQTT 5, 4.8.2), and otherwise as its
// Retain Handling says [MQTT-3.3.1-9, MQTT-3.3.1-10, MQTT-3.3.1-11]. In 3.1.1, where that is always 0, for each SUBSCRIBE
// [3.1.1 MQTT-3.8.4-3].
func (m *Machine) wantsRetained(s packet.Subscription, existed bool) bool {
	if !m.cfg.RetainAvailable || topic.IsShared(s.Filter) || OwnTopic(s.Filter) {
		return false
	}
	return s.RetainHandling == 0 || s.RetainHandling == 1 && !existed
}

func subID(p *packet.Subscribe) uint32 {
	if len(p.Properties.SubscriptionIDs) == 0 {
		return 0
	}
	return p.Properties.SubscriptionIDs[0]
}

// checkFilter grants a QoS or says what forbids the subscription. added are the new filters before it in the same packet.
func (m *Machine) checkFilter(s *packet.Subscription, added map[string]bool) (r packet.ReasonCode, cause string) {
	switch {
	case topic.ValidateFilter(s.Filter) != nil:
		return packet.TopicFilterInvalid, ""
	case reservedFilter(s.Filter):
		return packet.TopicFilterInvalid, causeReserved
	case topic.IsShared(s.Filter) && !m.cfg.SharedAvailable:
		return packet.SharedSubNotSupported, ""
	}
	if m.subs.find(s.Filter) < 0 && !added[s.Filter] {
		have := len(m.subs.list) + len(added)
		if have >= m.limits.SubscriptionsMax {
			return packet.QuotaExceeded, ""
		}
		if m.hooks.MoreSubscriptions != nil {
			if cause := m.hooks.MoreSubscriptions(have); cause != "" {
				return packet.QuotaExceeded, cause
			}
		}
	}
	var ok bool
	if s.QoS, ok = m.permitted(s.Filter, s.QoS); !ok {
		return packet.NotAuthorized, causeDenied
	}
	return packet.ReasonCode(s.QoS), "" // a lower QoS than asked for is granted, not refused [MQTT-3.2.2-10]
}

func (m *Machine) subscribed(ev Subscribed) {
	r := m.waitingRequest(ev.ID)
	if r == nil || r.sub == nil {
		return
	}
	r.waiting = false
	var ops []Op
	for k, i := range r.asked {
		if k >= len(ev.Reasons) {
			r.reasons[i] = packet.ImplementationSpecificError // no answer is none to rely on
			continue
		}
		if ev.Reasons[k].Failed() {
			r.reasons[i] = ev.Reasons[k]
			if k < len(ev.Causes) {
				r.causes[i] = ev.Causes[k]
			}
			continue
		}
		s := m.subs.under[k].Subscription
		m.subs.put(s)
		ops = append(ops, PutSubscription{Subscription: s})
	}
	for _, s := range m.subs.under {
		if !s.shared && m.subs.find(s.Filter) < 0 {
			m.subs.left.add(s.Filter) // the bus may have begun to deliver
		}
	}
	m.subs.under = nil
	m.noteWanted()
	m.store(pendingStore{then: thenSuback}, ops...)
}

func (m *Machine) waitingRequest(id packet.ID) *request {
	if len(m.subs.requests) == 0 || !m.subs.requests[0].waiting || m.subs.requests[0].id != id {
		return nil
	}
	return m.subs.requests[0]
}

// suback answers in the order of the filters [MQTT-3.9.3-1]. 3.1.1 knows one failure.
func (m *Machine) suback() {
	r := m.subs.requests[0]
	a := &packet.Suback{ID: r.id, Reasons: r.reasons}
	for i, reason := range r.reasons {
		if !reason.Failed() {
			continue
		}
		m.refuseFilter(&a.Properties, Failure{Reason: reason, Cause: r.causes[i], Filter: r.sub.Subscriptions[i].Filter, ID: r.id})
		if r.reasons[i] = legal(reason, packet.SUBACK, packet.ImplementationSpecificError); !m.v5() {
			r.reasons[i] = packet.UnspecifiedError
		}
	}
	m.endRequest(a)
}

// refuseFilter explains the refusal of a filter. An answer for several filters has the User Properties of each, in their order, and the
// Reason String of the first.
func (m *Machine) refuseFilter(p *packet.Properties, f Failure) {
	if m.phase != phaseOpen {
		return // nobody is there to be told, and the device will ask again
	}
	x := m.explain(f)
	if !m.v5() {
		return
	}
	if p.Has(packet.PropReasonString) {
		x.Text = ""
	}
	x.User = append(p.User, x.User...)
	m.describe(p, x)
}

func (m *Machine) startUnsubscribe(r *request) {
	r.reasons = make([]packet.ReasonCode, len(r.unsub.Filters))
	var ops []Op
	seen := make(map[string]bool)
	for i, f := range r.unsub.Filters {
		switch {
		case topic.ValidateFilter(f) != nil:
			r.reasons[i] = packet.TopicFilterInvalid
		case m.subs.find(f) < 0 || seen[f]:
			r.reasons[i] = packet.NoSubscriptionExisted
		default:
			seen[f] = true
			ops = append(ops, DeleteSubscription{Filter: f})
		}
	}
	if len(ops) == 0 {
		m.unsuback(r)
		return
	}
	// The record goes first: were the bus part done first, a resumed session would believe in a subscription that brings nothing.
	m.store(pendingStore{then: thenUnsubscribe}, ops...)
}

// removeSubscriptions: from here on nothing is added for delivery [MQTT-3.10.4-2].
func (m *Machine) removeSubscriptions() {
	r := m.subs.requests[0]
	var filters []string
	for i, f := range r.unsub.Filters {
		if r.reasons[i] != packet.Success {
			continue
		}
		k := m.subs.find(f)
		filters = append(filters, m.subs.list[k].Filter)
		if !m.subs.list[k].shared {
			m.subs.left.add(m.subs.list[k].Filter)
		}
		m.subs.list = append(m.subs.list[:k], m.subs.list[k+1:]...)
	}
	r.waiting = true
	m.noteWanted()
	m.emit(Unsubscribe{ID: r.id, Filters: filters})
}

func (m *Machine) unsubscribed(ev Unsubscribed) {
	r := m.waitingRequest(ev.ID)
	if r == nil || r.unsub == nil {
		return
	}
	if r.review {
		m.endRequest(nil)
		return
	}
	m.unsuback(r)
}

// unsuback answers in the order of the filters [MQTT-3.11.3-1]; 3.1.1 has no reasons.
func (m *Machine) unsuback(r *request) {
	a := &packet.Unsuback{ID: r.id}
	for i, reason := range r.reasons {
		if reason.Failed() {
			m.refuseFilter(&a.Properties, Failure{Reason: reason, Filter: r.unsub.Filters[i], ID: r.id})
		}
	}
	if m.v5() {
		a.Reasons = r.reasons
	}
	m.endRequest(a)
}
