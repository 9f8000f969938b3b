package faults

import (
	"fmt"
	"net"
	"os"
	"runtime"
	"strings"
	"testing"

	"sluice/amqp/embedded/queues"
	"sluice/gateway/e2e/rig"
	"sluice/mqtt/mqtttest"
	"sluice/mqtt/packet"
)

// The tests that weigh memory do not run in parallel with others: nodes, broker and devices share the process.

const mib = 1 << 20

// heap is what is in use after a collection, in bytes.
func heap() int64 {
	var m runtime.MemStats
	runtime.GC()
	runtime.GC() // what the first one finalized
	runtime.ReadMemStats(&m)
	return int64(m.HeapAlloc)
}

// rss is the resident memory of the process, in bytes.
func rss(t *testing.T) int64 {
	t.Helper()
	content, err := os.ReadFile("/proc/self/statm")
	if err != nil {
		t.Fatal(err)
	}
	var size, resident int64
	if _, err := fmt.Sscan(string(content), &size, &resident); err != nil {
		t.Fatal(err)
	}
	return resident * int64(os.Getpagesize())
}

// expectGrowth demands that the heap has grown by no more than limit since before.
func expectGrowth(t *testing.T, before, limit int64) {
	t.Helper()
	grown := heap() - before
	t.Logf("the heap has grown by %.1f MiB", float64(grown)/mib)
	if grown > limit {
		t.Errorf("the heap has grown by %d bytes, want at most %d", grown, limit)
	}
}

// dialSlow connects a device whose receive buffer is as small as the system allows.
func dialSlow(t *testing.T, address string, v packet.Version) (*mqtttest.Device, net.Conn) {
	t.Helper()
	conn, err := net.Dial("tcp", address)
	if err != nil {
		t.Fatal(err)
	}
	if err := conn.(*net.TCPConn).SetReadBuffer(4096); err != nil {
		t.Fatal(err)
	}
	d := mqtttest.New(t, conn, v)
	d.SetTimeout(rig.Patience)
	return d, conn
}

// inbox is the session queue of a client on the bus.
func (b *bus) inbox(t *testing.T, client string) queues.QueueInfo {
	t.Helper()
	for _, q := range b.Snapshot().Queues {
		if strings.HasPrefix(q.Name, "sluice.session."+client+".") {
			return q
		}
	}
	t.Fatalf("there is no inbox of %s", client)
	return queues.QueueInfo{}
}

// announce is a fixed header with nothing behind it.
func announce(first byte, length int) []byte {
	return []byte{first, byte(length) | 0x80, byte(length>>7) | 0x80, byte(length>>14) | 0x80, byte(length>>21) & 0x7F}
}

const (
	announcers = 200
	mqttMax    = 268_435_455
)

// A packet that is too large is refused from its header, before and after CONNECT: nobody makes the node take memory by announcing it.
func TestOversizePackets(t *testing.T) {
	b := startBus(t)
	n := b.node(t)
	before := heap()
	for range announcers {
		d := mqtttest.Dial(t, n.TCP, packet.V5)
		d.SendRaw(announce(0x10, mqttMax))
		d.ExpectClosed()
	}
	for i := range announcers {
		v := packet.V5
		if i%2 == 1 {
			v = packet.V311
		}
		d, _ := rig.Dial(t, n, v, rig.Clean(rig.Prefix(t)))
		d.SendRaw(announce(0x30, mqttMax))
		if v == packet.V5 {
			if r := mqtttest.Expect[*packet.Disconnect](d).Reason; r != packet.PacketTooLarge {
				t.Errorf("DISCONNECT with %v, want %v", r, packet.PacketTooLarge)
			}
		}
		d.ExpectClosed()
	}
	expectGrowth(t, before, 16*mib)
}

// A packet that may be that large, but does not come, costs no more than has arrived and a step ahead.
func TestAnnouncedPacketsThatDoNotCome(t *testing.T) {
	const largest = 262_144 - 5 // mqtt.max_packet_size
	b := startBus(t)
	n := b.node(t)
	d, _ := rig.Dial(t, n, packet.V5, rig.Clean(rig.Prefix(t)))
	before := heap()
	for range announcers {
		waiting, _ := rig.Dial(t, n, packet.V5, rig.Clean(rig.Prefix(t)))
		waiting.SendRaw(append(announce(0x30, largest)[:4], 0, 0)) // its length takes three bytes
		stranger := mqtttest.Dial(t, n.TCP, packet.V5)
		stranger.SendRaw([]byte{0x10, 0xF0, 0xD4, 0x03}) // a CONNECT of 60,016 bytes
	}
	for range 20 { // so that the node has come to all of them
		d.Send(&packet.Pingreq{})
		mqtttest.Expect[*packet.Pingresp](d)
	}
	expectGrowth(t, before, announcers*(128+96)<<10)
}
