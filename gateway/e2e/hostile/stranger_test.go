package hostile

import (
	"encoding/binary"
	"net"
	"sync"
	"testing"
	"time"

	"sluice/gateway/e2e/rig"
	"sluice/mqtt/packet"
)

// readStep is what the reader of packets takes on the word of a header alone (mqtt/packet, readStepBytes), and a little more than it holds of a CONNECT at
// most (gateway, connectPacketMax).
const readStep = 66 << 10

// TestAHeaderThatPromises256MiB: nothing is kept ready for what a header promises, it is refused.
func TestAHeaderThatPromises256MiB(t *testing.T) {
	s := begin(t)
	const attackers = 200
	for range attackers {
		push(s.dial(), []byte{0x10, 0xFF, 0xFF, 0xFF, 0x7F})
	}
	s.holds(attackers, connectionBytes)
	s.ended()
	s.over()
}

// TestSlowLoris: a CONNECT that comes byte by byte costs no more than its own size, and only for mqtt.connect_timeout, however busy its sender is.
func TestSlowLoris(t *testing.T) {
	s := begin(t)
	const attackers = 200
	for range attackers {
		s.dial()
	}
	began := time.Now()
	var dripping sync.WaitGroup
	for _, c := range s.conns {
		dripping.Go(func() {
			header := append([]byte{0x10}, binary.AppendUvarint(nil, 60_000)...)
			for _, b := range append(header, make([]byte, 10_000)...) {
				if !push(c, []byte{b}) {
					return // the node has closed it
				}
				<-time.After(20 * time.Millisecond)
			}
		})
	}
	rig.Eventually(t, "all attackers are connected", func() error { return atLeast(s.connections(), attackers) })
	s.holds(attackers, readStep+connectionBytes)
	s.ended()
	if took := time.Since(began); took > deadline/2 {
		t.Errorf("after %v; mqtt.connect_timeout is 3 s", took)
	}
	dripping.Wait()
	s.over()
}

// TestHalfOpen: connections that say nothing at all.
func TestHalfOpen(t *testing.T) {
	s := begin(t)
	const attackers = 500
	for range attackers {
		s.dial()
	}
	rig.Eventually(t, "all attackers are connected", func() error { return atLeast(s.connections(), attackers) })
	s.holds(attackers, connectionBytes)
	s.ended()
	s.over()
}

// TestConnectFlood: connections that come as fast as they can, say CONNECT and go. Those beyond limits.connect_rate are turned away, and none leaves anything.
func TestConnectFlood(t *testing.T) {
	s := begin(t, "limits.connect_rate=500", "limits.connections=300")
	until := time.Now().Add(3 * time.Second)
	connect, err := packet.Append(nil, &packet.Connect{Version: packet.V5, CleanStart: true}, packet.V5)
	if err != nil {
		t.Fatal(err)
	}
	var flood sync.WaitGroup
	var mu sync.Mutex
	came := 0
	for range 8 {
		flood.Go(func() {
			for time.Now().Before(until) {
				c, err := net.Dial("tcp", s.node.TCP)
				if err != nil {
					continue
				}
				push(c, connect)
				_ = c.Close()
				mu.Lock()
				came++
				mu.Unlock()
			}
		})
	}
	flood.Wait()
	t.Logf("%d connections came", came)
	s.holds(300, connectionBytes)
	s.over()
}
