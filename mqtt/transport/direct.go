//go:build unix

package transport

import (
	"net"
	"syscall"
)

// direct writes to a plain TCP connection without ever waiting. Under load packets gather while the flusher is on its way; a packet that comes alone only
// pays for it with a goroutine, and mostly with another thread that is woken for it.
type direct struct {
	raw   syscall.RawConn
	buf   []byte
	n     int
	write func(fd uintptr) bool // made once: a new one for each write would be allocated
}

// newDirect gives nil for connections of other kinds.
func newDirect(conn net.Conn) *direct {
	tcp, ok := conn.(*net.TCPConn)
	if !ok {
		return nil
	}
	raw, err := tcp.SyscallConn()
	if err != nil {
		return nil
	}
	d := &direct{raw: raw}
	d.write = func(fd uintptr) bool {
		d.n, _ = syscall.Write(int(fd), d.buf) // the flusher meets the same error again
		return true
	}
	return d
}

// try writes what the connection takes at once and gives how much that was. After an error, or a write deadline that has passed, that is nothing.
func (d *direct) try(b []byte) int {
	d.buf, d.n = b, 0
	err := d.raw.Write(d.write)
	d.buf = nil
	if err != nil {
		return 0
	}
	return max(d.n, 0)
}
