package mapping_test

import (
	"errors"
	"math"
	"slices"
	"strings"
	"testing"
	"time"

	"sluice/amqp/message"
	"sluice/mapping"
	"sluice/mqtt/packet"
)

var someUUID = message.UUID{0x01, 0x23, 0x45, 0x67, 0x89, 0xab, 0xcd, 0xef, 0x01, 0x23, 0x45, 0x67, 0x89, 0xab, 0xcd, 0xef}

// backend is a message from an application that knows nothing of us, as RabbitMQ hands it out, with one thing changed.
func backend(change func(*message.Message)) *message.Message {
	m := &message.Message{
		Header:      message.Header{Priority: message.DefaultPriority},
		Annotations: map[string]any{"x-exchange": "amq.topic", "x-routing-key": "a.b"},
		Properties:  message.Properties{MessageID: "m1"},
		Data:        [][]byte{[]byte("x")},
	}
	if change != nil {
		change(m)
	}
	return m
}

type downlinkRow struct {
	title  string
	change func(*message.Message)
}

// resolver says one topic for one address, as rules do.
type resolver struct {
	at    mapping.Address
	topic string
}

func (r resolver) Sends(topic string, _ packet.QoS, _ mapping.Publisher, to mapping.Address) bool {
	return topic == r.topic && to == r.at
}

func (r resolver) Topic(at mapping.Address, _ string) (string, bool) { return r.topic, at == r.at }

func topicRows() []downlinkRow {
	toQueue := func(m *message.Message) {
		m.Annotations = map[string]any{"x-exchange": "", "x-routing-key": "sluice.q"}
	}
	bare := func(m *message.Message) { m.Annotations = nil }
	return []downlinkRow{
		{"x-routing-key / plain backend message", nil},
		{"x-routing-key / of RabbitMQ's MQTT plugin, QoS 1", func(m *message.Message) { m.Header.Durable, m.Properties = true, message.Properties{} }},
		{"x-opt-mqtt-topic / agrees", func(m *message.Message) {
			m.Annotations["x-routing-key"], m.Annotations[mapping.AnnotationTopic] = "v1%2E2.b", "v1.2/b"
		}},
		{"x-opt-mqtt-topic / stale", func(m *message.Message) { m.Annotations[mapping.AnnotationTopic] = "other" }},
		{"address, subject", func(m *message.Message) {
			m.Annotations = map[string]any{"x-exchange": "legacy", "x-routing-key": "dev-7"}
		}},
		{"x-opt-mqtt-topic / a rule sends it here", func(m *message.Message) {
			m.Annotations = map[string]any{"x-exchange": "legacy", "x-routing-key": "dev-7", mapping.AnnotationTopic: "by/rule"}
		}},
		{"x-opt-mqtt-topic / invalid", func(m *message.Message) { m.Annotations[mapping.AnnotationTopic] = "a/+" }},
		{"x-opt-mqtt-topic / to a queue", func(m *message.Message) { toQueue(m); m.Annotations[mapping.AnnotationTopic] = "cmd/7" }},
		{"subject, then plain to / subject, to a queue", func(m *message.Message) { toQueue(m); m.Properties.Subject = "cmd/7" }},
		{"subject, then plain to / neither, to a queue", toQueue},
		{"x-routing-key / foreign", func(m *message.Message) { m.Annotations["x-routing-key"] = "50%.x y" }},
		{"x-routing-key / with a wildcard", func(m *message.Message) { m.Annotations["x-routing-key"] = "a.#" }},
		{"subject, then plain to / empty routing key", func(m *message.Message) { m.Annotations["x-routing-key"] = ""; m.Properties.Subject = "s/1" }},
		{"to /exchanges/x/key", func(m *message.Message) { bare(m); m.Properties.To = "/exchanges/amq.topic/a.v1%252E2" }},
		{"subject, then plain to / bus without annotations, subject", func(m *message.Message) { bare(m); m.Properties.Subject = "s.1/x" }},
		{"subject, then plain to / bus without annotations, plain to", func(m *message.Message) { bare(m); m.Properties.To = "plain/to" }},
		{"subject, then plain to / bus without annotations, to a queue", func(m *message.Message) { bare(m); m.Properties.To = "/queues/q" }},
		{"subject, then plain to / with U+0000", func(m *message.Message) { bare(m); m.Properties.Subject = "a\x00" }},
		{"subject, then plain to / too long", func(m *message.Message) { bare(m); m.Properties.Subject = strings.Repeat("x", 65536) }},
		{"x-routing-key / not UTF-8", func(m *message.Message) { m.Annotations["x-routing-key"] = "a\xff" }},
	}
}

func headerRows() []downlinkRow {
	annotate := func(name string, v any) func(*message.Message) {
		return func(m *message.Message) { m.Annotations[name] = v }
	}
	return []downlinkRow{
		{"header durable", func(m *message.Message) { m.Header.Durable = true }},
		{"x-opt-mqtt-qos / 2", annotate(mapping.AnnotationQoS, uint8(2))},
		{"x-opt-mqtt-qos / 0 beats durable", func(m *message.Message) { m.Header.Durable = true; m.Annotations[mapping.AnnotationQoS] = int64(0) }},
		{"x-opt-mqtt-qos / 3", annotate(mapping.AnnotationQoS, uint8(3))},
		{"x-opt-mqtt-qos / 256", annotate(mapping.AnnotationQoS, uint32(256))},
		{"x-opt-mqtt-qos / negative", annotate(mapping.AnnotationQoS, int32(-1))},
		{"x-opt-mqtt-qos / text", annotate(mapping.AnnotationQoS, "1")},
		{"x-opt-mqtt-retain", annotate(mapping.AnnotationRetain, true)},
		{"x-opt-mqtt-payload-format", annotate(mapping.AnnotationPayloadFormat, uint8(1))},
		{"header priority", func(m *message.Message) { m.Header.Priority = 9 }},
		{"header ttl", func(m *message.Message) { m.Header.TTL = 1500 * time.Millisecond }},
		{"absolute-expiry-time", func(m *message.Message) {
			m.Properties.AbsoluteExpiry = noon.Add(time.Minute)
			m.Header.TTL = time.Hour
		}},
		{"absolute-expiry-time / past", func(m *message.Message) { m.Properties.AbsoluteExpiry = noon.Add(-time.Minute) }},
		{"absolute-expiry-time / far", func(m *message.Message) { m.Properties.AbsoluteExpiry = noon.AddDate(200, 0, 0) }},
		{"annotations of the bus", func(m *message.Message) {
			m.Annotations["x-delivery-count"], m.Annotations["x-acquired-count"] = int64(2), int64(2)
			m.Annotations["x-opt-deaths"], m.Annotations["x-opt-rabbitmq-received-time"] = []any{}, noon
		}},
		{"first-acquirer, delivery-count", func(m *message.Message) { m.Header.FirstAcquirer, m.Header.DeliveryCount = true, 3 }},
		{"x-opt-sluice-for, -retained", func(m *message.Message) {
			m.Annotations = map[string]any{"x-exchange": "", "x-routing-key": "inbox", mapping.AnnotationTopic: "a/b",
				mapping.AnnotationFor: "a/+", mapping.AnnotationRetainedCopy: true}
		}},
		{"other annotations", annotate("x-color", "red")},
		{"x-opt-sluice-*", func(m *message.Message) {
			m.Annotations[mapping.AnnotationTenant], m.Annotations[mapping.AnnotationPrincipal] = "acme", "p"
			m.Annotations[mapping.AnnotationClient], m.Annotations[mapping.AnnotationNode] = "c", "n"
			m.Annotations[mapping.AnnotationTime], m.Properties.CreationTime = noon, noon
			m.Annotations[mapping.AnnotationPossibleDuplicate] = true
		}},
		{"x-opt-sluice-* / of a wrong type", annotate(mapping.AnnotationClient, uint8(1))},
	}
}

func propertyRows() []downlinkRow {
	id := func(v any) func(*message.Message) { return func(m *message.Message) { m.Properties.MessageID = v } }
	correlation := func(v any) func(*message.Message) { return func(m *message.Message) { m.Properties.CorrelationID = v } }
	reply := func(to string) func(*message.Message) { return func(m *message.Message) { m.Properties.ReplyTo = to } }
	return []downlinkRow{
		{"message-id / ulong", id(uint64(42))},
		{"message-id / uuid", id(someUUID)},
		{"message-id / binary", id([]byte{1, 2, 0xff})},
		{"message-id / long", id(strings.Repeat("i", 200))},
		{"message-id / absent", id(nil)},
		{"content-type", func(m *message.Message) { m.Properties.ContentType = "text/plain" }},
		{"x-opt-mqtt-content-type", func(m *message.Message) { m.Annotations[mapping.AnnotationContentType] = "Größe" }},
		{"x-opt-mqtt-content-type / content-type beats it", func(m *message.Message) {
			m.Properties.ContentType, m.Annotations[mapping.AnnotationContentType] = "text/plain", "Größe"
		}},
		{"reply-to / topic", reply("/exchanges/amq.topic/re.v1%252E0")},
		{"reply-to / queue", reply("/queues/answers")},
		{"reply-to / other exchange", reply("/exchanges/x/re")},
		{"reply-to / with a wildcard", reply("/exchanges/amq.topic/re.%23")},
		{"reply-to / a key that no topic has", reply("/exchanges/amq.topic/50%25")},
		{"reply-to / plain", reply("answers")},
		{"x-opt-mqtt-response-topic", func(m *message.Message) { m.Annotations[mapping.AnnotationResponseTopic] = "re/7" }},
		{"x-opt-mqtt-response-topic / reply-to has another", func(m *message.Message) {
			m.Properties.ReplyTo, m.Annotations[mapping.AnnotationResponseTopic] = "/exchanges/amq.topic/re.8", "re/7"
		}},
		{"x-opt-mqtt-response-topic / reply-to is no topic", func(m *message.Message) {
			m.Properties.ReplyTo, m.Annotations[mapping.AnnotationResponseTopic] = "/queues/q", "re/7"
		}},
		{"correlation-id / binary", correlation([]byte{0, 0xff})},
		{"correlation-id / string", correlation("abc")},
		{"correlation-id / ulong", correlation(uint64(math.MaxUint64))},
		{"correlation-id / uuid", correlation(someUUID)},
		{"correlation-id / too long", correlation(strings.Repeat("c", 65536))},
		{"subject", func(m *message.Message) { m.Properties.Subject = "alarm" }},
		{"subject / is the topic", func(m *message.Message) { m.Properties.Subject = "a/b" }},
		{"creation-time", func(m *message.Message) { m.Properties.CreationTime = noon.Add(-time.Second) }},
		{"content-encoding", func(m *message.Message) { m.Properties.ContentEncoding = "gzip" }},
		{"group-id, group-sequence", func(m *message.Message) {
			sequence := uint32(5)
			m.Properties.GroupID, m.Properties.GroupSequence = "g", &sequence
		}},
		{"user-id", func(m *message.Message) { m.Properties.UserID = []byte("guest") }},
		{"reply-to-group-id", func(m *message.Message) { m.Properties.ReplyToGroupID = "rg" }},
		{"to", func(m *message.Message) { m.Properties.To = "/exchanges/other/key" }},
		{"application-properties / of all types", func(m *message.Message) {
			m.ApplicationProperties = map[string]any{
				"string": "ü", "symbol": message.Symbol("s"), "true": true, "false": false, "null": nil,
				"ubyte": uint8(255), "ushort": uint16(65535), "uint": uint32(math.MaxUint32), "ulong": uint64(math.MaxUint64),
				"byte": int8(-128), "short": int16(-1), "int": int32(-5), "long": int64(math.MinInt64),
				"float": float32(0.1), "double": 0.1, "large": 1e300, "nan": math.NaN(), "inf": math.Inf(1), "-inf": math.Inf(-1),
				"timestamp": noon.Add(678 * time.Millisecond), "uuid": someUUID, "binary": []byte{0, 0xff},
				"list": []any{1}, "map": map[string]any{}, "described": message.Described{}, "opaque": message.Opaque{Type: "decimal32"},
			}
		}},
		{"application-properties / that are no MQTT text", func(m *message.Message) {
			m.ApplicationProperties = map[string]any{"nul": "a\x00", "utf8": "\xff", "long": strings.Repeat("x", 65536), "k\x00": "v"}
		}},
		{"sluice-*", func(m *message.Message) { m.ApplicationProperties = map[string]any{"sluice-error": "x", "a": "1"} }},
		{"traceparent, tracestate", func(m *message.Message) {
			m.ApplicationProperties = map[string]any{"a": "1"}
			m.Annotations["traceparent"], m.Annotations["tracestate"] = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01", "vendor=1"
		}},
		{"traceparent, tracestate / beside the sender's own", func(m *message.Message) {
			m.ApplicationProperties = map[string]any{"traceparent": "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01", "tracestate": "vendor=1"}
			m.Annotations["traceparent"], m.Annotations["tracestate"] = "00-4bf92f3577b34da6a3ce929d0e0e4736-53995c3f42cd8ad8-01", "vendor=1"
		}},
		{"traceparent, tracestate / of a wrong type", func(m *message.Message) { m.Annotations["traceparent"] = uint64(1) }},
		{"x-opt-mqtt-user-properties", func(m *message.Message) {
			m.ApplicationProperties = map[string]any{"a": "1", "b": "2", "later": int32(3)}
			m.Annotations[mapping.AnnotationUser] = []any{"b", "2", "a", "1", "b", "3"}
		}},
		{"x-opt-mqtt-user-properties / stale", func(m *message.Message) {
			m.ApplicationProperties = map[string]any{"a": "changed", "b": "2"}
			m.Annotations[mapping.AnnotationUser] = []any{"b", "2", "a", "1"}
		}},
		{"x-opt-mqtt-user-properties / broken", func(m *message.Message) {
			m.ApplicationProperties = map[string]any{"a": "1"}
			m.Annotations[mapping.AnnotationUser] = []any{"a", "1", "b"}
		}},
	}
}

func bodyRows() []downlinkRow {
	value := func(v any) func(*message.Message) {
		return func(m *message.Message) { m.Data, m.HasValue, m.Value = nil, true, v }
	}
	return []downlinkRow{
		{"no body", func(m *message.Message) { m.Data = nil }},
		{"data, one or more / one, empty", func(m *message.Message) { m.Data = [][]byte{{}} }},
		{"data, one or more / three", func(m *message.Message) { m.Data = [][]byte{[]byte("a"), {}, []byte("bc")} }},
		{"amqp-value string, symbol / string", value("grün")},
		{"amqp-value string, symbol / string that is no UTF-8", value("\xff")},
		{"amqp-value string, symbol / symbol", value(message.Symbol("s"))},
		{"amqp-value binary, null / binary", value([]byte{0, 0xff})},
		{"amqp-value binary, null / null", value(nil)},
		{"amqp-value other simple / int", value(int32(-7))},
		{"amqp-value other simple / boolean", value(true)},
		{"amqp-value other simple / timestamp", value(noon)},
		{"amqp-value list, map, ... / list", value([]any{"a"})},
		{"amqp-value list, map, ... / map", value(map[string]any{"a": 1})},
		{"amqp-value list, map, ... / described", value(message.Described{})},
		{"amqp-value list, map, ... / opaque", value(message.Opaque{Type: "decimal128"})},
		{"amqp-sequence", func(m *message.Message) { m.Data, m.Sequence = nil, [][]any{{"a"}} }},
	}
}

// formRows are about names that have a meaning among application properties: marks, where the bus takes no annotations, and CloudEvents.
func formRows() []downlinkRow {
	properties := func(pairs ...any) func(*message.Message) {
		return func(m *message.Message) {
			m.ApplicationProperties = make(map[string]any)
			for i := 0; i < len(pairs); i += 2 {
				m.ApplicationProperties[pairs[i].(string)] = pairs[i+1]
			}
		}
	}
	event := func(prefix string, more ...any) func(*message.Message) {
		return properties(append([]any{prefix + "specversion", "1.0", prefix + "id", "7", prefix + "source", "/hall", prefix + "type", "a.b"}, more...)...)
	}
	return []downlinkRow{
		{"x-opt-mqtt-*, x-opt-sluice-*", properties(mapping.AnnotationTopic, "a/b", mapping.AnnotationQoS, uint8(2), mapping.AnnotationRetain, true,
			mapping.AnnotationContentType, "Größe", mapping.AnnotationPayloadFormat, uint8(1), mapping.AnnotationUser, `["b","2","a","1"]`, "a", "1", "b", "2",
			mapping.AnnotationTenant, "acme", mapping.AnnotationPrincipal, "p", mapping.AnnotationClient, "c", mapping.AnnotationNode, "n",
			mapping.AnnotationTime, noon, mapping.AnnotationPossibleDuplicate, true)},
		{"x-opt-mqtt-*, x-opt-sluice-* / of a wrong type", properties(mapping.AnnotationQoS, "2", mapping.AnnotationUser, `["a",1]`, mapping.AnnotationClient, int32(1))},
		{"x-opt-mqtt-*, x-opt-sluice-* / no JSON", properties(mapping.AnnotationUser, `["a"`)},
		{"x-opt-mqtt-*, x-opt-sluice-* / there as annotation, too", func(m *message.Message) {
			m.Annotations[mapping.AnnotationClient], m.ApplicationProperties = "c", map[string]any{mapping.AnnotationClient: "forged"}
		}},
		{"x-opt-mqtt-*, x-opt-sluice-* / unknown names stay", properties("x-opt-mqtt-color", "red")},
		{"cloudEvents:*, cloudEvents_*", event("cloudEvents:", "cloudEvents:time", noon, "cloudEvents:n", int64(-5), "cloudEvents:ok", true, "cloudEvents:bin", []byte{0, 0xff})},
		{"cloudEvents:*, cloudEvents_* / cloudEvents_", event("cloudEvents_", "cloudEvents:id", "of the other form")},
		{"cloudEvents:*, cloudEvents_* / an attribute is missing", properties("cloudEvents:id", "7", "cloudEvents:type", "a", "cloudEvents:source", "s")},
		{"cloudEvents:*, cloudEvents_* / structured mode", func(m *message.Message) {
			event("cloudEvents:")(m)
			m.Properties.ContentType = "application/cloudevents+json"
		}},
		{"cloudEvents:*, cloudEvents_* / of a device that has ce-", func(m *message.Message) {
			event("cloudEvents:")(m)
			m.Annotations[mapping.AnnotationUser] = []any{"ce-type", "a.b", "ce-id", "7", "ce-source", "/hall", "ce-specversion", "1.0"}
		}},
		{"cloudEvents:*, cloudEvents_* / of a device that has AMQP's names", func(m *message.Message) {
			event("cloudEvents:")(m)
			m.Annotations[mapping.AnnotationUser] = []any{"cloudEvents:type", "a.b", "cloudEvents:id", "7", "cloudEvents:source", "/hall", "cloudEvents:specversion", "1.0"}
		}},
		{"cloudEvents:*, cloudEvents_* / changed since", func(m *message.Message) {
			event("cloudEvents:")(m)
			m.Annotations[mapping.AnnotationUser] = []any{"id", "8", "source", "/hall", "specversion", "1.0", "type", "a.b"}
		}},
		{"cloudEvents:*, cloudEvents_* / a name that no attribute has", event("cloudEvents:", "cloudEvents:Trace-Id", "t")},
		{"beside a CloudEvent's / an event only by MQTT's names", properties("specversion", "1.0", "id", "7", "source", "/hall", "type", "a.b", "Trace-Id", "t")},
		{"beside a CloudEvent's", event("cloudEvents:", "site", "hall", "Trace-Id", "t")},
		{"beside a CloudEvent's / of the same name", event("cloudEvents:", "id", "8")},
	}
}

// Every row of the way down in the package comment.
func TestDownlinkGolden(t *testing.T) {
	rows := slices.Concat(topicRows(), headerRows(), propertyRows(), bodyRows(), formRows())
	titles := make([]string, len(rows))
	for i := range rows {
		titles[i] = rows[i].title
	}
	documented(t, titles, "AMQP")
	rules := resolver{at: mapping.Address{Exchange: "legacy", Key: "dev-7"}, topic: "by/rule"}
	golden(t, "downlink", titles, func(i int) string {
		d, losses, err := mapping.Downlink(backend(rows[i].change), mapping.DownlinkOptions{Now: noon, Rules: rules})
		if err == nil {
			return showDownlink(d) + showLosses(losses)
		}
		var undeliverable *mapping.Undeliverable
		if !errors.As(err, &undeliverable) {
			t.Errorf("error %v is no *Undeliverable", err)
			return ""
		}
		return "UNDELIVERABLE " + undeliverable.Condition + " " + undeliverable.Reason + "\n"
	})
}

func TestDownlinkFor311(t *testing.T) {
	full := backend(func(m *message.Message) { m.Properties.ContentType = "text/plain" })
	d, losses, err := mapping.Downlink(full, mapping.DownlinkOptions{Now: noon, Version: packet.V311})
	if err != nil || d.Publish.Properties.Set != 0 || d.Publish.Properties.User != nil {
		t.Errorf("%+v, %v", d.Publish.Properties, err)
	}
	if !slices.Contains(losses, mapping.Loss{Field: mapping.FieldAllProperties, Reason: mapping.ReasonNo311}) {
		t.Errorf("losses %v do not declare it", losses)
	}
	plain := backend(func(m *message.Message) { m.Properties = message.Properties{} })
	if _, losses, err := mapping.Downlink(plain, mapping.DownlinkOptions{Now: noon, Version: packet.V311}); err != nil || losses != nil {
		t.Errorf("without properties: losses %v, %v", losses, err)
	}
}

func TestMessageIDOfDeviceMessages(t *testing.T) {
	m, _ := mapping.Uplink(telemetry())
	d, _, err := mapping.Downlink(m, mapping.DownlinkOptions{Now: noon, MessageID: true})
	if err != nil || !slices.Equal(d.Publish.Properties.User, user(mapping.UserMessageID, "acme/c7/1/42")) {
		t.Errorf("%v, %v", d.Publish.Properties.User, err)
	}
}

func BenchmarkDownlink(b *testing.B) {
	m, _ := mapping.Uplink(telemetry())
	m.Annotations["x-exchange"], m.Annotations["x-routing-key"] = "amq.topic", mapping.RabbitMQ.Key("plant/7/line/4/temperature")
	b.ReportAllocs()
	for b.Loop() {
		if _, _, err := mapping.Downlink(m, mapping.DownlinkOptions{Now: noon}); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkDownlinkBackend(b *testing.B) {
	m := backend(func(m *message.Message) { m.ApplicationProperties = map[string]any{"a": "1", "b": int32(2)} })
	b.ReportAllocs()
	for b.Loop() {
		if _, _, err := mapping.Downlink(m, mapping.DownlinkOptions{Now: noon}); err != nil {
			b.Fatal(err)
		}
	}
}
