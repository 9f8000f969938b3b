package faults

import (
	"strings"
	"testing"

	"sluice/mqtt/packet"
)

// The rules for the fixed header are those of 3.1.1, too: what breaks them closes its connections as well ([3.1.1 MQTT-2.2.2-2],
// [3.1.1 MQTT-3.3.1-4], [3.1.1 MQTT-3.6.1-1], [3.1.1 MQTT-3.8.1-1], [3.1.1 MQTT-3.10.1-1], [3.1.1 MQTT-3.14.1-1]).
func TestMalformedHeadersV311(t *testing.T) {
	t.Parallel()
	b := startBus(t)
	n := b.node(t)
	found := 0
	for _, m := range badPackets(t) {
		if !strings.HasPrefix(m.name, "header ") {
			continue
		}
		found++
		m.v = packet.V311
		t.Run(m.name, func(t *testing.T) {
			t.Parallel()
			m.later(t, n)
		})
	}
	if found < 15 {
		t.Errorf("only %d packets have a malformed header", found)
	}
}
