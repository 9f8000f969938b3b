package rig_test

import (
	"testing"

	"sluice/gateway/e2e/rig"
	"sluice/mqtt/packet"
)

func TestMain(m *testing.M) { rig.Main(m) }

// A device, a node, a bus and a backend meet, in both directions; afterwards nothing is left.
func TestRig(t *testing.T) {
	rig.Each(t, func(t *testing.T, b rig.Backend) {
		n := rig.Start(t, b)
		bus := rig.OpenBus(t, n)
		name := rig.Prefix(t)
		d, _ := rig.Dial(t, n, packet.V5, rig.Clean(name))
		up, down := name+"/up", name+"/down"
		queue := bus.Queue(up)
		if r := d.Publish(up, []byte("21"), 1); r != packet.Success {
			t.Errorf("PUBACK: %v", r)
		}
		if m := queue.Take(); string(m.Data[0]) != "21" {
			t.Errorf("the backend got %q", m.Data)
		}
		if r := d.Subscribe(down, 1); r != packet.GrantedQoS1 {
			t.Errorf("SUBACK: %v", r)
		}
		bus.Send(rig.Message(down, []byte("on"), 1))
		if got := d.Collect(1); string(got[0].Payload) != "on" || got[0].QoS != 1 {
			t.Errorf("the device got %+v", got[0])
		}
		d.Disconnect()
		bus.ExpectNobody(down)
	})
}
