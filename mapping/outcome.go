package mapping

import (
	"sluice/amqp/message"
	"sluice/mapping/failure"
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

// Answer is what a device is to be told. Reason is legal in PUBACK and PUBREC (MQTT 5, 3.4.2.1 and 3.5.2.1).
type Answer struct {
	Class   Class
	Reason  packet.ReasonCode // with Hold never to be sent; a failure, so that sending it by mistake claims no success
	Failure *failure.Failure  // Refused: which one. Hold: which one it becomes when it does not pass. Success: nil
}

var (
	answerAccepted = Answer{Class: Success, Reason: packet.Success}
	answerNobody   = Answer{Class: Success, Reason: packet.NoMatchingSubscribers}
	answerHeld     = Answer{Hold, packet.UnspecifiedError, failure.BusUnavailable}
)

func refused(f *failure.Failure) Answer { return Answer{Refused, f.Reason(), f} }

// refusals are the conditions of rejected that mean more than "refused".
var refusals = map[string]*failure.Failure{
	"amqp:unauthorized-access":        failure.BusNotAuthorized,
	"amqp:not-found":                  failure.AddressNotFound,
	"amqp:precondition-failed":        failure.AddressNotUsable,
	"amqp:resource-limit-exceeded":    failure.BusLimit,
	"amqp:link:message-size-exceeded": failure.MessageTooLarge,
	"amqp:decode-error":               failure.BusCannotRead,
	"amqp:invalid-field":              failure.PropertyNotTaken,
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
			return refused(failure.NoRoute)
		}
		return answerNobody
	case message.Rejected:
		return classifyRejected(o.Error)
	case message.Modified:
		if o.UndeliverableHere {
			return refused(failure.Refused)
		}
	}
	return answerHeld // modified, lost, busy, and what should not be
}

func classifyRejected(err *message.Error) Answer {
	if err == nil {
		return refused(failure.Refused)
	}
	// RabbitMQ 4.3 and later: why a queue refused, whatever the condition.
	switch infoText(err.Info, "reason") {
	case "unavailable":
		return answerHeld
	case "maxlen":
		return refused(failure.QueueFull)
	}
	switch err.Condition {
	case "com.microsoft:server-busy", "com.microsoft:timeout", "com.microsoft:operation-cancelled":
		return answerHeld // Service Bus asks for another try on the same link
	}
	if f := refusals[err.Condition]; f != nil {
		return refused(f)
	}
	return refused(failure.Refused)
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
