package chaos

import (
	"net"
	"sync"
	"syscall"
	"testing"
	"time"
)

// pipes are TCP connections passed on in both directions. They can be cut, and held: held ones stay open and carry nothing, as behind a
// broken switch.
type pipes struct {
	mu      sync.Mutex
	open    map[*pipe]struct{}
	gate    chan struct{} // closed: bytes flow
	held    bool
	waiting int // reads that wait for the gate
	closed  bool
	running sync.WaitGroup
}

type pipe struct{ near, far *net.TCPConn }

func (p *pipe) close() {
	_ = p.near.Close()
	_ = p.far.Close()
}

func newPipes() *pipes {
	flowing := make(chan struct{})
	close(flowing)
	return &pipes{open: map[*pipe]struct{}{}, gate: flowing}
}

// join passes bytes between the two until both directions have ended, then calls done.
func (ps *pipes) join(near, far *net.TCPConn, done func()) *pipe {
	p := &pipe{near, far}
	ps.mu.Lock()
	if ps.closed {
		ps.mu.Unlock()
		p.close()
		done()
		return p
	}
	ps.open[p] = struct{}{}
	ps.running.Add(1)
	ps.mu.Unlock()
	go func() {
		defer ps.running.Done()
		var there sync.WaitGroup
		there.Go(func() { ps.copy(p.far, p.near) })
		ps.copy(p.near, p.far)
		there.Wait()
		p.close()
		ps.mu.Lock()
		delete(ps.open, p)
		ps.mu.Unlock()
		done()
	}()
	return p
}

// copy ends its direction by a half-close, so that last words in the other one still get through, but not for ever.
func (ps *pipes) copy(to, from *net.TCPConn) {
	buffer := make([]byte, 16<<10)
	for {
		n, err := from.Read(buffer)
		if n > 0 {
			if ps.wait() && reset(from) {
				_ = to.SetLinger(0)
				_ = to.Close()
				return
			}
			if _, werr := to.Write(buffer[:n]); werr != nil {
				err = werr
			}
		}
		if err != nil {
			break
		}
	}
	_ = to.CloseWrite()
	_ = to.SetReadDeadline(time.Now().Add(drainWait))
}

// wait passes the gate and reports whether it was closed.
func (ps *pipes) wait() (held bool) {
	ps.mu.Lock()
	gate, held := ps.gate, ps.held
	if held {
		ps.waiting++
	}
	ps.mu.Unlock()
	<-gate
	return held
}

// reset reports whether the peer has reset the connection. What it sent before must not get through then, however long it was held: a
// network would have thrown it away too.
func reset(conn *net.TCPConn) bool {
	raw, err := conn.SyscallConn()
	if err != nil {
		return true
	}
	pending := 0
	controlErr := raw.Control(func(fd uintptr) {
		pending, err = syscall.GetsockoptInt(int(fd), syscall.SOL_SOCKET, syscall.SO_ERROR)
	})
	return controlErr != nil || err != nil || pending != 0
}

// cut ends all connections.
func (ps *pipes) cut() {
	ps.mu.Lock()
	defer ps.mu.Unlock()
	for p := range ps.open {
		p.close()
	}
}

// hold stops or restarts the flow.
func (ps *pipes) hold(on bool) {
	ps.mu.Lock()
	defer ps.mu.Unlock()
	switch {
	case on && !ps.held:
		ps.gate, ps.waiting = make(chan struct{}), 0
	case !on && ps.held:
		close(ps.gate)
	}
	ps.held = on
}

func (ps *pipes) close() {
	ps.hold(false)
	ps.mu.Lock()
	ps.closed = true
	ps.mu.Unlock()
	ps.cut()
	ps.running.Wait()
}

// proxy stands before RabbitMQ or Redis, one for each node, so that each node's network can fail by itself.
type proxy struct {
	*pipes
	address  string
	listener *net.TCPListener

	refusing  sync.RWMutex // taken for reading to accept
	upstream  string
	refuse    bool
	accepting sync.WaitGroup
}

func startProxy(t *testing.T, upstream string) *proxy {
	t.Helper()
	l, err := net.ListenTCP("tcp", &net.TCPAddr{IP: net.IPv4(127, 0, 0, 1)})
	if err != nil {
		t.Fatal(err)
	}
	p := &proxy{pipes: newPipes(), address: l.Addr().String(), listener: l, upstream: upstream}
	p.accepting.Go(p.accept)
	t.Cleanup(func() {
		_ = l.Close()
		p.pipes.close()
		p.accepting.Wait()
	})
	return p
}

func (p *proxy) accept() {
	for {
		near, err := p.listener.AcceptTCP()
		if err != nil {
			return
		}
		p.accepting.Go(func() { p.connect(near) })
	}
}

func (p *proxy) connect(near *net.TCPConn) {
	p.refusing.RLock()
	upstream := p.upstream
	p.refusing.RUnlock()
	far, err := net.DialTimeout("tcp", upstream, dialWait)
	p.refusing.RLock()
	defer p.refusing.RUnlock()
	if err != nil || p.refuse || p.upstream != upstream {
		_ = near.Close()
		if far != nil {
			_ = far.Close()
		}
		return
	}
	p.join(near, far.(*net.TCPConn), func() {})
}

// down ends all connections and lets no new one in until up.
func (p *proxy) down() { p.setRefuse(true); p.cut() }

// redirect sends new connections to another server and ends those to the old one, as the endpoint of a managed Redis does in a fail-over.
func (p *proxy) redirect(upstream string) {
	p.refusing.Lock()
	defer p.refusing.Unlock()
	p.upstream = upstream
	p.cut()
}

// up lets connections in and bytes flow.
func (p *proxy) up() { p.setRefuse(false); p.hold(false) }

func (p *proxy) setRefuse(on bool) {
	p.refusing.Lock()
	defer p.refusing.Unlock()
	p.refuse = on
}
