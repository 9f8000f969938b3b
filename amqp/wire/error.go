package wire

import "fmt"

// The error conditions of the standard that a codec can report [AMQP 2.8.15, 2.8.16].
const (
	CondDecodeError    = "amqp:decode-error"
	CondInvalidField   = "amqp:invalid-field"
	CondNotImplemented = "amqp:not-implemented"
	CondFramingError   = "amqp:connection:framing-error"
)

// Error says what was wrong with bytes that came, or with a value that cannot be written.
type Error struct {
	Condition string // an AMQP error condition, fit to be sent to the peer
	What      string // the composite and field, such as "attach.handle"; empty where none is known
	Reason    string // a sentence for a reader: what is wrong, and what would be right
	Offset    int    // byte offset from the start of what was decoded; -1 when encoding
}

// Error makes it a Go error.
func (e *Error) Error() string {
	s := e.Condition + ": "
	if e.What != "" {
		s += e.What + ": "
	}
	s += e.Reason
	if e.Offset >= 0 {
		s += fmt.Sprintf(" (at byte %d)", e.Offset)
	}
	return s
}
