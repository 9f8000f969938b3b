package e2e

import (
	"testing"

	"github.com/google/go-cmp/cmp"

	"sluice/gateway/e2e/rig"
	"sluice/mapping"
	"sluice/mqtt/mqtttest"
	"sluice/mqtt/packet"
)

// A 3.1.1 device says with its topic what its payload is. Backends, devices and retained messages have the properties, and the topic without.
func TestPropertyBag(t *testing.T) {
	rig.Each(t, func(t *testing.T, b rig.Backend) {
		n := rig.Start(t, b, append(b.OwnSessions(), "mqtt.property_bag=on")...)
		prefix := rig.Prefix(t)
		const bag = "/?content-type=text%2Fplain&correlation-id=%00&unit=%C2%B0C"
		bus := rig.OpenBus(t, n)
		q := bus.Queue(prefix + "/#")
		listener, _ := rig.Dial(t, n, packet.V5, rig.Clean(prefix+"-listener"))
		listener.Subscribe(prefix+"/#", 2)

		d, _ := rig.Dial(t, n, packet.V311, rig.Clean(prefix+"-v3"), func(c *packet.Connect) {
			c.Will = &packet.Will{Topic: prefix + "/will" + bag, Payload: []byte("gone"), QoS: 1}
		})
		for qos := range packet.QoS(3) {
			if r := d.Publish(prefix+"/temp"+bag, []byte("21.5"), qos); r.Failed() {
				t.Errorf("QoS %d: %v", qos, r)
			}
			checkBag(t, q, listener, prefix+"/temp")
		}
		d.Send(&packet.Publish{Topic: prefix + "/kept" + bag, Payload: []byte("on"), QoS: 1, ID: 77, Retain: true})
		d.ExpectAck(packet.PUBACK, 77)
		checkBag(t, q, listener, prefix+"/kept")
		d.Send(&packet.Publish{Topic: prefix + "/temp/?unit", QoS: 1, ID: 78})
		d.ExpectClosed()
		checkBag(t, q, listener, prefix+"/will")

		late, _ := rig.Dial(t, n, packet.V5, rig.Clean(prefix+"-late"))
		late.Subscribe(prefix+"/kept", 1)
		checkBagProperties(t, "retained", prefix+"/kept", late.Collect(1)[0])
		d, _ = rig.Dial(t, n, packet.V311, rig.Clean(prefix+"-v3"))
		d.Send(&packet.Publish{Topic: prefix + "/kept", QoS: 1, ID: 79, Retain: true}) // leaves nothing behind
		d.ExpectAck(packet.PUBACK, 79)
	})
}

func checkBag(t *testing.T, q *rig.Queue, listener *mqtttest.Device, topic string) {
	t.Helper()
	m := q.Take()
	if mapping.Mark(m, "x-opt-mqtt-topic") != topic || m.Properties.ContentType != "text/plain" || m.ApplicationProperties["unit"] != "°C" {
		t.Errorf("the backend of %s gets %+v", topic, m)
	}
	checkBagProperties(t, "a device", topic, listener.Collect(1)[0])
}

func checkBagProperties(t *testing.T, who, topic string, p *packet.Publish) {
	t.Helper()
	var want packet.Properties
	want.SetContentType("text/plain")
	want.SetCorrelationData([]byte{0})
	want.AddUser("unit", "°C")
	if diff := cmp.Diff(want, p.Properties); diff != "" || p.Topic != topic {
		t.Errorf("%s gets topic %q, properties (-want +got):\n%s", who, p.Topic, diff)
	}
}
