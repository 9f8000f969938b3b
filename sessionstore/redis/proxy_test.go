package redis

import (
	"bytes"
	"net"
	"sync"
	"testing"
	"time"

	goredis "github.com/redis/go-redis/v9"
)

// proxy stands between the store and Redis and makes the network's faults. Faults look only at scripts: the library's own commands at the
// start of a connection pass.
type proxy struct {
	t      *testing.T
	listen net.Listener
	server string

	mu      sync.Mutex
	conns   map[net.Conn]struct{}
	closed  bool
	refuse  bool          // no connection lives
	delay   time.Duration // each reply takes as long
	cut     int           // so many steps reach Redis, their answers never come back
	hold    int           // so many steps stay on their way until let
	let     chan struct{} // closed: what is held goes on
	cuts    int           // how often cut struck
	late    chan struct{} // told when Redis answered a step that was held
	running sync.WaitGroup
}

// newProxy gives a proxy in front of url and the URL to use instead.
func newProxy(t *testing.T, url string) (*proxy, string) {
	t.Helper()
	o, err := goredis.ParseURL(url)
	if err != nil {
		t.Fatal(err)
	}
	listen, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	p := &proxy{
		t: t, listen: listen, server: o.Addr, conns: map[net.Conn]struct{}{}, let: make(chan struct{}), late: make(chan struct{}, 100),
	}
	p.running.Go(p.accept)
	t.Cleanup(func() {
		p.set(func() { p.closed, p.refuse = true, true })
		_ = listen.Close()
		p.dropAll()
		p.running.Wait()
	})
	o.Addr = listen.Addr().String()
	return p, "redis://" + o.Addr
}

func (p *proxy) set(change func()) {
	p.mu.Lock()
	defer p.mu.Unlock()
	change()
}

// counts gives the cuts to come and the cuts made.
func (p *proxy) counts() (unspent, struck int) {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.cut, p.cuts
}

func (p *proxy) dropAll() {
	p.set(func() {
		for c := range p.conns {
			_ = c.Close()
		}
	})
}

// down refuses every connection for so long.
func (p *proxy) down(d time.Duration) {
	p.set(func() { p.refuse = true })
	p.dropAll()
	time.AfterFunc(d, func() { p.set(func() { p.refuse = p.closed }) })
}

func (p *proxy) accept() {
	for {
		client, err := p.listen.Accept()
		if err != nil {
			return
		}
		p.mu.Lock()
		refuse := p.refuse
		p.mu.Unlock()
		if refuse {
			_ = client.Close()
			continue
		}
		server, err := net.Dial("tcp", p.server)
		if err != nil {
			p.t.Errorf("proxy: %v", err)
			_ = client.Close()
			return
		}
		p.set(func() { p.conns[client], p.conns[server] = struct{}{}, struct{}{} })
		l := &link{p: p, client: client, server: server}
		p.running.Go(l.up)
		p.running.Go(l.down)
	}
}

// link is one connection through the proxy.
type link struct {
	p              *proxy
	client, server net.Conn
	mu             sync.Mutex
	cut, held      bool
}

// up carries requests. Those that are held outlive the client's end of the connection, as bytes in a network do.
func (l *link) up() {
	buf := make([]byte, 64<<10)
	for {
		n, err := l.client.Read(buf)
		if err != nil {
			l.mu.Lock()
			held := l.held
			l.mu.Unlock()
			if !held {
				l.end()
			}
			return
		}
		var hold bool
		if bytes.Contains(buf[:n], []byte("evalsha")) {
			l.p.set(func() {
				if l.p.cut > 0 {
					l.p.cut--
					l.set(func() { l.cut = true })
				}
				if hold = l.p.hold > 0; hold {
					l.p.hold--
				}
			})
		}
		if hold {
			l.set(func() { l.held = true })
			<-l.p.let
		}
		if _, err := l.server.Write(buf[:n]); err != nil {
			l.end()
			return
		}
	}
}

func (l *link) set(change func()) {
	l.mu.Lock()
	defer l.mu.Unlock()
	change()
}

// down carries answers.
func (l *link) down() {
	defer l.end()
	buf := make([]byte, 64<<10)
	for {
		n, err := l.server.Read(buf)
		if err != nil {
			return
		}
		l.mu.Lock()
		cut, held := l.cut, l.held
		l.mu.Unlock()
		if held {
			l.p.late <- struct{}{}
			return
		}
		if cut {
			l.p.set(func() { l.p.cuts++ })
			return
		}
		l.p.mu.Lock()
		delay := l.p.delay
		l.p.mu.Unlock()
		if delay > 0 {
			<-time.After(delay)
		}
		if _, err := l.client.Write(buf[:n]); err != nil {
			return
		}
	}
}

func (l *link) end() {
	_ = l.client.Close()
	_ = l.server.Close()
	l.p.set(func() {
		delete(l.p.conns, l.client)
		delete(l.p.conns, l.server)
	})
}
