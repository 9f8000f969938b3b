package rig

import (
	"testing"

	"sluice/mqtt/mqtttest"
	"sluice/mqtt/packet"
)

// Dial connects a scripted device to n and opens its session. A refusal fails the test.
func Dial(t testing.TB, n *Node, v packet.Version, options ...func(*packet.Connect)) (*mqtttest.Device, *packet.Connack) {
	t.Helper()
	d := mqtttest.Dial(t, n.TCP, v)
	d.SetTimeout(Patience)
	connack := d.Connect(options...)
	if connack.Reason != packet.Success {
		t.Fatalf("CONNACK: %v", connack.Reason)
	}
	return d, connack
}

// Clean names the client and asks for a clean session that ends with its connection.
func Clean(id string) func(*packet.Connect) { return mqtttest.ClientID(id) }

// Persistent names the client and asks for a session that outlives its connection, in the words of the version.
func Persistent(id string) func(*packet.Connect) {
	return func(p *packet.Connect) {
		p.ClientID, p.CleanStart = id, false
		if p.Version == packet.V5 {
			p.Properties.SetSessionExpiry(600)
		}
	}
}

// Versions runs test for MQTT 3.1.1 and 5.
func Versions(t *testing.T, test func(t *testing.T, v packet.Version)) {
	t.Helper()
	for _, v := range []packet.Version{packet.V311, packet.V5} {
		name := "v5"
		if v == packet.V311 {
			name = "v311"
		}
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			test(t, v)
		})
	}
}
