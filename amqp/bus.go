package amqp

import (
	"context"
	"errors"
	"fmt"

	"sluice/amqp/message"
)

// Bus is the AMQP 1.0 broker as the gateway needs it: publish with an outcome, receive with credit, and make the bus keep messages.
//
// All methods may be called from any goroutine. An implementation reconnects by itself for ever, with jittered backoff; callers
// see outages as outcomes (Publish), as Detached calls (Attach) and as errors that wrap ErrUnavailable (everything else).
type Bus interface {
	// Publish sends m, whose address is Properties.To, and calls done exactly once with its outcome. Messages of one shard number keep
	// their order (per value of settled). With settled the transfer is pre-settled (QoS 0): Accepted then only means written.
	//
	// Publish never blocks. done may be called before Publish returns (Busy: no room or no connection) and from any goroutine;
	// it must not block. m belongs to the bus until done.
	Publish(shard uint32, m *message.Message, settled bool, done func(message.Outcome))

	// Attach starts receiving from source and returns at once; h learns of everything else. The receiver attaches, and attaches again after a
	// loss, until it is closed or h.Detached returns false.
	Attach(source Source, h Handler) Receiver

	// EnsureInbox makes the inbox exist. It is idempotent. An inbox that exists with other arguments is an error that says so.
	EnsureInbox(ctx context.Context, inbox Inbox) error
	// Subscribe adds bindings to the inbox. Idempotent. It makes those that can be made; where others name exchanges that are not there, the error is a
	// *MissingExchanges.
	Subscribe(ctx context.Context, inbox string, bindings []Binding) error
	// Unsubscribe removes bindings; absent ones are no error.
	Unsubscribe(ctx context.Context, inbox string, bindings []Binding) error
	// DeleteInbox removes the inbox with all it holds. An absent one is no error.
	DeleteInbox(ctx context.Context, inbox string) error

	// InboxAddress is where a message is sent (Properties.To) that shall go to this inbox and nowhere else. One for an inbox that is not there is
	// Released.
	InboxAddress(inbox string) string

	// Lookup finds out, without sending anything, whether messages can be sent to an address. The error wraps ErrNotFound when there is nothing, and
	// ErrRefused when this user may not.
	Lookup(ctx context.Context, address string) error

	// Ready reports why the bus cannot be used right now, nil when it can.
	Ready(ctx context.Context) error
	// Info tells about the peer of the first connection: product, version, maximum message size. Zero before the first connection.
	Info() Info
	// Close stops everything. Unsettled sends get Lost. It waits for outcomes under way until ctx ends.
	Close(ctx context.Context) error
}

// Inbox is where the bus keeps the messages of a session or of a node: on RabbitMQ a queue.
type Inbox struct {
	Name string // at most 255 bytes, printable ASCII without '/'
	// Expires is how long, in milliseconds, the inbox outlives its last receiver; zero for ever. It cannot be changed later.
	Expires uint64
	// MaxLength bounds the number of messages; zero is no bound. DropOldest says what happens beyond: drop the oldest (QoS 0) or refuse
	// the newest.
	MaxLength  uint64
	DropOldest bool
	// SingleActive lets one receiver at a time get messages: the bus's own fence between the nodes that own a session.
	SingleActive bool
}

// Binding says which messages an inbox gets: those sent to an exchange under keys that match a pattern, in the bus's own topic syntax. However many
// bindings of an inbox to one exchange match a message, the inbox gets it once.
type Binding struct {
	Exchange string // empty: that of all topics
	Pattern  string
}

// Topics are bindings to the exchange of all topics.
func Topics(patterns ...string) []Binding {
	list := make([]Binding, len(patterns))
	for i, p := range patterns {
		list[i].Pattern = p
	}
	return list
}

// Source says what to receive.
type Source struct {
	Inbox   string // name of the inbox
	Settled bool   // pre-settled transfers (QoS 0 lane); Delivery needs no settlement then
	// Credit is kept topped up by the bus when positive. Zero: by hand, with IssueCredit.
	Credit uint32
	// Prepare makes the inbox (and its subscriptions) when it is missing; called before an attach if the last one found nothing there. Nil: a
	// missing inbox is an error for Detached.
	Prepare func(ctx context.Context) error
}

// Handler learns what happens on a receiver. Calls for one receiver come one at a time, in order. They must not block.
type Handler interface {
	// Attached: the link is up and has no credit yet (unless Source.Credit tops it up).
	Attached()
	// Delivered: a message has come. It stays unsettled until Settle (unless Source.Settled).
	Delivered(d Delivery)
	// Detached: the link is gone and with it all unsettled deliveries, which go back to the bus. err says why. Return false
	// to give up, true to have it attached again.
	Detached(err error) bool
}

// Delivery is one received message.
type Delivery struct {
	// Tag names the delivery to Receiver.Settle. It is unique for the life of the Receiver, re-attachments included.
	Tag         uint64
	Message     *message.Message
	Redelivered bool // the bus says that it has been delivered before
	// More: another delivery is there already. Delivered or Detached follows without waiting for the bus, unless the receiver is closed. It may be false
	// although there is more.
	More bool
	// Malformed is set, and Message nil, when the message could not be decoded. The caller settles it like any other.
	Malformed error
}

// Receiver is a receiving link that outlives its connections.
type Receiver interface {
	// IssueCredit adds n to the link's credit. Ignored while detached: credit starts at zero with each Attached.
	IssueCredit(n uint32)
	// Settle answers a delivery. It never blocks. A tag from before the last Detached is ignored. Kind is Accepted, Rejected, Released or
	// Modified.
	Settle(tag uint64, o message.Outcome)
	// Close detaches; unsettled deliveries go back to the bus, in order. It returns when the link is down or ctx ends. After Close
	// no call to the Handler begins.
	Close(ctx context.Context) error
}

// Info tells about the bus at the other end.
type Info struct {
	Product, Version string
	// MaxMessageSize is the largest message a sending link may carry, in bytes; zero is no limit.
	MaxMessageSize uint64
}

// MissingExchanges: bindings could not be made because their exchanges do not exist. All others were made. It is an ErrRefused.
type MissingExchanges struct {
	Names []string // each once, in the order of the bindings
	Words string   // the bus's own, of the first
}

// Error names the exchanges.
func (e *MissingExchanges) Error() string {
	return fmt.Sprintf("amqp: nothing can be bound to the exchanges %q: %s", e.Names, e.Words)
}

// Unwrap gives ErrRefused.
func (e *MissingExchanges) Unwrap() error { return ErrRefused }

// ErrUnavailable: the bus could not be reached, or did not answer in time; trying again later makes sense.
var ErrUnavailable = errors.New("amqp: bus unavailable")

// ErrNotFound: the inbox does not exist.
var ErrNotFound = errors.New("amqp: no such inbox")

// ErrConflict: the inbox exists with other arguments.
var ErrConflict = errors.New("amqp: inbox exists with other arguments")

// ErrRefused: the bus refuses for good (permission, limit, invalid name); the error text says what.
var ErrRefused = errors.New("amqp: refused by the bus")
