package mapping_test

import (
	"math"
	"testing"
	"time"

	"sluice/amqp/message"
	"sluice/mapping"
	"sluice/mqtt/packet"
)

func user(pairs ...string) []packet.UserProperty {
	var list []packet.UserProperty
	for i := 0; i < len(pairs); i += 2 {
		list = append(list, packet.UserProperty{Key: pairs[i], Value: pairs[i+1]})
	}
	return list
}

type uplinkRow struct {
	title string
	in    mapping.UplinkMessage
}

func publish(p packet.Properties) *packet.Publish {
	return &packet.Publish{Topic: "t", Payload: []byte("x"), Properties: p}
}

func expiry(seconds uint32) packet.Properties {
	return packet.Properties{Set: packet.PropMessageExpiry, MessageExpiry: seconds}
}

// ruled is a message that a rule matched, with what rules always give.
func ruled(p packet.Properties, route mapping.Route) mapping.UplinkMessage {
	if route.To == "" {
		route.To, route.Subject = "/exchanges/e/k", "t"
	}
	if route.Priority == 0 {
		route.Priority = message.DefaultPriority
	}
	return mapping.UplinkMessage{Publish: publish(p), Route: &route}
}

func eventUp(form mapping.Form, attributes []packet.UserProperty) mapping.UplinkMessage {
	return mapping.UplinkMessage{Publish: publish(packet.Properties{Set: packet.PropContentType, ContentType: "text/plain", User: attributes}), Dialect: mapping.RabbitMQ.WithForm(form)}
}

func inProperties(p packet.Properties) mapping.UplinkMessage {
	return mapping.UplinkMessage{Publish: publish(p), Dialect: mapping.RabbitMQ.WithForm(mapping.Form{Marks: mapping.MarksInProperties}), PossibleDuplicate: true}
}

func uplinkRows() []uplinkRow {
	return []uplinkRow{
		{"QoS / 0, MQTT 3.1.1", mapping.UplinkMessage{Publish: &packet.Publish{Topic: "plant/7/temp", Payload: []byte("21.5")}}},
		{"QoS / 1", mapping.UplinkMessage{Publish: &packet.Publish{Topic: "t", QoS: 1, ID: 7, Payload: []byte("x")}}},
		{"DUP", mapping.UplinkMessage{Publish: &packet.Publish{Topic: "t", QoS: 2, ID: 7, Dup: true, Payload: []byte("x")}}},
		{"RETAIN", mapping.UplinkMessage{Publish: &packet.Publish{Topic: "t", Retain: true, Payload: []byte("x")}}},
		{"x-opt-sluice-possible-duplicate true", mapping.UplinkMessage{Publish: publish(packet.Properties{}), PossibleDuplicate: true}},
		{"Topic Name / with awkward characters", mapping.UplinkMessage{Publish: &packet.Publish{Topic: "/v1.2/a b/ü/*/50%/"}}},
		{"Payload / empty", mapping.UplinkMessage{Publish: &packet.Publish{Topic: "t"}}},
		{"Payload / bytes that are no text", mapping.UplinkMessage{Publish: &packet.Publish{Topic: "t", Payload: []byte{0, 0xff, 0xc3}}}},
		{"Payload Format / 0", mapping.UplinkMessage{Publish: publish(packet.Properties{Set: packet.PropPayloadFormat})}},
		{"Payload Format / 1", mapping.UplinkMessage{Publish: publish(packet.Properties{Set: packet.PropPayloadFormat, PayloadFormat: 1})}},
		{"Message Expiry", mapping.UplinkMessage{Publish: publish(packet.Properties{Set: packet.PropMessageExpiry, MessageExpiry: 60})}},
		{"Message Expiry / at once", mapping.UplinkMessage{Publish: publish(packet.Properties{Set: packet.PropMessageExpiry})}},
		{"Message Expiry / beyond what a ttl holds",
			mapping.UplinkMessage{Publish: publish(packet.Properties{Set: packet.PropMessageExpiry, MessageExpiry: 4294968})}},
		{"Message Expiry / longest",
			mapping.UplinkMessage{Publish: publish(packet.Properties{Set: packet.PropMessageExpiry, MessageExpiry: math.MaxUint32})}},
		{"Content Type", mapping.UplinkMessage{Publish: publish(packet.Properties{Set: packet.PropContentType, ContentType: "text/plain; charset=utf-8"})}},
		{"Content Type / not ASCII", mapping.UplinkMessage{Publish: publish(packet.Properties{Set: packet.PropContentType, ContentType: "Größe"})}},
		{"Content Type / empty", mapping.UplinkMessage{Publish: publish(packet.Properties{Set: packet.PropContentType})}},
		{"Response Topic", mapping.UplinkMessage{Publish: publish(packet.Properties{Set: packet.PropResponseTopic, ResponseTopic: "re/v1.0/c 7"})}},
		{"Response Topic / invalid", mapping.UplinkMessage{Publish: publish(packet.Properties{Set: packet.PropResponseTopic, ResponseTopic: "re/+"})}},
		{"Correlation Data", mapping.UplinkMessage{Publish: publish(packet.Properties{Set: packet.PropCorrelationData, CorrelationData: []byte{0, 1, 0xff}})}},
		{"Correlation Data / empty", mapping.UplinkMessage{Publish: publish(packet.Properties{Set: packet.PropCorrelationData})}},
		{"User Property", mapping.UplinkMessage{Publish: publish(packet.Properties{User: user("a", "1", "b", "ü")})}},
		{"order, repetition / order of their own", mapping.UplinkMessage{Publish: publish(packet.Properties{User: user("b", "1", "a", "2")})}},
		{"order, repetition / repeated", mapping.UplinkMessage{Publish: publish(packet.Properties{User: user("a", "1", "a", "2", "a", "1")})}},
		{"User Property / reserved",
			mapping.UplinkMessage{Publish: publish(packet.Properties{User: user("x-opt-sluice-client", "boss", "a", "1", "sluice-error", "no")})}},
		{"User Property / reserved only", mapping.UplinkMessage{Publish: publish(packet.Properties{User: user("sluice-msgid", "1")})}},
		{"Subscription Identifier", mapping.UplinkMessage{Publish: publish(packet.Properties{SubscriptionIDs: []uint32{3}})}},
		{"of a CloudEvent", eventUp(mapping.Form{}, user("specversion", "1.0", "id", "7", "source", "/hall", "type", "a.b", "Trace", "t", "sluice-x", "y"))},
		{"of a CloudEvent / cloudEvents_", eventUp(mapping.Form{Events: mapping.CloudEvents{AMQP: mapping.EventUnderscore}},
			user("id", "7", "source", "/hall", "specversion", "1.0", "type", "a.b"))},
		{"of a CloudEvent / ce-, as the Go SDK has it", eventUp(mapping.Form{}, user("ce-id", "7", "ce-source", "/hall", "ce-specversion", "1.0", "ce-type", "a.b", "unit", "C"))},
		{"of a CloudEvent / an attribute is missing", eventUp(mapping.Form{}, user("id", "7", "specversion", "1.0", "type", "a.b"))},
		{"of a CloudEvent / switched off", eventUp(mapping.Form{Events: mapping.CloudEvents{Off: true}}, user("id", "7", "source", "/hall", "specversion", "1.0", "type", "a.b"))},
		{"of a CloudEvent / structured mode", mapping.UplinkMessage{Publish: publish(packet.Properties{Set: packet.PropContentType,
			ContentType: "Application/CloudEvents+json", User: user("id", "7", "source", "/hall", "specversion", "1.0", "type", "a.b")})}},
		{"of a CloudEvent / named as on AMQP", eventUp(mapping.Form{}, user("cloudEvents:id", "7", "cloudEvents:source", "/hall", "cloudEvents:specversion", "1.0", "cloudEvents:type", "a.b"))},
		{"of a CloudEvent / a rule sets an attribute", mapping.UplinkMessage{
			Publish: publish(packet.Properties{User: user("id", "7", "source", "forged", "specversion", "1.0", "type", "a.b")}),
			Route:   &mapping.Route{To: "/exchanges/e/k", Priority: 4, Properties: []mapping.Property{{Name: "cloudEvents:source", Value: "/hall"}}}}},
		{"application-properties x-opt-*", inProperties(packet.Properties{Set: packet.PropPayloadFormat | packet.PropContentType, PayloadFormat: 1, ContentType: "Größe",
			User: user("b", "<1>", "a", "ü", "x-opt-sluice-client", "boss")})},
		{"application-properties x-opt-* / nothing else", inProperties(packet.Properties{})},
		{"application-properties x-opt-* / and the annotation of a rule", func() mapping.UplinkMessage {
			in := ruled(packet.Properties{}, mapping.Route{PartitionKey: "7"})
			in.Dialect = mapping.RabbitMQ.WithForm(mapping.Form{Marks: mapping.MarksInProperties})
			return in
		}()},
		{"Packet Identifier", mapping.UplinkMessage{Publish: &packet.Publish{Topic: "t", QoS: 1, ID: 65535, Payload: []byte("x")}}},
		{"Topic Alias", mapping.UplinkMessage{Publish: publish(packet.Properties{Set: packet.PropTopicAlias, TopicAlias: 3})}},
		{"message-id", mapping.UplinkMessage{Publish: publish(packet.Properties{})}},
		{"creation-time, x-opt-sluice-time", mapping.UplinkMessage{Publish: publish(packet.Properties{})}},
		{"x-opt-sluice-tenant, -principal, -client, -node", mapping.UplinkMessage{Publish: publish(packet.Properties{})}},
		{"header priority 4", mapping.UplinkMessage{Publish: publish(packet.Properties{})}},
		{"x-opt-sluice-tenant, -principal, -client, -node / empty ones", mapping.UplinkMessage{Publish: publish(packet.Properties{}), From: mapping.NewProvenance("", "", "c", "")}},
		{"To, Subject", ruled(packet.Properties{}, mapping.Route{To: "/queues/q", Subject: "temp"})},
		{"To, Subject / no subject", ruled(packet.Properties{}, mapping.Route{To: "/exchanges/e/k"})},
		{"ContentType", ruled(packet.Properties{}, mapping.Route{ContentType: "application/json"})},
		{"ContentType / and what the device says itself", ruled(
			packet.Properties{Set: packet.PropContentType, ContentType: "text/plain"}, mapping.Route{ContentType: "application/json"})},
		{"ContentEncoding", ruled(packet.Properties{}, mapping.Route{ContentEncoding: "gzip"})},
		{"GroupID", ruled(packet.Properties{}, mapping.Route{GroupID: "g"})},
		{"Priority", ruled(packet.Properties{}, mapping.Route{Priority: 7})},
		{"PartitionKey", ruled(packet.Properties{}, mapping.Route{PartitionKey: "7"})},
		{"TTL, TTLMax / without Message Expiry", ruled(packet.Properties{}, mapping.Route{TTL: time.Minute, TTLMax: time.Hour})},
		{"TTL, TTLMax / below the bound", ruled(expiry(30), mapping.Route{TTL: time.Minute, TTLMax: time.Hour})},
		{"TTL, TTLMax / bounds Message Expiry", ruled(expiry(3600), mapping.Route{TTLMax: time.Minute})},
		{"TTL, TTLMax / bounds what would live for ever", ruled(packet.Properties{}, mapping.Route{TTLMax: 50 * 24 * time.Hour})},
		{"TTL, TTLMax / leaves a Message Expiry of zero", ruled(expiry(0), mapping.Route{TTL: time.Minute, TTLMax: time.Hour})},
		{"Properties", ruled(packet.Properties{User: user("site", "forged", "a", "1")}, mapping.Route{Properties: []mapping.Property{{Name: "site", Value: "hall"}}})},
		{"Properties / repeated User Properties", ruled(
			packet.Properties{User: user("b", "1", "site", "x", "b", "2")}, mapping.Route{Properties: []mapping.Property{{Name: "site", Value: ""}}})},
		{"Content Type / a value that is not present", mapping.UplinkMessage{Publish: publish(packet.Properties{ContentType: "stale", MessageExpiry: 9})}},
	}
}

// Every row of the way up in the package comment.
func TestUplinkGolden(t *testing.T) {
	rows := uplinkRows()
	titles := make([]string, len(rows))
	for i := range rows {
		titles[i] = rows[i].title
	}
	documented(t, titles, "MQTT", "Route")
	golden(t, "uplink", titles, func(i int) string {
		in := rows[i].in
		if in.From == (mapping.Provenance{}) {
			in.From = device
		}
		in.MessageID, in.Received = "acme/c7/1/42", noon.Add(678*time.Millisecond+900*time.Microsecond)
		m, losses := mapping.Uplink(in)
		return showMessage(m) + showLosses(losses)
	})
}

func TestUplinkWithoutIdentity(t *testing.T) {
	m, _ := mapping.Uplink(mapping.UplinkMessage{
		Publish: &packet.Publish{Topic: "t"}, From: mapping.NewProvenance("", "", "c", ""), MessageID: "1", Received: noon,
	})
	for _, name := range []string{mapping.AnnotationTenant, mapping.AnnotationPrincipal, mapping.AnnotationNode} {
		if v, ok := m.Annotations[name]; ok {
			t.Errorf("%s is %v, want it absent", name, v)
		}
	}
	if m.Annotations[mapping.AnnotationClient] != "c" {
		t.Errorf("client is %v", m.Annotations[mapping.AnnotationClient])
	}
}

func TestUplinkSharesPayload(t *testing.T) {
	payload := make([]byte, 100)
	m, _ := mapping.Uplink(mapping.UplinkMessage{Publish: &packet.Publish{Topic: "t", Payload: payload}, MessageID: "1", Received: noon})
	if len(m.Data) != 1 || &m.Data[0][0] != &payload[0] {
		t.Error("the payload was copied")
	}
}

func telemetry() mapping.UplinkMessage {
	return mapping.UplinkMessage{
		Publish: &packet.Publish{
			Topic: "plant/7/line/4/temperature", QoS: 1, ID: 9, Payload: []byte("21.5"),
		},
		From: device, MessageID: "acme/c7/1/42", Received: noon,
	}
}

// uplinkAllocations is what one message may cost: itself, the map (2), to, and an interface value each for message-id, topic and time.
const uplinkAllocations = 7

func TestUplinkAllocations(t *testing.T) {
	in := telemetry()
	var m *message.Message
	if n := testing.AllocsPerRun(100, func() { m, _ = mapping.Uplink(in) }); n > uplinkAllocations || m == nil {
		t.Errorf("%v allocations, want at most %d", n, uplinkAllocations)
	}
}

func BenchmarkUplink(b *testing.B) {
	in := telemetry()
	b.ReportAllocs()
	for b.Loop() {
		mapping.Uplink(in)
	}
}

func BenchmarkUplinkUserProperties(b *testing.B) {
	in := telemetry()
	in.Publish.Properties.User = user("unit", "C", "sensor", "4", "sensor", "5")
	b.ReportAllocs()
	for b.Loop() {
		mapping.Uplink(in)
	}
}

func BenchmarkKey(b *testing.B) {
	b.ReportAllocs()
	for b.Loop() {
		mapping.RabbitMQ.Key("plant/7/line/4/temperature")
	}
}
