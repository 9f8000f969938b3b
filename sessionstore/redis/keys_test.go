package redis

import (
	"context"
	"errors"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"

	"sluice/sessionstore"
)

// hashTag is what Redis Cluster hashes of a key: what stands between the first { and the next }, if anything does.
func hashTag(key string) string {
	if _, after, ok := strings.Cut(key, "{"); ok {
		if tag, _, ok := strings.Cut(after, "}"); ok && tag != "" {
			return tag
		}
	}
	return key
}

func TestKeysOfASessionShareASlot(t *testing.T) {
	s := &Store{prefix: "sluice:"}
	rapid.Check(t, func(rt *rapid.T) {
		part := rapid.OneOf(rapid.String(), rapid.StringMatching(`[{}]{0,3}`))
		key := sessionstore.Key{Tenant: part.Draw(rt, "t"), Principal: part.Draw(rt, "p"), ClientID: part.Draw(rt, "c")}
		seen := map[string]bool{}
		for _, k := range s.keys(key) {
			if hashTag(k) != key.String() || seen[k] {
				rt.Fatalf("key %q: tag %q, want %q", k, hashTag(k), key)
			}
			seen[k] = true
		}
	})
}

func TestPrefixWithABraceIsRefused(t *testing.T) {
	if _, err := Open(t.Context(), "redis://127.0.0.1:1", Options{Prefix: "a{b"}); err == nil || !strings.Contains(err.Error(), "brace") {
		t.Fatalf("%v", err)
	}
}

func TestNothingIsLeftBehind(t *testing.T) {
	url := serverURL(t, "SLUICE_TEST_REDIS_URL")
	prefix := newPrefix(t, url)
	s, admin := open(t, url, Options{Prefix: prefix}), adminOf(t, url)
	ops := []sessionstore.Op{
		sessionstore.PutSubscription{Subscription: sessionstore.Subscription{Filter: "a"}},
		sessionstore.PutInbound{Record: sessionstore.Inbound{PacketID: 1}},
		sessionstore.PutOutbound{Record: sessionstore.Outbound{PacketID: 1}},
		sessionstore.SetInbox{Name: "q"},
	}
	filled := func(expiry uint32) sessionstore.Fence {
		_, f := mustClaim(t, s, sessionstore.ClaimRequest{Expiry: expiry})
		if err := await(t, send(s, f, ops...)); err != nil {
			t.Fatal(err)
		}
		return f
	}
	for _, expiry := range []uint32{0, 60} {
		f := filled(expiry)
		if found := keysOf(t, admin, prefix); len(found) != 5 {
			t.Fatalf("a session is %q, want 5 keys", found)
		}
		if err := release(t, s, f, time.Now(), expiry != 0); err != nil {
			t.Fatal(err)
		}
		if err := await(t, send(s, f, ops...)); !errors.Is(err, sessionstore.ErrFenced) {
			t.Fatalf("late write: %v", err)
		}
		// What is left is its inbox, and where to find that.
		if found := keysOf(t, admin, prefix); len(found) != 2 {
			t.Fatalf("expiry %d: %q, want work and a timer", expiry, found)
		}
		workOff(t, s)
		if found := keysOf(t, admin, prefix); len(found) != 0 {
			t.Fatalf("expiry %d: left behind: %q", expiry, found)
		}
	}

	// A released session has a backstop on every key, an owned one on none.
	ttl := func(f sessionstore.Fence) (least, most time.Duration) {
		t.Helper()
		least = 1 << 62
		for _, key := range s.keys(f.Key)[:4] {
			d, err := admin.PTTL(context.Background(), key).Result()
			if err != nil {
				t.Fatal(err)
			}
			least, most = min(least, d), max(most, d)
		}
		return least, most
	}
	f := filled(60)
	if _, most := ttl(f); most > 0 {
		t.Fatalf("an owned session would be removed in %v", most)
	}
	// The node's clock is far behind: the backstop does not follow it.
	if err := release(t, s, f, time.Now().AddDate(-10, 0, 0), false); err != nil {
		t.Fatal(err)
	}
	want := time.Minute + workKept
	if least, most := ttl(f); least < want-time.Minute || most > want {
		t.Fatalf("released: removed in %v to %v, want %v", least, most, want)
	}
	f = filled(60)
	if err := release(t, s, f, time.Now(), false); err != nil {
		t.Fatal(err)
	}
	if c, _ := mustClaim(t, s, sessionstore.ClaimRequest{Expiry: 60}); !c.Present {
		t.Fatalf("claimed again: %+v", c)
	}
	if _, most := ttl(f); most > 0 {
		t.Fatalf("claimed again: would be removed in %v", most)
	}
	f = filled(sessionstore.NeverExpires)
	if err := release(t, s, f, time.Now(), false); err != nil {
		t.Fatal(err)
	}
	if _, most := ttl(f); most > 0 {
		t.Fatalf("a session that never expires would be removed in %v", most)
	}
}

// workKept is WORK_KEPT of lib.lua.
const workKept = 7 * 24 * time.Hour

// workOff does the one piece of work that is due, and waits until its hint is gone.
func workOff(t *testing.T, s *Store) {
	t.Helper()
	pieces, err := s.Due(t.Context(), 10)
	if err != nil || len(pieces) != 1 {
		t.Fatalf("due: %+v, %v", pieces, err)
	}
	if err := s.Finish(t.Context(), pieces[0]); err != nil {
		t.Fatal(err)
	}
	// Steps of one session keep their order.
	if _, err := s.Get(t.Context(), pieces[0].Key, time.Now()); !errors.Is(err, sessionstore.ErrNotFound) {
		t.Fatal(err)
	}
}

func TestSessionOfALaterVersionIsNotTouched(t *testing.T) {
	url := serverURL(t, "SLUICE_TEST_REDIS_URL")
	s, admin := open(t, url, Options{Prefix: newPrefix(t, url)}), adminOf(t, url)
	_, f := mustClaim(t, s, sessionstore.ClaimRequest{Expiry: 60})
	meta := s.keys(f.Key)[0]
	if err := admin.HSet(t.Context(), meta, "v", "2").Err(); err != nil {
		t.Fatal(err)
	}
	_, err := s.Claim(t.Context(), sessionstore.ClaimRequest{Key: f.Key, Node: "n", Clean: true, Now: time.Now()})
	if !errors.Is(err, sessionstore.ErrUnavailable) || !strings.Contains(err.Error(), "version 2") {
		t.Fatalf("claim: %v", err)
	}
	if _, err := s.Get(t.Context(), f.Key, time.Now()); !errors.Is(err, sessionstore.ErrUnavailable) {
		t.Fatalf("get: %v", err)
	}
	// Nor does a sweep or a worker.
	orphan := s.orphanStep(registration{key: f.Key}, hint{f.Key, "x"})
	if reply, err := s.do(t.Context(), s.laneOf(f.Key), orphan); err != nil || reply.([]any)[0] != int64(-1) {
		t.Fatalf("sweep: %v, %v", reply, err)
	}
	if err := s.setHint(t.Context(), hint{f.Key, "x"}, "0", false); err != nil {
		t.Fatal(err)
	}
	if pieces, err := s.Due(t.Context(), 1); err != nil || len(pieces) != 0 {
		t.Fatalf("due: %+v, %v", pieces, err)
	}
	if _, err := s.Get(t.Context(), f.Key, time.Now()); err == nil { // waits until the hint was moved
		t.Fatal("the session was read")
	}
	if n := admin.ZCard(t.Context(), s.timers(shardOf(f.Key))).Val(); n != 1 {
		t.Fatal("the hint was taken away from the nodes that can read the session")
	}
	if owner := admin.HGet(t.Context(), meta, "owner").Val(); owner != "node-a" {
		t.Fatalf("owner %q: the session was changed", owner)
	}
}
