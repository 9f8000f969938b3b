package e2e

import (
	"fmt"
	"testing"

	"sluice/gateway/e2e/rig"
	"sluice/mapping"
	"sluice/mqtt/mqtttest"
	"sluice/mqtt/packet"
)

// A device sends QoS 2 messages, is gone before any PUBREC, and sends them again through the other node at once. The bus gets each once, and in
// order, although its answers to the first node come after the second one has the session [MQTT-4.3.3-10].
func TestPublishingThroughAnotherNodeMakesNoDuplicate(t *testing.T) {
	rig.Each(t, func(t *testing.T, b rig.Backend) {
		first, second := rig.Pair(t, b)
		bus := rig.OpenBus(t, first)
		rig.Versions(t, func(t *testing.T, v packet.Version) {
			republish(t, bus, []*rig.Node{first, second}, v)
		})
	})
}

func republish(t *testing.T, bus *rig.Bus, nodes []*rig.Node, v packet.Version) {
	const rounds, each = 10, 20 // each is within the Receive Maximum
	id := rig.Prefix(t)
	topic := id + "/x"
	queue := bus.Queue(topic)
	for round := range rounds {
		publish := func(n *rig.Node, dup bool) *mqtttest.Device {
			d, _ := rig.Dial(t, n, v, rig.Persistent(id))
			for i := range each {
				d.Send(&packet.Publish{ID: packet.ID(i + 1), QoS: 2, Dup: dup, Topic: topic, Payload: fmt.Appendf(nil, "%d-%d", round, i)})
			}
			return d
		}
		publish(nodes[round%2], false).Close()
		d := publish(nodes[(round+1)%2], true)
		for i := range each {
			if a := d.ExpectAck(packet.PUBREC, packet.ID(i+1)); a.Reason.Failed() {
				t.Fatalf("PUBREC %d: %v", a.ID, a.Reason)
			}
		}
		for i := range each {
			d.Send(&packet.Ack{Kind: packet.PUBREL, ID: packet.ID(i + 1)})
			d.ExpectAck(packet.PUBCOMP, packet.ID(i+1))
		}
		d.Disconnect()
		bus.Send(bus.Message(topic, []byte("end"), 1))
		for i := range each {
			m := queue.Take()
			if got, want := string(m.Data[0]), fmt.Sprintf("%d-%d", round, i); got != want {
				t.Fatalf("the bus has %q, want %q", got, want)
			}
		}
		if m := queue.Take(); string(m.Data[0]) != "end" {
			t.Fatalf("the bus has %q once more, flagged: %v", m.Data[0], mapping.PossibleDuplicate(m))
		}
	}
	d, _ := rig.Dial(t, nodes[0], v, rig.Clean(id))
	d.Disconnect()
}
