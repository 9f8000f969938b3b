package mapping

import (
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"

	"sluice/amqp/message"
	"sluice/mqtt/packet"
	"sluice/mqtt/topic"
)

func azureUplink(d Dialect, p *packet.Publish, route *Route) *message.Message {
	m, _ := Uplink(UplinkMessage{Dialect: d, Publish: p, From: NewProvenance("t", "p", "client-1", "n"), MessageID: "id", Received: time.Unix(1, 0), Route: route})
	return m
}

func TestAzureAddresses(t *testing.T) {
	d := ServiceBus("devices", "commands")
	if d.HasKeys() || d.HasInboxes() || d.HasExchanges() || d.TellsUnrouted() {
		t.Error("it has keys, inboxes or exchanges, or tells who subscribes")
	}
	for _, a := range []Address{{Exchange: "devices"}, {Queue: "orders"}, {Queue: "telemetry/Partitions/1"}} {
		got, ok := d.ParseAddress(d.Format(a))
		if !ok || got != a {
			t.Errorf("%+v comes back as %+v, %v", a, got, ok)
		}
	}
	if a, ok := d.ParseAddress("Devices"); !ok || a.Exchange != "devices" {
		t.Errorf("names know no case: %+v", a)
	}
	if _, ok := d.ParseAddress(""); ok {
		t.Error("no address is one")
	}
}

// Topic and Response Topic cross an address that has no place for them.
func TestAzureRoundTrip(t *testing.T) {
	name := rapid.StringMatching(`[a-z$.%*:/ ]{1,12}`).Filter(func(s string) bool { return topic.ValidateName(s) == nil })
	rapid.Check(t, func(t *rapid.T) {
		d := rapid.SampledFrom([]Dialect{ServiceBus("devices", "commands"), EventHubs("hub", ""), ServiceBus("devices", "").WithForm(Form{Marks: MarksInProperties})}).Draw(t, "dialect")
		p := &packet.Publish{Topic: name.Draw(t, "topic"), QoS: 1, Payload: []byte("x")}
		p.Properties.ResponseTopic = name.Draw(t, "response topic")
		p.Properties.Set |= packet.PropResponseTopic
		m := azureUplink(d, p, nil)
		if m.Properties.To != d.Exchange() || m.Properties.Subject != p.Topic || m.Properties.ReplyTo != d.azure.replies {
			t.Fatalf("%+v", m.Properties)
		}
		back, _, err := Downlink(m, DownlinkOptions{Dialect: d, Now: time.Unix(2, 0)})
		if err != nil || back.Publish.Topic != p.Topic || back.Publish.Properties.ResponseTopic != p.Properties.ResponseTopic {
			t.Fatalf("came back as %q, %q: %v", back.Publish.Topic, back.Publish.Properties.ResponseTopic, err)
		}
	})
}

func TestAzureTopicOfABackend(t *testing.T) {
	for want, m := range map[string]*message.Message{
		"a/b": {Properties: message.Properties{Subject: "a/b", To: "commands"}},
		"":    {Properties: message.Properties{To: "commands"}}, // an address is no topic
	} {
		got, _, err := Downlink(m, DownlinkOptions{Dialect: ServiceBus("devices", "commands"), Now: time.Unix(1, 0)})
		if (err != nil) != (want == "") || got.Publish.Topic != want {
			t.Errorf("topic %q, %v; want %q", got.Publish.Topic, err, want)
		}
	}
	foreign := &message.Message{Annotations: map[string]any{AnnotationResponseTopic: "a/#"}, Properties: message.Properties{Subject: "a"}}
	got, lost, err := Downlink(foreign, DownlinkOptions{Dialect: ServiceBus("devices", ""), Now: time.Unix(1, 0)})
	if err != nil || got.Publish.Properties.ResponseTopic != "" || len(lost) == 0 {
		t.Errorf("a wildcard as Response Topic: %q, %v, %v", got.Publish.Properties.ResponseTopic, lost, err)
	}
}

// Event Hubs keeps the order within a key: by default that of a device.
func TestPartitionKey(t *testing.T) {
	long := strings.Repeat("ä", 129)
	for _, c := range []struct {
		name    string
		dialect Dialect
		route   *Route
		want    any
	}{
		{"hub", EventHubs("hub", ""), nil, "client-1"},
		{"hub, a rule without", EventHubs("hub", ""), &Route{To: "other"}, "client-1"},
		{"hub, a rule with", EventHubs("hub", ""), &Route{PartitionKey: "line 7"}, "line 7"},
		{"hub, properties", EventHubs("hub", "").WithForm(Form{Marks: MarksInProperties}), nil, "client-1"},
		{"hub, longest", EventHubs("hub", ""), &Route{PartitionKey: long[:256]}, long[:256]},
		{"hub, too long", EventHubs("hub", ""), &Route{PartitionKey: long}, partitionKey(long)},
		{"Service Bus", ServiceBus("q", ""), nil, nil},
		{"Service Bus, too long", ServiceBus("q", ""), &Route{PartitionKey: long}, partitionKey(long)},
		{"RabbitMQ", RabbitMQ, &Route{PartitionKey: long}, long},
	} {
		m := azureUplink(c.dialect, &packet.Publish{Topic: "a"}, c.route)
		if got := m.Annotations[AnnotationPartitionKey]; got != c.want {
			t.Errorf("%s: partition key %v, want %v", c.name, got, c.want)
		}
	}
	if k := partitionKey(long); len(k) > maxPartitionKey || k == partitionKey(long+"ä") {
		t.Errorf("%q", k)
	}
}
