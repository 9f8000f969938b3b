package topology

import (
	"context"

	"sluice/amqp"
	"sluice/amqp/message"
)

// Kind names a family, and with it how the bus's management node is spoken to.
type Kind string

// The kinds.
const (
	Bindings Kind = "bindings" // RabbitMQ 4, and the embedded bus
	Diverts  Kind = "diverts"  // ActiveMQ Artemis
	// ServiceBus and EventHubs are Azure's. They do not say in their open performative what they are, so that it has to be told.
	ServiceBus Kind = "servicebus"
	EventHubs  Kind = "eventhubs"
)

// Static tells whether what there is on such a bus is made outside AMQP: no inboxes, no anonymous terminus, tokens for each entity.
func (k Kind) Static() bool { return k == ServiceBus || k == EventHubs }

// KindOf is the kind of a bus that calls itself product in its open performative. What is not known is taken for RabbitMQ's like.
func KindOf(product string) (kind Kind, known bool) {
	switch product {
	case "apache-activemq-artemis":
		return Diverts, true
	case "RabbitMQ", "Sluice":
		return Bindings, true
	}
	return Bindings, false
}

// Family is one way of making inboxes. Its methods are those of amqp.Bus, with the same errors.
type Family interface {
	EnsureInbox(ctx context.Context, inbox amqp.Inbox) error
	Subscribe(ctx context.Context, inbox string, bindings []amqp.Binding) error
	Unsubscribe(ctx context.Context, inbox string, bindings []amqp.Binding) error
	DeleteInbox(ctx context.Context, inbox string) error
	// Receivers is how many receivers an inbox has at the moment; none when there is no such inbox.
	Receivers(ctx context.Context, inbox string) (int, error)
	// Setup makes what the bus needs once before the first inbox. Idempotent.
	Setup(ctx context.Context) error
	// Sweep removes what inboxes have left behind that the bus removed by itself. It may run at any time, on any number of nodes.
	Sweep(ctx context.Context) error
	// Source is the address that a receiver attaches to for the inbox, and under which messages are sent to it alone.
	Source(inbox string) string
	// TellsFirstAcquirer: the bus sets header.first-acquirer on the first delivery of a message, so that a header without it is a redelivery.
	// Elsewhere the standard's default, false, says nothing.
	TellsFirstAcquirer() bool
	// Settling is the outcome by which a delivery is settled so that the bus tells with the next one that there was one before.
	Settling(o message.Outcome) message.Outcome
	// Arrived undoes what the bus has done to a message on its way into an inbox. Where the bus puts one copy into an inbox for each pattern
	// that matches, it says which message m is a copy of: all copies but the first are to be dropped.
	Arrived(m *message.Message) (of Original, copied bool)
	// Refused says why no message may be sent to this address, nil when it may.
	Refused(to string) *message.Error
	// Outcome is what o means for a message that was sent to this address.
	Outcome(to string, o message.Outcome) message.Outcome
}

// Original names a message of which an inbox may get several copies.
type Original struct {
	ID      int64
	Address string
}

// Request is one operation on the bus's management node.
//
// For Bindings it is in HTTP's terms. For Diverts, Path is a resource of Artemis, Method an operation of it, and Body the list of its arguments
// ([]any, of what JSON can hold).
type Request struct {
	Method string // GET, PUT, POST, DELETE
	Path   string // percent-encoded
	Body   any    // nil is an AMQP null
}

// Response is the management node's answer.
type Response struct {
	Status int // as in HTTP; Artemis only says that an operation succeeded (200) or failed (500)
	Body   any // map, list, nil, or a text with 4xx and 5xx
}

// Requester performs requests, several at once if it can, and gives the responses in the order of the requests. An error means that a request
// was not answered, or could not be made; it wraps amqp.ErrUnavailable or amqp.ErrRefused.
type Requester interface {
	Do(ctx context.Context, requests []Request) ([]Response, error)
}
