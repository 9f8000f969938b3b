package gateway

import (
	"testing"
	"time"

	"sluice/mqtt/packet"
)

// TestPingFlood: a device sends PINGREQ without end and reads no answer. Behind writeHigh nothing more is read from it, and after the time limit of the writer it
// is gone. There are no buffers of a kernel between it and the node.
func TestPingFlood(t *testing.T) {
	inBubble(t, func(b *bubble) {
		n := b.start("n", b.store)
		conn, err := n.devices.dial()
		if err != nil {
			t.Fatal(err)
		}
		connect, err := packet.Append(nil, &packet.Connect{Version: packet.V311, ClientID: "dev", CleanStart: true}, packet.V311)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := conn.Write(connect); err != nil {
			t.Fatal(err)
		}
		if _, err := conn.Read(make([]byte, 4)); err != nil {
			t.Fatal(err)
		}
		pings := make([]byte, 4<<10)
		for i := 0; i < len(pings); i += 2 {
			pings[i] = 0xC0
		}
		began, sent := time.Now(), 0
		for {
			k, err := conn.Write(pings)
			sent += k
			if err != nil {
				break
			}
		}
		// An answer is as long as what it answers. The writer takes out of its buffer what it is about to write.
		if most := 2*writeHigh + len(pings); sent < writeHigh || sent > most {
			t.Errorf("%d bytes of PINGREQ are read from a device that reads nothing; want %d to %d", sent, writeHigh, most)
		}
		if took := time.Since(began); took < 10*time.Second || took > 20*time.Second {
			t.Errorf("it is gone after %v; the writer's time limit is 10 s", took)
		}
	})
}
