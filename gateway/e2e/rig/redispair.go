package rig

import (
	"context"
	"errors"
	"net"
	"net/url"
	"testing"
	"time"

	goredis "github.com/redis/go-redis/v9"
)

// RedisPair is a primary with a replica of a test's own, which change places in a fail-over. Nobody is told where the primary is: a test leads its
// nodes there, or a Sentinel among the services does.
type RedisPair struct {
	t        testing.TB
	Services *Services
	// Primary and Replica are the names of the services that are in these places now.
	Primary, Replica string
	failing          string // the primary that is to go
}

// StartRedisPair starts the pair, and more services of the same set.
func StartRedisPair(t testing.TB, more ...string) *RedisPair {
	t.Helper()
	s := OwnServices(t, append([]string{RedisReplicated, RedisReplica}, more...)...)
	return &RedisPair{t: t, Services: s, Primary: RedisReplicated, Replica: RedisReplica, failing: RedisReplicated}
}

// Address is the host and port of the primary.
func (p *RedisPair) Address() string {
	p.t.Helper()
	u, err := url.Parse(p.Services.URL(p.Primary))
	if err != nil {
		p.t.Fatal(err)
	}
	return net.JoinHostPort(u.Hostname(), u.Port())
}

// Synced waits until the replica has everything that was written before.
func (p *RedisPair) Synced() {
	p.t.Helper()
	p.With(p.Primary, func(ctx context.Context, db *goredis.Client) {
		Eventually(p.t, "the replica confirms what the primary has", func() error {
			var confirmed *goredis.Cmd
			// A write of this connection's own has its place behind all others.
			_, err := db.Pipelined(ctx, func(pipe goredis.Pipeliner) error {
				pipe.Set(ctx, "synced", "", time.Minute)
				confirmed = pipe.Do(ctx, "WAIT", 1, 100)
				return nil
			})
			if err == nil && confirmed.Val() != int64(1) {
				err = errors.New("it does not yet")
			}
			return err
		})
	})
}

// Lag cuts the replica off from the primary: what is written from now on it does not have.
func (p *RedisPair) Lag() {
	p.t.Helper()
	p.failing = p.Primary
	p.With(p.Replica, func(ctx context.Context, db *goredis.Client) {
		if err := db.ReplicaOf(ctx, "127.0.0.1", "1").Err(); err != nil { // nobody is there
			p.t.Fatalf("cutting the replica off: %v", err)
		}
	})
}

// Kill kills the primary, or after Promote the one that was the primary before.
func (p *RedisPair) Kill() {
	p.t.Helper()
	p.Services.Do("kill", p.failing)
}

// Promote makes the replica the primary. It has no replica itself then.
func (p *RedisPair) Promote() {
	p.t.Helper()
	p.Services.Do("replicaof", p.Replica, "none")
	p.failing, p.Primary, p.Replica = p.Primary, p.Replica, p.Primary
}

// Rejoin starts the old primary, killed before, as the replica of the new one and waits until it has everything.
func (p *RedisPair) Rejoin() {
	p.t.Helper()
	p.Services.Do("start", p.Replica)
	p.Services.Do("replicaof", p.Replica, p.Primary)
	p.failing = p.Primary
	p.Synced()
}

// With opens one of the pair for as long as use runs.
func (p *RedisPair) With(name string, use func(ctx context.Context, db *goredis.Client)) {
	p.t.Helper()
	o, err := goredis.ParseURL(p.Services.URL(name))
	if err != nil {
		p.t.Fatal(err)
	}
	db := goredis.NewClient(o)
	defer func() { _ = db.Close() }()
	use(Context(p.t), db)
}
