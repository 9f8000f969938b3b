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
		bus.Send(bus.Message(down, []byte("on"), 1))
		if got := d.Collect(1); string(got[0].Payload) != "on" || got[0].QoS != 1 {
			t.Errorf("the device got %+v", got[0])
		}
		d.Disconnect()
		bus.ExpectNobody(down)
	})
}

// Two nodes in the process share bus and sessions.
func TestNodesInOneProcess(t *testing.T) {
	t.Parallel()
	first, second := rig.Pair(t, rig.InProcess(t))
	if first == second {
		t.Fatal("both are the same node")
	}
	name := rig.Prefix(t)
	d, _ := rig.Dial(t, first, packet.V5, rig.Persistent(name))
	d.Subscribe(name, 1)
	d.Send(&packet.Disconnect{})
	d.ExpectClosed()
	other, _ := rig.Dial(t, second, packet.V5)
	other.Publish(name, []byte("on"), 1)
	d, connack := rig.Dial(t, second, packet.V5, rig.Persistent(name))
	if !connack.SessionPresent {
		t.Error("the session is not present on the other node")
	}
	if got := d.Collect(1); string(got[0].Payload) != "on" {
		t.Errorf("the device got %q", got[0].Payload)
	}
}
