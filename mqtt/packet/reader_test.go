package packet_test

import (
	"bytes"
	"errors"
	"io"
	"runtime"
	"strings"
	"testing"
	"testing/iotest"

	"sluice/mqtt/packet"
)

func TestReaderReadsEachPacket(t *testing.T) {
	t.Parallel()
	for _, v := range []packet.Version{packet.V311, packet.V5} {
		var stream []byte
		var want []packet.Packet
		for _, g := range goodPackets {
			if g.v == v {
				stream = append(stream, g.bytes...)
				want = append(want, g.packet)
			}
		}
		for name, r := range map[string]io.Reader{
			"at once": bytes.NewReader(stream), "byte by byte": iotest.OneByteReader(bytes.NewReader(stream)),
			"with EOF": iotest.DataErrReader(bytes.NewReader(stream)),
		} {
			reader := packet.NewReader(r, 0) // its first packet is a CONNECT, which sets the version
			var got []packet.Packet
			for range want {
				p, err := reader.ReadPacket()
				if err != nil {
					t.Fatalf("%s %s: after %d packets: %v", v, name, len(got), err)
				}
				got = append(got, p)
			}
			// Compared at the end: no packet may lie in memory that a later one was read into.
			for i := range want {
				if d := diff(want[i], got[i]); d != "" {
					t.Fatalf("%s %s: packet %d (-want +got):\n%s", v, name, i, d)
				}
			}
			if _, err := reader.ReadPacket(); !errors.Is(err, io.EOF) {
				t.Fatalf("%s %s: at the end: %v, want io.EOF", v, name, err)
			}
		}
	}
}

func TestReaderEndsInsideAPacket(t *testing.T) {
	t.Parallel()
	whole := wire{}.str("a/b").raw(strings.Repeat("x", 200_000)).packet(0x30)
	for _, n := range []int{1, 2, 3, 4, 5, 10, 65_540, 131_080, len(whole) - 1} {
		reader := packet.NewReader(bytes.NewReader(whole[:n]), 0)
		reader.SetVersion(packet.V311)
		if p, err := reader.ReadPacket(); !errors.Is(err, io.ErrUnexpectedEOF) || p != nil {
			t.Errorf("after %d bytes: %v, %v; want io.ErrUnexpectedEOF", n, p, err)
		}
	}
	broken := errors.New("reset by peer")
	reader := packet.NewReader(io.MultiReader(bytes.NewReader(whole[:100]), iotest.ErrReader(broken)), 0)
	if _, err := reader.ReadPacket(); !errors.Is(err, broken) {
		t.Errorf("the error of the stream came as %v", err)
	}
}

// The limit counts the whole packet, and a packet beyond it is refused although not one byte of its body was sent.
func TestReaderRefusesFromTheHeader(t *testing.T) {
	t.Parallel()
	const limit = 1000
	for _, c := range []struct {
		size int
		ok   bool
	}{{limit - 1, true}, {limit, true}, {limit + 1, false}} {
		whole := wire{}.str("t").raw(strings.Repeat("x", c.size-3-3)).packet(0x30)
		if len(whole) != c.size {
			t.Fatalf("built %d bytes for %d", len(whole), c.size)
		}
		reader := packet.NewReader(bytes.NewReader(whole), limit)
		reader.SetVersion(packet.V311)
		p, err := reader.ReadPacket()
		if c.ok != (err == nil) {
			t.Errorf("%d bytes under a limit of %d: %v, %v", c.size, limit, p, err)
		}
	}
	for _, announced := range []int{1001, 268_435_455} {
		reader := packet.NewReader(bytes.NewReader(wire{0x30}.varint(announced)), limit)
		_, err := reader.ReadPacket()
		var refused *packet.Error
		if !errors.As(err, &refused) || refused.Reason != packet.PacketTooLarge || refused.Clause != "MQTT-3.2.2-15" {
			t.Errorf("%d bytes announced: %v", announced, err)
		}
	}
}

func TestReaderLimitMayChange(t *testing.T) {
	t.Parallel()
	one := wire{}.str("t").raw(strings.Repeat("x", 100)).packet(0x30)
	reader := packet.NewReader(bytes.NewReader(bytes.Repeat(one, 2)), 50)
	reader.SetVersion(packet.V311)
	reader.SetMaxPacketSize(len(one))
	if _, err := reader.ReadPacket(); err != nil {
		t.Fatal(err)
	}
	if n := reader.Buffered(); n != len(one) {
		t.Errorf("Buffered = %d, want the %d bytes of the second packet", n, len(one))
	}
	reader.SetMaxPacketSize(len(one) - 1)
	if _, err := reader.ReadPacket(); err == nil {
		t.Fatal("the smaller limit does not count")
	}
}

func TestReaderRefusesWithoutVersion(t *testing.T) {
	t.Parallel()
	reader := packet.NewReader(bytes.NewReader([]byte{0xC0, 0}), 0)
	_, err := reader.ReadPacket()
	var refused *packet.Error
	if !errors.As(err, &refused) || refused.Clause != "MQTT-3.1.0-1" {
		t.Fatalf("PINGREQ before CONNECT: %v", err)
	}
}

// greedy counts how far ahead of the bytes it gave the reader asks.
type greedy struct {
	left, given, ahead int
}

func (g *greedy) Read(p []byte) (int, error) {
	g.ahead = max(g.ahead, len(p)-g.given)
	if g.left == 0 {
		return 0, io.EOF
	}
	n := min(len(p), g.left, 10_000)
	clear(p[:n])
	g.left -= n
	g.given += n
	return n, nil
}

// Memory follows the bytes that arrive (invariant I4): never more than 66 KiB, or as much again as came, is asked for ahead.
// Not parallel, because it measures the memory of the process.
func TestReaderTakesMemoryAsBytesArrive(t *testing.T) {
	const announced, runs = 200 << 20, 10
	for _, sent := range []int{0, 1, 70_000, 1 << 20} {
		var before, after runtime.MemStats
		runtime.ReadMemStats(&before)
		for range runs {
			source := &greedy{left: sent}
			reader := packet.NewReader(io.MultiReader(bytes.NewReader(wire{0x30}.varint(announced)), source), 0)
			if _, _, err := reader.ReadBody(); !errors.Is(err, io.ErrUnexpectedEOF) {
				t.Fatal(err)
			}
			if source.ahead > 66<<10 {
				t.Fatalf("%d bytes sent: the reader waited for %d more than it had", sent, source.ahead)
			}
		}
		runtime.ReadMemStats(&after)
		if took, most := (after.TotalAlloc-before.TotalAlloc)/runs, uint64(4*sent+80<<10); took > most {
			t.Errorf("%d of %d announced bytes sent: %d bytes taken, want at most %d", sent, announced, took, most)
		}
	}
}
