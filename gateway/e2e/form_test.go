package e2e

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"sluice/amqp/message"
	"sluice/gateway/e2e/rig"
	"sluice/mapping"
	"sluice/mqtt/packet"
)

// Where a bus refuses annotations, everything works without: topic, QoS, order of User Properties, No Local, retained copies, groups. A device can
// forge nothing in either place.
func TestMarksInProperties(t *testing.T) {
	rig.Each(t, func(t *testing.T, b rig.Backend) {
		n := rig.Start(t, b, append(b.OwnSessions(), "mapping.marks=properties")...)
		prefix := rig.Prefix(t)
		topic := prefix + "/v1.2/x"
		bus := rig.OpenBus(t, n)
		q := bus.Queue(prefix + "/#")
		listener, _ := rig.Dial(t, n, packet.V5, rig.Persistent(prefix+"-listener"))
		listener.Subscribe(prefix+"/+/x", 2)
		member, _ := rig.Dial(t, n, packet.V5, rig.Persistent(prefix+"-member"))
		member.Subscribe("$share/g/"+prefix+"/#", 2)

		d, _ := rig.Dial(t, n, packet.V5, rig.Clean(prefix+"-device"))
		id := d.NextID()
		d.Send(&packet.Subscribe{ID: id, Subscriptions: []packet.Subscription{{Filter: prefix + "/#", QoS: 2, NoLocal: true}}})
		sent := []packet.UserProperty{{Key: "b", Value: "2"}, {Key: "a", Value: "1"}, {Key: "b", Value: "3"}}
		for qos := range packet.QoS(3) {
			p := &packet.Publish{Topic: topic, QoS: qos, Payload: []byte("x"), Retain: qos == 1}
			p.Properties.User = append([]packet.UserProperty{{Key: mapping.AnnotationClient, Value: "boss"}, {Key: mapping.AnnotationFor, Value: "#"}}, sent...)
			p.Properties.SetPayloadFormat(1)
			if qos > 0 {
				p.ID = d.NextID()
			}
			d.Send(p)
			checkMarks(t, q.Take(), topic, prefix+"-device", qos)
			for name, got := range map[string]*packet.Publish{"subscriber": listener.Collect(1)[0], "member of the group": member.Collect(1)[0]} {
				if diff := cmp.Diff(sent, got.Properties.User); diff != "" || got.Topic != topic || got.QoS != qos || got.Properties.PayloadFormat != 1 {
					t.Errorf("QoS %d: the %s gets %+v (-want +got):\n%s", qos, name, got, diff)
				}
			}
		}
		late, _ := rig.Dial(t, n, packet.V5, rig.Clean(prefix+"-late"))
		late.Subscribe(prefix+"/#", 1)
		if p := late.Collect(1)[0]; p.Topic != topic || !p.Retain || !cmp.Equal(sent, p.Properties.User) {
			t.Errorf("the retained message is %+v", p)
		}
		late.Send(&packet.Publish{Topic: topic, QoS: 1, ID: 77, Retain: true}) // leaves nothing behind
		bus.Send(bus.Message(prefix+"/last", nil, 1))
		for _, p := range d.Collect(2) { // those two; of its own it gets none [MQTT-3.8.3-3]
			if len(p.Payload) > 0 {
				t.Errorf("the device gets its own %+v", p)
			}
		}
	})
}

func checkMarks(t *testing.T, m *message.Message, topic, client string, qos packet.QoS) {
	t.Helper()
	for name := range m.Annotations {
		if strings.HasPrefix(name, "x-opt-mqtt-") || strings.HasPrefix(name, "x-opt-sluice-") {
			t.Errorf("annotation %s is there", name)
		}
	}
	for name, want := range map[string]any{
		mapping.AnnotationTopic: topic, mapping.AnnotationQoS: byte(qos), mapping.AnnotationClient: client, mapping.AnnotationPrincipal: "anonymous",
		mapping.AnnotationPayloadFormat: byte(1), mapping.AnnotationUser: `["b","2","a","1","b","3"]`, mapping.AnnotationFor: nil, "a": "1", "b": "2",
	} {
		if got := m.ApplicationProperties[name]; got != want {
			t.Errorf("application property %s is %v (%T), want %v", name, got, got, want)
		}
	}
}

// An event in binary mode has the names of each side's binding on that side.
func TestCloudEvents(t *testing.T) {
	rig.Each(t, func(t *testing.T, b rig.Backend) {
		n := rig.Start(t, b)
		prefix := rig.Prefix(t)
		bus := rig.OpenBus(t, n)
		q := bus.Queue(prefix + "/up")
		d, _ := rig.Dial(t, n, packet.V5, rig.Clean(prefix))
		d.Subscribe(prefix+"/down", 1)

		up := &packet.Publish{Topic: prefix + "/up", QoS: 1, ID: 9, Payload: []byte(`{"c":21.5}`)}
		up.Properties.SetContentType("application/json")
		event := map[string]any{}
		for _, pair := range []string{"specversion=1.0", "id=A-1", "source=/plant/7", "type=com.example.reading", "site=hall"} {
			name, value, _ := strings.Cut(pair, "=")
			up.Properties.AddUser(name, value)
			event[mapping.EventColon+name] = value
		}
		d.Send(up)
		d.ExpectAck(packet.PUBACK, 9)
		m := q.Take()
		if diff := cmp.Diff(event, b.Own(t, m)); diff != "" || m.Properties.ContentType != "application/json" {
			t.Errorf("the backend gets %+v (-want +got):\n%s", m, diff)
		}

		down := bus.Message(prefix+"/down", []byte(`{"c":22}`), 1)
		down.ApplicationProperties, down.Properties.ContentType = event, "application/json"
		bus.Send(down)
		got := map[string]any{}
		p := d.Collect(1)[0]
		for _, u := range p.Properties.User {
			got[mapping.EventColon+u.Key] = u.Value
		}
		if diff := cmp.Diff(event, got); diff != "" || p.Properties.ContentType != "application/json" {
			t.Errorf("the device gets %+v (-want +got):\n%s", p, diff)
		}
	})
}
