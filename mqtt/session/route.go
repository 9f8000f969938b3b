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
	withheld bool     // nothing matches, but only because of No Local or the $ rule: nobody's fault
}

func (m *Machine) route(msg Message) (r route) {
	name := msg.Publish.Topic
	for i := range m.subs.list {
		s := &m.subs.list[i]
		if !topic.Match(s.match, name) {
			r.withheld = r.withheld || hidden(s.match, name)
			continue
		}
		if s.NoLocal && msg.FromSelf {
			r.withheld = true // [MQTT-3.8.3-3]
			continue
		}
		r.matched = true
		r.granted = max(r.granted, s.QoS)
		// Without Retain As Published the flag of a forwarded message is 0 [MQTT-3.3.1-12, MQTT-3.3.1-13].
		r.retain = r.retain || s.RetainAsPublished && msg.Publish.Retain
		if s.SubID != 0 {
			r.ids = append(r.ids, s.SubID)
		}
	}
	r.withheld = r.withheld && !r.matched
	return r
}

// hidden reports whether only the $ rule keeps the filter from matching [MQTT-4.7.2-1]: the bus, which does not know the rule, sends such
// messages. A wildcard in the first level matches whatever stands there, so without its $ the name tells.
func hidden(filter, name string) bool {
	return strings.HasPrefix(name, "$") && (filter[0] == '+' || filter[0] == '#') && topic.Match(filter, name[1:])
}
