package storetest

import (
	"context"
	"fmt"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"sluice/sessionstore"
)

// Fresh makes an empty world of sessions. Each call of the function it returns opens the store, with Quick and Quota, as one more node; the test
// closes it.
type Fresh func(t *testing.T) (node func() sessionstore.Store)

const patience = time.Minute

// Quick are the waits of the stores under test: short, but long enough for a machine that is busy.
var Quick = sessionstore.Times{Lease: 2 * time.Second, DeadAfter: time.Second, WillGrace: 2 * time.Second, WorkLease: 2 * time.Second}

// Quota is what the stores under test allow a tenant: little enough to be met.
var Quota = sessionstore.RetainedQuota{Messages: 300, Bytes: 3 << 20, PrincipalMessages: 200, PrincipalBytes: 2 << 20}

// start is a now for tests. It is near the real one, as a store may keep a backstop by its own clock.
var start = time.Now().UTC().Truncate(time.Millisecond)

var keys atomic.Uint64

// newKey gives a key no other test uses, with all that makes a key hard to store.
func newKey() sessionstore.Key {
	n := keys.Add(1)
	return sessionstore.Key{Tenant: "t/{1}", Principal: "CN=a b:%", ClientID: fmt.Sprintf("dév}ice{-%d", n)}
}

func claim(t testing.TB, s sessionstore.Store, req sessionstore.ClaimRequest) sessionstore.Claimed {
	t.Helper()
	if req.Node == "" {
		req.Node = "node-a"
	}
	if req.Now.IsZero() {
		req.Now = start
	}
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	c, err := s.Claim(ctx, req)
	if err != nil {
		t.Fatalf("Claim(%v): %v", req.Key, err)
	}
	return c
}

func fence(c sessionstore.Claimed) sessionstore.Fence {
	return sessionstore.Fence{Key: c.Session.Key, Epoch: c.Session.Epoch}
}

// write waits for the answer.
func write(t testing.TB, s sessionstore.Store, f sessionstore.Fence, ops ...sessionstore.Op) error {
	t.Helper()
	done := make(chan error, 1)
	s.Write(f, ops, func(err error) { done <- err })
	select {
	case err := <-done:
		return err
	case <-time.After(patience):
		t.Fatalf("Write(%v): done was not called", f.Key)
		return nil
	}
}

func mustWrite(t testing.TB, s sessionstore.Store, f sessionstore.Fence, ops ...sessionstore.Op) {
	t.Helper()
	if err := write(t, s, f, ops...); err != nil {
		t.Fatalf("Write(%v): %v", f.Key, err)
	}
}

// release keeps the will and tells nothing of work: what most tests want.
func release(t testing.TB, s sessionstore.Store, f sessionstore.Fence, now time.Time, end bool) error {
	t.Helper()
	_, err := releaseWith(t, s, f, sessionstore.ReleaseRequest{Now: now, End: end})
	return err
}

func releaseWith(t testing.TB, s sessionstore.Store, f sessionstore.Fence, req sessionstore.ReleaseRequest) (work bool, err error) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	if req.Now.IsZero() {
		req.Now = start
	}
	return s.Release(ctx, f, req)
}

func mustRelease(t testing.TB, s sessionstore.Store, f sessionstore.Fence, now time.Time, end bool) {
	t.Helper()
	if err := release(t, s, f, now, end); err != nil {
		t.Fatalf("Release(%v): %v", f.Key, err)
	}
}

func get(t testing.TB, s sessionstore.Store, key sessionstore.Key, now time.Time) (sessionstore.Session, error) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	return s.Get(ctx, key, now)
}

func mustGet(t testing.TB, s sessionstore.Store, key sessionstore.Key, now time.Time) sessionstore.Session {
	t.Helper()
	found, err := get(t, s, key, now)
	if err != nil {
		t.Fatalf("Get(%v): %v", key, err)
	}
	return found
}

func same(t testing.TB, what string, want, got any) {
	t.Helper()
	if diff := cmp.Diff(want, got); diff != "" {
		t.Fatalf("%s (-want +got):\n%s", what, diff)
	}
}
