package faults

import (
	"io"
	"net"
	"net/url"
	"sync"
	"testing"
	"time"
)

// proxy stands between a node and a real service and makes the network's faults.
type proxy struct {
	t      *testing.T
	listen net.Listener
	server string

	mu      sync.Mutex
	conns   map[net.Conn]struct{}
	refuse  bool          // new connections are closed at once
	frozen  chan struct{} // closed: bytes flow; open: they stay where they are, in both directions
	delay   time.Duration // what is read takes so much longer, each way
	running sync.WaitGroup
}

// newProxy gives a proxy in front of the service of rawURL, and the URL to use instead.
func newProxy(t *testing.T, rawURL, defaultPort string) (*proxy, string) {
	t.Helper()
	u, err := url.Parse(rawURL)
	if err != nil {
		t.Fatal(err)
	}
	port := u.Port()
	if port == "" {
		port = defaultPort
	}
	p := &proxy{t: t, server: net.JoinHostPort(u.Hostname(), port), conns: map[net.Conn]struct{}{}, frozen: make(chan struct{})}
	close(p.frozen)
	if p.listen, err = net.Listen("tcp", "127.0.0.1:0"); err != nil {
		t.Fatal(err)
	}
	p.running.Go(p.accept)
	t.Cleanup(func() {
		p.down()
		p.thaw()
		_ = p.listen.Close()
		p.cut()
		p.running.Wait()
	})
	u.Host = p.listen.Addr().String()
	return p, u.String()
}

// down cuts all connections and takes no new ones, until up.
func (p *proxy) down() {
	p.set(func() { p.refuse = true })
	p.cut()
}

func (p *proxy) up() { p.set(func() { p.refuse = false }) }

// freeze stops all bytes without a word, as a stalled host or a lost network does; thaw lets them go on.
func (p *proxy) freeze() { p.set(func() { p.frozen = make(chan struct{}) }) }

func (p *proxy) thaw() {
	p.set(func() {
		select {
		case <-p.frozen:
		default:
			close(p.frozen)
		}
	})
}

// slow makes everything take longer, each way.
func (p *proxy) slow(delay time.Duration) { p.set(func() { p.delay = delay }) }

func (p *proxy) set(change func()) {
	p.mu.Lock()
	defer p.mu.Unlock()
	change()
}

// cut closes all connections.
func (p *proxy) cut() {
	p.set(func() {
		for c := range p.conns {
			_ = c.Close()
		}
		clear(p.conns)
	})
}

func (p *proxy) accept() {
	for {
		client, err := p.listen.Accept()
		if err != nil {
			return
		}
		p.running.Go(func() { p.serve(client) })
	}
}

func (p *proxy) serve(client net.Conn) {
	server, err := net.DialTimeout("tcp", p.server, 10*time.Second)
	if err != nil {
		p.t.Errorf("proxy: %v", err)
		_ = client.Close()
		return
	}
	p.mu.Lock()
	refuse := p.refuse
	if !refuse {
		p.conns[client], p.conns[server] = struct{}{}, struct{}{}
	}
	p.mu.Unlock()
	if !refuse {
		p.running.Go(func() { p.carry(client, server) })
		p.carry(server, client)
	}
	_ = client.Close()
	_ = server.Close()
}

// carry moves bytes one way until either end closes.
func (p *proxy) carry(from, to net.Conn) {
	defer p.set(func() {
		_ = from.Close()
		_ = to.Close()
		delete(p.conns, from)
		delete(p.conns, to)
	})
	_, _ = io.Copy(to, throttled{from, p})
}

// throttled is a connection whose bytes arrive when the proxy lets them.
type throttled struct {
	net.Conn
	p *proxy
}

func (r throttled) Read(b []byte) (int, error) {
	n, err := r.Conn.Read(b)
	r.p.mu.Lock()
	frozen, delay := r.p.frozen, r.p.delay
	r.p.mu.Unlock()
	<-frozen
	if delay > 0 {
		<-time.After(delay)
	}
	return n, err
}
