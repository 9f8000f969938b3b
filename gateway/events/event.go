package events

import (
	"time"

	"sluice/mapping/failure"
	"sluice/mqtt/packet"
)

// Type says what happened. It is the CloudEvents attribute of that name.
type Type string

// The types.
const (
	PublishRefused        Type = "sluice.publish.refused"        // a PUBLISH of a device was refused for good
	PublishQuarantined    Type = "sluice.publish.quarantined"    // it was refused by the bus, and stored in the quarantine instead
	SubscriptionDenied    Type = "sluice.subscription.denied"    // a SUBSCRIBE got a failure for a filter
	DeliveryRefused       Type = "sluice.delivery.refused"       // a device, or the gateway on its behalf, refused a message
	DeliveryUndeliverable Type = "sluice.delivery.undeliverable" // a message on the bus cannot become a PUBLISH
	DeliveryPoisonous     Type = "sluice.delivery.poisonous"     // a message was given up after it was sent again and again
	QuotaExceeded         Type = "sluice.quota.exceeded"         // a limit of the gateway or of the bus was met; Event.Of says by what kind of thing
	ConnectionRefused     Type = "sluice.connection.refused"     // CONNACK with a failure
	AuthenticationFailed  Type = "sluice.authentication.failed"  // a device has not shown who it is, or that could not be found out
	ConnectionEnded       Type = "sluice.connection.ended"       // other than by a normal DISCONNECT
	SessionTakenOver      Type = "sluice.session.taken-over"     // another connection of the same client has the session
	SessionEnded          Type = "sluice.session.ended"          // the session is gone with all it had
	WillPublished         Type = "sluice.will.published"
	WillRefused           Type = "sluice.will.refused"     // the bus refuses a Will Message; it is given up
	PrincipalWedged       Type = "sluice.principal.wedged" // see Wedge
	Suppressed            Type = "sluice.events.suppressed"
)

// Account is whose events are counted together: a principal, or a client where nobody has said who it is.
type Account struct {
	Tenant    string `json:"tenant,omitempty"`
	Principal string `json:"principal,omitempty"`
	Client    string `json:"client,omitempty"`
}

// Event is something that happened. Fields that do not apply are empty, and absent in the message. The names in JSON are a contract.
type Event struct {
	Type    Type      `json:"-"`
	Time    time.Time `json:"-"`
	Account Account   `json:"-"` // whom it is counted for

	Trace     string `json:"trace,omitempty"` // W3C trace id: the same in the device's answer, the log and here
	Tenant    string `json:"tenant,omitempty"`
	Principal string `json:"principal,omitempty"`
	Client    string `json:"client,omitempty"`

	Name      string              `json:"name,omitempty"` // of the failure in the catalogue (docs/errors.md)
	Of        string              `json:"of,omitempty"`   // QuotaExceeded: publish, subscription, connect or connection
	Reason    packet.ReasonCode   `json:"-"`
	HasReason bool                `json:"-"`
	Condition string              `json:"condition,omitempty"` // AMQP condition
	Message   string              `json:"message,omitempty"`   // a sentence: what the device was told, or what it said
	Detail    string              `json:"detail,omitempty"`    // for the operator; may name parts of the bus
	User      map[string][]string `json:"user_properties,omitempty"`

	Topic         string `json:"topic,omitempty"` // of the message, or the filter of the subscription
	QoS           uint8  `json:"-"`
	HasQoS        bool   `json:"-"`
	PacketID      uint16 `json:"packet_id,omitempty"`
	MessageID     string `json:"message_id,omitempty"`
	CorrelationID string `json:"correlation_id,omitempty"`
	Rule          string `json:"rule,omitempty"`
	Formerly      bool   `json:"formerly_allowed,omitempty"`
	Quarantine    string `json:"quarantine_id,omitempty"` // under which sluice quarantine has the message

	Previous    string          `json:"previous_node,omitempty"` // SessionTakenOver: the node that had the session
	Cause       string          `json:"cause,omitempty"`         // ConnectionEnded, SessionEnded, PrincipalWedged
	Accepted    uint64          `json:"accepted,omitempty"`      // PrincipalWedged: messages in the time looked at
	Refused     uint64          `json:"refused,omitempty"`
	Count       uint64          `json:"count,omitempty"`      // Suppressed: how many in all
	Suppression map[Type]uint64 `json:"suppressed,omitempty"` // by type
}

// OfFailure is the event of a failure as it happened. Whose it is remains to be filled in.
func OfFailure(o *failure.Occurrence) Event {
	e := Event{
		Type: typeOf(o), Trace: o.Trace.String(), Name: o.Failure.Name, Reason: o.Code(), HasReason: true,
		Condition: o.Failure.Condition, Message: o.Message(), Detail: o.Detail,
		Topic: o.Topic, PacketID: uint16(o.PacketID), MessageID: o.MessageID, Rule: o.Rule, Formerly: o.Formerly,
	}
	if o.Failure.About == failure.Publish || o.Failure.About == failure.Delivery {
		e.QoS, e.HasQoS = uint8(o.QoS), true
	}
	if e.Type == QuotaExceeded {
		e.Of = o.Failure.About.String()
	}
	return e
}

func typeOf(o *failure.Occurrence) Type {
	switch o.Failure {
	case failure.Undeliverable:
		return DeliveryUndeliverable
	case failure.WillRefused:
		return WillRefused
	case failure.BadCredentials, failure.NotAuthorized, failure.TooManyAttempts, failure.AuthUnavailable:
		return AuthenticationFailed
	}
	if o.Code() == packet.QuotaExceeded && o.Failure.About != failure.Delivery {
		return QuotaExceeded // a device that refuses a message for its own quota says nothing about ours
	}
	switch o.Failure.About {
	case failure.Connect:
		return ConnectionRefused
	case failure.Connection:
		return ConnectionEnded
	case failure.Publish:
		return PublishRefused
	case failure.Subscription:
		return SubscriptionDenied
	}
	return DeliveryRefused
}
