//go:build unix

package transport

import (
	"encoding/binary"
	"io"
	"net"
	"testing"
	"time"

	"sluice/mqtt/packet"
)

// overTCP gives a writer on a connection of the kind that is written to directly.
func overTCP(t *testing.T) (w *Writer, device net.Conn) {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	if device, err = net.Dial("tcp", l.Addr().String()); err != nil {
		t.Fatal(err)
	}
	conn, err := l.Accept()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = conn.Close(); _ = device.Close() })
	return NewWriter(conn, 30*time.Second, 1<<16, func() {}), device
}

// rested makes the last write long ago.
func (w *Writer) rested() {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.last = time.Time{}
}

func (w *Writer) busy() bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.flushing || len(w.pending) > 0
}

func TestAPacketThatComesAloneIsWrittenAtOnce(t *testing.T) {
	t.Parallel()
	w, device := overTCP(t)
	for _, passed := range []time.Duration{0, time.Minute} { // since an earlier write's deadline
		if passed > 0 {
			w.deadline = time.Now().Add(-passed)
			_ = w.conn.SetWriteDeadline(w.deadline)
		}
		w.rested()
		if err := w.AppendAlone(&packet.Pingresp{}, packet.V5); err != nil {
			t.Fatal(err)
		}
		if w.busy() {
			t.Errorf("deadline %v ago: it waits for the flusher", passed)
		}
		got := make([]byte, 2)
		if _, err := io.ReadFull(device, got); err != nil || got[0] != 0xD0 {
			t.Errorf("read %x, %v", got, err)
		}
	}
}

// A device that does not read is never waited for, and what is written directly and by the flusher keeps its order.
func TestWhatCannotBeWrittenAtOnceIsLeftToTheFlusher(t *testing.T) {
	t.Parallel()
	w, device := overTCP(t)
	sent := uint32(0)
	for behind := 0; behind < 20; sent++ {
		p := publish(2000)
		binary.BigEndian.PutUint32(p.Payload, sent)
		w.rested()
		if err := w.AppendAlone(p, packet.V5); err != nil {
			t.Fatal(err)
		}
		if w.Buffered() > 0 {
			behind++
		}
	}
	_ = device.SetReadDeadline(time.Now().Add(20 * time.Second))
	r := packet.NewReader(device, packet.MaxPacketSize)
	r.SetVersion(packet.V5)
	for want := range sent {
		p, err := r.ReadPacket()
		if err != nil {
			t.Fatalf("packet %d of %d: %v", want, sent, err)
		}
		if got := binary.BigEndian.Uint32(p.(*packet.Publish).Payload); got != want {
			t.Fatalf("packet %d came in place of %d", got, want)
		}
	}
	w.rested()
	if err := w.AppendAlone(&packet.Disconnect{}, packet.V5); err != nil {
		t.Fatal(err)
	}
	w.CloseAfterFlush()
	if rest, err := io.ReadAll(device); err != nil || len(rest) != 2 {
		t.Errorf("then %x, %v", rest, err)
	}
}

// BenchmarkWriterAlone is BenchmarkWriter for a packet that comes alone.
func BenchmarkWriterAlone(b *testing.B) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		b.Fatal(err)
	}
	defer l.Close()
	device, err := net.Dial("tcp", l.Addr().String())
	if err != nil {
		b.Fatal(err)
	}
	defer device.Close()
	conn, err := l.Accept()
	if err != nil {
		b.Fatal(err)
	}
	defer conn.Close()
	w := NewWriter(conn, 30*time.Second, 1<<16, func() {})
	p, got := publish(100), make([]byte, 100+6)
	b.ReportAllocs()
	for b.Loop() {
		w.rested()
		if err := w.AppendAlone(p, packet.V5); err != nil {
			b.Fatal(err)
		}
		if _, err := io.ReadFull(device, got); err != nil {
			b.Fatal(err)
		}
	}
}
