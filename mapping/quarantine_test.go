package mapping_test

import (
	"encoding/json"
	"maps"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	"pgregory.net/rapid"

	"sluice/amqp/message"
	"sluice/mapping"
	"sluice/mapping/failure"
	"sluice/mqtt/packet"
)

func aRefusal() *mapping.Refusal {
	return &mapping.Refusal{
		ID: "q1", Device: mapping.Publisher{Tenant: "acme", Principal: "meter-7", ClientID: "c7"},
		User: []packet.UserProperty{{Key: "line", Value: "3"}, {Key: "line", Value: "4"}},
		Occurrence: failure.Occurrence{
			Failure: failure.DeliveryRefused, Trace: failure.Trace{1}, At: noon, Text: "no JSON", Reason: packet.PayloadFormatInvalid,
			Topic: "a/b", QoS: 1, PacketID: 9, MessageID: "m1",
		},
	}
}

func dialects() []mapping.Dialect {
	return []mapping.Dialect{
		mapping.RabbitMQ, mapping.RabbitMQ.WithForm(mapping.Form{Marks: mapping.MarksInProperties}), mapping.Artemis("mqtt"),
	}
}

// Whatever a device has published goes into the quarantine with its reason and comes out of it as it was, also through a bus that adds its own annotations.
func TestQuarantineAndBack(t *testing.T) {
	for _, d := range dialects() {
		rapid.Check(t, func(t *rapid.T) {
			p := genPublish(t)
			m, _ := mapping.Uplink(mapping.UplinkMessage{Dialect: d, Publish: p, From: device, MessageID: "m1", Received: noon})
			in := d.Quarantine(m, d.ToQueue("q"), aRefusal())
			if in.Properties.To != d.ToQueue("q") || !in.Header.Durable || in.Header.TTL != 0 {
				t.Fatalf("it would go to %q, durable %v, ttl %v", in.Properties.To, in.Header.Durable, in.Header.TTL)
			}
			in.Header.FirstAcquirer, in.Header.DeliveryCount = true, 2
			if in.Annotations == nil {
				in.Annotations = map[string]any{}
			}
			in.Annotations["x-exchange"], in.Annotations["x-routing-key"] = "", "q"
			back, ok := d.Release(in)
			if !ok {
				t.Fatal("it does not come back")
			}
			want := *m
			want.Header.TTL = m.Header.TTL.Truncate(time.Millisecond)
			want.ApplicationProperties = maps.Clone(m.ApplicationProperties)
			delete(want.ApplicationProperties, "_AMQ_DUPL_ID") // TestReleaseIsNoDuplicate
			if diff := cmp.Diff(&want, back, cmpopts.EquateEmpty()); diff != "" {
				t.Fatalf("(-before +after):\n%s", diff)
			}
			q, ok := mapping.ReadQuarantined(in)
			wantQ := mapping.Quarantined{
				ID: "q1", Address: m.Properties.To, Name: "delivery-refused", Condition: "sluice:refused-by-device", Reason: "no JSON", Tenant: "acme",
				Principal: "meter-7", Client: "c7", Topic: "a/b", Trace: failure.Trace{1}.String(), At: noon, Code: packet.PayloadFormatInvalid, PacketID: 9,
				User: aRefusal().User,
			}
			if diff := cmp.Diff(wantQ, q); diff != "" || !ok {
				t.Fatalf("what it says (-want +got):\n%s", diff)
			}
		})
	}
}

// A message that is refused again says why it was the last time only.
func TestQuarantinedTwiceHasOneReason(t *testing.T) {
	d := mapping.RabbitMQ
	first := aRefusal()
	first.Rule, first.Detail = "old rule", "old detail"
	m := &message.Message{Properties: message.Properties{To: "/queues/x"}, Data: [][]byte{[]byte("p")}}
	released, _ := d.Release(d.Quarantine(m, "/queues/q", first))
	q, _ := mapping.ReadQuarantined(d.Quarantine(released, "/queues/q", aRefusal()))
	if q.Rule != "" || q.Detail != "" || q.Address != "/queues/x" {
		t.Errorf("%+v", q)
	}
}

// A backend's message that came by a routing key goes back there, and its own to is not lost.
func TestQuarantineOfABackendsMessage(t *testing.T) {
	d := mapping.RabbitMQ
	m := &message.Message{
		Annotations: map[string]any{"x-exchange": "amq.topic", "x-routing-key": "a.b", "x-opt-strange": message.Described{}},
		Properties:  message.Properties{To: "whoever", UserID: []byte("backend")},
		Value:       "text", HasValue: true,
	}
	in := d.Quarantine(m, "/queues/q", aRefusal())
	if in.Properties.UserID != nil || in.Annotations["x-opt-sluice-quarantine-to"] != "whoever" || string(in.Annotations["x-opt-sluice-quarantine-user-id"].([]byte)) != "backend" {
		t.Errorf("properties %+v, annotations %v", in.Properties, in.Annotations)
	}
	if _, there := in.Annotations["x-opt-strange"]; there {
		t.Error("what no client can write is to be written")
	}
	back, _ := d.Release(in)
	if back.Properties.To != "/exchanges/amq.topic/a.b" || back.Value != "text" {
		t.Errorf("released: %+v", back)
	}
	if _, ok := d.Release(m); ok {
		t.Error("a message that is not from the quarantine is released")
	}
}

// On Artemis a replay must not be taken for the copy of a message that the address has had.
func TestReleaseIsNoDuplicate(t *testing.T) {
	d := mapping.Artemis("mqtt")
	m, _ := mapping.Uplink(mapping.UplinkMessage{Dialect: d, Publish: &packet.Publish{Topic: "a", QoS: 2}, From: device, MessageID: "m1", Received: noon})
	if m.ApplicationProperties["_AMQ_DUPL_ID"] == nil {
		t.Fatal("this test is blind")
	}
	if back, _ := d.Release(d.Quarantine(m, "q", aRefusal())); back.ApplicationProperties["_AMQ_DUPL_ID"] != nil {
		t.Error("the bus would drop it")
	}
}

func TestFeedback(t *testing.T) {
	d := mapping.RabbitMQ
	asked := message.Properties{MessageID: "m1", ReplyTo: "/queues/answers"}
	correlated := asked
	correlated.CorrelationID = []byte{1, 2}
	for name, c := range map[string]struct {
		properties  message.Properties
		annotations map[string]any
		correlation any
		told        bool
	}{
		"by message-id":     {asked, nil, "m1", true},
		"by correlation-id": {correlated, nil, []byte{1, 2}, true},
		"nobody asked":      {message.Properties{MessageID: "m1"}, nil, nil, false},
		"not on this bus":   {message.Properties{ReplyTo: "answers@elsewhere"}, nil, nil, false},
		"from a device":     {asked, map[string]any{mapping.AnnotationClient: "c9"}, nil, false},
	} {
		f := d.Feedback(&message.Message{Properties: c.properties, Annotations: c.annotations}, aRefusal(), true)
		if (f != nil) != c.told {
			t.Errorf("%s: %+v", name, f)
		}
		if f == nil {
			continue
		}
		if diff := cmp.Diff(c.correlation, f.Properties.CorrelationID); diff != "" || f.Properties.To != "/queues/answers" || f.Properties.Subject != mapping.FeedbackSubject || f.Properties.ReplyTo != "" {
			t.Errorf("%s: %+v", name, f.Properties)
		}
		var body map[string]any
		if err := json.Unmarshal(f.Data[0], &body); err != nil {
			t.Fatal(err)
		}
		want := map[string]any{
			"code": 153.0, "name": "delivery-refused", "error": "sluice:refused-by-device", "message": "no JSON", "topic": "a/b", "client": "c7", "message_id": "m1",
			"quarantine_id": "q1", "trace": failure.Trace{1}.String(), "time": "2026-01-02T12:00:00Z", "user_properties": map[string]any{"line": []any{"3", "4"}},
		}
		if diff := cmp.Diff(want, body); diff != "" {
			t.Errorf("%s (-want +got):\n%s", name, diff)
		}
	}
}
