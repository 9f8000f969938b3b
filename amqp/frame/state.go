package frame

import (
	"fmt"

	"sluice/amqp/wire"
)

// DeliveryState is *Received or one of the outcomes *Accepted, *Rejected, *Released, *Modified [AMQP 3.4].
type DeliveryState interface {
	// Descriptor is the numeric descriptor, such as DescAccepted.
	Descriptor() uint64
}

// Received says how far a message came, for resuming [AMQP 3.4.1].
type Received struct {
	SectionNumber uint32
	SectionOffset uint64
}

// Accepted is the outcome of a message that was processed [AMQP 3.4.2].
type Accepted struct{}

// Rejected is the outcome of an invalid message [AMQP 3.4.3].
type Rejected struct {
	Error *Error // nil is absent
}

// Released is the outcome of a message that was not processed [AMQP 3.4.4].
type Released struct{}

// Modified is the outcome of a message that was not processed and is to be changed before it is delivered again [AMQP 3.4.5].
type Modified struct {
	DeliveryFailed     bool
	UndeliverableHere  bool
	MessageAnnotations Map
}

// Descriptor implements DeliveryState.
func (*Received) Descriptor() uint64 { return DescReceived }

// Descriptor implements DeliveryState.
func (*Accepted) Descriptor() uint64 { return DescAccepted }

// Descriptor implements DeliveryState.
func (*Rejected) Descriptor() uint64 { return DescRejected }

// Descriptor implements DeliveryState.
func (*Released) Descriptor() uint64 { return DescReleased }

// Descriptor implements DeliveryState.
func (*Modified) Descriptor() uint64 { return DescModified }

// The states without fields carry nothing: one of each is enough.
var (
	accepted = &Accepted{}
	released = &Released{}
)

func writeState(w *wire.FieldWriter, field string, s DeliveryState) {
	switch s := s.(type) {
	case nil:
		w.Null()
	case *Accepted:
		w.Empty(DescAccepted)
	case *Released:
		w.Empty(DescReleased)
	default:
		w.Append(func(dst []byte) ([]byte, error) { return appendState(dst, s) })
	}
}

func appendState(dst []byte, s DeliveryState) ([]byte, error) {
	switch s := s.(type) {
	case *Accepted, *Released:
		w := wire.NewFieldWriter(dst, s.Descriptor(), "")
		return w.Finish()
	case *Received:
		w := wire.NewFieldWriter(dst, DescReceived, "received")
		w.MustUint(s.SectionNumber)
		w.MustUlong(s.SectionOffset)
		return w.Finish()
	case *Rejected:
		w := wire.NewFieldWriter(dst, DescRejected, "rejected")
		writeError(&w, s.Error)
		return w.Finish()
	case *Modified:
		w := wire.NewFieldWriter(dst, DescModified, "modified")
		w.Bool(s.DeliveryFailed, false)
		w.Bool(s.UndeliverableHere, false)
		w.Map("message-annotations", s.MessageAnnotations)
		return w.Finish()
	}
	return dst, &wire.Error{Condition: wire.CondInvalidField, Reason: fmt.Sprintf("%T is not a delivery state", s), Offset: -1}
}

// The states of transactions [AMQP 4.5], which we do not take part in.
const (
	descDeclared           = 0x33
	descTransactionalState = 0x34
)

func readState(f *wire.Fields, field string) DeliveryState {
	d, present := f.Described(field)
	if !present {
		return nil
	}
	switch d {
	case DescAccepted:
		sub := f.Composite("accepted")
		f.Sub(sub.End())
		return accepted
	case DescReleased:
		sub := f.Composite("released")
		f.Sub(sub.End())
		return released
	case DescReceived:
		sub := f.Composite("received")
		s := &Received{SectionNumber: sub.MustUint("section-number")}
		offset := sub.Ulong("section-offset")
		if !offset.Set {
			sub.Missing("section-offset")
		}
		s.SectionOffset = offset.Value
		f.Sub(sub.End())
		return s
	case DescRejected:
		sub := f.Composite("rejected")
		s := &Rejected{Error: readError(&sub)}
		f.Sub(sub.End())
		return s
	case DescModified:
		sub := f.Composite("modified")
		s := &Modified{
			DeliveryFailed:     sub.Bool("delivery-failed", false),
			UndeliverableHere:  sub.Bool("undeliverable-here", false),
			MessageAnnotations: sub.Map("message-annotations"),
		}
		f.Sub(sub.End())
		return s
	case descDeclared, descTransactionalState:
		f.Fail(field, wire.CondNotImplemented, "transactions are not supported")
		return nil
	}
	f.Fail(field, wire.CondDecodeError, unexpected(d))
	return nil
}
