package frame

import (
	"fmt"

	"sluice/amqp/wire"
)

// Error is an AMQP error as it travels [AMQP 2.8.14].
type Error struct {
	Condition   Symbol // mandatory
	Description string
	Info        Map
}

// Error makes it a Go error.
func (e *Error) Error() string {
	if e.Description == "" {
		return string(e.Condition)
	}
	return string(e.Condition) + ": " + e.Description
}

func (e *Error) append(dst []byte) ([]byte, error) {
	w := wire.NewFieldWriter(dst, DescError, "error")
	w.MustSymbol("condition", e.Condition)
	w.String("description", e.Description)
	w.Map("info", e.Info)
	return w.Finish()
}

func writeError(w *wire.FieldWriter, e *Error) {
	if e == nil {
		w.Null()
		return
	}
	w.Append(e.append)
}

func readError(f *wire.Fields) *Error {
	d, present := f.Described("error")
	if !present {
		return nil
	}
	if d != DescError {
		f.Fail("error", wire.CondDecodeError, unexpected(d))
		return nil
	}
	sub := f.Composite("error")
	condition, present := sub.OptSymbol("condition")
	if !present {
		sub.Missing("condition")
	}
	e := &Error{Condition: condition, Description: sub.String("description").Value, Info: sub.Map("info")}
	f.Sub(sub.End())
	return e
}

func unexpected(descriptor uint64) string {
	return fmt.Sprintf("a value with the descriptor %#x cannot be here", descriptor)
}
