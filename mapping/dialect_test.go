package mapping_test

import (
	"errors"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"sluice/amqp/message"
	"sluice/mapping"
	"sluice/mqtt/packet"
)

func TestArtemisAddresses(t *testing.T) {
	d := mapping.Artemis("mqtt")
	for name, want := range map[string]string{
		"a/b": "mqtt.a.b", "/": "mqtt..", "a": "mqtt.a", "$SYS/x": "mqtt.$SYS.x", "a::b": "mqtt.a%3A%3Ab", "1.5/*/#": "mqtt.1%2E5.%2A.%23", "50%3A": "mqtt.50%253A",
	} {
		if got := d.ToTopic(name); got != want {
			t.Errorf("%q: %q, want %q", name, got, want)
		}
		a, ok := d.ParseAddress(want)
		if !ok || d.Topic(a.Key) != name || a.Exchange != d.Exchange() || d.Format(a) != want {
			t.Errorf("%q is parsed as %+v, %v", want, a, ok)
		}
		if to := string(d.AppendTo(nil, d.Exchange(), d.AppendKey(nil, name))); to != want {
			t.Errorf("%q in pieces: %q, want %q", name, to, want)
		}
	}
	for filter, want := range map[string]string{"a/+/#": "a.*.#", "#": "#", "a::b/+": "a%3A%3Ab.*"} {
		if got := d.Pattern(filter); got != want {
			t.Errorf("pattern of %q: %q, want %q", filter, got, want)
		}
	}
	for to, want := range map[string]mapping.Address{
		"orders": {Queue: "orders"}, "mqttx.a": {Queue: "mqttx.a"}, "mqtt": {Exchange: "mqtt"}, "a::b": {Queue: "a::b"}, "/queues/q": {Queue: "/queues/q"},
	} {
		if got, ok := d.ParseAddress(to); !ok || got != want || d.Format(got) != to {
			t.Errorf("%q is parsed as %+v, %v", to, got, ok)
		}
	}
	if a, ok := d.ParseAddress(""); ok {
		t.Errorf("nothing is parsed as %+v", a)
	}
}

// A part of a topic must not choose freely among the addresses of Artemis: one of them manages it.
func TestArtemisKeepsQueuesWithin(t *testing.T) {
	d := mapping.Artemis("plant.mqtt")
	for beginning, want := range map[string]bool{"orders.": true, "orders.x": true, "": false, "orders": false, "act": false, "activemq.": false, "sluice.inbox.": false,
		"plant.": false, "$sys.": false, ".": false} {
		if d.KeepsWithin(beginning) != want || !mapping.RabbitMQ.KeepsWithin(beginning) {
			t.Errorf("%q: want %v on Artemis, and anything on RabbitMQ", beginning, want)
		}
	}
}

// What crosses Artemis: addresses by its rules, the message-id where it drops duplicates by it, and no order of a device to the bus.
func TestArtemisRoundTrip(t *testing.T) {
	d := mapping.Artemis("mqtt")
	from := mapping.NewProvenance("", "p", "c", "n")
	p := &packet.Publish{Topic: "a:/b", QoS: 2, Payload: []byte("x")}
	p.Properties.ResponseTopic = "re/1"
	p.Properties.Set |= packet.PropResponseTopic
	p.Properties.User = []packet.UserProperty{{Key: "z", Value: "1"}, {Key: "_AMQ_DUPL_ID", Value: "forged"}, {Key: "a", Value: "2"}, {Key: "JMS_AMQP_MA_x-opt-sluice-client", Value: "forged"}}
	m, lost := mapping.Uplink(mapping.UplinkMessage{Dialect: d, Publish: p, From: from, MessageID: "id", Received: time.UnixMilli(1)})
	if m.Properties.To != "mqtt.a%3A.b" || m.Properties.ReplyTo != "mqtt.re.1" {
		t.Errorf("to %q, reply-to %q", m.Properties.To, m.Properties.ReplyTo)
	}
	if diff := cmp.Diff(map[string]any{"a": "2", "z": "1", "_AMQ_DUPL_ID": "id"}, m.ApplicationProperties); diff != "" {
		t.Error(diff)
	}
	if diff := cmp.Diff([]mapping.Loss{{mapping.FieldUserProperty, "JMS_AMQP_MA_x-opt-sluice-client", mapping.ReasonReserved}, {mapping.FieldUserProperty, "_AMQ_DUPL_ID", mapping.ReasonReserved}}, lost); diff != "" {
		t.Error(diff)
	}
	down, lost, err := mapping.Downlink(m, mapping.DownlinkOptions{Dialect: d, Now: time.UnixMilli(1)})
	if err != nil || len(lost) > 0 || down.Publish.Topic != p.Topic || down.Publish.Properties.ResponseTopic != "re/1" {
		t.Errorf("%+v, %v, %v", down.Publish, lost, err)
	}
	if diff := cmp.Diff([]packet.UserProperty{{Key: "z", Value: "1"}, {Key: "a", Value: "2"}}, down.Publish.Properties.User); diff != "" {
		t.Error(diff)
	}

	p.QoS = 1
	if m, _ = mapping.Uplink(mapping.UplinkMessage{Dialect: d, Publish: p, From: from, MessageID: "id", Received: time.UnixMilli(1)}); m.ApplicationProperties["_AMQ_DUPL_ID"] != nil {
		t.Error("QoS 1 is remembered by the bus, which costs it much")
	}
}

// A backend's message has its topic from the address; one that was sent to an inbox has it from the subject, never from the address.
func TestArtemisTopicOfBackends(t *testing.T) {
	d := mapping.Artemis("mqtt")
	for _, c := range []struct{ to, subject, want string }{
		{"mqtt.a.b", "", "a/b"}, {"mqtt.a.b", "c", "a/b"}, {"sluice.inbox.q::sluice.inbox.q", "c/d", "c/d"}, {"sluice.inbox.q", "", ""},
	} {
		m := &message.Message{Header: message.Header{Priority: message.DefaultPriority}, Properties: message.Properties{To: c.to, Subject: c.subject}}
		got, _, err := mapping.Downlink(m, mapping.DownlinkOptions{Dialect: d})
		if undeliverable := new(mapping.Undeliverable); got.Publish.Topic != c.want || (c.want == "") != errors.As(err, &undeliverable) {
			t.Errorf("to %q, subject %q: %q, %v", c.to, c.subject, got.Publish.Topic, err)
		}
	}
}
