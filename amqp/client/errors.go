package client

import (
	"context"
	"errors"
	"fmt"
	"strings"

	goamqp "github.com/Azure/go-amqp"

	"sluice/amqp"
	"sluice/amqp/message"
)

// scope says how much has to be made anew after an error.
type scope uint8

const (
	inPlace       scope = iota // nothing: the same link can go on
	newLink                    // the link is gone
	newSession                 // the session and all its links are gone
	newConnection              // the connection and all its sessions are gone
)

// scopeOf tells what an error of the library took down.
func scopeOf(err error) scope {
	var connErr *goamqp.ConnError
	var sessionErr *goamqp.SessionError
	var linkErr *goamqp.LinkError
	switch {
	case errors.As(err, &connErr):
		return newConnection
	case errors.As(err, &sessionErr):
		return newSession
	case errors.As(err, &linkErr):
		return newLink
	}
	return inPlace
}

// ErrLogin: the bus refuses the user or the password. The client tries on all the same, since credentials are made and changed while it runs.
var ErrLogin = errors.New("the bus refuses the user or the password")

// opError names the operation, the object and the bus's own words. It never holds credentials.
type opError struct {
	op, object string
	kind       error // amqp.ErrUnavailable and its like
	cause      error
}

// Error gives one line: kind, operation, object, cause.
func (e *opError) Error() string {
	s := fmt.Sprintf("%v: %s", e.kind, e.op)
	if e.object != "" {
		s += fmt.Sprintf(" %q", e.object)
	}
	if e.cause != nil {
		s += ": " + describe(e.cause)
	}
	return s
}

// Unwrap gives the kind and the cause.
func (e *opError) Unwrap() []error {
	if e.cause == nil {
		return []error{e.kind}
	}
	return []error{e.kind, e.cause}
}

// failure wraps an error of the library with the kind that callers act on.
func failure(op, object string, cause error) error {
	return &opError{op: op, object: object, kind: kindOf(cause), cause: cause}
}

// kindOf maps AMQP conditions to what a caller can do about them. What is not known to be final counts as unavailable: trying again is
// always right then.
func kindOf(err error) error {
	for _, kind := range []error{amqp.ErrUnavailable, amqp.ErrNotFound, amqp.ErrConflict, amqp.ErrRefused} {
		if errors.Is(err, kind) {
			return kind
		}
	}
	var e *goamqp.Error
	if !errors.As(err, &e) || scopeOf(err) == newConnection {
		return amqp.ErrUnavailable
	}
	switch e.Condition {
	case condEntityDisabled:
		return amqp.ErrRefused
	case goamqp.ErrCondNotFound, goamqp.ErrCondResourceDeleted:
		return amqp.ErrNotFound
	case goamqp.ErrCondUnauthorizedAccess, goamqp.ErrCondNotAllowed, goamqp.ErrCondInvalidField, goamqp.ErrCondNotImplemented,
		goamqp.ErrCondResourceLimitExceeded, goamqp.ErrCondPreconditionFailed, goamqp.ErrCondMessageSizeExceeded:
		return amqp.ErrRefused
	}
	return amqp.ErrUnavailable
}

// condEntityDisabled is Service Bus' word for an entity that is switched off.
const condEntityDisabled goamqp.ErrCond = "com.microsoft:entity-disabled"

// maxDescription is how much of a bus's description is kept, in bytes: RabbitMQ sends whole stack traces.
const maxDescription = 256

// describe gives a short text for a log line or an outcome.
func describe(err error) string {
	var e *goamqp.Error
	if !errors.As(err, &e) {
		return err.Error()
	}
	d, _, _ := strings.Cut(e.Description, "\n")
	if len(d) > maxDescription {
		d = strings.ToValidUTF8(d[:maxDescription], "")
	}
	if d == "" {
		return string(e.Condition)
	}
	return string(e.Condition) + ": " + d
}

// The conditions of outcomes that did not come from the bus. They are ours, so they are outside the standard's "amqp:" names.
const (
	condNotConnected = "sluice:not-connected" // Busy
	condQueueFull    = "sluice:queue-full"    // Busy
	condClosed       = "sluice:closed"        // Busy, Lost
	condLinkLost     = "sluice:link-lost"     // Lost, Busy
	condNoOutcome    = "sluice:no-outcome"    // Lost: settled without a terminal state
	condEncode       = "sluice:cannot-encode" // Rejected
)

func ourError(condition, format string, args ...any) *message.Error {
	return &message.Error{Condition: condition, Description: fmt.Sprintf(format, args...)}
}

// lost is the outcome of a send whose answer will not come.
func lost(err error) message.Outcome {
	if errors.Is(err, context.Canceled) {
		return message.Outcome{Kind: message.Lost, Error: ourError(condClosed, "closed before the bus answered")}
	}
	return message.Outcome{Kind: message.Lost, Error: ourError(condLinkLost, "%s", describe(err))}
}

func busy(condition, format string, args ...any) message.Outcome {
	return message.Outcome{Kind: message.Busy, Error: ourError(condition, format, args...)}
}
