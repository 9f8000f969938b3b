package section

import (
	"bytes"
	"fmt"
	"math"
	"time"

	"sluice/amqp/message"
	"sluice/amqp/wire"
)

// EncodeMessage is AppendMessage into memory of its own.
func EncodeMessage(m *message.Message) ([]byte, error) { return AppendMessage(nil, m) }

// AppendMessage appends m, always with a header. A message with several kinds of body, a TTL outside 0..MaxTTL or a value that AMQP has no
// type for is a *wire.Error, and dst comes back as it was. A message without any body gets one empty data section, since the standard wants a body.
// Maps are written in the order of their keys, so that the same message always gives the same bytes.
func AppendMessage(dst []byte, m *message.Message) ([]byte, error) {
	ttl, err := encodeTTL(m.Header.TTL)
	if err != nil {
		return dst, err
	}
	out := appendHeader(dst, &Header{
		Durable:       m.Header.Durable,
		Priority:      m.Header.Priority,
		TTL:           ttl,
		FirstAcquirer: m.Header.FirstAcquirer,
		DeliveryCount: m.Header.DeliveryCount,
	})
	if len(m.Annotations) > 0 {
		if out, err = wire.AppendSymbolMap(wire.AppendDescriptor(out, descMessageAnnotations), m.Annotations); err != nil {
			return dst, err
		}
	}
	if out, err = appendProperties(out, &m.Properties); err != nil {
		return dst, err
	}
	if len(m.ApplicationProperties) > 0 {
		if out, err = wire.AppendStringMap(wire.AppendDescriptor(out, descApplicationProperties), m.ApplicationProperties); err != nil {
			return dst, err
		}
	}
	if out, err = appendBody(out, m); err != nil {
		return dst, err
	}
	return out, nil
}

func encodeTTL(ttl time.Duration) (wire.Opt[uint32], error) {
	ms := ttl.Milliseconds()
	if ms < 0 || ms > math.MaxUint32 {
		return wire.Opt[uint32]{}, &wire.Error{Condition: wire.CondInvalidField, What: "header.ttl", Offset: -1,
			Reason: fmt.Sprintf("%v does not fit: it is 0 to %v", ttl, message.MaxTTL)}
	}
	return wire.Opt[uint32]{Value: uint32(ms), Set: ttl != 0}, nil
}

func appendBody(dst []byte, m *message.Message) ([]byte, error) {
	kinds := 0
	for _, there := range []bool{len(m.Data) > 0, m.HasValue, len(m.Sequence) > 0} {
		if there {
			kinds++
		}
	}
	if kinds > 1 {
		return nil, &wire.Error{Condition: wire.CondInvalidField, What: "body", Offset: -1,
			Reason: "a message has data, a value or sequences, only one of them"}
	}
	var err error
	switch {
	case m.HasValue:
		if dst, err = wire.AppendValue(wire.AppendDescriptor(dst, descValue), m.Value); err != nil {
			return nil, err
		}
	case len(m.Sequence) > 0:
		for _, list := range m.Sequence {
			if dst, err = wire.AppendValue(wire.AppendDescriptor(dst, descSequence), list); err != nil {
				return nil, err
			}
		}
	case len(m.Data) == 0:
		dst = wire.AppendBinary(wire.AppendDescriptor(dst, descData), nil)
	}
	for _, data := range m.Data {
		dst = wire.AppendBinary(wire.AppendDescriptor(dst, descData), data)
	}
	return dst, nil
}

// DecodeMessage decodes a whole message; nothing in it aliases payload. Delivery-annotations and footer have no place in message.Message
// and are left out. Values that message.Message does not list become Opaque, arrays become lists, and annotations with ulong keys, which
// the standard reserves, are left out.
func DecodeMessage(payload []byte) (*message.Message, error) {
	s, err := Parse(bytes.Clone(payload))
	if err != nil {
		return nil, err
	}
	m := &message.Message{Header: message.Header{
		Durable:       s.Header.Durable,
		Priority:      s.Header.Priority,
		TTL:           time.Duration(s.Header.TTL.Value) * time.Millisecond,
		FirstAcquirer: s.Header.FirstAcquirer,
		DeliveryCount: s.Header.DeliveryCount,
	}}
	annotations, err := s.MessageAnnotationMap()
	if err != nil {
		return nil, err
	}
	m.Annotations = PlainMap(annotations)
	if m.Properties, err = s.PropertiesValue(); err != nil {
		return nil, err
	}
	properties, err := s.ApplicationPropertyMap()
	if err != nil {
		return nil, err
	}
	m.ApplicationProperties = PlainMap(properties)
	return m, decodeBody(s.Body, m)
}

func decodeBody(body []byte, m *message.Message) error {
	r := wire.NewReader(body)
	for r.Len() > 0 {
		d, err := r.Descriptor()
		if err != nil {
			return err
		}
		v, err := r.Value()
		if err != nil {
			return err
		}
		switch v := v.(type) {
		case []byte:
			if d == descData {
				m.Data = append(m.Data, v)
				continue
			}
		case []any:
			if d == descSequence {
				m.Sequence = append(m.Sequence, plainList(v))
				continue
			}
		}
		m.Value, m.HasValue = plain(v), true
	}
	return nil
}

// plain turns a value into one of the Go types that message.Message lists.
func plain(v any) any {
	switch v := v.(type) {
	case []any:
		return plainList(v)
	case wire.Array:
		return plainArray(v)
	case wire.Map:
		if m := PlainMap(v); m != nil && len(m) == len(v) {
			return m
		}
		return message.Opaque{Type: "map with keys that are not unique strings or symbols"}
	case message.Described:
		return message.Described{Descriptor: plain(v.Descriptor), Value: plain(v.Value)}
	case wire.Char:
		return message.Opaque{Type: "char"}
	case wire.Decimal32:
		return message.Opaque{Type: "decimal32"}
	case wire.Decimal64:
		return message.Opaque{Type: "decimal64"}
	case wire.Decimal128:
		return message.Opaque{Type: "decimal128"}
	}
	return v
}

func plainList(list []any) []any {
	out := make([]any, len(list))
	for i, v := range list {
		out[i] = plain(v)
	}
	return out
}

func plainArray(a wire.Array) []any {
	out := plainList(a.Elements)
	if a.Described {
		for i, v := range out {
			out[i] = message.Described{Descriptor: plain(a.Descriptor), Value: v}
		}
	}
	return out
}

// PlainMap gives m with the Go types that message.Message lists. It keeps the entries whose keys are strings or symbols; nil when m is nil. Of entries with the same key the last stays.
func PlainMap(m wire.Map) map[string]any {
	if m == nil {
		return nil
	}
	out := make(map[string]any, len(m))
	for _, p := range m {
		switch k := p.Key.(type) {
		case string:
			out[k] = plain(p.Value)
		case message.Symbol:
			out[string(k)] = plain(p.Value)
		}
	}
	return out
}
