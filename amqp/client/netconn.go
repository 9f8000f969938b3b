package client

import (
	"encoding/binary"
	"errors"
	"io"
	"net"
	"sync"
	"sync/atomic"
	"time"
)

// netConn is the net.Conn that go-amqp gets. It owns the real one.
//
// Writing: the library makes one Write per frame and waits for it. Here Write only appends to a bounded buffer, and a flusher makes one
// system call of all that has gathered: +61 % throughput on one link. Write blocks while the buffer is full. A failure shows at the next
// Write and closes the connection; outcomes, not writes, guard deliveries.
//
// The library makes one Write per frame, so that a frame can be mended on its way (settled.go). Transfers of ours come by offer, which never waits.
//
// What our own receiving sessions have to write is fetched by the flusher (inlet.go).
//
// Reading: every inbound frame that the library gets passes the frame guard. What is for our own transfers (owned.go) and sessions (inlets.go) does not reach it.
type netConn struct {
	raw net.Conn

	// Read side, used by the library's reader only.
	in     []byte // bytes from the socket, not yet a whole frame
	out    []byte // guarded bytes, not yet handed over
	outPos int
	chunk  []byte
	idle   time.Duration // the least that a read from the socket has, zero: any
	readBy time.Time     // the socket's read deadline
	limits peerLimits
	seen   atomic.Pointer[peerLimits]

	windows windows
	owned   owned
	inlets  inlets

	mu      sync.Mutex
	settled settledLinks // on which we send settled
	cond    sync.Cond    // the buffer has room, has bytes, or the end is near
	buf     []byte
	spare   []byte
	err     error
	closing bool
	refused bool          // an offer found the buffer full
	fetches fifo[*inlet]  // that have something to be written, each once
	flushed chan struct{} // closed when the flusher has ended
}

func newNetConn(raw net.Conn) *netConn {
	c := &netConn{raw: raw, chunk: make([]byte, readBuffer), limits: noPeerLimits(), settled: settledLinks{}, flushed: make(chan struct{})}
	c.cond.L = &c.mu
	limits := c.limits
	c.seen.Store(&limits)
	go c.flush()
	return c
}

// peer tells the limits that the peer has announced so far.
func (c *netConn) peer() peerLimits { return *c.seen.Load() }

// Write takes p into the buffer. It keeps no reference to p.
func (c *netConn) Write(p []byte) (int, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for len(c.buf) >= writeBuffer && c.err == nil && !c.closing {
		c.cond.Wait()
	}
	if c.err != nil {
		return 0, c.err
	}
	if c.closing {
		return 0, net.ErrClosed
	}
	c.buf = append(c.buf, p...)
	c.settled.mend(c.buf[len(c.buf)-len(p):])
	c.owned.wrote(p)
	c.cond.Broadcast()
	return len(p), nil
}

// appender appends a frame. What it gives with an error counts for nothing.
type appender interface {
	append(dst []byte) ([]byte, error)
}

// offer takes the frame that a appends, unless the buffer is full or the connection is over: then taken is false, and in the first case the links are told
// once there is room. An error is a's. urgent is for frames that are small and few: they always have room. offer never waits.
func (c *netConn) offer(a appender, urgent bool) (taken bool, err error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.err != nil || c.closing {
		return false, nil
	}
	if len(c.buf) >= writeBuffer && !urgent {
		c.refused = true
		return false, nil
	}
	b, err := a.append(c.buf)
	if err != nil {
		return false, err
	}
	c.buf = b
	c.cond.Broadcast()
	return true, nil
}

func (c *netConn) flush() {
	defer close(c.flushed)
	for {
		b, full := c.take()
		if b == nil {
			return
		}
		if full {
			c.owned.tellRoom()
		}
		timeout := writeTimeout
		if c.isClosing() {
			timeout = closeFlushTimeout
		}
		_ = c.raw.SetWriteDeadline(time.Now().Add(timeout))
		if _, err := c.raw.Write(b); err != nil {
			c.abort(err)
			return
		}
	}
}

// fetch has the flusher call in's fill before its next write.
func (c *netConn) fetch(in *inlet) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.fetches.push(in)
	c.cond.Broadcast()
}

// take waits for bytes and gives them all; nil at the end. full: an offer was refused since the last time.
func (c *netConn) take() (b []byte, full bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for c.err == nil {
		if c.fetches.len() > 0 && len(c.buf) < writeBuffer && !c.closing {
			c.fetchOne()
		} else if len(c.buf) > 0 || c.closing {
			break
		} else {
			c.cond.Wait()
		}
	}
	if c.err != nil || len(c.buf) == 0 {
		return nil, false
	}
	b, full = c.buf, c.refused
	c.buf, c.spare, c.refused = c.spare[:0], b, false
	c.cond.Broadcast()
	return b, full
}

// fetchOne lets an inlet fill the buffer. c.mu is held, but not while it does: its own comes first.
func (c *netConn) fetchOne() {
	in := c.fetches.pop()
	c.mu.Unlock()
	defer c.mu.Lock()
	in.fill()
}

func (c *netConn) isClosing() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.closing
}

// abort closes the socket at once; err is what the library sees next. It does not wait.
func (c *netConn) abort(err error) {
	c.mu.Lock()
	if c.err == nil {
		c.err = err
	}
	c.cond.Broadcast()
	c.mu.Unlock()
	_ = c.raw.Close()
}

// Close writes what is in the buffer, within closeFlushTimeout, and closes the socket.
func (c *netConn) Close() error {
	c.mu.Lock()
	first := !c.closing
	c.closing = true
	c.cond.Broadcast()
	c.mu.Unlock()
	if first {
		_ = c.raw.SetWriteDeadline(time.Now().Add(closeFlushTimeout))
	}
	<-c.flushed
	return c.raw.Close()
}

// Read gives guarded bytes.
func (c *netConn) Read(p []byte) (int, error) {
	for c.outPos == len(c.out) {
		c.out, c.outPos = c.out[:0], 0
		if err := c.guardBuffered(); err != nil {
			c.abort(err)
			return 0, err
		}
		if len(c.out) > 0 {
			break
		}
		c.limitRead()
		n, err := c.raw.Read(c.chunk)
		c.in = append(c.in, c.chunk[:n]...)
		if n == 0 && err != nil {
			return 0, c.readError(err)
		}
	}
	n := copy(p, c.out[c.outPos:])
	c.outPos += n
	return n, nil
}

// readError prefers the reason for which we closed the socket ourselves.
func (c *netConn) readError(err error) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.err != nil && errors.Is(err, net.ErrClosed) {
		return c.err
	}
	if errors.Is(err, io.EOF) {
		return errPeerClosed
	}
	return err
}

var errPeerClosed = errors.New("the bus closed the connection without a word")

// guardBuffered moves all whole frames from in to out.
func (c *netConn) guardBuffered() error {
	rest := c.in
	for len(rest) >= frameHeaderSize {
		size := int64(binary.BigEndian.Uint32(rest))
		if string(rest[:4]) == "AMQP" { // a protocol header [AMQP 2.2]; as a frame size it would be far beyond the limit
			size = frameHeaderSize
			c.out = append(c.out, rest[:size]...)
			rest = rest[size:]
			continue
		}
		if size < frameHeaderSize || size > maxFrameSize {
			return refuse("a frame announces %d bytes; 8 to %d are agreed", size, maxFrameSize)
		}
		if int64(len(rest)) < size {
			break
		}
		before := c.limits
		if err := c.pass(rest[:size]); err != nil {
			return err
		}
		if c.limits != before {
			limits := c.limits
			c.seen.Store(&limits)
		}
		rest = rest[size:]
	}
	c.in = append(c.in[:0], rest...)
	return nil
}

// pass gives one whole frame to whom it is for.
func (c *netConn) pass(b []byte) error {
	if ours, err := c.inlets.read(b, &c.limits); ours || err != nil {
		return err
	}
	seen := len(c.out)
	var err error
	if c.out, err = guardFrame(c.out, b, &c.limits); err != nil {
		return err
	}
	ours, err := c.owned.read(b, c.limits.maxFrame)
	if ours {
		c.out = c.out[:seen]
	} else {
		c.windows.observe(b)
	}
	return err
}

// LocalAddr gives the socket's own address.
func (c *netConn) LocalAddr() net.Addr { return c.raw.LocalAddr() }

// RemoteAddr gives the bus's address.
func (c *netConn) RemoteAddr() net.Addr { return c.raw.RemoteAddr() }

// SetDeadline sets the read deadline only, see SetWriteDeadline.
func (c *netConn) SetDeadline(t time.Time) error {
	c.idle, c.readBy = 0, t
	return c.raw.SetReadDeadline(t)
}

// SetReadDeadline is the library's idle time-out, which it sets before each Read. One Read may take many of the socket's, if their frames are all ours: each of
// them has that much time, or an eighth more, since setting a deadline costs a good part of a small read.
func (c *netConn) SetReadDeadline(t time.Time) error {
	c.idle = 0
	if t.IsZero() {
		c.readBy = t
		return c.raw.SetReadDeadline(t)
	}
	c.idle = time.Until(t)
	return nil
}

// limitRead sees to it that the next read from the socket has the idle time-out at least.
func (c *netConn) limitRead() {
	if c.idle <= 0 {
		return
	}
	if now := time.Now(); c.readBy.Sub(now) < c.idle {
		c.readBy = now.Add(c.idle + c.idle/8)
		_ = c.raw.SetReadDeadline(c.readBy)
	}
}

// SetWriteDeadline does nothing: the library would make one caller's context the deadline of everybody's connection. The flusher bounds each
// write with writeTimeout.
func (c *netConn) SetWriteDeadline(time.Time) error { return nil }
