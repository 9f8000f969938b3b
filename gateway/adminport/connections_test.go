package adminport

import (
	"bufio"
	"crypto/tls"
	"errors"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
)

// patience is how long a test waits for what should happen; one that passes never waits for it.
const patience = time.Minute

// port is a server with a bound of connections. What asks for /wait has no answer until goOn is closed.
type port struct {
	*httptest.Server
	t        *testing.T
	registry *prometheus.Registry
	arrived  chan struct{}
	goOn     chan struct{}
	idle     chan struct{} // a connection has answered, and is counted as one without a request
}

func openPort(t *testing.T, most int, secured bool) *port {
	p := &port{t: t, registry: prometheus.NewRegistry(), arrived: make(chan struct{}), goOn: make(chan struct{}), idle: make(chan struct{}, 10)}
	p.Server = httptest.NewUnstartedServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/wait" {
			p.arrived <- struct{}{}
			<-p.goOn
		}
	}))
	connections := NewConnections(most, NewRefused(p.registry))
	p.Config.ConnState = func(conn net.Conn, state http.ConnState) {
		connections.Track(conn, state)
		if state == http.StateIdle {
			p.idle <- struct{}{}
		}
	}
	if secured {
		p.StartTLS()
	} else {
		p.Start()
	}
	t.Cleanup(p.Close)
	return p
}

func (p *port) dial() net.Conn {
	p.t.Helper()
	conn, err := net.Dial("tcp", p.Listener.Addr().String())
	if err != nil {
		p.t.Fatal(err)
	}
	p.t.Cleanup(func() { _ = conn.Close() })
	if p.TLS != nil {
		c := p.Client().Transport.(*http.Transport).TLSClientConfig.Clone()
		c.ServerName = "example.com"
		return tls.Client(conn, c)
	}
	return conn
}

// ask makes a request and reads its answer, if it gets one. An answer is read before its connection counts as idle: that is waited for.
func (p *port) ask(conn net.Conn, path string) error {
	_ = conn.SetDeadline(time.Now().Add(patience))
	if _, err := io.WriteString(conn, "GET "+path+" HTTP/1.1\r\nHost: localhost\r\n\r\n"); err != nil {
		return err
	}
	answer, err := http.ReadResponse(bufio.NewReader(conn), nil)
	if err != nil {
		return err
	}
	_ = answer.Body.Close()
	select {
	case <-p.idle:
		return nil
	case <-time.After(patience):
		return errors.New("answered, but not idle")
	}
}

func (p *port) expectClosed(conn net.Conn) {
	p.t.Helper()
	_ = conn.SetReadDeadline(time.Now().Add(patience))
	if _, err := conn.Read(make([]byte, 1)); err == nil || errors.Is(err, os.ErrDeadlineExceeded) {
		p.t.Errorf("a connection that had to make room is open: %v", err)
	}
}

// Who holds connections and asks nothing, or nothing any more, keeps nobody out.
func TestSilentConnectionsMakeRoom(t *testing.T) {
	for name, secured := range map[string]bool{"plain": false, "TLS": true} {
		t.Run(name, func(t *testing.T) {
			p := openPort(t, 3, secured)
			first := p.dial()
			if err := p.ask(first, "/"); err != nil {
				t.Fatal(err)
			}
			var held []net.Conn
			for range 3 {
				c := p.dial()
				if err := p.ask(c, "/"); err != nil {
					t.Fatal(err)
				}
				held = append(held, c)
			}
			p.expectClosed(first)
			if err := p.ask(held[0], "/"); err != nil {
				t.Errorf("a connection within the bound: %v", err)
			}
			if err := p.ask(p.dial(), "/"); err != nil {
				t.Errorf("who comes later: %v", err)
			}
			p.expectClosed(held[1])
			if got := countedReasons(t, p.registry); got != tooMany+tooMany {
				t.Errorf("counted is %q", got)
			}
		})
	}
}

// Requests that are being answered are not cut off: where there are no others, the new connection is closed.
func TestBusyConnectionsStay(t *testing.T) {
	p := openPort(t, 2, false)
	busy, answers := []net.Conn{p.dial(), p.dial()}, make(chan error, 2)
	for _, c := range busy {
		go func() { answers <- p.ask(c, "/wait") }()
		<-p.arrived
	}
	p.expectClosed(p.dial())
	close(p.goOn)
	for range busy {
		if err := <-answers; err != nil {
			t.Errorf("a request that was being answered: %v", err)
		}
	}
	if err := p.ask(p.dial(), "/"); err != nil {
		t.Errorf("once there is room: %v", err)
	}
}

func TestClosedConnectionsLeaveTheirPlace(t *testing.T) {
	c := NewConnections(2, NewRefused(prometheus.NewRegistry()))
	for range 5 {
		conn, other := net.Pipe()
		c.Track(conn, http.StateNew)
		c.Track(conn, http.StateActive)
		c.Track(conn, http.StateClosed)
		c.Track(conn, http.StateIdle) // late
		_, _ = conn.Close(), other.Close()
	}
	if len(c.open) != 0 {
		t.Errorf("%d connections are counted", len(c.open))
	}
}
