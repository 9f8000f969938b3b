package redis

import (
	"context"
	"errors"
	"fmt"
	"testing"
	"time"

	goredis "github.com/redis/go-redis/v9"

	"sluice/sessionstore"
	"sluice/sessionstore/storetest"
)

// pair opens two nodes on one prefix.
func pair(t *testing.T) (prefix string, a, b *Store) {
	t.Helper()
	url := serverURL(t, "SLUICE_TEST_REDIS_URL")
	prefix = newPrefix(t, url)
	return prefix, open(t, url, Options{Prefix: prefix, Times: storetest.Quick}), open(t, url, Options{Prefix: prefix, Times: storetest.Quick})
}

func keep(t *testing.T, s *Store, node string) {
	t.Helper()
	if err := s.KeepLease(t.Context(), node); err != nil {
		t.Fatalf("KeepLease: %v", err)
	}
}

// every calls look some times a lease until it says that it is enough.
func every(t *testing.T, look func() (enough bool)) {
	t.Helper()
	for deadline := time.Now().Add(patience); !look(); {
		if time.Now().After(deadline) {
			t.Fatal("waited in vain")
		}
		<-time.After(50 * time.Millisecond)
	}
}

func sweepUntil(t *testing.T, s *Store, n int) {
	t.Helper()
	taken := 0
	every(t, func() bool {
		k, err := s.Sweep(t.Context(), "node-b")
		if err != nil {
			t.Fatalf("Sweep: %v", err)
		}
		taken += k
		return taken >= n
	})
	if taken != n {
		t.Fatalf("%d taken, want %d", taken, n)
	}
}

// awaitWork waits for one piece, and sweeps meanwhile.
func awaitWork(t *testing.T, s *Store) (w sessionstore.Work) {
	t.Helper()
	every(t, func() bool {
		if _, err := s.Sweep(t.Context(), "node-b"); err != nil {
			t.Fatalf("Sweep: %v", err)
		}
		pieces, err := s.Due(t.Context(), 10)
		if err != nil || len(pieces) > 1 {
			t.Fatalf("Due: %+v, %v", pieces, err)
		}
		if len(pieces) == 1 {
			w = pieces[0]
		}
		return len(pieces) == 1
	})
	return w
}

// A node dies between two steps of one call: what the first left is found all the same.
func TestNothingIsForgottenBetweenSteps(t *testing.T) {
	will := &sessionstore.Will{Message: []byte("x")}
	for name, die := range map[string]func(t *testing.T, a *Store){
		"a release, before its hint": func(t *testing.T, a *Store) {
			_, f := mustClaim(t, a, sessionstore.ClaimRequest{Expiry: 60, Will: will})
			if _, err := a.do(t.Context(), a.laneOf(testKey), a.releaseStep(f, sessionstore.ReleaseRequest{End: true}, false)); err != nil {
				t.Fatal(err)
			}
		},
		"a claim that ends a session, before its hint": func(t *testing.T, a *Store) {
			_, f := mustClaim(t, a, sessionstore.ClaimRequest{Expiry: 60, Will: &sessionstore.Will{Delay: 50}})
			if err := release(t, a, f, time.Now(), false); err != nil {
				t.Fatal(err)
			}
			own, _ := a.lives.of("node-a")
			req := sessionstore.ClaimRequest{Key: testKey, Node: "node-a", Clean: true, Expiry: 60, Now: time.Now()}
			if _, err := a.claim(t.Context(), req, registration{own, testKey, "token"}); err != nil {
				t.Fatal(err)
			}
			// The hint of the release would lead there, too.
			if err := a.client.Del(t.Context(), a.timers(shardOf(testKey))).Err(); err != nil {
				t.Fatal(err)
			}
		},
		"another sweeper, before its hint": func(t *testing.T, a *Store) {
			mustClaim(t, a, sessionstore.ClaimRequest{Expiry: 60, Will: will})
			own, _ := a.lives.of("node-a")
			members, err := a.client.SMembers(t.Context(), a.lifeKeys(own)[2]).Result()
			if err != nil || len(members) != 1 {
				t.Fatalf("%q, %v", members, err)
			}
			r, ok := parseRegistration(own, members[0])
			reply, err := a.do(t.Context(), a.laneOf(testKey), a.orphanStep(r, hint{testKey, "lost"}))
			if !ok || err != nil || reply.([]any)[0] != int64(1) {
				t.Fatalf("%v, %v", reply, err)
			}
		},
		"a worker, before it moved the hint": func(t *testing.T, a *Store) {
			_, f := mustClaim(t, a, sessionstore.ClaimRequest{Expiry: 60, Will: will})
			if err := release(t, a, f, time.Now(), false); err != nil {
				t.Fatal(err)
			}
			pieces, err := a.Due(t.Context(), 10)
			if err != nil || len(pieces) != 1 {
				t.Fatalf("%+v, %v", pieces, err)
			}
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			_, a, b := pair(t)
			keep(t, a, "node-a")
			die(t, a)
			w := awaitWork(t, b)
			if w.Key != testKey || w.Will == nil {
				t.Fatalf("%+v", w)
			}
			if err := b.Finish(t.Context(), w); err != nil {
				t.Fatal(err)
			}
		})
	}
}

func TestNodeThatStartsAgainIsAnotherLife(t *testing.T) {
	t.Parallel()
	prefix, a, b := pair(t)
	keep(t, a, "node-a")
	old, f := mustClaim(t, a, sessionstore.ClaimRequest{Expiry: 60, Will: &sessionstore.Will{}})
	back := sessionstore.ClaimRequest{Key: sessionstore.Key{ClientID: "back"}, Node: "node-a", Expiry: 60, Now: time.Now()}
	if _, err := a.Claim(t.Context(), back); err != nil {
		t.Fatal(err)
	}
	first, _ := a.lives.of("node-a")
	members, err := a.client.SMembers(t.Context(), a.lifeKeys(first)[2]).Result()
	if err != nil || len(members) != 2 {
		t.Fatalf("%q, %v", members, err)
	}
	if err := a.Close(); err != nil { // kill -9: nothing was released
		t.Fatal(err)
	}
	url := serverURL(t, "SLUICE_TEST_REDIS_URL")
	again := open(t, url, Options{Prefix: prefix, Times: storetest.Quick})
	other := sessionstore.Key{ClientID: "other"}
	keep(t, again, "node-a")
	c, err := again.Claim(t.Context(), sessionstore.ClaimRequest{Key: other, Node: "node-a", Expiry: 60, Now: time.Now()})
	if err != nil {
		t.Fatal(err)
	}
	// Its device comes back before anybody knew that the first life is over.
	taken, err := again.Claim(t.Context(), back)
	if err != nil || taken.Previous == nil {
		t.Fatalf("%+v, %v", taken, err)
	}
	// Its old registration is removed some time, by nobody's order; here never.
	if _, err := again.Get(t.Context(), back.Key, time.Now()); err != nil {
		t.Fatal(err)
	}
	if err := b.client.SAdd(t.Context(), b.lifeKeys(first)[2], members).Err(); err != nil {
		t.Fatal(err)
	}
	every(t, func() bool {
		keep(t, again, "node-a")
		n, err := b.Sweep(t.Context(), "node-b")
		if err != nil || n > 1 {
			t.Fatalf("%d taken, %v", n, err)
		}
		return n == 1
	})
	if found := mustGet(t, b); found.Owner != "" || found.Epoch <= old.Session.Epoch {
		t.Fatalf("%+v, fence %+v", found, f)
	}
	if found, err := b.Get(t.Context(), other, time.Now()); err != nil || found.Owner != "node-a" {
		t.Fatalf("the new life's session: %+v, %v", found, err)
	}
	f = sessionstore.Fence{Key: back.Key, Epoch: taken.Session.Epoch}
	if err := await(t, send(again, f, sessionstore.SetInbox{})); err != nil {
		t.Fatalf("the new life lost a session that was the old one's before: %v", err)
	}
	if err := release(t, again, f, time.Now(), true); err != nil {
		t.Fatal(err)
	}
	// Both lives over and all work done, nothing is left.
	if _, err := again.Release(t.Context(), sessionstore.Fence{Key: other, Epoch: c.Session.Epoch}, sessionstore.ReleaseRequest{End: true}); err != nil {
		t.Fatal(err)
	}
	w := awaitWork(t, b)
	if err := b.Finish(t.Context(), w); err != nil {
		t.Fatal(err)
	}
	if _, f := mustClaim(t, b, sessionstore.ClaimRequest{Node: "node-b"}); release(t, b, f, time.Now(), true) != nil {
		t.Fatal("not released")
	}
	admin := adminOf(t, url)
	every(t, func() bool {
		if _, err := b.Sweep(t.Context(), "node-b"); err != nil {
			t.Fatal(err)
		}
		// The hint of a session that went on is there until its time: a worker's lease.
		if _, err := b.Due(t.Context(), 10); err != nil {
			t.Fatal(err)
		}
		return len(keysOf(t, admin, prefix)) == 0
	})
}

// The lease comes back between the look that found it missing and the burial.
func TestWhoRenewedInTimeIsNotBuried(t *testing.T) {
	t.Parallel()
	_, a, b := pair(t)
	keep(t, a, "node-a")
	_, f := mustClaim(t, a, sessionstore.ClaimRequest{Expiry: 60})
	own, _ := a.lives.of("node-a")
	if n, err := b.bury(t.Context(), own, 10); n != 0 || err != nil {
		t.Fatalf("%d taken, %v", n, err)
	}
	if err := await(t, send(a, f, sessionstore.SetInbox{Name: "mine"})); err != nil {
		t.Fatal(err)
	}
	keep(t, a, "node-a")
}

// All leases run out while the store is away: nobody is dead for that.
func TestOutageOfTheStoreKillsNobody(t *testing.T) {
	t.Parallel()
	url := serverURL(t, "SLUICE_TEST_REDIS_URL")
	prefix := newPrefix(t, url)
	p, through := newProxy(t, url)
	opts := Options{Prefix: prefix, Times: storetest.Quick, Grace: 20 * time.Second}
	nodes := []*Store{open(t, through, opts), open(t, through, opts)}
	var fences []sessionstore.Fence
	for i, s := range nodes {
		node := fmt.Sprint("node-", i)
		keep(t, s, node)
		c, err := s.Claim(t.Context(), sessionstore.ClaimRequest{Key: sessionstore.Key{ClientID: node}, Node: node, Expiry: 60, Now: time.Now()})
		if err != nil {
			t.Fatal(err)
		}
		fences = append(fences, sessionstore.Fence{Key: c.Session.Key, Epoch: c.Session.Epoch})
	}
	ends := time.Now().Add(2 * storetest.Quick.Lease)
	p.down(2 * storetest.Quick.Lease)
	live := func(i int, s *Store) error {
		node := fmt.Sprint("node-", i)
		// Sweeps right after the outage come before the other's lease. A gateway's KeepLease has its own time limit.
		for time.Now().Before(ends.Add(2*storetest.Quick.DeadAfter + storetest.Quick.Lease)) {
			ctx, cancel := context.WithTimeout(t.Context(), time.Second)
			n, err := s.Sweep(ctx, node)
			cancel()
			if n != 0 || err != nil && !errors.Is(err, sessionstore.ErrUnavailable) {
				return fmt.Errorf("%s swept %d, %w", node, n, err)
			}
			ctx, cancel = context.WithTimeout(t.Context(), time.Second)
			err = s.KeepLease(ctx, node)
			cancel()
			if err != nil && !errors.Is(err, sessionstore.ErrUnavailable) {
				return fmt.Errorf("%s: %w", node, err)
			}
			<-time.After(50 * time.Millisecond)
		}
		return nil
	}
	done := make(chan error, len(nodes))
	for i, s := range nodes {
		go func() { done <- live(i, s) }()
	}
	for range nodes {
		if err := await(t, done); err != nil {
			t.Error(err)
		}
	}
	for i, f := range fences {
		if err := await(t, send(nodes[i], f, sessionstore.SetInbox{Name: "mine"})); err != nil {
			t.Errorf("node %d lost its session: %v", i, err)
		}
	}
}

// oneSlot is a hook that fails on a script whose keys Redis Cluster would refuse together.
type oneSlot struct{ t *testing.T }

func (oneSlot) DialHook(next goredis.DialHook) goredis.DialHook          { return next }
func (oneSlot) ProcessHook(next goredis.ProcessHook) goredis.ProcessHook { return next }

func (o oneSlot) ProcessPipelineHook(next goredis.ProcessPipelineHook) goredis.ProcessPipelineHook {
	return func(ctx context.Context, cmds []goredis.Cmder) error {
		for _, cmd := range cmds {
			args := cmd.Args()
			if cmd.Name() != "evalsha" && cmd.Name() != "eval" {
				continue
			}
			n, ok := args[2].(int)
			if !ok || n == 0 {
				o.t.Errorf("a script without keys: %v", args[1])
				continue
			}
			for _, key := range args[4 : 3+n] {
				if hashTag(fmt.Sprint(key)) != hashTag(fmt.Sprint(args[3])) {
					o.t.Errorf("a script uses %v and %v", args[3], key)
				}
			}
		}
		return next(ctx, cmds)
	}
}

func TestEachScriptUsesOneSlot(t *testing.T) {
	t.Parallel()
	_, a, b := pair(t)
	a.client.AddHook(oneSlot{t})
	b.client.AddHook(oneSlot{t})
	node := "node {a}: %"
	keep(t, a, node)
	_, f := mustClaim(t, a, sessionstore.ClaimRequest{Node: node, Expiry: 60, Will: &sessionstore.Will{}})
	if err := await(t, send(a, f, sessionstore.SetInbox{Name: "q"})); err != nil {
		t.Fatal(err)
	}
	if err := release(t, a, f, time.Now(), false); err != nil {
		t.Fatal(err)
	}
	if err := b.Finish(t.Context(), awaitWork(t, b)); err != nil {
		t.Fatal(err)
	}
	mustClaim(t, a, sessionstore.ClaimRequest{Node: node, Expiry: 60, Will: &sessionstore.Will{}})
	sweepUntil(t, b, 1)
	mustGet(t, b)
}
