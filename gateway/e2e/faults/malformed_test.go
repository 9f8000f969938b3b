package faults

import (
	"encoding/hex"
	"fmt"
	"os"
	"strconv"
	"strings"
	"testing"

	"sluice/gateway/e2e/rig"
	"sluice/mqtt/mqtttest"
	"sluice/mqtt/packet"
)

// badFile is made from the tables of mqtt/packet's tests.
const badFile = "../../../mqtt/packet/testdata/malformed.txt"

// malformed is bytes that must be refused.
type malformed struct {
	name   string
	v      packet.Version // of the connection
	answer packet.Version // in which a refused CONNECT is answered; zero: not at all
	reason packet.ReasonCode
	bytes  []byte
	// connect: it is a CONNECT as far as one can tell.
	connect bool
}

func badPackets(t *testing.T) []malformed {
	t.Helper()
	content, err := os.ReadFile(badFile)
	if err != nil {
		t.Fatal(err)
	}
	var all []malformed
	for line := range strings.Lines(string(content)) {
		fields := strings.Split(strings.TrimSpace(line), "|")
		if strings.HasPrefix(line, "#") {
			continue
		}
		if len(fields) != 6 {
			t.Fatalf("%s: %q has %d fields", badFile, line, len(fields))
		}
		number := func(s string, base int) byte {
			n, err := strconv.ParseUint(s, base, 8)
			if err != nil {
				t.Fatalf("%s: %q: %v", badFile, line, err)
			}
			return byte(n)
		}
		raw, err := hex.DecodeString(fields[5])
		if err != nil {
			t.Fatalf("%s: %q: %v", badFile, line, err)
		}
		all = append(all, malformed{
			name: fmt.Sprintf("%s %s v%s", fields[0], fields[1], fields[2]), connect: fields[0] == "connect",
			v: packet.Version(number(fields[2], 10)), answer: packet.Version(number(fields[3], 10)),
			reason: packet.ReasonCode(number(fields[4], 16)), bytes: raw,
		})
	}
	if len(all) < 150 {
		t.Fatalf("%s has only %d packets", badFile, len(all))
	}
	return all
}

// Every malformed packet, sent to a running node on an open connection: MQTT 5 is told the reason and closed, 3.1.1 is closed. Sent instead of
// a CONNECT: CONNACK with the reason if it can be told in which version, else only the close.
func TestMalformedPackets(t *testing.T) {
	t.Parallel()
	b := startBus(t)
	n := b.node(t)
	t.Run("packets", func(t *testing.T) {
		for _, m := range badPackets(t) {
			t.Run("first "+m.name, func(t *testing.T) {
				t.Parallel()
				m.first(t, n)
			})
			if m.v != packet.V311 && m.v != packet.V5 {
				continue // only wrong as long as no version is known
			}
			t.Run("later "+m.name, func(t *testing.T) {
				t.Parallel()
				m.later(t, n)
			})
		}
	})
	if got := metric(t, n.Node, "sluice_device_panics_total"); got != 0 {
		t.Errorf("%v connections ended by a bug", got)
	}
	d, _ := rig.Dial(t, n, packet.V5)
	d.Send(&packet.Pingreq{})
	mqtttest.Expect[*packet.Pingresp](d)
}

// first sends the packet on a new connection.
func (m *malformed) first(t *testing.T, n *rig.Node) {
	d := mqtttest.Dial(t, n.TCP, max(m.answer, packet.V311))
	d.SetTimeout(rig.Patience)
	d.SendRaw(m.bytes)
	if !m.connect || m.answer == 0 {
		d.ExpectClosed() // who sends no CONNECT gets no CONNACK
		return
	}
	if m.answer == packet.V311 && m.reason != packet.UnsupportedProtocolVersion {
		d.ExpectClosed() // 3.1.1 has no return code for it, and asks for the close [3.1.1 MQTT-4.8.0-1]
		return
	}
	if connack := mqtttest.Expect[*packet.Connack](d); connack.Reason != m.reason || connack.SessionPresent {
		t.Errorf("CONNACK with 0x%02X, want 0x%02X", byte(connack.Reason), byte(m.reason))
	}
	d.ExpectClosed()
}

// later sends the packet on an open connection.
func (m *malformed) later(t *testing.T, n *rig.Node) {
	d, _ := rig.Dial(t, n, m.v, rig.Clean(rig.Prefix(t)))
	d.SendRaw(m.bytes)
	if m.v == packet.V5 {
		want := m.reason
		if !want.LegalIn(packet.DISCONNECT) {
			want = packet.ProtocolError // a second CONNECT
		}
		if disconnect := mqtttest.Expect[*packet.Disconnect](d); disconnect.Reason != want {
			t.Errorf("DISCONNECT with 0x%02X, want 0x%02X", byte(disconnect.Reason), byte(want))
		}
	}
	d.ExpectClosed()
}
