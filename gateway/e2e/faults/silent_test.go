package faults

import (
	"testing"
	"time"

	"sluice/gateway/e2e/rig"
	"sluice/mqtt/mqtttest"
	"sluice/mqtt/packet"
)

// Who connects and says nothing, or half a CONNECT, is closed at mqtt.connect_timeout without a word, and not before.
func TestSilentBeforeConnect(t *testing.T) {
	t.Parallel()
	const limit = 700 * time.Millisecond
	b := startBus(t)
	n := b.node(t, "mqtt.connect_timeout="+limit.String())
	whole, err := packet.Append(nil, &packet.Connect{Version: packet.V5, ClientID: "half"}, packet.V5)
	if err != nil {
		t.Fatal(err)
	}
	for name, said := range map[string][]byte{"nothing": nil, "half a header": whole[:1], "half a CONNECT": whole[:len(whole)/2]} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			began := time.Now()
			d := mqtttest.Dial(t, n.TCP, packet.V5)
			if said != nil {
				d.SendRaw(said)
			}
			d.ExpectClosed()
			if after := time.Since(began); after < limit {
				t.Errorf("closed after %v, before the limit of %v", after, limit)
			}
		})
	}
}

// Half a packet and then silence is silence: the keep-alive ends it.
func TestSilentInsideAPacket(t *testing.T) {
	t.Parallel()
	b := startBus(t)
	n := b.node(t)
	rig.Versions(t, func(t *testing.T, v packet.Version) {
		d, _ := rig.Dial(t, n, v, rig.Clean(rig.Prefix(t)), func(c *packet.Connect) { c.KeepAlive = 1 })
		whole, err := packet.Append(nil, &packet.Publish{Topic: "half", Payload: make([]byte, 1000)}, v)
		if err != nil {
			t.Fatal(err)
		}
		d.SendRaw(whole[:500])
		if v == packet.V5 {
			if r := mqtttest.Expect[*packet.Disconnect](d).Reason; r != packet.KeepAliveTimeout {
				t.Errorf("DISCONNECT with %v, want %v", r, packet.KeepAliveTimeout)
			}
		}
		d.ExpectClosed()
	})
}
