package client

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"

	goamqp "github.com/Azure/go-amqp"
)

var errClosed = errors.New("the bus client is closed")

// pool spreads receiving links over sessions and connections, and counts them: go-amqp ignores the peer's handle-max, and going over it or
// channel-max costs the connection.
type pool struct {
	client    *Client
	supervise supervise

	mu      sync.Mutex
	conns   []*poolConn
	changed chan struct{} // closed and replaced when a slot may have become free
	closing bool
}

// poolConn is one receiving connection: nil live while it is down.
type poolConn struct {
	live  *connection
	slots []*slot
	serve *settler // of the library's sessions
}

// slot is a session with room for links: one of ours, or the library's on a bus of static entities.
type slot struct {
	conn  *connection
	ready chan struct{} // closed when in, session or err is set
	in    *inlet
	err   error

	session *goamqp.Session
	settler *settler
	tokens  *tokens
	idle    context.CancelFunc // ends the renewal of tokens

	// guarded by pool.mu
	links   int
	opening bool
	retired bool // takes no more links: the session is gone, or has had its share of deliveries

	deliveries atomic.Uint64 // on the library's session
}

func newPool(c *Client, supervise supervise) *pool {
	return &pool{client: c, supervise: supervise, changed: make(chan struct{})}
}

// notify wakes all who wait for a slot. pool.mu is held.
func (p *pool) notify() {
	close(p.changed)
	p.changed = make(chan struct{})
}

func (p *pool) close() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.closing = true
	p.notify()
}

// grow opens the first connections, or one more when all are up and full. pool.mu is held.
func (p *pool) grow() {
	want := p.client.options.ReceiveConnections
	if len(p.conns) >= want {
		for _, pc := range p.conns {
			if pc.live == nil {
				return // wait for it before opening more
			}
		}
		want = min(len(p.conns)+1, maxReceiveConnections)
	}
	for len(p.conns) < want && !p.closing {
		pc := &poolConn{}
		name := fmt.Sprintf("receive-%d", len(p.conns))
		p.conns = append(p.conns, pc)
		p.client.supervise(p.supervise(name, func(_ context.Context, c *connection) { p.serve(pc, c) }))
	}
}

// serve offers c's sessions until c has ended, or the client closes and all receivers have let go.
func (p *pool) serve(pc *poolConn, c *connection) {
	p.client.learn(c.info)
	if !p.client.family.usable(c) {
		return
	}
	var settler *settler
	if p.client.options.Kind.Static() {
		settler = newSettler()
		defer settler.stop()
	}
	p.mu.Lock()
	pc.live, pc.serve = c, settler
	p.notify()
	p.mu.Unlock()

	select {
	case <-c.done():
	case <-p.client.receiversGone():
	}

	p.mu.Lock()
	pc.live, pc.slots = nil, nil
	p.mu.Unlock()
	c.net.inlets.lose(c.reason())
}

// acquire waits for a session with room. The caller gives it back with release.
func (p *pool) acquire(ctx context.Context) (*slot, error) {
	for {
		p.mu.Lock()
		if p.closing {
			p.mu.Unlock()
			return nil, errClosed
		}
		s := p.pick()
		if s == nil {
			p.grow()
		} else {
			s.links++
			if !s.opening {
				s.opening = true
				p.client.running.Go(func() { p.open(s) })
			}
		}
		changed := p.changed
		p.mu.Unlock()

		wait := changed
		if s != nil {
			wait = s.ready
		}
		select {
		case <-wait:
		case <-ctx.Done():
			if s != nil {
				p.release(s)
			}
			return nil, ctx.Err()
		}
		if s == nil {
			continue
		}
		if s.err != nil {
			p.release(s)
			return nil, s.err
		}
		return s, nil
	}
}

// pick chooses the live connection with the fewest links, and on it the session with the fewest, or a new session while the others have
// their first spreadLinks. pool.mu is held.
func (p *pool) pick() *slot {
	var best *poolConn
	bestLinks := 0
	for _, pc := range p.conns {
		if pc.live == nil || !pc.live.alive() || !pc.hasRoom() {
			continue
		}
		if n := pc.links(); best == nil || n < bestLinks {
			best, bestLinks = pc, n
		}
	}
	if best == nil {
		return nil
	}
	s := best.leastLoaded()
	if (s == nil || s.links >= spreadLinks) && len(best.slots) < best.live.maxSessions() {
		s = &slot{conn: best.live, settler: best.serve, ready: make(chan struct{})}
		best.slots = append(best.slots, s)
	}
	return s
}

func (pc *poolConn) links() (n int) {
	for _, s := range pc.slots {
		n += s.links
	}
	return n
}

func (pc *poolConn) hasRoom() bool {
	return len(pc.slots) < pc.live.maxSessions() || pc.leastLoaded() != nil
}

func (pc *poolConn) leastLoaded() (best *slot) {
	limit := pc.live.maxLinks()
	for _, s := range pc.slots {
		if !s.retired && s.links < limit && (best == nil || s.links < best.links) {
			best = s
		}
	}
	return best
}

// open begins the session of a slot that has its first link.
func (p *pool) open(s *slot) {
	defer close(s.ready)
	if p.client.options.Kind.Static() {
		s.session, s.err = s.conn.newSession()
	} else {
		s.err = s.conn.within("begin", func() (err error) {
			s.in, err = s.conn.net.begin()
			return err
		})
	}
	if s.err != nil {
		p.retire(s)
		return
	}
	if s.session == nil {
		return
	}
	s.tokens = newTokens(s.conn, s.session, p.client.options.Logger)
	ctx, cancel := context.WithCancel(p.client.hard)
	s.idle = cancel
	p.client.running.Go(func() {
		defer cancel()
		s.tokens.run(ctx)
	})
}

// retire keeps further links away from a slot.
func (p *pool) retire(s *slot) {
	p.mu.Lock()
	defer p.mu.Unlock()
	s.retired = true
}

// release gives a link's place back. The last one on a retired session ends it.
func (p *pool) release(s *slot) {
	p.mu.Lock()
	s.links--
	last := s.retired && s.links == 0
	p.mu.Unlock()
	if last {
		// The place among the connection's sessions is free only when the bus has ended the old one.
		if s.idle != nil {
			s.idle()
		}
		if s.session != nil {
			s.conn.endSession(s.session)
		}
		p.remove(s)
	}
	p.mu.Lock()
	p.notify()
	p.mu.Unlock()
}

func (p *pool) remove(gone *slot) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, pc := range p.conns {
		for i, s := range pc.slots {
			if s == gone {
				pc.slots = append(pc.slots[:i], pc.slots[i+1:]...)
				return
			}
		}
	}
}
