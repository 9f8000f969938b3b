package chaos

import (
	"context"
	"errors"
	"net"
	"net/url"
	"testing"
	"time"

	goredis "github.com/redis/go-redis/v9"

	"sluice/gateway/e2e/rig"
)

// store is the run's own Redis: a primary with a replica, which change places in a fail-over.
type store struct {
	t                *testing.T
	services         *rig.Services
	primary, replica string // names of services
	failing          string // the primary that is to go
}

// lag cuts the replica off from the primary: what is written from now on it does not have.
func (s *store) lag() {
	s.t.Helper()
	s.failing = s.primary
	db := s.open(s.replica)
	defer func() { _ = db.Close() }()
	if err := db.SlaveOf(rig.Context(s.t), "127.0.0.1", "1").Err(); err != nil { // nobody is there
		s.t.Fatalf("cutting the replica off: %v", err)
	}
}

// fail kills the old primary, which may be without its place by then.
func (s *store) fail() { s.services.Do("kill", s.failing) }

// promote makes the replica the primary. It has no replica itself then.
func (s *store) promote() {
	s.t.Helper()
	s.services.Do("replicaof", s.replica, "none")
	s.primary, s.replica = s.replica, s.primary
}

// rejoin starts the old primary as the replica of the new one and waits until it has everything.
func (s *store) rejoin() {
	s.t.Helper()
	s.services.Do("start", s.replica)
	s.services.Do("replicaof", s.replica, s.primary)
	db := s.open(s.primary)
	defer func() { _ = db.Close() }()
	rig.Eventually(s.t, "the old primary confirms what the new one writes", func() error {
		ctx, cancel := context.WithTimeout(rig.Context(s.t), time.Second)
		defer cancel()
		n, err := db.Wait(ctx, 1, 100*time.Millisecond).Result()
		if err == nil && n < 1 {
			err = errors.New("it does not yet")
		}
		return err
	})
}

func (s *store) open(name string) *goredis.Client {
	s.t.Helper()
	o, err := goredis.ParseURL(s.services.URL(name))
	if err != nil {
		s.t.Fatal(err)
	}
	return goredis.NewClient(o)
}

func (s *store) address(name string) string {
	s.t.Helper()
	u, err := url.Parse(s.services.URL(name))
	if err != nil {
		s.t.Fatal(err)
	}
	return net.JoinHostPort(u.Hostname(), u.Port())
}
