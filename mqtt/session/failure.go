package session

import (
	"strings"

	"sluice/mqtt/packet"
	"sluice/mqtt/topic"
)

// ErrorTopic is where a device finds the records of its own failures: it subscribes to it as to any topic, at QoS 0 or 1, and nobody else can. What
// is kept for a subscription of QoS 1 comes by the session lane, as Message.For; what one of QoS 0 gets is sent by the machine itself.
const ErrorTopic = "$sluice/errors"

// ownTopics is what the topics of the gateway itself begin with.
const ownTopics = "$sluice/"

// OwnTopic reports whether a topic name or filter, without a share prefix, is one of the gateway's own: nobody publishes there.
func OwnTopic(name string) bool { return strings.HasPrefix(name, ownTopics) }

// Failure is one that the device is about to be told.
type Failure struct {
	Reason packet.ReasonCode
	Clause string // the rule that was broken, for what the machine finds itself; may be empty
	Text   string // for the device
	Cause  string // as the event named it: CloseRequested, SessionRefused, AuthFailed, Subscribed; empty: the machine found it
	Detail string // for the operator, never for the device
	Filter string // of a subscription
	ID     packet.ID
}

// Explanation is what goes with a failure.
type Explanation struct {
	Text   string                // Reason String
	User   []packet.UserProperty // of the packet that tells it
	Record *packet.Publish       // for a subscription of the error topic; nil: none
}

// explain asks what goes with a failure, and sends its record ahead of the packet that tells it. It is called once for each failure.
func (m *Machine) explain(f Failure) Explanation {
	if m.hooks.Explain == nil {
		return Explanation{Text: f.Text}
	}
	x := m.hooks.Explain(f)
	if x.Record != nil {
		m.sendRecord(x.Record, false)
	}
	return x
}

// sendRecord puts a record on the wire at QoS 0, and is false when it was not: there is no subscription that lives, or the device takes no packet of
// that size. A subscription of QoS 1 has its records by the session lane, unless the record must be there now.
func (m *Machine) sendRecord(p *packet.Publish, now bool) bool {
	i := m.subs.find(ErrorTopic)
	if m.phase != phaseOpen || i < 0 || m.subs.list[i].QoS > 0 && !now {
		return false
	}
	r := route{}
	r.consider(&m.subs.list[i], Message{Publish: p})
	out := m.newPublish(Message{Publish: p}, r, 0)
	if _, ok := m.writable(out); !ok {
		return false
	}
	m.shorten(out)
	m.emit(SendPacket{Packet: out})
	return true
}

// errorRecord: something failed that no packet tells.
func (m *Machine) errorRecord(ev ErrorRecord) { m.sendRecord(ev.Publish, false) }

// causeReserved names the refusal of a filter that reservedFilter finds; its reason code says less.
const causeReserved = "topic-filter-reserved"

// reservedFilter reports whether a filter is for topics of the gateway that cannot be subscribed to in this way.
func reservedFilter(filter string) bool {
	if _, rest, ok := topic.Shared(filter); ok {
		return OwnTopic(rest)
	}
	return OwnTopic(filter) && filter != ErrorTopic
}
