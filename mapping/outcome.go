package mapping

import (
	"sluice/amqp/message"
	"sluice/mqtt/packet"
)

// Class is what an answer of the bus means for the device.
type Class uint8

// The classes.
const (
	// Success: acknowledge with Answer.Reason.
	Success Class = iota + 1
	// Hold: the cause passes. Send nothing, pause the device's uplink, try again in order within the grace period. A negative
	// acknowledgement would make the device forget the message.
	Hold
	// Refused: for good. MQTT 5 is told Answer.Reason, for MQTT 3.1.1 the rule's policy decides.
	Refused
)

// String gives the class in lower case.
func (c Class) String() string {
	switch c {
	case Success:
		return "success"
	case Hold:
		return "hold"
	case Refused:
		return "refused"
	}
	return "invalid"
}

// OutcomeRule is what a mapping rule says about outcomes. The zero value is a pub/sub rule.
type OutcomeRule struct {
	RequireRoute bool // nobody subscribed is a failure
	TargetsQueue bool // the address is a queue: released means not now
}

// Answer is what a device is to be told. Reason is legal in PUBACK and PUBREC (MQTT 5, 3.4.2.1 and 3.5.2.1). Condition and Text name no
// part of the bus: they may be shown to the device.
type Answer struct {
	Class     Class
	Reason    packet.ReasonCode // with Hold never to be sent; a failure, so that sending it by mistake claims no success
	Condition string            // an AMQP condition, or one of ours; empty for Success
	Text      string            // a sentence; empty for Success
}

// Conditions of our own, where the outcome has none or one we do not pass on.
const (
	ConditionNoRoute   = "sluice:no-route"
	ConditionRefused   = "sluice:refused"
	ConditionQueueFull = "sluice:queue-full"
	ConditionHeld      = "sluice:held"
)

var (
	answerAccepted = Answer{Class: Success, Reason: packet.Success}
	answerNobody   = Answer{Class: Success, Reason: packet.NoMatchingSubscribers}
	answerNoRoute  = Answer{Refused, packet.ImplementationSpecificError, ConditionNoRoute,
		"Nobody is there to take messages on this topic."}
	answerHeld = Answer{Hold, packet.UnspecifiedError, ConditionHeld,
		"The message bus cannot take the message now; it is tried again."}
	answerRefused = Answer{Refused, packet.ImplementationSpecificError, ConditionRefused,
		"The message bus refuses this message."}
	answerQueueFull = Answer{Refused, packet.QuotaExceeded, ConditionQueueFull,
		"A queue for this topic is full."}
)

// refusals are the conditions of rejected that mean more than "refused", by condition.
var refusals = map[string]Answer{
	"amqp:unauthorized-access": {Refused, packet.NotAuthorized, "amqp:unauthorized-access",
		"The message bus does not permit messages on this topic."},
	"amqp:not-found": {Refused, packet.TopicNameInvalid, "amqp:not-found",
		"This topic leads to an address that the message bus does not have."},
	// RabbitMQ's answer to an address it cannot read.
	"amqp:precondition-failed": {Refused, packet.TopicNameInvalid, "amqp:precondition-failed",
		"This topic leads to an address that the message bus cannot use."},
	"amqp:resource-limit-exceeded": {Refused, packet.QuotaExceeded, "amqp:resource-limit-exceeded",
		"A limit of the message bus is exceeded."},
	// 0x95 (Packet too large) would say it better, but is not legal in PUBACK and PUBREC.
	"amqp:link:message-size-exceeded": {Refused, packet.QuotaExceeded, "amqp:link:message-size-exceeded",
		"The message is larger than the message bus takes."},
	"amqp:decode-error": {Refused, packet.PayloadFormatInvalid, "amqp:decode-error",
		"The message bus cannot read the message."},
	"amqp:invalid-field": {Refused, packet.PayloadFormatInvalid, "amqp:invalid-field",
		"A property of the message has a value that the message bus does not take."},
}

// Classify is the outcome table: what the bus answered to a message from a device, and what that means (requirements.md, section 2). It
// decides alone; nothing else turns an outcome into a reason code. Whatever it does not know is held or refused, never a success.
func Classify(o message.Outcome, rule OutcomeRule) Answer {
	switch o.Kind {
	case message.Accepted:
		return answerAccepted
	case message.Released:
		switch {
		case rule.TargetsQueue:
			return answerHeld
		case rule.RequireRoute:
			return answerNoRoute
		}
		return answerNobody
	case message.Rejected:
		return classifyRejected(o.Error)
	case message.Modified:
		if o.UndeliverableHere {
			return answerRefused
		}
	}
	return answerHeld // modified, lost, busy, and what should not be
}

func classifyRejected(err *message.Error) Answer {
	if err == nil {
		return answerRefused
	}
	// RabbitMQ 4.3 and later: why a queue refused, whatever the condition.
	switch infoText(err.Info, "reason") {
	case "unavailable":
		return answerHeld
	case "maxlen":
		return answerQueueFull
	}
	switch err.Condition {
	case "com.microsoft:server-busy", "com.microsoft:timeout", "com.microsoft:operation-cancelled":
		return answerHeld // Service Bus asks for another try on the same link
	}
	if answer, ok := refusals[err.Condition]; ok {
		return answer
	}
	return answerRefused
}

func infoText(info map[string]any, key string) string {
	switch v := info[key].(type) {
	case string:
		return v
	case message.Symbol:
		return string(v)
	}
	return ""
}
