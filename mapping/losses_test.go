package mapping_test

import (
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"sluice/amqp/message"
	"sluice/amqp/section"
	"sluice/amqp/wire"
	"sluice/mapping"
	"sluice/mqtt/packet"
)

// genValue is a value of any type that a backend can send, simple ones more often.
func genValue() *rapid.Generator[any] {
	simple := rapid.OneOf(
		rapid.Just[any](nil), rapid.Map(rapid.Bool(), asAny), rapid.Map(rapid.Uint8(), asAny), rapid.Map(rapid.Uint16(), asAny), rapid.Map(rapid.Uint32(), asAny),
		rapid.Map(rapid.Uint64(), asAny), rapid.Map(rapid.Int8(), asAny), rapid.Map(rapid.Int16(), asAny), rapid.Map(rapid.Int32(), asAny),
		rapid.Map(rapid.Int64(), asAny), rapid.Map(rapid.Float32(), asAny), rapid.Map(rapid.Float64(), asAny), rapid.Map(text(8), asAny),
		rapid.Map(rapid.SliceOfN(rapid.Byte(), 0, 6), asAny), rapid.Just[any](message.Symbol("symbol")), rapid.Just[any](someUUID),
		rapid.Map(rapid.Int64Range(0, 4e12), func(ms int64) any { return time.UnixMilli(ms).UTC() }),
		rapid.Just[any](wire.Char('x')), rapid.Just[any](wire.Decimal64{1}), rapid.Just[any]("nul\x00"), tooLong(),
	)
	nested := rapid.OneOf(
		rapid.Map(rapid.SliceOfN(simple, 0, 3), func(l []any) any { return l }),
		rapid.Map(rapid.MapOfN(text(4), simple, 0, 3), func(m map[string]any) any { return m }),
		rapid.Map(simple, func(v any) any { return message.Described{Descriptor: message.Symbol("d"), Value: v} }),
		rapid.Just[any](wire.Map{{Key: int32(1), Value: "no text for a key"}}),
	)
	return rapid.OneOf(simple, simple, simple, simple, nested)
}

// tooLong is now and then a string that MQTT cannot hold. It is rare, since it takes long.
func tooLong() *rapid.Generator[any] {
	return rapid.Map(rapid.IntRange(0, 20), func(n int) any {
		if n == 20 {
			return strings.Repeat("x", 65536)
		}
		return "short"
	})
}

func asAny[T any](v T) any { return v }

// genAMQP is a message that a backend can send, as the bus delivers it. Half the time it has what a gateway or a well-informed backend writes.
func genAMQP(t *rapid.T) *message.Message {
	id := rapid.OneOf(rapid.Just[any](nil), rapid.Map(text(8), asAny), rapid.Map(rapid.Uint64(), asAny), rapid.Just[any](someUUID),
		rapid.Map(rapid.SliceOfN(rapid.Byte(), 1, 6), asAny), tooLong())
	word := rapid.SampledFrom([]string{"", "", "word", "a/b", "nul\x00"})
	at := func(name string) time.Time {
		if rapid.Bool().Draw(t, name+"?") {
			return time.Time{}
		}
		return noon.Add(time.Duration(rapid.Int64Range(-1e6, 1e13).Draw(t, name)) * time.Millisecond)
	}
	m := &message.Message{
		Header: message.Header{
			Durable: rapid.Bool().Draw(t, "durable"), Priority: rapid.SampledFrom([]uint8{4, 4, 0, 9}).Draw(t, "priority"),
			TTL:           time.Duration(rapid.SampledFrom([]int64{0, 0, 1, 1500, 4294967295}).Draw(t, "ttl")) * time.Millisecond,
			FirstAcquirer: rapid.Bool().Draw(t, "first"), DeliveryCount: rapid.Uint32Range(0, 2).Draw(t, "count"),
		},
		Annotations: map[string]any{"x-exchange": "amq.topic", "x-routing-key": mapping.RabbitMQ.Key(arbitraryName().Draw(t, "topic"))},
		Properties: message.Properties{
			MessageID: id.Draw(t, "message-id"), UserID: rapid.SliceOfN(rapid.Byte(), 0, 2).Draw(t, "user-id"), Subject: word.Draw(t, "subject"),
			ReplyTo: rapid.SampledFrom([]string{"", "plain", "/queues/q", "/exchanges/other/k", "/exchanges/amq.topic/re.v1%252E0",
				"/exchanges/amq.topic/50%25", "/exchanges/amq.topic/re.%23"}).Draw(t, "reply-to"),
			CorrelationID: id.Draw(t, "correlation-id"), ContentType: rapid.SampledFrom([]string{"", "text/plain", "application/cloudevents+json"}).Draw(t, "type"),
			ContentEncoding: rapid.SampledFrom([]string{"", "gzip"}).Draw(t, "encoding"), AbsoluteExpiry: at("expiry"), CreationTime: at("creation"),
			GroupID: word.Draw(t, "group"), ReplyToGroupID: word.Draw(t, "reply group"),
		},
	}
	if rapid.Bool().Draw(t, "sequence") {
		sequence := rapid.Uint32().Draw(t, "group-sequence")
		m.Properties.GroupSequence = &sequence
	}
	genMarks(t, m)
	genBody(t, m)
	return m
}

// genMarks fills annotations and application properties, also with names of ours in the one place and the other, with proper values and without.
func genMarks(t *rapid.T, m *message.Message) {
	names := rapid.OneOf(text(4), rapid.SampledFrom([]string{"a", "b", "sluice-x", "x-opt-y", "n\x00", "", "specversion", "id", "source", "type", "ce-id",
		mapping.AnnotationTopic, mapping.AnnotationQoS, mapping.AnnotationRetain, mapping.AnnotationContentType, mapping.AnnotationPayloadFormat,
		mapping.AnnotationUser, mapping.AnnotationTenant, mapping.AnnotationClient, mapping.AnnotationTime, mapping.AnnotationPossibleDuplicate,
		mapping.AnnotationPartitionKey, "x-opt-rabbitmq-received-time", "x-delivery-count"}))
	marks := map[string]*rapid.Generator[any]{
		mapping.AnnotationTopic:         rapid.Map(arbitraryName(), asAny),
		mapping.AnnotationQoS:           rapid.Map(rapid.Uint8Range(0, 2), asAny),
		mapping.AnnotationRetain:        rapid.Map(rapid.Bool(), asAny),
		mapping.AnnotationContentType:   rapid.Map(text(4), asAny),
		mapping.AnnotationPayloadFormat: rapid.Map(rapid.Uint8Range(0, 1), asAny),
		mapping.AnnotationResponseTopic: rapid.Map(arbitraryName(), asAny),
		mapping.AnnotationClient:        rapid.Map(text(4), asAny),
	}
	m.ApplicationProperties = rapid.MapOfN(names, genValue(), 0, 4).Draw(t, "application")
	maps.Copy(m.Annotations, rapid.MapOfN(names.Filter(func(s string) bool { return isASCII(s) }), genValue(), 0, 4).Draw(t, "annotations"))
	for _, name := range slices.Sorted(maps.Keys(marks)) {
		switch rapid.IntRange(0, 5).Draw(t, name) {
		case 0:
			m.Annotations[name] = marks[name].Draw(t, "mark")
		case 1:
			m.ApplicationProperties[name] = marks[name].Draw(t, "mark")
		}
	}
	if rapid.IntRange(0, 3).Draw(t, "event?") == 0 {
		prefix := rapid.SampledFrom([]string{"cloudEvents:", "cloudEvents_", "", "ce-"}).Draw(t, "prefix")
		for _, name := range []string{"specversion", "id", "source", "type"} {
			m.ApplicationProperties[prefix+name] = genValue().Draw(t, name)
		}
	}
	if rapid.IntRange(0, 3).Draw(t, "list?") == 0 {
		var list []any
		for key, value := range m.ApplicationProperties {
			if s, ok := value.(string); ok && len(s) < 100 {
				list = append(list, key, s)
			}
		}
		m.Annotations[mapping.AnnotationUser] = append(list, list...)
	}
}

func isASCII(s string) bool {
	return !strings.ContainsFunc(s, func(r rune) bool { return r == 0 || r > 0x7e })
}

func genBody(t *rapid.T, m *message.Message) {
	switch rapid.IntRange(0, 5).Draw(t, "body") {
	case 0:
		m.HasValue, m.Value = true, genValue().Draw(t, "value")
	case 1:
		m.Sequence = [][]any{rapid.SliceOfN(genValue(), 0, 2).Draw(t, "sequence")}
	case 2: // none
	default:
		m.Data = rapid.SliceOfN(rapid.SliceOfN(rapid.Byte(), 0, 6), 1, 3).Draw(t, "data")
	}
}

// AMQP -> MQTT -> AMQP: a device echoes what it gets. Whatever is different then is declared as a loss by one of the two ways, or is one of the few things
// that are always the gateway's own (ownWord).
func TestEveryDifferenceIsDeclared(t *testing.T) {
	check(t, func(t *rapid.T) {
		m := throughAMQP(t, genAMQP(t))
		d, down, err := mapping.Downlink(m, mapping.DownlinkOptions{Now: noon})
		if err != nil {
			var u *mapping.Undeliverable
			if !errors.As(err, &u) || u.Condition != "amqp:not-implemented" || len(m.Data) > 0 {
				t.Fatalf("a message with a topic and a body that has a form is undeliverable: %v", err)
			}
			return
		}
		p := throughMQTT(t, &d.Publish)
		back, up := mapping.Uplink(mapping.UplinkMessage{Publish: p, From: device, MessageID: "new", Received: noon})
		c := comparison{t: t, sent: m, back: throughAMQP(t, back), topic: p.Topic, down: down, up: up}
		c.header()
		c.properties()
		c.application()
		c.body()
		for name := range m.Annotations {
			if !ownWord(name) {
				c.declared("an annotation", mapping.FieldAnnotation, name)
			}
		}
		if d.Publish.QoS > 2 || strings.ContainsAny(p.Topic, "+#\x00") {
			t.Fatalf("not valid in MQTT: %+v", d.Publish)
		}
	})
}

// ownWord are annotations that are written anew on the way up, or by the bus on each way.
func ownWord(name string) bool {
	return strings.HasPrefix(name, "x-opt-mqtt-") || strings.HasPrefix(name, "x-opt-sluice-") || strings.HasPrefix(name, "x-opt-rabbitmq-") ||
		slices.Contains([]string{"x-exchange", "x-routing-key", "x-delivery-count"}, name)
}

// comparison holds a message against what comes back of it.
type comparison struct {
	t          *rapid.T
	sent, back *message.Message
	topic      string
	down, up   []mapping.Loss
}

// declared fails unless one of the ways has declared the loss.
func (c *comparison) declared(what string, f mapping.Field, name string) {
	c.t.Helper()
	same := func(l mapping.Loss) bool { return l.Field == f && l.Name == name }
	if !slices.ContainsFunc(c.down, same) && !slices.ContainsFunc(c.up, same) {
		c.t.Fatalf("%s (%s %q) is lost in silence; declared are %v and %v", what, f, name, c.down, c.up)
	}
}

// kept fails unless the two are the same or the loss is declared.
func (c *comparison) kept(sent, back any, f mapping.Field, name string) {
	c.t.Helper()
	if !cmp.Equal(sent, back) {
		c.declared(cmp.Diff(sent, back), f, name)
	}
}

func (c *comparison) header() {
	c.kept(c.sent.Header.Priority, c.back.Header.Priority, mapping.FieldPriority, "")
	if qos, ok := c.mark(mapping.AnnotationQoS); ok {
		c.kept(qos, c.back.Annotations[mapping.AnnotationQoS], mapping.FieldAnnotation, mapping.AnnotationQoS)
	} else if c.sent.Header.Durable != c.back.Header.Durable {
		c.t.Fatalf("durable %v became %v", c.sent.Header.Durable, c.back.Header.Durable)
	}
	expires := c.sent.Properties.AbsoluteExpiry
	if expires.IsZero() && c.sent.Header.TTL > 0 {
		expires = noon.Add(c.sent.Header.TTL)
	}
	if expires.IsZero() != c.back.Properties.AbsoluteExpiry.IsZero() {
		c.t.Fatalf("%v expires, then %v", expires, c.back.Properties.AbsoluteExpiry)
	}
	if expires.Before(noon) {
		return // never, or expired: then it is not sent
	}
	if late := c.back.Properties.AbsoluteExpiry.Sub(expires); late < 0 || late >= time.Second {
		c.declared("the expiry, "+late.String(), mapping.FieldExpiry, "")
	}
}

// mark is the value of a mark that Downlink believed, in the type it is written in: the annotation, else the application property.
func (c *comparison) mark(name string) (any, bool) {
	v, ok := c.sent.Annotations[name]
	if !ok {
		v, ok = c.sent.ApplicationProperties[name]
	}
	for _, l := range c.down {
		if l.Name == name && l.Reason == mapping.ReasonInvalid {
			return nil, false
		}
	}
	switch n := v.(type) {
	case uint16:
		v = uint8(n)
	case uint32:
		v = uint8(n)
	case uint64:
		v = uint8(n)
	case int8:
		v = uint8(n)
	case int16:
		v = uint8(n)
	case int32:
		v = uint8(n)
	case int64:
		v = uint8(n)
	}
	return v, ok
}

func (c *comparison) properties() {
	sent, back := &c.sent.Properties, &c.back.Properties
	// message-id, to and creation-time are the gateway's; those of backends are shown to devices, who cannot set them.
	if sent.Subject != "" && sent.Subject != c.topic {
		if !c.lost(mapping.FieldSubject) {
			c.declared("subject", mapping.FieldUserProperty, mapping.UserSubject)
		}
	}
	reply := sent.ReplyTo // or what stands in for it
	if mark, ok := c.mark(mapping.AnnotationResponseTopic); ok && reply == "" {
		reply = mapping.RabbitMQ.ToTopic(fmt.Sprint(mark))
	}
	c.kept(reply, back.ReplyTo, mapping.FieldReplyTo, "")
	c.kept(sent.CorrelationID, back.CorrelationID, mapping.FieldCorrelationID, "")
	media, again := sent.ContentType, back.ContentType
	if mark, ok := c.mark(mapping.AnnotationContentType); ok && media == "" {
		media = fmt.Sprint(mark)
	}
	if mark, ok := c.back.Annotations[mapping.AnnotationContentType]; ok {
		again = fmt.Sprint(mark)
	}
	c.kept(media, again, mapping.FieldContentType, "")
	for _, f := range []struct {
		there bool
		field mapping.Field
		user  string
	}{
		{sent.ContentEncoding != "", mapping.FieldEncoding, mapping.UserContentEncoding},
		{sent.GroupID != "", mapping.FieldGroupID, mapping.UserGroupID},
		{sent.GroupSequence != nil, "", mapping.UserGroupSequence},
	} {
		if f.there && !c.lost(f.field) {
			c.declared(f.user, mapping.FieldUserProperty, f.user)
		}
	}
	if len(sent.UserID) > 0 {
		c.declared("user-id", mapping.FieldUserID, "")
	}
	if sent.ReplyToGroupID != "" {
		c.declared("reply-to-group-id", mapping.FieldReplyToGroup, "")
	}
}

func (c *comparison) lost(f mapping.Field) bool {
	return slices.ContainsFunc(c.down, func(l mapping.Loss) bool { return l.Field == f })
}

func (c *comparison) application() {
	for key, value := range c.sent.ApplicationProperties {
		back, ok := c.back.ApplicationProperties[key]
		if attribute, isEvent := strings.CutPrefix(key, mapping.EventUnderscore); isEvent && !ok {
			back, ok = c.back.ApplicationProperties[mapping.EventColon+attribute] // the same attribute, as we write it
		}
		switch {
		case ok && cmp.Equal(value, back):
		case strings.HasPrefix(key, "x-opt-") && ownWord(key):
		default:
			c.lostProperty(key, value, back)
		}
	}
}

func (c *comparison) lostProperty(key string, value, back any) {
	asUser := func(l mapping.Loss) bool { return l.Field == mapping.FieldUserProperty && l.Name == key }
	if !slices.ContainsFunc(c.up, asUser) && !slices.ContainsFunc(c.down, asUser) {
		c.declared(cmp.Diff(value, back), mapping.FieldApplication, key)
	}
}

func (c *comparison) body() {
	switch {
	case len(c.sent.Data) == 1:
		if !cmp.Equal(c.sent.Data, c.back.Data) {
			c.t.Fatalf("the payload changed: %q, then %q", c.sent.Data, c.back.Data)
		}
		if format, ok := c.mark(mapping.AnnotationPayloadFormat); ok {
			c.kept(format, c.back.Annotations[mapping.AnnotationPayloadFormat], mapping.FieldAnnotation, mapping.AnnotationPayloadFormat)
		}
	case len(c.sent.Data) > 1 || c.sent.HasValue:
		c.declared("the body", mapping.FieldBody, "")
	case len(c.back.Data[0]) > 0:
		c.t.Fatalf("a body out of nothing: %q", c.back.Data)
	}
}

// throughAMQP encodes a message for the wire and decodes it again.
func throughAMQP(t *rapid.T, m *message.Message) *message.Message {
	t.Helper()
	encoded, err := section.EncodeMessage(m)
	if err != nil {
		t.Fatalf("encoding %+v: %v", m, err)
	}
	decoded, err := section.DecodeMessage(encoded)
	if err != nil {
		t.Fatalf("decoding: %v", err)
	}
	return decoded
}

// throughMQTT does the same with a PUBLISH packet of MQTT 5.
func throughMQTT(t *rapid.T, p *packet.Publish) *packet.Publish {
	t.Helper()
	c := *p
	if c.QoS > 0 {
		c.ID = 1
	}
	encoded, err := packet.Append(nil, &c, packet.V5)
	if err != nil {
		t.Fatalf("no valid PUBLISH: %v", err)
	}
	h, n, err := packet.ParseHeader(encoded)
	if err != nil {
		t.Fatal(err)
	}
	decoded := &packet.Publish{}
	if err := decoded.Decode(h, encoded[n:], packet.V5); err != nil {
		t.Fatalf("decoding: %v", err)
	}
	decoded.ID = 0
	return decoded
}
