package mapping_test

import (
	"fmt"
	"maps"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"sluice/amqp/message"
	"sluice/mapping"
	"sluice/mqtt/packet"
)

// forms are all ways of writing messages.
var forms = []mapping.Form{
	{},
	{Marks: mapping.MarksInProperties, Events: mapping.CloudEvents{AMQP: mapping.EventUnderscore, MQTT: mapping.EventDashed}},
	{Events: mapping.CloudEvents{Off: true}},
}

// What a device gets of a copy is what it would have got of the message itself, but for the subscription it is for.
func TestACopyInAnInboxIsTheMessage(t *testing.T) {
	for _, form := range forms {
		t.Run(fmt.Sprintf("%+v", form), func(t *testing.T) { aCopyIsTheMessage(t, form) })
	}
}

func aCopyIsTheMessage(t *testing.T, form mapping.Form) {
	dialect := mapping.RabbitMQ.WithForm(form)
	now := time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)
	p := &packet.Publish{Topic: "a.b/c", QoS: 2, Retain: true, Payload: []byte("x")}
	p.Properties.SetMessageExpiry(60)
	p.Properties.User = []packet.UserProperty{{Key: "k", Value: "v"}}
	from := mapping.NewProvenance("t", "p", "c", "n")
	sent, _ := mapping.Uplink(mapping.UplinkMessage{Publish: p, From: from, MessageID: "m", Received: now, Dialect: dialect})
	plain, _, err := mapping.Downlink(sent, mapping.DownlinkOptions{Now: now})
	if err != nil {
		t.Fatal(err)
	}
	const inbox, filter = "/queues/sluice.session.c", "$share/g/a.b/#"
	// As the bus delivers it: by the default exchange, whose routing key is the queue's name.
	arrived := func(m *message.Message) *message.Message {
		c := *m
		c.Annotations = map[string]any{"x-exchange": "", "x-routing-key": "sluice.session.c"}
		maps.Copy(c.Annotations, m.Annotations)
		return &c
	}
	handed := mapping.HandOver(arrivedFromTopic(sent), dialect, plain.Publish.Topic, inbox, filter)
	if handed.Properties.To != inbox || handed.Properties.MessageID != "m" {
		t.Errorf("the copy goes to %q as %v", handed.Properties.To, handed.Properties.MessageID)
	}
	got, losses, err := mapping.Downlink(arrived(handed), mapping.DownlinkOptions{Now: now})
	if err != nil || losses != nil {
		t.Fatal(losses, err)
	}
	want := plain
	want.For, want.Identity = filter, mapping.DirectedIdentity(plain.Identity, filter)
	if d := cmp.Diff(want, got); d != "" {
		t.Errorf("handed over (-want +got):\n%s", d)
	}

	mapping.Direct(sent, dialect, inbox, "a.b/+")
	got, losses, err = mapping.Downlink(arrived(sent), mapping.DownlinkOptions{Now: now})
	if err != nil || losses != nil {
		t.Fatal(losses, err)
	}
	want.For, want.Retained, want.Identity = "a.b/+", true, mapping.DirectedIdentity(plain.Identity, "a.b/+")
	if d := cmp.Diff(want, got); d != "" {
		t.Errorf("retained copy (-want +got):\n%s", d)
	}
	if got.Identity == mapping.DirectedIdentity(plain.Identity, filter) || !mapping.Unique(got.Identity) {
		t.Errorf("identity %q", got.Identity)
	}
}

// arrivedFromTopic is a message as the topic exchange delivered it, with things in it that no client can send again.
func arrivedFromTopic(m *message.Message) *message.Message {
	c := *m
	c.Annotations = map[string]any{
		"x-exchange": "amq.topic", "x-routing-key": "a%2Eb.c", "x-opt-rabbitmq-received-time": int64(1),
		"x-opt-odd": []any{message.Opaque{Type: "decimal"}},
	}
	for k, v := range m.Annotations {
		c.Annotations[k] = v
	}
	c.Header.DeliveryCount = 3
	return &c
}

// A copy is for an inbox: a message with a topic elsewhere that only claims to be one is still read by its own words.
func TestAMessageForOneSubscriptionNeedsATopic(t *testing.T) {
	m := &message.Message{Annotations: map[string]any{mapping.AnnotationFor: "a/#", "x-exchange": "amq.topic", "x-routing-key": "a.b"}}
	d, _, err := mapping.Downlink(m, mapping.DownlinkOptions{})
	if err != nil || d.Publish.Topic != "a/b" || d.For != "a/#" {
		t.Errorf("%+v, %v", d, err)
	}
}

// A backend's message is on its topic what it was in the queue for retained messages.
func TestRepublish(t *testing.T) {
	now := time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)
	m := &message.Message{
		Header:                message.Header{Durable: true, Priority: message.DefaultPriority},
		Properties:            message.Properties{MessageID: "m", Subject: "state/a", To: "/queues/sluice.retained", ContentType: "text/plain"},
		Annotations:           map[string]any{"x-exchange": "", "x-routing-key": "sluice.retained"},
		ApplicationProperties: map[string]any{"k": "v"},
		Data:                  [][]byte{[]byte("on")},
	}
	want, _, err := mapping.Downlink(m, mapping.DownlinkOptions{Now: now})
	if err != nil {
		t.Fatal(err)
	}
	want.Publish.Retain = true
	out := mapping.Republish(m, mapping.RabbitMQ, want.Publish.Topic, "/exchanges/amq.topic/state.a")
	if out.Properties.To != "/exchanges/amq.topic/state.a" {
		t.Errorf("goes to %q", out.Properties.To)
	}
	got, _, err := mapping.Downlink(out, mapping.DownlinkOptions{Now: now})
	if err != nil {
		t.Fatal(err)
	}
	if d := cmp.Diff(want, got); d != "" {
		t.Errorf("-want +got:\n%s", d)
	}
}

// What is retained is an MQTT message: whether a subscriber gets it straight from the store or as a copy by the bus, it is the same.
func TestARetainedCopyTellsNothingOfItself(t *testing.T) {
	now := time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)
	m := &message.Message{
		Properties: message.Properties{MessageID: "m", Subject: "state/a", To: "/queues/q", CreationTime: now, GroupID: "g"},
		Data:       [][]byte{[]byte("on")}, ApplicationProperties: map[string]any{"k": "v"},
	}
	kept, _, err := mapping.Downlink(m, mapping.DownlinkOptions{Now: now, Bare: true})
	if err != nil {
		t.Fatal(err)
	}
	if d := cmp.Diff([]packet.UserProperty{{Key: "k", Value: "v"}}, kept.Publish.Properties.User); d != "" {
		t.Errorf("kept (-want +got):\n%s", d)
	}
	c, _ := mapping.Uplink(mapping.UplinkMessage{Publish: &kept.Publish, MessageID: "copy", Received: now.Add(time.Hour)})
	mapping.Direct(c, mapping.RabbitMQ, "/queues/inbox", "state/#")
	got, losses, err := mapping.Downlink(c, mapping.DownlinkOptions{Now: now})
	if err != nil || losses != nil {
		t.Fatal(losses, err)
	}
	if d := cmp.Diff(kept.Publish, got.Publish); d != "" {
		t.Errorf("as a copy (-kept +got):\n%s", d)
	}
}

// A backend's login is not claimed by the node that sends its message on: RabbitMQ would end the session of all its publishing.
func TestWhatIsSentOnHasNoUserID(t *testing.T) {
	m := &message.Message{Properties: message.Properties{UserID: []byte("backend"), MessageID: "m"}, Data: [][]byte{{1}}}
	for name, c := range map[string]*message.Message{
		"hand-over": mapping.HandOver(m, mapping.RabbitMQ, "a", "/queues/q", "a"),
		"retained":  mapping.Republish(m, mapping.RabbitMQ, "a", "/exchanges/amq.topic/a"),
	} {
		if c.Properties.UserID != nil || c.Properties.MessageID != "m" {
			t.Errorf("%s: the copy has %+v", name, c.Properties)
		}
	}
	if m.Properties.UserID == nil {
		t.Error("the message itself was changed")
	}
}
