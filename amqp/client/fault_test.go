package client

import (
	"context"
	"fmt"
	"net"
	"sync"
	"sync/atomic"
)

// faultProxy is a TCP proxy in front of the bus whose connections can be cut or stalled. Give its dial method to Options.Dial.
type faultProxy struct {
	mu      sync.Mutex
	conns   map[*faultConn]bool
	refuse  bool
	written atomic.Int64 // how often something was written
}

func newFaultProxy() *faultProxy { return &faultProxy{conns: map[*faultConn]bool{}} }

// dial opens a real connection that the proxy has in its hands. It stands in for a proxy process: what it does to the bytes is the same.
func (p *faultProxy) dial(ctx context.Context, network, address string) (net.Conn, error) {
	p.mu.Lock()
	refuse := p.refuse
	p.mu.Unlock()
	if refuse {
		return nil, fmt.Errorf("the fault proxy refuses")
	}
	raw, err := (&net.Dialer{}).DialContext(ctx, network, address)
	if err != nil {
		return nil, err
	}
	c := &faultConn{Conn: raw, proxy: p}
	p.mu.Lock()
	p.conns[c] = true
	p.mu.Unlock()
	return c, nil
}

// cut closes all connections.
func (p *faultProxy) cut() {
	for _, c := range p.all() {
		_ = c.Close()
	}
}

// stallReads lets nothing from the bus through any more, on all connections open now.
func (p *faultProxy) stallReads() {
	for _, c := range p.all() {
		c.stalled.Store(true)
	}
}

func (p *faultProxy) setRefuse(refuse bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.refuse = refuse
}

func (p *faultProxy) all() []*faultConn {
	p.mu.Lock()
	defer p.mu.Unlock()
	var all []*faultConn
	for c := range p.conns {
		all = append(all, c)
	}
	return all
}

type faultConn struct {
	net.Conn
	proxy   *faultProxy
	stalled atomic.Bool
}

// Read loses the bytes of a stalled connection; the deadline still holds.
func (c *faultConn) Read(p []byte) (int, error) {
	for {
		n, err := c.Conn.Read(p)
		if err != nil || !c.stalled.Load() {
			return n, err
		}
	}
}

// Write counts.
func (c *faultConn) Write(p []byte) (int, error) {
	n, err := c.Conn.Write(p)
	c.proxy.written.Add(1)
	return n, err
}

func (c *faultConn) Close() error {
	c.proxy.mu.Lock()
	delete(c.proxy.conns, c)
	c.proxy.mu.Unlock()
	return c.Conn.Close()
}
