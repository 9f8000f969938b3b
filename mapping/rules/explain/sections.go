package explain

import (
	"encoding/hex"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"

	"sluice/amqp/message"
	"sluice/mqtt/packet"
)

// payloadShown is how much of a payload is shown, in bytes: an explanation is about the rest.
const payloadShown = 256

// sections lists the sections of a message in the order of the standard [AMQP 3.2]. Absent fields are left out.
func sections(m *message.Message) []Section {
	list := []Section{{Name: "header", Fields: header(&m.Header)}}
	if len(m.Annotations) > 0 {
		list = append(list, Section{"message-annotations", entries(m.Annotations)})
	}
	list = append(list, Section{"properties", properties(&m.Properties)})
	if len(m.ApplicationProperties) > 0 {
		list = append(list, Section{"application-properties", entries(m.ApplicationProperties)})
	}
	body := Section{Name: "body", Fields: []Field{}}
	for _, data := range m.Data {
		body.Fields = append(body.Fields, field("data", data))
	}
	return append(list, body)
}

func header(h *message.Header) []Field {
	fields := []Field{field("durable", h.Durable), field("priority", h.Priority)}
	if h.TTL > 0 {
		fields = append(fields, Field{"ttl", "milliseconds", strconv.FormatInt(h.TTL.Milliseconds(), 10)})
	}
	return fields
}

func entries(values map[string]any) []Field {
	fields := make([]Field, 0, len(values))
	for _, name := range slices.Sorted(maps.Keys(values)) {
		fields = append(fields, field(name, values[name]))
	}
	return fields
}

func properties(p *message.Properties) []Field {
	fields := []Field{}
	add := func(name string, v any, present bool) {
		if present {
			fields = append(fields, field(name, v))
		}
	}
	add("message-id", p.MessageID, p.MessageID != nil)
	add("to", p.To, p.To != "")
	add("subject", p.Subject, p.Subject != "")
	add("reply-to", p.ReplyTo, p.ReplyTo != "")
	add("correlation-id", p.CorrelationID, p.CorrelationID != nil)
	add("content-type", message.Symbol(p.ContentType), p.ContentType != "")
	add("content-encoding", message.Symbol(p.ContentEncoding), p.ContentEncoding != "")
	add("absolute-expiry-time", p.AbsoluteExpiry, !p.AbsoluteExpiry.IsZero())
	add("creation-time", p.CreationTime, !p.CreationTime.IsZero())
	add("group-id", p.GroupID, p.GroupID != "")
	return fields
}

// publishFields lists a PUBLISH without its topic, in the order of the standard (MQTT 5, 3.3).
func publishFields(p *packet.Publish) []Field {
	fields := []Field{
		{"QoS", "", fmt.Sprintf("%d, or the subscription's if that is lower", p.QoS)},
		{"RETAIN", "", fmt.Sprintf("%v, as published", p.Retain)},
	}
	q := &p.Properties
	for _, property := range []struct {
		bit   packet.PropertySet
		name  string
		value any
	}{
		{packet.PropPayloadFormat, "Payload Format Indicator", q.PayloadFormat},
		{packet.PropMessageExpiry, "Message Expiry Interval", q.MessageExpiry},
		{packet.PropContentType, "Content Type", q.ContentType},
		{packet.PropResponseTopic, "Response Topic", q.ResponseTopic},
		{packet.PropCorrelationData, "Correlation Data", q.CorrelationData},
	} {
		if q.Has(property.bit) {
			fields = append(fields, Field{property.name, "", valueText(property.value)})
		}
	}
	for _, u := range q.User {
		fields = append(fields, Field{"User Property " + nameText(u.Key), "", valueText(u.Value)})
	}
	return append(fields, Field{"Payload", "", valueText(p.Payload)})
}

func field(name string, v any) Field { return Field{nameText(name), typeName(v), valueText(v)} }

// nameText quotes a name that would break the lines of a text, or that has no characters to be seen.
func nameText(s string) string {
	if s == "" || strings.ContainsFunc(s, func(r rune) bool { return r <= ' ' || r == 0x7f || r == utf8.RuneError }) {
		return strconv.Quote(s)
	}
	return s
}

// typeName is the AMQP type [AMQP 1.6].
func typeName(v any) string {
	switch v.(type) {
	case bool:
		return "boolean"
	case uint8:
		return "ubyte"
	case string:
		return "string"
	case message.Symbol:
		return "symbol"
	case []byte:
		return "binary"
	case time.Time:
		return "timestamp"
	case []any:
		return "list"
	}
	return strings.TrimPrefix(fmt.Sprintf("%T", v), "message.")
}

func valueText(v any) string {
	switch v := v.(type) {
	case time.Time:
		if d := v.Sub(received); d != 0 {
			return "the moment of receipt + " + d.String()
		}
		return "the moment of receipt"
	case string:
		if strings.HasPrefix(v, "(") && (v == someMessageID || v == someNode || v == someClient) {
			return v
		}
		return strconv.Quote(v)
	case message.Symbol:
		return strconv.Quote(string(v))
	case []any:
		texts := make([]string, len(v))
		for i := range v {
			texts[i] = valueText(v[i])
		}
		return strings.Join(texts, ", ")
	case []byte:
		return bytesText(v)
	}
	return fmt.Sprint(v)
}

func bytesText(b []byte) string {
	more := ""
	size := len(b)
	if size > payloadShown {
		b, more = b[:payloadShown], " ..."
	}
	text := "0x" + hex.EncodeToString(b)
	if utf8.Valid(b) {
		text = strconv.Quote(string(b))
	}
	unit := "bytes"
	if size == 1 {
		unit = "byte"
	}
	return fmt.Sprintf("%d %s: %s%s", size, unit, text, more)
}
