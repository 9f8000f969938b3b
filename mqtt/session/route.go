package session

import (
	"strings"

	"sluice/mqtt/packet"
	"sluice/mqtt/topic"
)

// route is what the subscriptions say about a message.
type route struct {
	matched  bool
	granted  packet.QoS // the highest of those that match [MQTT-3.3.4-2]
	retain   bool
	ids      []uint32 // Subscription Identifiers of all that match [MQTT-3.3.4-3, MQTT-3.3.4-4]
	withheld bool     // nothing matches, but that is nobody's fault: No Local, the $ rule, or a subscription that has just ended
}

// source is the kind of lane that a message came by.
type source uint8

const (
	fromInbox source = iota // the session lane
	fromNode                // the node lane, for subscriptions of QoS 0
)

// route finds the subscriptions that a message of the session lane or the node lane is for. Those of a SUBSCRIBE that has no answer yet
// count: the bus delivers already, and PUBLISH may come before SUBACK (MQTT 5, 3.8.4). But where there is one of the same filter it
// counts until then, with its own options. And what comes by the node lane is not kept back for a subscription of a higher QoS under
// way, since the session lane may not bring it yet. Shared subscriptions get their messages by lanes of their own.
func (m *Machine) route(msg Message, from source) (r route) {
	if msg.For != "" {
		return m.routeTo(msg.For, msg)
	}
	if OwnTopic(msg.Publish.Topic) {
		r.withheld = true // only the gateway speaks there, to one subscription at a time
		return r
	}
	for i := range m.subs.list {
		s := &m.subs.list[i]
		if s.shared {
			continue
		}
		if from == fromInbox && s.QoS == 0 && len(m.subs.under) > 0 {
			// It has its messages by the node lane. If it moves, it is the new one that the session lane brings them for.
			s = m.subs.of(s.Filter, true)
		}
		r.consider(s, msg)
	}
	for i := range m.subs.under {
		s := &m.subs.under[i]
		if !s.shared && (from == fromInbox || s.QoS == 0) && m.subs.of(s.Filter, false) == s {
			r.consider(s, msg)
		}
	}
	if !r.matched && !r.withheld {
		r.withheld = m.subs.left.match(msg.Publish.Topic)
	}
	r.withheld = r.withheld && !r.matched
	return r
}

// routeTo finds out what the subscription of one filter says about a message that is for no other.
func (m *Machine) routeTo(filter string, msg Message) (r route) {
	s := m.subs.of(filter, msg.Retained)
	switch {
	case s != nil:
		r.consider(s, msg)
		r.withheld = r.withheld && !r.matched
	case topic.IsShared(filter) && !msg.Retained:
		// A copy made by HandOver. The group has given the message up for this member, so it gets it, as what was begun [MQTT-3.10.4-3].
		r.matched, r.granted = true, 2
	default:
		r.withheld = true // a retained message for a subscription that has ended
	}
	// "These messages are sent with the RETAIN flag set to 1", whatever Retain As Published says (MQTT 5, 3.3.1.3) [3.1.1 MQTT-3.3.1-8].
	r.retain = r.retain || msg.Retained
	return r
}

// consider adds what one subscription says.
func (r *route) consider(s *subscription, msg Message) {
	name := msg.Publish.Topic
	if !topic.Match(s.match, name) {
		r.withheld = r.withheld || hidden(s.match, name)
		return
	}
	if s.NoLocal && msg.FromSelf {
		r.withheld = true // [MQTT-3.8.3-3]
		return
	}
	r.matched = true
	r.granted = max(r.granted, s.QoS)
	// Without Retain As Published the flag of a forwarded message is 0 [MQTT-3.3.1-12, MQTT-3.3.1-13].
	r.retain = r.retain || s.RetainAsPublished && msg.Publish.Retain
	if s.SubID != 0 {
		r.ids = append(r.ids, s.SubID)
	}
}

// hidden reports whether only the $ rule keeps the filter from matching [MQTT-4.7.2-1]: the bus, which does not know the rule, sends such
// messages. A wildcard in the first level matches whatever stands there, so without its $ the name tells.
func hidden(filter, name string) bool {
	return strings.HasPrefix(name, "$") && (filter[0] == '+' || filter[0] == '#') && topic.Match(filter, name[1:])
}
