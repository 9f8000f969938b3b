package topology

import (
	"context"

	"sluice/amqp"
)

// Family is one way of making inboxes. Its methods are those of amqp.Bus, with the same errors.
type Family interface {
	EnsureInbox(ctx context.Context, inbox amqp.Inbox) error
	Subscribe(ctx context.Context, inbox string, patterns []string) error
	Unsubscribe(ctx context.Context, inbox string, patterns []string) error
	DeleteInbox(ctx context.Context, inbox string) error
	// Receivers is how many receivers an inbox has at the moment; none when there is no such inbox.
	Receivers(ctx context.Context, inbox string) (int, error)
	// Source is the address that a receiver attaches to for the inbox, and under which messages are sent to it alone.
	Source(inbox string) string
	// TellsFirstAcquirer: the bus sets header.first-acquirer on the first delivery of a message, so that a header without it is a redelivery.
	// Elsewhere the standard's default, false, says nothing.
	TellsFirstAcquirer() bool
}

// Request is one operation on the bus's management node, in HTTP's terms.
type Request struct {
	Method string // GET, PUT, POST, DELETE
	Path   string // percent-encoded
	Body   any    // nil is an AMQP null
}

// Response is the management node's answer.
type Response struct {
	Status int // as in HTTP
	Body   any // map, list, nil, or a text with 4xx
}

// Requester performs requests, several at once if it can, and gives the responses in the order of the requests. An error means that a request
// was not answered, or could not be made; it wraps amqp.ErrUnavailable or amqp.ErrRefused.
type Requester interface {
	Do(ctx context.Context, requests []Request) ([]Response, error)
}
