package transport

import (
	"bytes"
	"io"
	"net"
	"testing"
	"testing/synctest"
	"time"

	"go.uber.org/goleak"

	"sluice/mqtt/packet"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// nobody owns a connection and does not care.
type nobody struct{}

func (nobody) WriterLow()    {}
func (nobody) WriterClosed() {}

// lowMark is told of the low mark.
type lowMark chan struct{}

func (c lowMark) WriterLow()    { c <- struct{}{} }
func (c lowMark) WriterClosed() {}

// countingConn counts writes, and how often their deadline is set.
type countingConn struct {
	net.Conn
	writes    int
	deadlines int
}

func (c *countingConn) SetWriteDeadline(t time.Time) error {
	c.deadlines++
	return c.Conn.SetWriteDeadline(t)
}

func (c *countingConn) Write(b []byte) (int, error) {
	c.writes++
	return c.Conn.Write(b)
}

func pair(t *testing.T) (ours *countingConn, device net.Conn) {
	t.Helper()
	a, b := net.Pipe()
	t.Cleanup(func() { _ = a.Close(); _ = b.Close() })
	return &countingConn{Conn: a}, b
}

func publish(n int) *packet.Publish {
	return &packet.Publish{Topic: "t", Payload: bytes.Repeat([]byte("x"), n)}
}

func TestPacketsThatWaitShareAWrite(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		conn, device := pair(t)
		w := NewWriter(conn, time.Second, 1<<16, nobody{})
		for range 100 {
			if err := w.Append(&packet.Pingresp{}, packet.V5); err != nil {
				t.Fatal(err)
			}
		}
		got := make([]byte, 200)
		if _, err := io.ReadFull(device, got); err != nil {
			t.Fatal(err)
		}
		synctest.Wait()
		if conn.writes > 2 {
			t.Errorf("%d writes for 100 packets", conn.writes)
		}
		if w.Buffered() != 0 {
			t.Errorf("%d bytes left", w.Buffered())
		}
	})
}

func TestADeviceThatReadsNothingIsClosed(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		conn, device := pair(t)
		w := NewWriter(conn, 30*time.Second, 1<<16, nobody{})
		begin := time.Now()
		if err := w.Append(publish(1000), packet.V5); err != nil {
			t.Fatal(err)
		}
		time.Sleep(34 * time.Second) // the bubble's clock: the timeout and an eighth
		synctest.Wait()
		if err := w.Append(publish(1), packet.V5); err != ErrClosed {
			t.Errorf("Append gives %v after %v, want ErrClosed", err, time.Since(begin))
		}
		if _, err := device.Read(make([]byte, 1)); err != io.EOF {
			t.Errorf("the device's connection gives %v, want EOF", err)
		}
	})
}

func TestASlowDeviceThatReadsStays(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		conn, device := pair(t)
		w := NewWriter(conn, 30*time.Second, 1<<10, nobody{})
		p := publish(4 * writeChunk)
		total, err := packet.Size(p, packet.V5)
		if err != nil {
			t.Fatal(err)
		}
		if err := w.Append(p, packet.V5); err != nil {
			t.Fatal(err)
		}
		// One chunk each 20 s: slower than the timeout for the whole, faster than that for each.
		for read := 0; read < total; {
			n, err := io.ReadFull(device, make([]byte, min(writeChunk, total-read)))
			if err != nil {
				t.Fatalf("after %d of %d bytes: %v", read+n, total, err)
			}
			read += n
			time.Sleep(20 * time.Second)
		}
		if err := w.Append(&packet.Pingresp{}, packet.V5); err != nil {
			t.Errorf("closed although the device reads: %v", err)
		}
		_, _ = io.ReadFull(device, make([]byte, 2))
	})
}

// TestADeadlineHoldsForManyWrites, and each of them has the whole timeout.
func TestADeadlineHoldsForManyWrites(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		conn, device := pair(t)
		w := NewWriter(conn, 32*time.Second, 1<<16, nobody{})
		got := make([]byte, 2)
		for range 60 { // one a second
			if err := w.Append(&packet.Pingresp{}, packet.V5); err != nil {
				t.Fatal(err)
			}
			time.Sleep(time.Second)
			if _, err := io.ReadFull(device, got); err != nil {
				t.Fatal(err)
			}
		}
		if conn.writes != 60 || conn.deadlines > 60/4 {
			t.Errorf("%d writes set %d deadlines", conn.writes, conn.deadlines)
		}
		for _, slow := range []time.Duration{0, 3 * time.Second, time.Second} { // at any age of the deadline
			time.Sleep(slow)
			if err := w.Append(&packet.Pingresp{}, packet.V5); err != nil {
				t.Fatal(err)
			}
			time.Sleep(32*time.Second - time.Millisecond)
			if _, err := io.ReadFull(device, got); err != nil {
				t.Errorf("a write that took less than the timeout failed: %v", err)
			}
		}
	})
}

// BenchmarkWriter sends one small packet at a time over TCP.
func BenchmarkWriter(b *testing.B) {
	w, device := overTCP(b)
	p, got := publish(100), make([]byte, 100+6)
	b.ReportAllocs()
	for b.Loop() {
		if err := w.Append(p, packet.V5); err != nil {
			b.Fatal(err)
		}
		if _, err := io.ReadFull(device, got); err != nil {
			b.Fatal(err)
		}
	}
}

func TestLowWaterIsTold(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		conn, device := pair(t)
		low := make(chan struct{}, 10)
		w := NewWriter(conn, time.Second, 100, lowMark(low))
		_ = w.Append(publish(50), packet.V5)
		_, _ = io.ReadFull(device, make([]byte, 50+5+1))
		synctest.Wait()
		if len(low) != 0 {
			t.Error("told of low water that was never high")
		}
		_ = w.Append(publish(500), packet.V5)
		_, _ = io.CopyN(io.Discard, device, int64(w.Buffered()))
		synctest.Wait()
		if len(low) != 1 {
			t.Errorf("told %d times, want once", len(low))
		}
	})
}

func TestCloseAfterFlushSendsWhatWaits(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		conn, device := pair(t)
		w := NewWriter(conn, time.Second, 100, nobody{})
		_ = w.Append(&packet.Disconnect{Reason: packet.ServerShuttingDown}, packet.V5)
		w.CloseAfterFlush()
		w.CloseAfterFlush()
		got, err := io.ReadAll(device)
		if err != nil || len(got) == 0 || got[0] != 0xE0 {
			t.Errorf("read %x, %v; want DISCONNECT and the end", got, err)
		}
		if err := w.Append(&packet.Pingresp{}, packet.V5); err != ErrClosed {
			t.Errorf("Append after the end gives %v", err)
		}
	})
}

func TestWhatCannotBeEncodedSendsNothing(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		conn, _ := pair(t)
		w := NewWriter(conn, time.Second, 100, nobody{})
		if err := w.Append(&packet.Publish{Topic: "a", QoS: 1}, packet.V5); err == nil {
			t.Error("a PUBLISH without packet identifier was taken")
		}
		if w.Buffered() != 0 {
			t.Error("something of it is left")
		}
	})
}

func TestWhatIsGatheredSharesAWrite(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		for _, end := range []struct {
			name string
			do   func(*Writer)
			more int
		}{
			{"Flush", (*Writer).Flush, 0},
			{"Append", func(w *Writer) { _ = w.Append(&packet.Pingresp{}, packet.V5) }, 2},
			{"CloseAfterFlush", (*Writer).CloseAfterFlush, 0},
		} {
			conn, device := pair(t)
			w := NewWriter(conn, time.Second, 1<<16, nobody{})
			w.Flush()
			ready := packet.Prepare(publish(10))
			for range 100 {
				if err := w.Gather(ready, packet.V5); err != nil {
					t.Fatal(err)
				}
			}
			synctest.Wait()
			if conn.writes > 0 || w.Buffered() != 1600 {
				t.Errorf("%s: %d writes before it, %d bytes wait", end.name, conn.writes, w.Buffered())
			}
			end.do(w)
			got := make([]byte, 1600+end.more)
			if _, err := io.ReadFull(device, got); err != nil {
				t.Fatal(err)
			}
			synctest.Wait()
			if conn.writes != 1 || w.Buffered() != 0 {
				t.Errorf("%s: %d writes, %d bytes wait", end.name, conn.writes, w.Buffered())
			}
			w.CloseAfterFlush()
			if err := w.Gather(ready, packet.V5); err != ErrClosed {
				t.Errorf("%s: after the end Gather gives %v", end.name, err)
			}
		}
	})
}
