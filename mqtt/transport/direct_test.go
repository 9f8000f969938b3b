//go:build unix

package transport

import (
	"bytes"
	"encoding/binary"
	"io"
	"net"
	"sync"
	"testing"
	"time"

	"sluice/mqtt/packet"
)

// overTCP gives a writer on a connection of the kind that is written to directly.
func overTCP(t testing.TB) (w *Writer, device net.Conn) {
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
	return NewWriter(conn, 30*time.Second, 1<<16, nobody{}), device
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
	w, device := overTCP(b)
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

// Whatever the sizes, and whichever way packets are given, the device gets them whole and in order, also when it reads late and connections use each other's
// buffers.
func TestPacketsOfAnySizeKeepTheirOrder(t *testing.T) {
	t.Parallel()
	const packets = 400
	var readers sync.WaitGroup
	for range 4 {
		w, device := overTCP(t)
		_ = device.SetReadDeadline(time.Now().Add(20 * time.Second))
		begin := make(chan struct{})
		readers.Go(func() {
			<-begin
			r := packet.NewReader(device, packet.MaxPacketSize)
			r.SetVersion(packet.V5)
			for want := range uint32(packets) {
				p, err := r.ReadPacket()
				if err != nil {
					t.Errorf("packet %d: %v", want, err)
					return
				}
				payload := p.(*packet.Publish).Payload
				if got := binary.BigEndian.Uint32(payload); got != want || len(payload) != sizeOf(want) || bytes.Count(payload[4:], []byte{byte(want)}) != len(payload)-4 {
					t.Errorf("packet %d of %d bytes came in place of %d of %d", got, len(payload), want, sizeOf(want))
					return
				}
			}
		})
		for i := range uint32(packets) {
			if i == packets/2 {
				close(begin)
			}
			p := publish(sizeOf(i))
			for k := range p.Payload {
				p.Payload[k] = byte(i)
			}
			binary.BigEndian.PutUint32(p.Payload, i)
			var err error
			switch i % 5 {
			case 0:
				err = w.Append(p, packet.V5)
			case 1:
				w.rested()
				err = w.AppendAlone(p, packet.V5)
			default:
				err = w.Gather(packet.Prepare(p), packet.V5)
			}
			if i%20 == 4 {
				w.rested()
				w.Flush()
			}
			if err != nil {
				t.Fatal(err)
			}
		}
		w.Flush()
	}
	readers.Wait()
}

// sizeOf gives payloads of all the sizes that are treated differently.
func sizeOf(i uint32) int {
	return [...]int{4, 100, 1000, largePayload, 100, 3000, largePayload - 1, 5000, 6000, 200_000, 10, 20, 30}[i%13]
}
