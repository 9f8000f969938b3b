package bridge

import (
	"errors"
	"time"

	"sluice/amqp/message"
	"sluice/mapping"
	"sluice/mapping/failure"
	"sluice/mqtt/packet"
	"sluice/mqtt/session"
)

// deliveryArrived maps a message of the session lane or of a shared one. One that cannot become a PUBLISH is rejected with its reason, never ignored: it
// would come back for ever.
func (b *Bridge) deliveryArrived(now time.Time, ev DeliveryArrived, out []Effect) []Effect {
	if ev.Malformed != nil {
		return b.undeliverable(now, ev, "amqp:decode-error", ev.Malformed.Error(), out)
	}
	m, _, err := mapping.Downlink(ev.Message, mapping.DownlinkOptions{Dialect: b.cfg.Dialect, Now: now, Rules: b.cfg.Rules.Resolver()})
	if err != nil {
		condition, reason := "amqp:decode-error", err.Error()
		var u *mapping.Undeliverable
		if errors.As(err, &u) {
			condition, reason = u.Condition, u.Reason
		}
		return b.undeliverable(now, ev, condition, reason, out)
	}
	if ev.Lane == "" {
		return b.sessionArrived(now, ev, &m, out)
	}
	if b.spilledInGroup(ev.Lane, m.Publish.Topic) {
		b.tell(session.MessageUnusable{Lane: ev.Lane})
		return append(out, SettleDelivery{Lane: ev.Lane, Tag: ev.Tag, Outcome: message.Outcome{Kind: message.Accepted}})
	}
	number := b.shared.add(sharedDelivery{lane: ev.Lane, tag: ev.Tag, message: ev.Message, topic: m.Publish.Topic, qos: m.Publish.QoS, identity: m.Identity,
		span: b.consumerSpan(now, &m, ev.Message)})
	// A lane of its own, and an identity of its own: the session may have the same message by another subscription.
	m.Identity = mapping.DirectedIdentity(m.Identity, ev.Lane)
	// Only a gateway's word in an inbox counts for that; here it would be somebody else's.
	m.For, m.Retained = "", false
	b.tell(session.MessageArrived{Delivery: number, Lane: ev.Lane, Message: b.inbound(&m, ev.Redelivered)})
	return out
}

func (b *Bridge) sessionArrived(now time.Time, ev DeliveryArrived, m *mapping.DownlinkMessage, out []Effect) []Effect {
	msg := b.inbound(m, ev.Redelivered)
	if b.held == nil {
		b.held = map[uint64]heldDelivery{}
	}
	b.held[ev.Tag] = heldDelivery{ev.Message, m.Publish.Topic, m.Publish.QoS, b.consumerSpan(now, m, ev.Message)}
	if m.For == "" {
		out = b.unbindStale(m.Publish.Topic, out)
		msg.Seen = b.spilled(m.Publish.Topic) || b.sessionCopy(now, &msg)
	}
	b.tell(session.MessageArrived{Delivery: ev.Tag, Message: msg})
	return out
}

// heldDelivery is what may have to be said about a message once it is refused.
type heldDelivery struct {
	message *message.Message
	topic   string
	qos     packet.QoS
	span    *Span // nil: none is to be told
}

func (b *Bridge) undeliverable(now time.Time, ev DeliveryArrived, condition, why string, out []Effect) []Effect {
	b.tell(session.MessageUnusable{Lane: ev.Lane})
	var span *Span
	if ev.Message != nil {
		span = b.consumerSpan(now, &mapping.DownlinkMessage{}, ev.Message)
	}
	return b.refuse(now, rejection{
		lane: ev.Lane, tag: ev.Tag, message: ev.Message, failure: failure.Undeliverable, text: why, span: span,
		outcome: message.Outcome{Kind: message.Rejected, Error: &message.Error{Condition: condition, Description: why}},
	}, out)
}

func (b *Bridge) inbound(m *mapping.DownlinkMessage, redelivered bool) session.Message {
	msg := messageOf(m)
	msg.Redelivered = redelivered
	msg.FromSelf = b.published(m)
	return msg
}

// published reports whether this very session did.
func (b *Bridge) published(m *mapping.DownlinkMessage) bool {
	return m.Publisher.ClientID == b.self.ClientID && m.Publisher.Principal == b.self.Principal && m.Publisher.Tenant == b.self.Tenant
}

// messageOf gives a message as it is for any device.
func messageOf(m *mapping.DownlinkMessage) session.Message {
	return session.Message{
		Publish:           &m.Publish,
		Identity:          m.Identity,
		Unique:            mapping.Unique(m.Identity),
		Expires:           m.Expires,
		PossibleDuplicate: m.PossibleDuplicate,
		For:               m.For,
		Retained:          m.Retained,
	}
}

// settle turns the machine's settlement into an outcome. A rejection carries what the device said in the error's info
// (requirements 6).
func (b *Bridge) settle(now time.Time, e session.Settle, out []Effect) []Effect {
	r := rejection{tag: e.Delivery}
	if e.Delivery&sharedBit == 0 {
		h := b.held[e.Delivery]
		delete(b.held, e.Delivery)
		r.message, r.topic, r.qos, r.span = h.message, h.topic, h.qos, h.span
	} else {
		d, ok := b.shared.take(e.Delivery)
		if !ok {
			return out // its lane is gone
		}
		r.lane, r.tag, r.message, r.topic, r.qos, r.span = d.lane, d.tag, d.message, d.topic, d.qos, d.span
	}
	switch {
	case e.Outcome == session.SettleRejected && isRecord(r.message):
		// The record of a failure is lost on a device that does not take it: a failure of its own would be recorded, and so on for ever.
		r.outcome.Kind = message.Accepted
	case e.Outcome == session.SettleRejected:
		r.failure, r.reason, r.text, r.user, r.id = causes[e.Why], e.Reason, e.Text, e.User, e.PacketID
		r.outcome = message.Outcome{Kind: message.Rejected, Error: rejectionError(e)}
		return b.refuse(now, r, out)
	case e.Outcome == session.SettleReleased:
		r.outcome.Kind = message.Released
	default:
		r.outcome.Kind = message.Accepted
	}
	out = b.ended(r.span, r.outcome.Kind, nil, out)
	return append(out, SettleDelivery{Lane: r.lane, Tag: r.tag, Outcome: r.outcome})
}

func rejectionError(e session.Settle) *message.Error {
	info := map[string]any{"mqtt-reason-code": uint8(e.Reason)}
	if e.Text != "" {
		info["mqtt-reason-string"] = e.Text
	}
	if len(e.User) > 0 {
		list := make([]any, 0, 2*len(e.User))
		for _, p := range e.User {
			list = append(list, p.Key, p.Value)
		}
		info["mqtt-user-properties"] = list
	}
	text := e.Text
	if text == "" {
		text = "the device refused the message: " + e.Reason.String()
	}
	return &message.Error{Condition: rejectCondition(e.Reason), Description: text, Info: info}
}

// rejectCondition is the AMQP condition nearest to a reason code of PUBACK and PUBREC, or to our own 0x95.
func rejectCondition(r packet.ReasonCode) string {
	switch r {
	case packet.NotAuthorized:
		return "amqp:unauthorized-access"
	case packet.TopicNameInvalid:
		return "amqp:invalid-field"
	case packet.QuotaExceeded:
		return "amqp:resource-limit-exceeded"
	case packet.PayloadFormatInvalid:
		return "amqp:decode-error"
	case packet.PacketTooLarge:
		return "amqp:link:message-size-exceeded"
	}
	return "amqp:precondition-failed"
}
