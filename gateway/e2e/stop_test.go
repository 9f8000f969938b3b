package e2e

import (
	"testing"

	"sluice/gateway/e2e/rig"
	"sluice/mqtt/mqtttest"
	"sluice/mqtt/packet"
)

// A node that is stopped says so, fires no Will, gives back what was under way, and leaves the session to the next node.
func TestStop(t *testing.T) {
	t.Parallel()
	real := rig.Real(t)
	rig.Versions(t, func(t *testing.T, v packet.Version) {
		first, second := rig.Pair(t, real)
		bus := rig.OpenBus(t, second)
		id := rig.Prefix(t)
		topic, will := id+"/x", id+"/will"
		wills := bus.Queue(will)
		d, _ := rig.Dial(t, first, v, rig.Persistent(id), withWill(will))
		d.Subscribe(topic, 1)
		bus.Send(bus.Message(topic, []byte("in flight"), 1))
		sent := mqtttest.Expect[*packet.Publish](d)
		first.Stop(t)
		if v == packet.V5 {
			if reason := mqtttest.Expect[*packet.Disconnect](d).Reason; reason != packet.ServerShuttingDown {
				t.Errorf("the device gets %v", reason)
			}
		}
		d.ExpectClosed()
		d, connack := rig.Dial(t, second, v, rig.Persistent(id))
		if !connack.SessionPresent {
			t.Error("the session is not present on the other node")
		}
		again := d.Collect(1)[0]
		if string(again.Payload) != "in flight" || !again.Dup || again.ID != sent.ID {
			t.Errorf("the message in flight is now %v, want it again with DUP and identifier %d [MQTT-4.4.0-1]", again, sent.ID)
		}
		bus.Send(bus.Message(will, []byte("no will before this"), 1))
		if m := wills.Take(); string(m.Data[0]) != "no will before this" {
			t.Errorf("the will topic has %q", m.Data[0])
		}
		d.Disconnect()
		forget(t, second, bus, v, id, topic)
	})
}

// The embedded bus ends with its node; the devices are told all the same.
func TestStopEmbedded(t *testing.T) {
	t.Parallel()
	rig.Versions(t, func(t *testing.T, v packet.Version) {
		n := rig.Start(t, rig.Embedded())
		d, _ := rig.Dial(t, n, v)
		d.Subscribe("x", 1)
		n.Stop(t)
		if v == packet.V5 {
			if reason := mqtttest.Expect[*packet.Disconnect](d).Reason; reason != packet.ServerShuttingDown {
				t.Errorf("the device gets %v", reason)
			}
		}
		d.ExpectClosed()
	})
}

func withWill(topic string) func(*packet.Connect) {
	return func(p *packet.Connect) { p.Will = &packet.Will{Topic: topic, Payload: []byte("gone"), QoS: 1} }
}
