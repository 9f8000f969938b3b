package bridge

import (
	"crypto/sha256"
	"encoding/hex"
	"strconv"
	"time"

	"sluice/amqp/message"
	"sluice/mapping"
	"sluice/mapping/failure"
	"sluice/mqtt/packet"
	"sluice/mqtt/session"
)

// refusals are the messages from the bus that are being rejected: first the quarantine gets a copy and the sender is told, then the bus. A message whose
// connection ends in between comes again.
type refusals struct {
	prefix   string // of the ids
	last     uint64
	underWay int
	// withheld is the credit of lanes that waits until fewer are under way: with the quarantine out of reach a device that refuses everything would
	// otherwise make us take everything from the bus.
	withheld map[string]uint32
}

// begin takes the prefix that no other connection has.
func (r *refusals) begin(prefix string) {
	r.prefix = prefix
}

// id names a refusal, short enough for a person to type.
func (r *refusals) id() string {
	r.last++
	sum := sha256.Sum256([]byte(r.prefix + "\x00" + strconv.FormatUint(r.last, 36)))
	return hex.EncodeToString(sum[:idBytes])
}

// causes are the rows of the catalogue for what the machine rejects.
var causes = map[session.RejectionCause]*failure.Failure{
	session.ByDevice:  failure.DeliveryRefused,
	session.TooLarge:  failure.DeliveryTooLarge,
	session.NoPacket:  failure.Undeliverable,
	session.Expired:   failure.DeliveryExpired,
	session.Unmatched: failure.DeliveryUnmatched,
	session.Poisonous: failure.DeliveryPoisonous,
}

// keeps reports whether a message that failed so is kept in the quarantine. What its sender wanted to end by a certain time has ended, and what the device
// has unsubscribed from is not for it.
func keeps(f *failure.Failure) bool {
	return f != failure.DeliveryExpired && f != failure.DeliveryUnmatched
}

// rejection is a delivery that is to be rejected.
type rejection struct {
	lane    string
	tag     uint64
	message *message.Message // nil: it cannot be read
	failure *failure.Failure
	reason  packet.ReasonCode
	text    string // the device's words, or why
	user    []packet.UserProperty
	topic   string
	qos     packet.QoS
	id      packet.ID
	outcome message.Outcome
	span    *Span // nil: none is to be told
}

// refuse has a message rejected, once the quarantine has its copy and its sender is told.
func (b *Bridge) refuse(now time.Time, r rejection, out []Effect) []Effect {
	o := failure.Occurrence{
		Failure: r.failure, Trace: b.failures.traces.Next(), At: now, Text: r.text, Reason: r.reason, Topic: r.topic, QoS: r.qos, PacketID: r.id,
	}
	if r.message != nil {
		o.Trace, o.MessageID = b.traceOf(r.span, r.message), mapping.IDText(r.message.Properties.MessageID)
	}
	out = b.ended(r.span, r.outcome.Kind, r.failure, out)
	settle := SettleDelivery{Lane: r.lane, Tag: r.tag, Outcome: r.outcome}
	if r.message == nil {
		return append(b.notDelivered(o, nil, false, out), settle)
	}
	refusal := &mapping.Refusal{
		ID: b.refusals.id(), Device: b.self, User: r.user, CorrelationID: mapping.IDText(r.message.Properties.CorrelationID), Occurrence: o,
	}
	e := Refuse{Refusal: refusal, Settle: settle}
	if b.cfg.Quarantine != "" && keeps(r.failure) {
		e.Copy = b.cfg.Dialect.Quarantine(r.message, b.cfg.Quarantine, refusal)
	}
	e.Feedback = b.cfg.Dialect.Feedback(r.message, refusal, e.Copy != nil)
	out = b.notDelivered(o, refusal, e.Copy != nil, out)
	if e.Copy == nil && e.Feedback == nil {
		return append(out, settle)
	}
	b.refusals.underWay++
	return append(out, e)
}

// notDelivered tells of a message that its device does not get. A device that refused it itself is not told what it said; any other is not told what
// may be the bus's words.
func (b *Bridge) notDelivered(o failure.Occurrence, refusal *mapping.Refusal, quarantined bool, out []Effect) []Effect {
	f := b.occurred(&o)
	f.Refusal, f.Quarantined = refusal, quarantined
	if o.Failure == failure.DeliveryRefused {
		f.Keep = false
		return append(out, f)
	}
	f.Text, f.Detail = "", o.Text
	return b.tellDevice(f, out)
}

// traceparent is the trace context of a message; empty: it has none.
func traceparent(m *message.Message) string {
	if text, ok := m.Annotations[failure.Traceparent].(string); ok {
		return text // nearer than the sender's own (W3C Trace Context for AMQP)
	}
	text, _ := m.ApplicationProperties[failure.Traceparent].(string)
	return text
}

// refused: one is done with; credit that waited for it can be given.
func (b *Bridge) refused(out []Effect) []Effect {
	r := &b.refusals
	r.underWay--
	if r.underWay >= refusalsMax {
		return out
	}
	for lane, n := range r.withheld {
		out = append(out, session.GrantCredit{Lane: lane, N: n})
	}
	clear(r.withheld)
	return out
}

// grant gives credit, or keeps it back while too many messages are being rejected.
func (b *Bridge) grant(e session.GrantCredit, out []Effect) []Effect {
	r := &b.refusals
	if r.underWay < refusalsMax {
		return append(out, e)
	}
	if r.withheld == nil {
		r.withheld = map[string]uint32{}
	}
	r.withheld[e.Lane] += e.N
	return out
}
