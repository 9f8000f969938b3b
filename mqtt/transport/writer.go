package transport

import (
	"errors"
	"net"
	"sync"
	"time"

	"sluice/mqtt/packet"
)

// ErrClosed: the writer is closed, or a write has failed.
var ErrClosed = errors.New("transport: connection closed")

// Owner is whose connection a Writer writes to.
type Owner interface {
	// WriterLow is called, from the flusher's goroutine, each time the buffer falls to the low mark or below after having been above it.
	WriterLow()
	// WriterClosed is called when nothing more is written: the connection is closed, or its sending half is and the rest has a read deadline. It must not call
	// the Writer.
	WriterClosed()
}

// Writer sends packets without making its caller wait.
//
// The buffer has no bound of its own, since what is appended is bounded by the windows of the session. LowWater and Buffered let the
// owner stop what is not: QoS 0 deliveries, and reading from a device that does not read its answers.
type Writer struct {
	conn    net.Conn
	timeout time.Duration
	low     int
	owner   Owner
	direct  *direct // nil: everything goes by the flusher

	// deadline is the connection's write deadline. The flusher has it, and while there is none, the holder of mu.
	deadline time.Time
	mu       sync.Mutex
	last     time.Time // when something was last written directly, or the flusher last ended
	pending  []byte
	spare    []byte // the other buffer of the pair, nil while the flusher has it
	inFlight int    // bytes the flusher took and has not written
	flushing bool
	wasHigh  bool
	closing  bool // close the connection once all is written
	err      error
}

// NewWriter returns a writer for conn. A write of up to 64 KiB that takes longer than timeout, or an eighth more, ends the connection. low is the low mark, in
// bytes.
func NewWriter(conn net.Conn, timeout time.Duration, low int, owner Owner) *Writer {
	return &Writer{conn: conn, timeout: timeout, low: low, owner: owner, direct: newDirect(conn)}
}

// Append encodes p behind what is waiting. It returns an error when p cannot be encoded (nothing is sent of it) or ErrClosed.
func (w *Writer) Append(p packet.Packet, v packet.Version) error { return w.add(p, v, false) }

// AppendAlone is Append for a packet behind which no other is expected soon. If there was none for a while either, it is written at once, as far as that
// needs no waiting.
func (w *Writer) AppendAlone(p packet.Packet, v packet.Version) error { return w.add(p, v, true) }

// Gather encodes p behind what is waiting, and leaves it there until Flush, or until something else is written. The error is that of Append.
func (w *Writer) Gather(p packet.Packet, v packet.Version) error {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.encodeLocked(p, v)
}

// Flush has what was gathered written: at once, as far as that needs no waiting, unless there was a write only just now.
func (w *Writer) Flush() {
	w.mu.Lock()
	defer w.mu.Unlock()
	if len(w.pending) > 0 && w.err == nil {
		w.sendLocked(true)
	}
}

func (w *Writer) add(p packet.Packet, v packet.Version, alone bool) error {
	w.mu.Lock()
	defer w.mu.Unlock()
	if err := w.encodeLocked(p, v); err != nil {
		return err
	}
	w.sendLocked(alone)
	return nil
}

func (w *Writer) encodeLocked(p packet.Packet, v packet.Version) error {
	if w.err != nil || w.closing {
		return ErrClosed
	}
	w.makeRoomLocked(p, v)
	head, payload, err := packet.AppendHead(w.pending, p, v)
	if err != nil {
		return err
	}
	if len(payload) < largePayload || w.direct == nil || w.flushing {
		w.pending = append(head, payload...)
		return nil
	}
	// Nobody is at it: what the connection takes of a large payload is not copied.
	w.pending = append(head, payload[:largeLead]...)
	payload = payload[largeLead:]
	if w.tryLocked(time.Now()) {
		payload = payload[w.direct.try(payload):]
	}
	w.pending = append(w.pending, payload...)
	return nil
}

// makeRoomLocked takes a buffer out of the pool when more gathers than an idle connection keeps room for. For still more it grows as slices do.
func (w *Writer) makeRoomLocked(p packet.Packet, v packet.Version) {
	if cap(w.pending) >= burstBuffer || len(w.pending) < retainedBuffer/2 {
		return
	}
	if n, err := packet.Size(p, v); err == nil && len(w.pending)+n > max(cap(w.pending), retainedBuffer) && len(w.pending)+n <= burstBuffer {
		w.pending = append(bursts.Get().(*[burstBuffer]byte)[:0], w.pending...)
	}
}

// sendLocked writes on the spot, if it may, or has the flusher write.
func (w *Writer) sendLocked(direct bool) {
	if len(w.pending) == 0 {
		return // a large packet that has gone
	}
	if direct && w.direct != nil && !w.flushing && w.writeLocked(time.Now()) {
		return
	}
	w.startLocked()
}

// writeLocked writes what waits on the spot, and reports whether that is all. It leaves it to the flusher when the last write was only just now: then
// more is coming, and can share a system call. There is no flusher.
func (w *Writer) writeLocked(now time.Time) bool {
	if len(w.pending) > directMax || now.Sub(w.last) < directPause {
		return false
	}
	return w.tryLocked(now)
}

// tryLocked writes what waits, as far as the connection takes it at once, and reports whether that is all. There is no flusher.
func (w *Writer) tryLocked(now time.Time) bool {
	if !w.deadline.IsZero() && !now.Before(w.deadline) {
		w.deadline = time.Time{}
		_ = w.conn.SetWriteDeadline(w.deadline)
	}
	w.last = now
	n := w.direct.try(w.pending)
	if n == len(w.pending) {
		w.pending = keepSmall(w.pending)
		return true
	}
	w.pending = w.pending[:copy(w.pending, w.pending[n:])]
	return false
}

// Buffered is the number of bytes not yet handed to the network.
func (w *Writer) Buffered() int {
	w.mu.Lock()
	defer w.mu.Unlock()
	return len(w.pending) + w.inFlight
}

// Closed reports whether nothing more is written; see Owner.
func (w *Writer) Closed() bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.err != nil
}

// CloseAfterFlush closes the connection when everything appended so far is written, or could not be. Later Appends fail. Whoever reads from the
// connection goes on until it ends, within closeLinger, and closes it.
func (w *Writer) CloseAfterFlush() {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.closing {
		return
	}
	w.closing = true
	switch {
	case w.flushing:
	case len(w.pending) > 0 && w.err == nil: // gathered
		w.startLocked()
	default:
		w.closeLocked()
	}
}

func (w *Writer) startLocked() {
	if len(w.pending)+w.inFlight > w.low {
		w.wasHigh = true
	}
	if !w.flushing {
		w.flushing = true
		go w.flush()
	}
}

// flush writes until nothing is left, then ends: no goroutine waits on an idle connection.
func (w *Writer) flush() {
	for {
		buf, low := w.take()
		if low {
			w.owner.WriterLow()
			continue
		}
		if buf == nil {
			return
		}
		w.write(buf)
	}
}

// take gives the flusher the next buffer, or tells it that the buffer has fallen to the low mark, or that it is done.
func (w *Writer) take() (buf []byte, low bool) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.wasHigh && len(w.pending) <= w.low {
		w.wasHigh = false
		return nil, true
	}
	if len(w.pending) == 0 || w.err != nil {
		w.flushing, w.last = false, time.Now()
		w.pending = keepSmall(w.pending)
		_ = keepSmall(w.spare)
		w.spare = nil
		if w.closing {
			w.closeLocked()
		}
		return nil, false
	}
	buf = w.pending
	w.pending, w.spare = w.spare[:0], nil
	w.inFlight = len(buf)
	return buf, false
}

// keepSmall gives the buffer for what comes next: none is kept that is large.
func keepSmall(b []byte) []byte {
	if cap(b) == burstBuffer {
		bursts.Put((*[burstBuffer]byte)(b[:burstBuffer]))
	}
	if cap(b) > retainedBuffer {
		return nil
	}
	return b[:0]
}

// bursts are buffers for what gathers for a moment on a connection.
var bursts = sync.Pool{New: func() any { return new([burstBuffer]byte) }}

// limit sees to it that the next write has the whole timeout at least. Setting a deadline costs a good part of a small write, so it is set further ahead
// and then holds for many. A WebSocket takes it off after each write.
func (w *Writer) limit(now time.Time) {
	if _, once := w.conn.(*webSocketConn); once {
		_ = w.conn.SetWriteDeadline(now.Add(w.timeout))
		return
	}
	if w.deadline.Sub(now) < w.timeout {
		w.deadline = now.Add(w.timeout + w.timeout/deadlineShare)
		_ = w.conn.SetWriteDeadline(w.deadline)
	}
}

func (w *Writer) write(buf []byte) {
	var err error
	for rest := buf; len(rest) > 0 && err == nil; {
		chunk := rest[:min(len(rest), writeChunk)]
		w.limit(time.Now())
		_, err = w.conn.Write(chunk)
		rest = rest[len(chunk):]
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	w.inFlight = 0
	w.spare = buf[:0]
	if err != nil {
		w.err = err
		w.closeLocked()
	}
}

// closeLocked ends the connection: at once after a failure, else with its sending half first, so that what was sent is not lost in the reset
// that closing with unread bytes causes. The reader, who gets closeLinger to see the end, closes the rest.
func (w *Writer) closeLocked() {
	w.pending = nil
	half, ok := w.conn.(interface{ CloseWrite() error })
	if w.err != nil || !ok || half.CloseWrite() != nil {
		_ = w.conn.Close()
	} else {
		_ = w.conn.SetReadDeadline(time.Now().Add(closeLinger))
	}
	if w.err == nil {
		w.err = ErrClosed
	}
	w.owner.WriterClosed()
}
