package endpoint

import (
	"errors"
	"fmt"

	"sluice/amqp/frame"
	"sluice/amqp/wire"
)

// The error conditions of the standard [AMQP 2.8.15 to 2.8.18].
const (
	InternalError         frame.Symbol = "amqp:internal-error"
	NotFound              frame.Symbol = "amqp:not-found"
	UnauthorizedAccess    frame.Symbol = "amqp:unauthorized-access"
	DecodeError           frame.Symbol = "amqp:decode-error"
	ResourceLimitExceeded frame.Symbol = "amqp:resource-limit-exceeded"
	NotAllowed            frame.Symbol = "amqp:not-allowed"
	InvalidField          frame.Symbol = "amqp:invalid-field"
	NotImplemented        frame.Symbol = "amqp:not-implemented"
	ResourceLocked        frame.Symbol = "amqp:resource-locked"
	PreconditionFailed    frame.Symbol = "amqp:precondition-failed"
	ResourceDeleted       frame.Symbol = "amqp:resource-deleted"
	IllegalState          frame.Symbol = "amqp:illegal-state"

	ConnectionForced frame.Symbol = "amqp:connection:forced"
	FramingError     frame.Symbol = "amqp:connection:framing-error"

	WindowViolation  frame.Symbol = "amqp:session:window-violation"
	HandleInUse      frame.Symbol = "amqp:session:handle-in-use"
	UnattachedHandle frame.Symbol = "amqp:session:unattached-handle"

	DetachForced          frame.Symbol = "amqp:link:detach-forced"
	TransferLimitExceeded frame.Symbol = "amqp:link:transfer-limit-exceeded"
	MessageSizeExceeded   frame.Symbol = "amqp:link:message-size-exceeded"
)

// Errorf makes an AMQP error with a description for a person.
func Errorf(condition frame.Symbol, format string, args ...any) *frame.Error {
	text := fmt.Sprintf(format, args...)
	if len(text) > maxDescription {
		text = text[:maxDescription]
	}
	return &frame.Error{Condition: condition, Description: text}
}

// DecodeFailure is the error for bytes that could not be decoded.
func DecodeFailure(err error) *frame.Error {
	var e *wire.Error
	if errors.As(err, &e) {
		return Errorf(frame.Symbol(e.Condition), "%s", e.Error())
	}
	return Errorf(DecodeError, "%s", err.Error())
}
