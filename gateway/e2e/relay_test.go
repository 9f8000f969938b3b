package e2e

import (
	"crypto/tls"
	"io"
	"net"
	"sync"
	"testing"
)

// relay passes connections on to one address after the other, as a load balancer without affinity does. With a configuration it ends TLS before.
type relay struct {
	address string

	mu  sync.Mutex
	to  []string
	end map[net.Conn]struct{}
}

func startRelay(t *testing.T, ends *tls.Config, to ...string) *relay {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	r := &relay{address: l.Addr().String(), to: to, end: map[net.Conn]struct{}{}}
	var work sync.WaitGroup
	work.Go(func() {
		for {
			conn, err := l.Accept()
			if err != nil {
				return
			}
			if ends != nil {
				conn = tls.Server(conn, ends)
			}
			work.Go(func() { r.pass(conn) })
		}
	})
	t.Cleanup(func() {
		_ = l.Close()
		r.mu.Lock()
		for c := range r.end {
			_ = c.Close()
		}
		r.end = nil
		r.mu.Unlock()
		work.Wait()
	})
	return r
}

// next gives the address of the next connection.
func (r *relay) next() string {
	r.mu.Lock()
	defer r.mu.Unlock()
	first := r.to[0]
	r.to = append(r.to[1:], first)
	return first
}

// pass ends when both directions have.
func (r *relay) pass(from net.Conn) {
	defer from.Close()
	if t, ok := from.(*tls.Conn); ok && t.Handshake() != nil {
		return
	}
	to, err := net.Dial("tcp", r.next())
	if err != nil {
		return
	}
	defer to.Close()
	if !r.keep(from, to) {
		return
	}
	back := make(chan struct{})
	go func() {
		defer close(back)
		_, _ = io.Copy(from, to)
		closeHalf(from)
	}()
	_, _ = io.Copy(to, from)
	closeHalf(to)
	<-back
	r.mu.Lock()
	defer r.mu.Unlock()
	delete(r.end, from)
	delete(r.end, to)
}

// keep notes connections for the end of the test; false when it has come.
func (r *relay) keep(conns ...net.Conn) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, c := range conns {
		if r.end == nil {
			return false
		}
		r.end[c] = struct{}{}
	}
	return true
}

func closeHalf(c net.Conn) { _ = c.(interface{ CloseWrite() error }).CloseWrite() }
