package e2e

import (
	"slices"
	"testing"
	"time"

	"sluice/gateway/e2e/rig"
	"sluice/mqtt/mqtttest"
	"sluice/mqtt/packet"
)

// takeoverLimit is how soon the old connection must be gone, with a machine that is not overloaded: the fastest of a few takeovers counts.
const takeoverLimit = time.Second

// A second connection with the same client identifier ends the first [MQTT-3.1.4-3], on the same node and across nodes, and gets
// everything from then on.
func TestTakeover(t *testing.T) {
	rig.Each(t, func(t *testing.T, b rig.Backend) {
		first, second := rig.Pair(t, b)
		bus := rig.OpenBus(t, first)
		for _, c := range []struct {
			name  string
			nodes []*rig.Node
		}{
			{"same node", []*rig.Node{first, first}},
			{"across nodes", []*rig.Node{first, second}},
		} {
			t.Run(c.name, func(t *testing.T) {
				rig.Versions(t, func(t *testing.T, v packet.Version) { takeOver(t, bus, c.nodes, v) })
			})
		}
	})
}

func takeOver(t *testing.T, bus *rig.Bus, nodes []*rig.Node, v packet.Version) {
	t.Helper()
	id := rig.Prefix(t)
	topic := id + "/x"
	owner, _ := rig.Dial(t, nodes[0], v, rig.Persistent(id))
	owner.Subscribe(topic, 1)
	var took []time.Duration
	for i := range 5 {
		began := time.Now()
		next, connack := rig.Dial(t, nodes[(i+1)%2], v, rig.Persistent(id))
		if !connack.SessionPresent {
			t.Error("the session is not present after a takeover")
		}
		if v == packet.V5 {
			if reason := mqtttest.Expect[*packet.Disconnect](owner).Reason; reason != packet.SessionTakenOver {
				t.Errorf("the old connection gets %v", reason)
			}
		}
		owner.ExpectClosed()
		took = append(took, time.Since(began))
		owner = next
		bus.Send(bus.Message(topic, []byte{byte(i)}, 1))
		expectAfterTakeover(t, owner, i)
	}
	if best := slices.Min(took); best > takeoverLimit {
		t.Errorf("the old connections were gone after %v, all later than %v", took, takeoverLimit)
	}
	owner.Disconnect()
	forget(t, nodes[0], bus, v, id, topic)
}

// expectAfterTakeover receives message i. Earlier ones may come again, before it: their acknowledgements met a takeover on the way. Message i itself may have
// DUP: the bus may have brought it to the old connection first, and nobody knows whether that one sent it.
func expectAfterTakeover(t *testing.T, owner *mqtttest.Device, i int) {
	t.Helper()
	m := owner.Collect(1)[0]
	for m.Dup && int(m.Payload[0]) < i {
		m = owner.Collect(1)[0]
	}
	if int(m.Payload[0]) != i {
		t.Errorf("after takeover %d the new connection gets %d", i, m.Payload[0])
	}
}

// A clean start ends the session of a connected device with its subscriptions and its queue [MQTT-3.1.2-4].
func TestTakeoverWithCleanStart(t *testing.T) {
	rig.Each(t, func(t *testing.T, b rig.Backend) {
		first, second := rig.Pair(t, b)
		bus := rig.OpenBus(t, first)
		rig.Versions(t, func(t *testing.T, v packet.Version) {
			id := rig.Prefix(t)
			old, _ := rig.Dial(t, first, v, rig.Persistent(id))
			old.Subscribe(id+"/old", 1)
			d, connack := rig.Dial(t, second, v, rig.Clean(id))
			if connack.SessionPresent {
				t.Error("a session is present after a clean start")
			}
			bus.ExpectNobody(id + "/old")
			if v == packet.V5 {
				mqtttest.Expect[*packet.Disconnect](old)
			}
			old.ExpectClosed()
			d.Subscribe(id+"/new", 1)
			bus.Send(bus.Message(id+"/new", []byte("1"), 1))
			d.Collect(1)
			d.Disconnect()
			bus.ExpectNobody(id + "/new")
		})
	})
}
