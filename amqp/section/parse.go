package section

import (
	"fmt"

	"sluice/amqp/message"
	"sluice/amqp/wire"
)

// Header is the header section [AMQP 3.2.1], defaults filled in.
type Header struct {
	Durable       bool
	Priority      uint8            // default message.DefaultPriority (4), which is not the zero value
	TTL           wire.Opt[uint32] // milliseconds
	FirstAcquirer bool
	DeliveryCount uint32
}

// DefaultHeader is what an absent header means.
func DefaultHeader() Header { return Header{Priority: message.DefaultPriority} }

// Sections is a message taken apart. Each []byte field is a whole encoded section with its descriptor, or nil when absent.
type Sections struct {
	Header    Header // DefaultHeader when absent
	HasHeader bool   // Append writes a header only if set

	DeliveryAnnotations []byte
	MessageAnnotations  []byte

	// Bare is the immutable bare message: properties, application-properties and body as they came; the fields below are views into it.
	Bare                  []byte
	Properties            []byte
	ApplicationProperties []byte
	Body                  []byte // all body sections; nil when the message has none, which some peers send

	Footer []byte
}

// Parse takes a message (the joined payloads of a delivery's transfers, message-format 0) apart and checks all of it. Maps anywhere in it
// have to have plain keys (wire.Reader.PlainKeys), or a message could kill its consumers. What it returns are views of payload. Errors are
// *wire.Error with amqp:decode-error, most with the section's name.
func Parse(payload []byte) (Sections, error) {
	s := Sections{Header: DefaultHeader()}
	r := wire.NewReader(payload)
	r.PlainKeys()
	last := uint64(0)
	for r.Len() > 0 {
		start := r.Offset()
		d, err := r.Descriptor()
		if err != nil {
			return Sections{}, err
		}
		if d < descHeader || d > descFooter {
			return Sections{}, fail("", start, "the descriptor %#x is not that of a message section", d)
		}
		if err = checkOrder(last, d, start); err != nil {
			return Sections{}, err
		}
		if err = s.check(d, &r); err != nil {
			return Sections{}, err
		}
		s.keep(d, payload, start, r.Offset())
		last = d
	}
	return s, nil
}

// checkOrder refuses sections that are out of order or twice; only data and amqp-sequence may repeat [AMQP 3.2], and a body is of one kind.
func checkOrder(last, d uint64, offset int) error {
	switch {
	case d > last && !(isBody(d) && isBody(last)):
		return nil
	case d == last && (d == descData || d == descSequence):
		return nil
	case d == last:
		return fail(nameOf(d), offset, "the section is there twice")
	}
	return fail(nameOf(d), offset, "the section cannot come behind %s", nameOf(last))
}

// check reads the section's value: r is behind the descriptor, and is moved behind the value.
func (s *Sections) check(d uint64, r *wire.Reader) error {
	switch d {
	case descHeader:
		s.HasHeader = true
		return readHeader(r, &s.Header)
	case descDeliveryAnnotations, descMessageAnnotations, descFooter:
		return checkMap(d, r, wire.KindSymbol|wire.KindUlong)
	case descApplicationProperties:
		return checkMap(d, r, wire.KindString)
	case descProperties:
		return checkProperties(r)
	case descData:
		return checkKind(d, r, wire.KindBinary)
	case descSequence:
		return checkKind(d, r, wire.KindList)
	}
	return r.Skip()
}

func checkKind(d uint64, r *wire.Reader, want wire.Kind) error {
	c, err := r.PeekCode()
	if err == nil && c.Kind() != want {
		return fail(nameOf(d), r.Offset(), "a %v is expected, not a %v", want, c.Kind())
	}
	if err != nil {
		return err
	}
	return r.Skip()
}

// checkMap lets no key through that is not of the kinds allowed. Consumers rely on it: a go-amqp client dies of an annotation whose key is
// a list, map or binary.
func checkMap(d uint64, r *wire.Reader, keys wire.Kind) error {
	if c, err := r.PeekCode(); err == nil && c.Kind() == wire.KindNull {
		return r.Skip()
	}
	entries := r.Mapping(nameOf(d))
	if entries.Left()/2 > MaxEntries {
		return fail(nameOf(d), r.Offset(), "%d entries are over the limit of %d", entries.Left()/2, MaxEntries)
	}
	for entries.Left() > 0 && entries.Err() == nil {
		if !entries.Check("key", keys) {
			entries.Missing("key")
		}
		entries.Check("value", wire.KindAny)
	}
	return entries.End()
}

// keep notes where a section lies.
func (s *Sections) keep(d uint64, payload []byte, from, to int) {
	whole := payload[from:to:to]
	switch d {
	case descDeliveryAnnotations:
		s.DeliveryAnnotations = whole
	case descMessageAnnotations:
		s.MessageAnnotations = whole
	case descProperties:
		s.Properties = whole
	case descApplicationProperties:
		s.ApplicationProperties = whole
	case descData, descSequence, descValue:
		s.Body = grow(s.Body, payload, from, to)
	case descFooter:
		s.Footer = whole
	}
	if d >= descProperties && d <= descValue {
		s.Bare = grow(s.Bare, payload, from, to)
	}
}

// grow extends a view that ends at from up to to.
func grow(view, payload []byte, from, to int) []byte {
	return payload[from-len(view) : to : to]
}

func readHeader(r *wire.Reader, h *Header) error {
	f := r.Composite("header")
	*h = Header{
		Durable:       f.Bool("durable", false),
		Priority:      f.Ubyte("priority").Or(message.DefaultPriority),
		TTL:           f.Uint("ttl"),
		FirstAcquirer: f.Bool("first-acquirer", false),
		DeliveryCount: f.Uint("delivery-count").Value,
	}
	return f.End()
}

func fail(section string, offset int, format string, args ...any) error {
	return &wire.Error{Condition: wire.CondDecodeError, What: section, Reason: fmt.Sprintf(format, args...), Offset: offset}
}
