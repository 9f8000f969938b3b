package e2e

import (
	"slices"
	"testing"

	"sluice/gateway/e2e/rig"
	"sluice/mqtt/mqtttest"
	"sluice/mqtt/packet"
)

// Client identifiers of 1 to 23 digits and letters are allowed, whichever these are ([MQTT-3.1.3-5], [3.1.1 MQTT-3.1.3-5]).
func TestEveryPlainClientIdentifier(t *testing.T) {
	rig.Each(t, func(t *testing.T, b rig.Backend) {
		n := rig.Start(t, b)
		for _, v := range []packet.Version{packet.V311, packet.V5} { // one after the other: the same names would take each other's sessions
			for _, id := range []string{"0123456789abcdefghijklm", "nopqrstuvwxyzABCDEFGHIJ", "KLMNOPQRSTUVWXYZ", "0", "a", "Z"} {
				d := mqtttest.Dial(t, n.TCP, v)
				d.SetTimeout(rig.Patience)
				if connack := d.Connect(rig.Clean(id)); connack.Reason != packet.Success {
					t.Errorf("%s: %s", id, mqtttest.Describe(connack))
				}
				d.Close()
			}
		}
	})
}

// Names that only look the same are different on their way through the bus as well, and come back byte for byte ([MQTT-4.7.3-4], [MQTT-1.5.4-3],
// [3.1.1 MQTT-4.7.3-4], [3.1.1 MQTT-1.5.3-3]).
func TestTopicsAreNotNormalized(t *testing.T) {
	same := []string{"caf\u00E9", "cafe\u0301", "x", "X", "\uFEFFx", "x\uFEFF", "\u200Bx", "\uFF38"}
	rig.Each(t, func(t *testing.T, b rig.Backend) {
		n := rig.Start(t, b)
		rig.Versions(t, func(t *testing.T, v packet.Version) {
			for qos := range packet.QoS(2) { // both lanes
				prefix := rig.Prefix(t)
				publisher, _ := rig.Dial(t, n, v)
				all, _ := rig.Dial(t, n, v)
				all.Subscribe(prefix+"/+", qos)
				one := map[string]*mqtttest.Device{}
				for _, name := range same {
					one[name], _ = rig.Dial(t, n, v)
					one[name].Subscribe(prefix+"/"+name, qos)
					one[name].Subscribe(prefix+"/end", qos)
				}
				for _, name := range append(slices.Clone(same), "end") {
					publisher.Publish(prefix+"/"+name, nil, 1)
				}
				for i, m := range all.Collect(len(same) + 1) {
					if want := append(slices.Clone(same), "end")[i]; m.Topic != prefix+"/"+want {
						t.Errorf("QoS %d: %+q came as %+q", qos, want, m.Topic)
					}
				}
				for name, d := range one {
					// The end comes behind what else there may be.
					if got := d.Collect(2); got[0].Topic != prefix+"/"+name || got[1].Topic != prefix+"/end" {
						t.Errorf("QoS %d: who subscribed to %+q got %+q and %+q", qos, name, got[0].Topic, got[1].Topic)
					}
				}
			}
		})
	})
}
