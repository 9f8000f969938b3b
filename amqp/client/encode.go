package client

import (
	"fmt"
	"math"
	"strings"
	"time"

	goamqp "github.com/Azure/go-amqp"

	"sluice/amqp/message"
)

// encoder makes the library's form of messages, one after the other: each is good until the next. When Send returns, the library has written the sections
// into a buffer of its own, so their memory is used again. It keeps the message itself (a transfer points to its Format), so that is always a new one.
//
// It is not a copy of fields alone: the library encodes a header's priority 0 where none was meant, lets a ttl beyond 2^32-1 ms wrap, and
// fails for types that it does not know only while it marshals.
type encoder struct {
	header      goamqp.MessageHeader
	properties  goamqp.MessageProperties
	annotations goamqp.Annotations
	application map[string]any
	names       map[string]any // of annotations, as the library wants them; at most annotationNames
}

// encode shares byte slices and strings with m.
func (e *encoder) encode(m *message.Message) (*goamqp.Message, error) {
	e.header = goamqp.MessageHeader{
		Durable:       m.Header.Durable,
		Priority:      m.Header.Priority,
		TTL:           min(max(m.Header.TTL, 0), message.MaxTTL).Truncate(time.Millisecond),
		FirstAcquirer: m.Header.FirstAcquirer,
		DeliveryCount: m.Header.DeliveryCount,
	}
	e.setProperties(&m.Properties)
	out := &goamqp.Message{Header: &e.header, Properties: &e.properties}
	var err error
	if len(m.Annotations) > 0 {
		out.Annotations = emptied(&e.annotations, len(m.Annotations))
		for k, v := range m.Annotations {
			if out.Annotations[e.name(k)], err = encodeValue(v); err != nil {
				return nil, fmt.Errorf("message annotation %q: %w", k, err)
			}
		}
	}
	if len(m.ApplicationProperties) > 0 {
		out.ApplicationProperties = emptied(&e.application, len(m.ApplicationProperties))
		for k, v := range m.ApplicationProperties {
			if out.ApplicationProperties[k], err = encodeValue(v); err != nil {
				return nil, fmt.Errorf("application property %q: %w", k, err)
			}
		}
	}
	return out, encodeBody(out, m)
}

// emptied gives the kept map without entries, or a new one where it takes more than is worth keeping: a map never shrinks.
func emptied[M ~map[K]any, K comparable](kept *M, n int) M {
	if n > keptEntries {
		return make(M, n)
	}
	if *kept == nil {
		*kept = make(M, n)
	}
	clear(*kept)
	return *kept
}

// name gives an annotation's name as the interface value that the library wants. Making it allocates, and nearly all messages have the same few names.
func (e *encoder) name(k string) any {
	if known, ok := e.names[k]; ok {
		return known
	}
	if len(e.names) >= annotationNames {
		return k
	}
	if e.names == nil {
		e.names = make(map[string]any)
	}
	k = strings.Clone(k) // not to keep the message it came with
	e.names[k] = k
	return e.names[k]
}

// encodeBody always writes a body section: a message without any is sent as nothing at all by the library, and its outcome never comes.
func encodeBody(out *goamqp.Message, m *message.Message) error {
	switch {
	case m.HasValue:
		v, err := encodeValue(m.Value)
		if err != nil {
			return fmt.Errorf("body value: %w", err)
		}
		if v == nil {
			v = goamqp.Null{}
		}
		out.Value = v
	case m.Sequence != nil:
		for _, s := range m.Sequence {
			v, err := encodeValue(s)
			if err != nil {
				return fmt.Errorf("body sequence: %w", err)
			}
			out.Sequence = append(out.Sequence, v.([]any))
		}
	case len(m.Data) > 0:
		out.Data = m.Data
	default:
		out.Data = [][]byte{{}}
	}
	return nil
}

func (e *encoder) setProperties(p *message.Properties) {
	e.properties = goamqp.MessageProperties{
		MessageID:       encodeID(p.MessageID),
		UserID:          p.UserID,
		To:              optional(&p.To),
		Subject:         optional(&p.Subject),
		ReplyTo:         optional(&p.ReplyTo),
		CorrelationID:   encodeID(p.CorrelationID),
		ContentType:     optional(&p.ContentType),
		ContentEncoding: optional(&p.ContentEncoding),
		GroupID:         optional(&p.GroupID),
		GroupSequence:   p.GroupSequence,
		ReplyToGroupID:  optional(&p.ReplyToGroupID),
	}
	if !p.AbsoluteExpiry.IsZero() {
		e.properties.AbsoluteExpiryTime = &p.AbsoluteExpiry
	}
	if !p.CreationTime.IsZero() {
		e.properties.CreationTime = &p.CreationTime
	}
}

// optional takes a pointer to the message's own field: one to a parameter would be a new string each time, also for the fields that are empty.
func optional(s *string) *string {
	if *s == "" {
		return nil
	}
	return s
}

func encodeID(v any) any {
	if u, ok := v.(message.UUID); ok {
		return goamqp.UUID(u)
	}
	return v
}

// encodeValue allows what message.Message promises. The library cannot write described values, and an Opaque is not there to be written.
func encodeValue(v any) (any, error) {
	switch v := v.(type) {
	case nil, bool, uint8, uint16, uint32, uint64, int8, int16, int32, int64, float32, float64, string, []byte, time.Time:
		return v, nil
	case message.Symbol:
		if len(v) > math.MaxUint16 {
			return nil, fmt.Errorf("a symbol of %d bytes is too long", len(v))
		}
		return goamqp.Symbol(v), nil
	case message.UUID:
		return goamqp.UUID(v), nil
	case []any:
		list := make([]any, len(v))
		for i := range v {
			var err error
			if list[i], err = encodeValue(v[i]); err != nil {
				return nil, err
			}
		}
		return list, nil
	case map[string]any:
		m := make(map[string]any, len(v))
		for k := range v {
			var err error
			if m[k], err = encodeValue(v[k]); err != nil {
				return nil, err
			}
		}
		return m, nil
	}
	return nil, fmt.Errorf("a value of type %T cannot be sent", v)
}
