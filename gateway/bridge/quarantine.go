package bridge

import (
	"time"

	"sluice/amqp/message"
	"sluice/mapping"
	"sluice/mapping/failure"
	"sluice/mapping/rules"
	"sluice/mqtt/packet"
)

// quarantines reports whether a message that the bus refuses is to be stored in the quarantine.
func (b *Bridge) quarantines(e *upEntry) bool {
	return e.qos > 0 && e.match.OnError == rules.Quarantine && b.cfg.Quarantine != ""
}

// quarantine sends the message to the quarantine in place of where it was to go, by way of the ledger: so it keeps its place among the answers, is
// tried again while the bus is away, and the device is told nothing before it is stored.
func (b *Bridge) quarantine(now time.Time, e *upEntry, answer mapping.Answer, o message.Outcome, out []Effect) []Effect {
	e.refused = &answer
	e.refusal = &mapping.Refusal{
		ID: b.refusals.id(), Device: b.self, CorrelationID: mapping.IDText(e.message.Properties.CorrelationID),
		Occurrence: failure.Occurrence{
			Failure: answer.Failure, Trace: b.traceOf(e.span, e.message), At: now, Detail: detail(o), Reason: answer.Reason,
			Topic: e.topic, QoS: e.qos, PacketID: e.id, MessageID: mapping.IDText(e.message.Properties.MessageID), Rule: e.match.Name,
		},
	}
	e.message = b.cfg.Dialect.Quarantine(e.message, b.cfg.Quarantine, e.refusal)
	e.rule = mapping.OutcomeRule{TargetsQueue: true}
	e.heldSince = time.Time{}
	if e.retained() {
		b.uplink.retaining--
	}
	e.retain = nil // it was not published
	if b.uplink.holding {
		return out // in its turn
	}
	return b.send(e, out)
}

// textQuarantined is what the device is told of a message that was stored in the quarantine: an MQTT 5 device sees that it went another way.
const textQuarantined = "The message bus refused the message; it is stored in the quarantine instead."

// detail is what the operator reads of an outcome: of a message that went to the quarantine, what both have said.
func (e *upEntry) detail(o message.Outcome) string {
	if e.refusal == nil {
		return detail(o)
	}
	return e.refusal.Detail + "; the quarantine: " + detail(o)
}

// unrefused gives the answer for the device: of a message that the quarantine refuses too, what the bus said first.
func (e *upEntry) unrefused(answer mapping.Answer) mapping.Answer {
	switch {
	case e.refusal == nil:
	case answer.Class == mapping.Refused:
		return *e.refused
	default:
		answer.Reason = packet.Success
	}
	return answer
}
