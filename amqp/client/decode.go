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

var sectionNames = map[message.Symbol]uint64{
	"amqp:header:list":                sectionHeader,
	"amqp:delivery-annotations:map":   sectionDeliveryAnnotations,
	"amqp:message-annotations:map":    sectionMessageAnnotations,
	"amqp:properties:list":            sectionProperties,
	"amqp:application-properties:map": sectionApplicationProperties,
	"amqp:data:binary":                sectionData,
	"amqp:amqp-sequence:list":         sectionSequence,
	"amqp:amqp-value:*":               sectionValue,
	"amqp:footer:map":                 sectionFooter,
}

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
		v, err := r.Value()
		if err != nil {
			return in, fmt.Errorf("message: %w", err)
		}
		d, ok := v.(message.Described)
		if !ok {
			return in, fmt.Errorf("message: a %T stands where a section belongs", v)
		}
		if err := in.section(d); err != nil {
			return in, fmt.Errorf("message: %w", err)
		}
	}
	return in, nil
}

func (in *received) section(d message.Described) error {
	code, ok := d.Descriptor.(uint64)
	if name, isName := d.Descriptor.(message.Symbol); isName {
		code, ok = sectionNames[name]
	}
	if !ok {
		return fmt.Errorf("%v is no section", d.Descriptor)
	}
	m := in.message
	switch code {
	case sectionHeader:
		return in.header(d.Value)
	case sectionProperties:
		return properties(&m.Properties, d.Value)
	case sectionMessageAnnotations:
		return stringMap(&m.Annotations, d.Value, "message-annotations")
	case sectionApplicationProperties:
		return stringMap(&m.ApplicationProperties, d.Value, "application-properties")
	case sectionDeliveryAnnotations, sectionFooter:
		return nil // hop by hop, and a footer would have to be checked against the encoded bytes: neither goes further
	case sectionData:
		b, ok := d.Value.([]byte)
		if !ok {
			return fmt.Errorf("data is a %T", d.Value)
		}
		m.Data = append(m.Data, b)
	case sectionSequence:
		list, ok := plain(d.Value).([]any)
		if !ok {
			return fmt.Errorf("amqp-sequence is a %T", d.Value)
		}
		m.Sequence = append(m.Sequence, list)
	case sectionValue:
		m.Value, m.HasValue = plain(d.Value), true
	default:
		return fmt.Errorf("%#02x is no section", code)
	}
	return nil
}

// fields reads the list of a composite one field at a time; a null or absent field leaves its variable alone.
type fields struct {
	list []any
	name string
	err  error
}

func newFields(v any, name string) fields {
	list, ok := v.([]any)
	if !ok {
		return fields{err: fmt.Errorf("%s is a %T", name, v)}
	}
	return fields{list: list, name: name}
}

func (f *fields) next() any {
	if len(f.list) == 0 {
		return nil
	}
	v := f.list[0]
	f.list = f.list[1:]
	return v
}

// read takes the next field if it is of the right type.
func read[T any](f *fields, field string, into *T) (present bool) {
	v := f.next()
	if v == nil || f.err != nil {
		return false
	}
	t, ok := v.(T)
	if !ok {
		f.err = fmt.Errorf("%s.%s is a %T", f.name, field, v)
		return false
	}
	*into = t
	return true
}

// readText takes a string or symbol: senders mix them up in content-type and addresses, and nothing is lost by being lenient.
func (f *fields) readText(field string, into *string) {
	switch v := f.next().(type) {
	case nil:
	case string:
		*into = v
	case message.Symbol:
		*into = string(v)
	default:
		if f.err == nil {
			f.err = fmt.Errorf("%s.%s is a %T", f.name, field, v)
		}
	}
}

func (in *received) header(v any) error {
	h := &in.message.Header
	in.hasHeader = true
	f := newFields(v, "header")
	read(&f, "durable", &h.Durable)
	read(&f, "priority", &h.Priority)
	var ttl uint32
	if read(&f, "ttl", &ttl) {
		h.TTL = time.Duration(ttl) * time.Millisecond
	}
	read(&f, "first-acquirer", &h.FirstAcquirer)
	read(&f, "delivery-count", &h.DeliveryCount)
	return f.err
}

func properties(p *message.Properties, v any) error {
	f := newFields(v, "properties")
	p.MessageID = f.next()
	read(&f, "user-id", &p.UserID)
	f.readText("to", &p.To)
	f.readText("subject", &p.Subject)
	f.readText("reply-to", &p.ReplyTo)
	p.CorrelationID = f.next()
	f.readText("content-type", &p.ContentType)
	f.readText("content-encoding", &p.ContentEncoding)
	read(&f, "absolute-expiry-time", &p.AbsoluteExpiry)
	read(&f, "creation-time", &p.CreationTime)
	f.readText("group-id", &p.GroupID)
	var sequence uint32
	if read(&f, "group-sequence", &sequence) {
		p.GroupSequence = &sequence
	}
	f.readText("reply-to-group-id", &p.ReplyToGroupID)
	if f.err != nil {
		return f.err
	}
	for _, id := range []any{p.MessageID, p.CorrelationID} {
		switch id.(type) {
		case nil, string, uint64, message.UUID, []byte:
		default:
			return fmt.Errorf("properties: an id is a %T", id)
		}
	}
	return nil
}

// stringMap reads a section that is a map. Entries whose key is no symbol or string cannot be held and are left out.
func stringMap(into *map[string]any, v any, name string) error {
	if v == nil {
		return nil
	}
	m, ok := v.(wire.Map)
	if !ok {
		return fmt.Errorf("%s is a %T", name, v)
	}
	*into = make(map[string]any, len(m))
	for _, p := range m {
		switch k := p.Key.(type) {
		case string:
			(*into)[k] = plain(p.Value)
		case message.Symbol:
			(*into)[string(k)] = plain(p.Value)
		}
	}
	return nil
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
