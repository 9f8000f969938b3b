package session

import (
	"slices"

	"sluice/mqtt/packet"
)

// verdict is how a delivery is settled.
type verdict struct {
	outcome SettleOutcome
	reason  packet.ReasonCode
	text    string
	user    []packet.UserProperty
	why     RejectionCause
	id      packet.ID // of the device's answer
}

var (
	accepted        = verdict{outcome: SettleAccepted}
	rejectedExpired = rejected(Expired, packet.ImplementationSpecificError, "message expired")
	// MQTT would have it discarded as if it had been sent [MQTT-3.1.2-25]. To the bus that would be a lie.
	rejectedTooLarge = rejected(TooLarge, packet.PacketTooLarge, "the message is larger than the device's Maximum Packet Size")
)

func rejected(why RejectionCause, reason packet.ReasonCode, text string) verdict {
	return verdict{outcome: SettleRejected, why: why, reason: reason, text: text}
}

// refusedBy is the verdict of a device that answered with a failure.
func refusedBy(p *packet.Ack) verdict {
	v := verdict{outcome: SettleRejected, why: ByDevice, id: p.ID, reason: p.Reason}
	if p.Properties != nil {
		v.user = p.Properties.User
	}
	if p.Properties.Has(packet.PropReasonString) {
		v.text = p.Properties.ReasonString
	}
	return v
}

// settle answers a delivery, and remembers that: with its lane the answer can get lost. A message of a group may then go to another member, so
// there nothing is remembered.
func (m *Machine) settle(l *lane, delivery uint64, identity string, v verdict) {
	m.emit(Settle{Delivery: delivery, Outcome: v.outcome, Reason: v.reason, Text: v.text, User: v.user, Why: v.why, PacketID: v.id})
	if !l.shared() {
		m.down.answered.add(m.answeredMax(), answered{identity: identity, gen: l.gen, verdict: v})
	}
}

func (m *Machine) answeredMax() int { return answeredWindows * m.down.window }

// answered is a message that was, or is to be, settled: should the bus bring it again on a later lane, it gets the same verdict.
type answered struct {
	identity string
	gen      uint64 // of the session lane when it was settled; zero when it could not be
	verdict  verdict
}

// answeredRing keeps the latest answered messages. Once it is full, the oldest is at next.
type answeredRing struct {
	entries []answered
	next    int
}

func (r *answeredRing) add(limit int, a answered) {
	if a.identity == "" {
		return
	}
	if len(r.entries) < limit {
		r.entries = append(r.entries, a)
		return
	}
	r.entries[r.next] = a
	r.next = (r.next + 1) % limit
}

// again gives the verdict of a message that was answered on a lane before gen, and comes again. On one lane the bus brings no message twice, so
// there the same identity is another message.
func (r *answeredRing) again(msg *Message, gen uint64) (verdict, bool) {
	a, ok := r.take(msg.Identity, gen)
	return a.verdict, ok && a.is(msg)
}

// is reports whether a message of the same identity is this one. It is if the bus was not told the verdict, and has it still, or says that it has delivered
// it before. Not every bus can say that, but what was accepted and has an identity of its own is no other message either. What was refused may be sent
// again on purpose, from a quarantine, and what has only its content may be a second message.
func (a *answered) is(msg *Message) bool {
	return a.gen == 0 || msg.Redelivered || msg.Unique && a.verdict.outcome == SettleAccepted
}

// take removes what was answered on a lane before gen under this identity.
func (r *answeredRing) take(identity string, gen uint64) (answered, bool) {
	for i := range r.entries {
		a := r.entries[i]
		if a.gen >= gen || a.identity != identity {
			continue
		}
		// Oldest first again and without a gap, so that room is not lost to what was taken.
		r.entries = slices.Concat(r.entries[r.next:], r.entries[:r.next])
		i = (i - r.next + len(r.entries)) % len(r.entries)
		r.entries, r.next = slices.Delete(r.entries, i, i+1), 0
		return a, true
	}
	return answered{}, false
}
