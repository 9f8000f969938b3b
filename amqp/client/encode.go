package client

import (
	"fmt"
	"math"
	"time"

	goamqp "github.com/Azure/go-amqp"

	"sluice/amqp/message"
)

// encodeMessage gives the library's form of m. It shares byte slices with m.
//
// It is not a copy of fields alone: the library encodes a header's priority 0 where none was meant, lets a ttl beyond 2^32-1 ms wrap, and
// fails for types that it does not know only while it marshals.
func encodeMessage(m *message.Message) (*goamqp.Message, error) {
	out := &goamqp.Message{Header: &goamqp.MessageHeader{
		Durable:       m.Header.Durable,
		Priority:      m.Header.Priority,
		TTL:           min(max(m.Header.TTL, 0), message.MaxTTL).Truncate(time.Millisecond),
		FirstAcquirer: m.Header.FirstAcquirer,
		DeliveryCount: m.Header.DeliveryCount,
	}}
	out.Properties = encodeProperties(&m.Properties)
	var err error
	if len(m.Annotations) > 0 {
		out.Annotations = make(goamqp.Annotations, len(m.Annotations))
		for k, v := range m.Annotations {
			if out.Annotations[k], err = encodeValue(v); err != nil {
				return nil, fmt.Errorf("message annotation %q: %w", k, err)
			}
		}
	}
	if len(m.ApplicationProperties) > 0 {
		out.ApplicationProperties = make(map[string]any, len(m.ApplicationProperties))
		for k, v := range m.ApplicationProperties {
			if out.ApplicationProperties[k], err = encodeValue(v); err != nil {
				return nil, fmt.Errorf("application property %q: %w", k, err)
			}
		}
	}
	return out, encodeBody(out, m)
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

func encodeProperties(p *message.Properties) *goamqp.MessageProperties {
	out := &goamqp.MessageProperties{
		MessageID:       encodeID(p.MessageID),
		UserID:          p.UserID,
		To:              optional(p.To),
		Subject:         optional(p.Subject),
		ReplyTo:         optional(p.ReplyTo),
		CorrelationID:   encodeID(p.CorrelationID),
		ContentType:     optional(p.ContentType),
		ContentEncoding: optional(p.ContentEncoding),
		GroupID:         optional(p.GroupID),
		GroupSequence:   p.GroupSequence,
		ReplyToGroupID:  optional(p.ReplyToGroupID),
	}
	if !p.AbsoluteExpiry.IsZero() {
		out.AbsoluteExpiryTime = &p.AbsoluteExpiry
	}
	if !p.CreationTime.IsZero() {
		out.CreationTime = &p.CreationTime
	}
	return out
}

func optional(s string) *string {
	if s == "" {
		return nil
	}
	return &s
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
