package failure

import (
	"time"

	"sluice/mqtt/packet"
)

// Occurrence is a failure as it happened.
type Occurrence struct {
	Failure *Failure
	Trace   Trace
	At      time.Time
	// Text replaces the row's sentence for the device: it says more, and holds to the same rule. Empty: the sentence.
	Text string
	// Detail is for the operator alone: it may name queues and hosts, and carry the bus's own words.
	Detail string
	// Reason is the code the device gets or got; zero: the row's.
	Reason packet.ReasonCode

	// What it is about, as far as there is such a thing.
	Topic     string // or topic filter
	QoS       packet.QoS
	PacketID  packet.ID
	MessageID string
	Rule      string // the name of the mapping rule, or of the rule that denies it
	// Formerly: what is denied was allowed until the rules changed, or what is known of the device.
	Formerly bool
}

// Message is the sentence for the device.
func (o *Occurrence) Message() string {
	if o.Text != "" {
		return o.Text
	}
	return o.Failure.Sentence
}

// Code is the reason code for the error topic, the event and the log.
func (o *Occurrence) Code() packet.ReasonCode {
	if o.Reason != 0 {
		return o.Reason
	}
	return o.Failure.Reason()
}

// The names of the User Properties that go with a failure.
const (
	PropertyError = "sluice-error" // the AMQP condition
	PropertyTrace = "sluice-trace" // the trace id
)

// Properties are the User Properties for the packet that tells the device.
func (o *Occurrence) Properties() []packet.UserProperty {
	return []packet.UserProperty{{Key: PropertyError, Value: o.Failure.Condition}, {Key: PropertyTrace, Value: o.Trace.String()}}
}
