package failover

import (
	"context"
	"errors"
	"io"
	"net"
	"net/url"
	"sync"
	"testing"
	"time"

	goredis "github.com/redis/go-redis/v9"

	"sluice/gateway/e2e/rig"
)

// pair is a primary with a replica, and an endpoint that leads to the primary: what a managed Redis gives its customers.
type pair struct {
	t                *testing.T
	services         *rig.Services
	primary, replica string
	endpoint         *endpoint
}

func startPair(t *testing.T) *pair {
	t.Helper()
	p := &pair{t: t, services: rig.OwnServices(t, rig.RedisReplicated, rig.RedisReplica), primary: rig.RedisReplicated, replica: rig.RedisReplica}
	p.endpoint = openEndpoint(t, p.address(p.primary))
	return p
}

// url is for sessions.url.
func (p *pair) url() string { return "redis://" + p.endpoint.listener.Addr().String() }

// synced waits until the replica has everything.
func (p *pair) synced() {
	p.t.Helper()
	db := p.open(p.primary)
	defer func() { _ = db.Close() }()
	rig.Eventually(p.t, "the replica has everything", func() error {
		ctx, cancel := context.WithTimeout(rig.Context(p.t), time.Second)
		defer cancel()
		var confirmed *goredis.Cmd
		// A write of this connection's own has its place behind all others.
		_, err := db.Pipelined(ctx, func(pipe goredis.Pipeliner) error {
			pipe.Set(ctx, "failover-mark", "", time.Minute)
			confirmed = pipe.Do(ctx, "WAIT", 1, 100)
			return nil
		})
		if err == nil && confirmed.Val() != int64(1) {
			err = errors.New("it does not confirm")
		}
		return err
	})
}

// lag cuts the replica off from its primary: it has nothing of what comes.
func (p *pair) lag() {
	p.t.Helper()
	db := p.open(p.replica)
	defer func() { _ = db.Close() }()
	if err := db.SlaveOf(rig.Context(p.t), "127.0.0.1", "1").Err(); err != nil { // nobody is there
		p.t.Fatalf("cutting the replica off: %v", err)
	}
}

// failOver kills the primary and lets the replica, which has none itself, take its place.
func (p *pair) failOver() {
	p.t.Helper()
	p.services.Do("kill", p.primary)
	p.services.Do("replicaof", p.replica, "none")
	p.primary, p.replica = p.replica, p.primary
	p.endpoint.move(p.address(p.primary))
}

// rejoin starts the old primary as the replica of the new one.
func (p *pair) rejoin() {
	p.t.Helper()
	p.services.Do("start", p.replica)
	p.services.Do("replicaof", p.replica, p.primary)
	p.synced()
}

func (p *pair) open(name string) *goredis.Client {
	return goredis.NewClient(&goredis.Options{Addr: p.address(name)})
}

func (p *pair) address(name string) string {
	p.t.Helper()
	u, err := url.Parse(p.services.URL(name))
	if err != nil {
		p.t.Fatal(err)
	}
	return net.JoinHostPort(u.Hostname(), u.Port())
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
