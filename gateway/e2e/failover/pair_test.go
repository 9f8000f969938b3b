package failover

import (
	"io"
	"net"
	"sync"
	"testing"
	"time"

	"sluice/gateway/e2e/rig"
)

// pair is a primary with a replica behind an endpoint that leads to the primary: what a managed Redis gives its customers.
type pair struct {
	*rig.RedisPair
	endpoint *endpoint
}

func startPair(t *testing.T) *pair {
	t.Helper()
	p := rig.StartRedisPair(t)
	return &pair{p, openEndpoint(t, p.Address())}
}

// url is for sessions.url.
func (p *pair) url() string { return "redis://" + p.endpoint.listener.Addr().String() }

// failOver kills the primary and lets the replica, which has none itself, take its place.
func (p *pair) failOver() {
	p.Kill()
	p.Promote()
	p.endpoint.move(p.Address())
}

// endpoint passes connections on to whoever is the primary.
type endpoint struct {
	listener net.Listener
	running  sync.WaitGroup

	mu      sync.Mutex
	primary string
	open    map[net.Conn]struct{} // both ends; nil at the end of the test
}

func openEndpoint(t *testing.T, primary string) *endpoint {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	e := &endpoint{listener: l, primary: primary, open: map[net.Conn]struct{}{}}
	e.running.Go(e.accept)
	t.Cleanup(func() {
		_ = l.Close()
		e.cut(func() { e.open = nil })
		e.running.Wait()
	})
	return e
}

// move ends all connections; new ones go elsewhere.
func (e *endpoint) move(primary string) { e.cut(func() { e.primary = primary }) }

func (e *endpoint) cut(change func()) {
	e.mu.Lock()
	defer e.mu.Unlock()
	for c := range e.open {
		_ = c.Close()
	}
	change()
}

func (e *endpoint) accept() {
	for {
		near, err := e.listener.Accept()
		if err != nil {
			return
		}
		e.running.Go(func() { e.serve(near) })
	}
}

func (e *endpoint) serve(near net.Conn) {
	defer func() { _ = near.Close() }()
	e.mu.Lock()
	primary := e.primary
	e.mu.Unlock()
	far, err := net.DialTimeout("tcp", primary, time.Second)
	if err != nil {
		return
	}
	defer func() { _ = far.Close() }()
	if !e.keep(primary, near, far) {
		return
	}
	e.running.Go(func() { carry(far, near) })
	carry(near, far)
	e.mu.Lock()
	delete(e.open, near)
	delete(e.open, far)
	e.mu.Unlock()
}

// keep is false when the primary has moved meanwhile.
func (e *endpoint) keep(primary string, ends ...net.Conn) bool {
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.open == nil || e.primary != primary {
		return false
	}
	for _, c := range ends {
		e.open[c] = struct{}{}
	}
	return true
}

// carry moves bytes one way until either end closes, and then ends both ways.
func carry(to, from net.Conn) {
	_, _ = io.Copy(to, from)
	_ = to.Close()
	_ = from.Close()
}
