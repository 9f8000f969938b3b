package client

import (
	"bytes"
	"fmt"
	"time"

	"sluice/amqp/message"
	"sluice/amqp/wire"
)

// Section descriptors [AMQP 3.2], as a code and as a symbol.
const (
	sectionHeader = 0x70 + iota
	sectionDeliveryAnnotations
	sectionMessageAnnotations
	sectionProperties
	sectionApplicationProperties
	sectionData
	sectionSequence
	sectionValue
	sectionFooter
)

// received is a message that came, with what message.Message has no place for.
type received struct {
	message   *message.Message
	hasHeader bool
}

// unwrap gives the encoded message that the frame guard wrapped: its fragments, one per transfer frame.
func unwrap(fragments [][]byte) []byte {
	if len(fragments) == 1 {
		return fragments[0]
	}
	return bytes.Join(fragments, nil)
}

// decodeMessage reads an encoded message, which keeps views of raw.
//
// It is lenient where the meaning is clear: an annotation with a key that is no symbol or string is left out, a value of a type that
// message.Message does not know becomes message.Opaque. What cannot be read at all is an error.
func decodeMessage(raw []byte) (received, error) {
	m := &message.Message{Header: message.Header{Priority: message.DefaultPriority}}
	in := received{message: m}
	r := wire.NewReader(raw)
	for r.Len() > 0 {
		code, err := r.Descriptor()
		if err == nil {
			err = in.section(code, &r)
		}
		if err != nil {
			return in, fmt.Errorf("message: %w", err)
		}
	}
	return in, nil
}

// section reads what is behind a section's descriptor. The sections of text and numbers, of which every message has several, are read without boxing each value.
func (in *received) section(code uint64, r *wire.Reader) (err error) {
	m := in.message
	switch code {
	case sectionHeader:
		return in.header(r.Composite("header"))
	case sectionProperties:
		return properties(&m.Properties, r.Composite("properties"))
	case sectionMessageAnnotations:
		if m.Annotations, err = r.TextMap(plain); err != nil {
			return fmt.Errorf("message-annotations: %w", err)
		}
		return nil
	case sectionApplicationProperties:
		if m.ApplicationProperties, err = r.TextMap(plain); err != nil {
			return fmt.Errorf("application-properties: %w", err)
		}
		return nil
	case sectionDeliveryAnnotations, sectionFooter:
		return r.Skip() // hop by hop, and a footer would have to be checked against the encoded bytes: neither goes further
	}
	v, err := r.Value()
	if err != nil {
		return err
	}
	return in.body(code, v)
}

func (in *received) body(code uint64, v any) error {
	m := in.message
	switch code {
	case sectionData:
		b, ok := v.([]byte)
		if !ok {
			return fmt.Errorf("data is a %T", v)
		}
		m.Data = append(m.Data, b)
	case sectionSequence:
		list, ok := plain(v).([]any)
		if !ok {
			return fmt.Errorf("amqp-sequence is a %T", v)
		}
		m.Sequence = append(m.Sequence, list)
	case sectionValue:
		m.Value, m.HasValue = plain(v), true
	default:
		return fmt.Errorf("%#02x is no section", code)
	}
	return nil
}

func (in *received) header(f wire.Fields) error {
	h := &in.message.Header
	in.hasHeader = true
	h.Durable = f.Bool("durable", false)
	h.Priority = f.Ubyte("priority").Or(h.Priority)
	h.TTL = time.Duration(f.Uint("ttl").Value) * time.Millisecond
	h.FirstAcquirer = f.Bool("first-acquirer", false)
	h.DeliveryCount = f.Uint("delivery-count").Value
	return f.EndLenient()
}

// idKinds are the types of a message-id [AMQP 3.2.11 to 3.2.14].
const idKinds = wire.KindString | wire.KindUlong | wire.KindUUID | wire.KindBinary

// properties takes a string for a symbol and a symbol for a string: senders mix them up in content-type and addresses, and nothing is lost by being lenient.
func properties(p *message.Properties, f wire.Fields) error {
	p.MessageID = f.Value("message-id", idKinds)
	p.UserID = f.Binary("user-id")
	p.To = f.Text("to")
	p.Subject = f.Text("subject")
	p.ReplyTo = f.Text("reply-to")
	p.CorrelationID = f.Value("correlation-id", idKinds)
	p.ContentType = f.Text("content-type")
	p.ContentEncoding = f.Text("content-encoding")
	p.AbsoluteExpiry = f.Timestamp("absolute-expiry-time")
	p.CreationTime = f.Timestamp("creation-time")
	p.GroupID = f.Text("group-id")
	if sequence := f.Uint("group-sequence"); sequence.Set {
		p.GroupSequence = new(sequence.Value)
	}
	p.ReplyToGroupID = f.Text("reply-to-group-id")
	return f.EndLenient()
}

// plain turns a decoded value into one of the types that message.Message promises.
func plain(v any) any {
	switch v := v.(type) {
	case nil, bool, uint8, uint16, uint32, uint64, int8, int16, int32, int64, float32, float64, string, message.Symbol, []byte,
		message.UUID, time.Time:
		return v
	case []any:
		list := make([]any, len(v))
		for i := range v {
			list[i] = plain(v[i])
		}
		return list
	case wire.Map:
		return plainMap(v)
	case wire.Array:
		list := make([]any, len(v.Elements))
		for i := range v.Elements {
			list[i] = plain(v.Elements[i])
		}
		return list
	case message.Described:
		return message.Described{Descriptor: plain(v.Descriptor), Value: plain(v.Value)}
	case wire.Char:
		return message.Opaque{Type: "char"}
	case wire.Decimal32, wire.Decimal64, wire.Decimal128:
		return message.Opaque{Type: "decimal"}
	}
	return message.Opaque{Type: fmt.Sprintf("%T", v)}
}

// plainMap needs keys that are text; a map with others is opaque as a whole, since leaving some out would show a different map.
func plainMap(m wire.Map) any {
	out := make(map[string]any, len(m))
	for _, p := range m {
		switch k := p.Key.(type) {
		case string:
			out[k] = plain(p.Value)
		case message.Symbol:
			out[string(k)] = plain(p.Value)
		default:
			return message.Opaque{Type: "map with keys that are not text"}
		}
	}
	return out
}
