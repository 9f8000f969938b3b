package gateway

import (
	"testing"

	"sluice/mqtt/mqtttest"
	"sluice/mqtt/packet"
)

// A fault of ours that ends a connection is no DISCONNECT of the device: its Will is published [MQTT-3.1.2-8].
func TestAFaultOfOursDropsNoWill(t *testing.T) {
	inBubble(t, func(b *bubble) {
		n := b.start("n1", b.store)
		watcher, _ := n.connect("watcher", packet.V5)
		watcher.Subscribe("gone", 1)
		c, err := n.devices.dial()
		if err != nil {
			b.t.Fatal(err)
		}
		d := mqtttest.New(b.t, c, packet.V5)
		d.Connect(mqtttest.Persistent("d", 3600), func(c *packet.Connect) {
			c.Will = &packet.Will{Topic: "gone", Payload: []byte("d"), QoS: 1}
		})
		for _, connection := range n.directory.connections() {
			if connection.fence.Key.ClientID == "d" {
				connection.post("no event that anybody knows")
			}
		}
		if m := watcher.Collect(1)[0]; string(m.Payload) != "d" {
			b.t.Errorf("got %q", m.Payload)
		}
	})
}
