package queues

import "fmt"

// Kind says what sort of refusal an Error is. The endpoint and the management node turn it into their own codes.
type Kind uint8

// The kinds of refusal.
const (
	NotFound  Kind = iota + 1 // no such queue or exchange
	Conflict                  // it exists with other arguments, or the arguments cannot be used
	Locked                    // the queue belongs to another connection
	Forbidden                 // a reserved name
	Invalid                   // a name or value that no queue or exchange can have
	Exhausted                 // one of Limits is reached
)

// Error is a refusal: nothing has been changed.
type Error struct {
	Kind Kind
	Text string // for a person: names the object and the way out
}

// Error gives the text.
func (e *Error) Error() string { return e.Text }

func refuse(kind Kind, format string, args ...any) *Error {
	return &Error{Kind: kind, Text: fmt.Sprintf(format, args...)}
}
