package packet

import (
	"errors"
	"fmt"
)

// Error says why bytes were refused. Decode, ParseHeader and Reader return it as an *Error for everything that is the
// peer's fault.
type Error struct {
	// Reason is the code for CONNACK (while connecting) or DISCONNECT. It is legal in the packet in question.
	Reason ReasonCode

	// Clause names the rule: "MQTT-3.3.1-2" for a numbered statement of MQTT 5, "MQTT 5, 3.8.3.1" for a section of it,
	// "3.1.1 MQTT-3.1.2-22" for a rule that only MQTT 3.1.1 has or that it numbers differently.
	Clause string

	// Detail is a sentence for people. It names packet and field, and never quotes the content of a field.
	Detail string

	// Version is set when a CONNECT was refused after its protocol level was seen: the version to answer in. A level
	// below 4 is answered in 3.1.1, a level above 5 in 5. Zero in all other cases.
	Version Version
}

// Error gives reason, sentence and clause.
func (e *Error) Error() string {
	return fmt.Sprintf("0x%02X %s: %s [%s]", byte(e.Reason), e.Reason, e.Detail, e.Clause)
}

func refuse(reason ReasonCode, clause, format string, args ...any) error {
	return &Error{Reason: reason, Clause: clause, Detail: fmt.Sprintf(format, args...)}
}

// malformed is for bytes that cannot be parsed (MQTT 5, 1.2 "Malformed Packet").
func malformed(clause, format string, args ...any) error {
	return refuse(MalformedPacket, clause, format, args...)
}

// violation is for bytes that parse, but say what the protocol does not allow (MQTT 5, 1.2 "Protocol Error").
func violation(clause, format string, args ...any) error {
	return refuse(ProtocolError, clause, format, args...)
}

// ErrNotInVersion is wrapped by the EncodeError for a packet that the version has no bytes for: AUTH in 3.1.1, a
// DISCONNECT with a reason in 3.1.1, a negative PUBACK in 3.1.1.
var ErrNotInVersion = errors.New("not in this version of MQTT")

// EncodeError says why a packet cannot be written. It is our mistake, not the peer's: a limit that was not checked before.
type EncodeError struct {
	Type   Type
	Detail string
	cause  error
}

// Error names the packet and what is wrong with it.
func (e *EncodeError) Error() string {
	if e.cause != nil {
		return fmt.Sprintf("cannot write %s: %s: %v", e.Type, e.Detail, e.cause)
	}
	return fmt.Sprintf("cannot write %s: %s", e.Type, e.Detail)
}

// Unwrap gives ErrNotInVersion, or nil.
func (e *EncodeError) Unwrap() error { return e.cause }

func unwritable(t Type, format string, args ...any) error {
	return &EncodeError{Type: t, Detail: fmt.Sprintf(format, args...)}
}

func notInVersion(t Type, format string, args ...any) error {
	return &EncodeError{Type: t, Detail: fmt.Sprintf(format, args...), cause: ErrNotInVersion}
}
