package mapping

import (
	"cmp"
	"slices"
	"strconv"
)

// Loss tells that something of a message has no place on the other side and did not cross. Each conversion returns its losses; what
// it does not name has crossed. Losses are for logs and for whoever asks how a message is converted; Name may hold text from a device or
// backend.
type Loss struct {
	Field  Field
	Name   string // which entry, where the field is a map or list; else empty
	Reason Reason
}

// String gives the loss as one line. Name is quoted: it may hold anything, also line breaks.
func (l Loss) String() string {
	if l.Name == "" {
		return string(l.Field) + ": " + string(l.Reason)
	}
	return string(l.Field) + " " + strconv.Quote(l.Name) + ": " + string(l.Reason)
}

// Field is a part of a message, in the words of the standard it belongs to.
type Field string

// The fields that can be lost.
const (
	// MQTT, on the way up.
	FieldUserProperty  Field = "User Property"
	FieldResponseTopic Field = "Response Topic"
	FieldMessageExpiry Field = "Message Expiry"
	FieldSubscription  Field = "Subscription Identifier"

	// MQTT, on the way down.
	FieldAllProperties Field = "MQTT properties"

	// AMQP, on the way down.
	FieldPriority      Field = "priority"
	FieldExpiry        Field = "absolute-expiry-time"
	FieldMessageID     Field = "message-id"
	FieldUserID        Field = "user-id"
	FieldSubject       Field = "subject"
	FieldReplyTo       Field = "reply-to"
	FieldCorrelationID Field = "correlation-id"
	FieldContentType   Field = "content-type"
	FieldEncoding      Field = "content-encoding"
	FieldGroupID       Field = "group-id"
	FieldReplyToGroup  Field = "reply-to-group-id"
	FieldAnnotation    Field = "message-annotation"
	FieldApplication   Field = "application-property"
	FieldBody          Field = "body"
)

// Reason is why something was lost.
type Reason string

// The reasons.
const (
	ReasonReserved     Reason = "the name is reserved for the gateway"
	ReasonInvalidTopic Reason = "it is no valid topic name"
	ReasonPerHop       Reason = "it is between the device and the gateway only"
	ReasonNo311        Reason = "MQTT 3.1.1 has no properties"
	ReasonNoPlace      Reason = "MQTT has no place for it"
	ReasonPrivate      Reason = "it names a login of the bus, which devices must not see"
	ReasonType         Reason = "its AMQP type is lost, the value is kept as text or bytes"
	ReasonComplex      Reason = "a value of this AMQP type has no text form"
	ReasonNotString    Reason = "it is no UTF-8 text without U+0000"
	ReasonTooLong      Reason = "it is longer than the 65,535 bytes that MQTT allows"
	ReasonUnmapped     Reason = "the address is no topic"
	ReasonInvalid      Reason = "the annotation has a value it must not have"
	ReasonStale        Reason = "the annotation contradicts the rest of the message"
	ReasonRange        Reason = "it is later than MQTT can say; the latest possible is sent"
	ReasonRule         Reason = "a mapping rule says otherwise"
	ReasonTwice        Reason = "it is an annotation as well, which counts"
	ReasonAttribute    Reason = "MQTT cannot tell it from the attributes of the CloudEvent beside it"
	ReasonTaken        Reason = "an attribute of the CloudEvent has this name on MQTT"
	ReasonSections     Reason = "several sections became one payload, their boundaries are lost"
)

// losses collects what a conversion drops. The zero value allocates nothing until the first loss.
type losses []Loss

func (l *losses) add(f Field, name string, r Reason) { *l = append(*l, Loss{f, name, r}) }

// sorted puts losses into an order that does not depend on the order of maps.
func (l losses) sorted() []Loss {
	slices.SortFunc(l, func(a, b Loss) int {
		return cmp.Or(cmp.Compare(a.Field, b.Field), cmp.Compare(a.Name, b.Name), cmp.Compare(a.Reason, b.Reason))
	})
	return l
}
