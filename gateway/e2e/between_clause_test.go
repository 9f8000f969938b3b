package e2e

import (
	"fmt"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"sluice/gateway/e2e/rig"
	"sluice/mqtt/mqtttest"
	"sluice/mqtt/packet"
)

// send publishes p as it is and sees its exchange through.
func send(d *mqtttest.Device, p *packet.Publish) {
	if p.QoS > 0 {
		p.ID = d.NextID()
	}
	d.Send(p)
	switch p.QoS {
	case 1:
		d.ExpectAck(packet.PUBACK, p.ID)
	case 2:
		d.ExpectAck(packet.PUBREC, p.ID)
		d.Send(&packet.Ack{Kind: packet.PUBREL, ID: p.ID})
		d.ExpectAck(packet.PUBCOMP, p.ID)
	}
}

// everything are all properties of a message that concern its receiver, with User Properties that no map and no sorted list could carry.
func everything(prefix string) packet.Properties {
	var p packet.Properties
	p.SetPayloadFormat(1)
	p.SetMessageExpiry(500)
	p.SetContentType("text/plain; charset=utf-8")
	p.SetResponseTopic(prefix + "/a b/ü/*")
	p.SetCorrelationData([]byte{0, 0xFF, 'c'})
	for _, u := range [][2]string{{"b", "1"}, {"a", "x"}, {"b", "1"}, {"b", ""}, {"", "2"}, {"ä€😀", "\uFEFF"}} {
		p.AddUser(u[0], u[1])
	}
	return p
}

// What one device publishes reaches another on another node with all its properties as they were ([MQTT-3.3.2-4], [MQTT-3.3.2-15] to
// [MQTT-3.3.2-18], [MQTT-3.3.2-20]), and without any when it has none.
func TestPropertiesBetweenDevices(t *testing.T) {
	rig.Each(t, func(t *testing.T, b rig.Backend) {
		first, second := rig.Pair(t, b)
		prefix := rig.Prefix(t)
		from, _ := rig.Dial(t, first, packet.V5)
		to, _ := rig.Dial(t, second, packet.V5)
		for qos := range packet.QoS(3) {
			topic := fmt.Sprintf("%s/%d", prefix, qos)
			to.Subscribe(topic, qos)
			only := packet.Properties{}
			only.SetPayloadFormat(0)
			for _, want := range []packet.Properties{everything(prefix), {}, only} {
				send(from, &packet.Publish{Topic: topic, QoS: qos, Payload: []byte("21.5"), Properties: want})
				got := to.Collect(1)[0]
				if got.QoS != qos || got.Topic != topic || string(got.Payload) != "21.5" {
					t.Errorf("QoS %d: got %s", qos, mqtttest.Describe(got))
				}
				if left := got.Properties.MessageExpiry; left > want.MessageExpiry || want.MessageExpiry-left > 60 {
					t.Errorf("QoS %d: expires in %d s, want about %d", qos, left, want.MessageExpiry)
				}
				got.Properties.MessageExpiry = want.MessageExpiry
				if diff := cmp.Diff(want, got.Properties, cmpopts.EquateEmpty()); diff != "" {
					t.Errorf("QoS %d (-published +got):\n%s", qos, diff)
				}
			}
		}
	})
}

// A Will is published with everything it has, its User Properties in their order [MQTT-3.1.3-10].
func TestWillCarriesEverything(t *testing.T) {
	rig.Each(t, func(t *testing.T, b rig.Backend) {
		first, second := rig.Pair(t, b)
		prefix := rig.Prefix(t)
		to, _ := rig.Dial(t, second, packet.V5)
		for qos := range packet.QoS(3) {
			topic := fmt.Sprintf("%s/%d", prefix, qos)
			to.Subscribe(topic, 2)
			want := everything(prefix)
			from, _ := rig.Dial(t, first, packet.V5, func(c *packet.Connect) {
				c.Will = &packet.Will{Topic: topic, Payload: []byte("gone"), QoS: qos, Properties: want}
			})
			from.Close()
			got := to.Collect(1)[0]
			if got.QoS != qos || string(got.Payload) != "gone" || got.Retain {
				t.Errorf("QoS %d: got %s", qos, mqtttest.Describe(got))
			}
			got.Properties.MessageExpiry = want.MessageExpiry
			if diff := cmp.Diff(want, got.Properties, cmpopts.EquateEmpty()); diff != "" {
				t.Errorf("QoS %d (-in CONNECT +got):\n%s", qos, diff)
			}
		}
	})
}

// DUP that a device sets says something about its own packet; a receiver gets the message for the first time ([MQTT-3.3.1-3],
// [3.1.1 MQTT-3.3.1-3]).
func TestDupIsNotForwarded(t *testing.T) {
	rig.Each(t, func(t *testing.T, b rig.Backend) {
		n := rig.Start(t, b)
		rig.Versions(t, func(t *testing.T, v packet.Version) {
			topic := rig.Prefix(t)
			from, _ := rig.Dial(t, n, v)
			to, _ := rig.Dial(t, n, v)
			to.Subscribe(topic, 2)
			for qos := packet.QoS(1); qos <= 2; qos++ {
				send(from, &packet.Publish{Topic: topic, QoS: qos, Dup: true})
				if got := to.Collect(1)[0]; got.Dup || got.QoS != qos {
					t.Errorf("got %s", mqtttest.Describe(got))
				}
			}
		})
	})
}

// Messages of one device reach another in their order, for a topic and QoS, however many are under way ([MQTT-4.6.0-5], [MQTT-4.6.0-6],
// [3.1.1 MQTT-4.6.0-5], [3.1.1 MQTT-4.6.0-6]); and their acknowledgements come in that order, too.
func TestMessagesBetweenDevicesKeepTheirOrder(t *testing.T) {
	const underWay, rounds = 10, 5
	rig.Each(t, func(t *testing.T, b rig.Backend) {
		first, second := rig.Pair(t, b)
		rig.Versions(t, func(t *testing.T, v packet.Version) {
			for qos := range packet.QoS(3) {
				topic := fmt.Sprintf("%s/%d", rig.Prefix(t), qos)
				from, _ := rig.Dial(t, first, v)
				to, _ := rig.Dial(t, second, v)
				to.Subscribe(topic, qos)
				for n := range rounds {
					burst(from, topic, qos, n*underWay, underWay)
				}
				for i, m := range to.Collect(underWay * rounds) {
					if string(m.Payload) != fmt.Sprint(i) {
						t.Fatalf("QoS %d: message %d is %q", qos, i, m.Payload)
					}
				}
			}
		})
	})
}

// burst publishes n messages before it looks at an answer; the payloads count from begin.
func burst(d *mqtttest.Device, topic string, qos packet.QoS, begin, n int) {
	var ids []packet.ID
	for i := range n {
		p := &packet.Publish{Topic: topic, QoS: qos, Payload: fmt.Append(nil, begin+i)}
		if qos > 0 {
			p.ID = d.NextID()
			ids = append(ids, p.ID)
		}
		d.Send(p)
	}
	answers := []packet.Type{packet.PUBACK}
	if qos == 2 {
		answers = []packet.Type{packet.PUBREC, packet.PUBCOMP}
	}
	for i, kind := range answers {
		for _, id := range ids {
			d.ExpectAck(kind, id)
		}
		for _, id := range ids {
			if i < len(answers)-1 {
				d.Send(&packet.Ack{Kind: packet.PUBREL, ID: id})
			}
		}
	}
}
