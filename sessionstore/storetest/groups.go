package storetest

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"sluice/sessionstore"
)

var someGroup = sessionstore.Group{Tenant: someWork.Key.Tenant, Filter: "$share/g/a"}

// newGroup gives one of the tenant of newKey that no other test uses, with what makes it hard to store.
func newGroup() sessionstore.Group {
	return sessionstore.Group{Tenant: newKey().Tenant, Filter: fmt.Sprintf("$share/g{%d/é a/+/#", tenants.Add(1))}
}

func join(t testing.TB, s sessionstore.Store, g sessionstore.Group, f sessionstore.Fence) uint64 {
	t.Helper()
	incarnation, err := s.Join(t.Context(), g, f)
	if err != nil || incarnation == 0 {
		t.Fatalf("Join(%v): %d, %v", g, incarnation, err)
	}
	return incarnation
}

func leave(t testing.TB, s sessionstore.Store, g sessionstore.Group, f sessionstore.Fence, want bool) {
	t.Helper()
	if work, err := s.Leave(t.Context(), g, f); work != want || err != nil {
		t.Fatalf("Leave(%v): work %v, %v; want %v", g, work, err, want)
	}
}

// over is the work of a group that is over.
func over(g sessionstore.Group, incarnation uint64) sessionstore.Work {
	return sessionstore.Work{Group: &g, Incarnation: incarnation, Ended: true}
}

func groupGoesOn(t *testing.T, fresh Fresh) {
	node := fresh(t)
	a, b := node(), node()
	g, other := newGroup(), newGroup()
	one := fence(claim(t, a, sessionstore.ClaimRequest{Key: newKey(), Expiry: 60}))
	two := fence(claim(t, b, sessionstore.ClaimRequest{Key: newKey(), Expiry: 60}))
	first := join(t, a, g, one)
	for _, again := range []uint64{join(t, b, g, two), join(t, a, g, one), join(t, b, g, two)} {
		if again != first {
			t.Fatalf("incarnation %d, then %d", first, again)
		}
	}
	join(t, a, other, one)
	leave(t, a, g, one, false)
	if again := join(t, a, g, one); again != first {
		t.Fatalf("there was a member all the time: incarnation %d, then %d", first, again)
	}
	leave(t, b, g, two, false)
	leave(t, a, g, one, true)
	takeAndFinish(t, b, over(g, first))
}

func groupBeginsAgain(t *testing.T, fresh Fresh) {
	node := fresh(t)
	a, b := node(), node()
	g := newGroup()
	one := fence(claim(t, a, sessionstore.ClaimRequest{Key: newKey(), Expiry: 60}))
	two := fence(claim(t, b, sessionstore.ClaimRequest{Key: newKey(), Expiry: 60}))
	seen := map[uint64]bool{}
	var want []sessionstore.Work
	for i := range 6 { // the queues of those before are not removed yet
		f, s := one, a
		if i%2 == 1 {
			f, s = two, b
		}
		n := join(t, s, g, f)
		if seen[n] {
			t.Fatalf("incarnation %d came twice", n)
		}
		seen[n] = true
		leave(t, s, g, f, true)
		want = append(want, over(g, n))
	}
	last := join(t, a, g, one)
	if seen[last] {
		t.Fatalf("incarnation %d came twice", last)
	}
	takeAndFinish(t, b, want...)
	if again := join(t, b, g, two); again != last {
		t.Fatalf("the work of groups that are over took one that goes on along: %d, then %d", last, again)
	}
	// After the work is done there is nothing left to count from.
	leave(t, a, g, one, false)
	leave(t, b, g, two, true)
	takeAndFinish(t, b, over(g, last))
	if n := join(t, a, g, one); seen[n] || n == last {
		t.Fatalf("incarnation %d came twice", n)
	}
}

func leaveRepeats(t *testing.T, fresh Fresh) {
	s := fresh(t)()
	g := newGroup()
	f := fence(claim(t, s, sessionstore.ClaimRequest{Key: newKey(), Expiry: 60}))
	leave(t, s, g, f, false)
	n := join(t, s, g, f)
	leave(t, s, g, f, true)
	leave(t, s, g, f, true) // what waits is told again: whoever asked before may have died
	takeAndFinish(t, s, over(g, n))
	leave(t, s, g, f, false)
	nothingDue(t, s)
}

func joinIsFenced(t *testing.T, fresh Fresh) {
	node := fresh(t)
	a, b := node(), node()
	g := newGroup()
	refused := func(what string, s sessionstore.Store, f sessionstore.Fence) {
		t.Helper()
		if _, err := s.Join(t.Context(), g, f); !errors.Is(err, sessionstore.ErrFenced) {
			t.Fatalf("%s: %v, want ErrFenced", what, err)
		}
	}
	old := fence(claim(t, a, sessionstore.ClaimRequest{Key: newKey(), Expiry: 60}))
	now := fence(claim(t, b, sessionstore.ClaimRequest{Key: old.Key, Expiry: 60}))
	refused("taken over", a, old)
	refused("an epoch that nobody has", b, sessionstore.Fence{Key: now.Key, Epoch: now.Epoch + 1})
	mustRelease(t, b, now, start, false)
	refused("released", b, now)
	refused("no session", b, sessionstore.Fence{Key: newKey(), Epoch: 1})
	if found := mustGet(t, b, now.Key, start); found.Groups != nil {
		t.Fatalf("refused, and noted: %q", found.Groups)
	}
	nothingDue(t, a)
}

func lateLeave(t *testing.T, fresh Fresh) {
	node := fresh(t)
	a, b := node(), node()
	g := newGroup()
	// Taken over; the new owner joined, too.
	old := fence(claim(t, a, sessionstore.ClaimRequest{Key: newKey(), Expiry: 60}))
	n := join(t, a, g, old)
	now := fence(claim(t, b, sessionstore.ClaimRequest{Key: old.Key, Expiry: 60}))
	join(t, b, g, now)
	leave(t, a, g, old, false)
	same(t, "groups", []string{g.Filter}, mustGet(t, b, now.Key, start).Groups)
	// A clean start: the work of the old session comes after the new one has joined.
	next := claim(t, b, sessionstore.ClaimRequest{Key: old.Key, Expiry: 60, Clean: true})
	if again := join(t, b, g, fence(next)); again != n {
		t.Fatalf("the group ended while it had a member: %d, then %d", n, again)
	}
	w := awaitDue(t, a, 1)[0]
	same(t, "work", []string{g.Filter}, w.Groups)
	leave(t, a, g, sessionstore.Fence{Key: w.Key, Epoch: w.Epoch}, false)
	finish(t, a, w)
	leave(t, b, g, fence(next), true)
	takeAndFinish(t, b, over(g, n))
}

func sessionKnowsGroups(t *testing.T, fresh Fresh) {
	node := fresh(t)
	a, b := node(), node()
	g, h := newGroup(), newGroup()
	c := claim(t, a, sessionstore.ClaimRequest{Key: newKey(), Expiry: 60})
	join(t, a, h, fence(c))
	join(t, a, g, fence(c))
	join(t, a, g, fence(c))
	want := c.Session
	want.Groups = []string{g.Filter, h.Filter}
	same(t, "stored", want, mustGet(t, b, c.Session.Key, start))
	// The next owner knows them, and leaves one for which it finds no subscription.
	next := claim(t, b, sessionstore.ClaimRequest{Key: c.Session.Key, Expiry: 60})
	same(t, "claimed", want.Groups, next.Session.Groups)
	leave(t, b, g, fence(next), true)
	mustRelease(t, b, fence(next), start, false)
	same(t, "left", []string{h.Filter}, mustGet(t, a, c.Session.Key, start).Groups)
	last := claim(t, a, sessionstore.ClaimRequest{Key: c.Session.Key, Expiry: 60, Clean: true})
	if last.Discarded == nil || last.Session.Groups != nil {
		t.Fatalf("clean start: %+v", last)
	}
	same(t, "discarded", []string{h.Filter}, last.Discarded.Groups)
}

// endLeavesGroups: whichever way a session ends, its groups are work, and when they are left those are over.
func endLeavesGroups(t *testing.T, fresh Fresh) {
	t.Parallel()
	node := fresh(t)
	a, b := node(), node()
	again := func(c sessionstore.Claimed, req sessionstore.ClaimRequest) sessionstore.Claimed {
		req.Key = c.Session.Key
		return claim(t, b, req)
	}
	for _, way := range []struct {
		name   string
		expiry uint32
		will   *sessionstore.Will
		inbox  string
		end    func(c sessionstore.Claimed)
	}{
		{"released to end", 60, nil, "", func(c sessionstore.Claimed) { mustRelease(t, a, fence(c), start, true) }},
		{"released to end, later", 60, nil, "", func(c sessionstore.Claimed) {
			mustRelease(t, a, fence(c), start, false)
			mustRelease(t, a, fence(c), start, true)
		}},
		{"expiry zero", 0, nil, "", func(c sessionstore.Claimed) { mustRelease(t, a, fence(c), start, false) }},
		{"expiry zero, taken over", 0, nil, "", func(c sessionstore.Claimed) { again(c, sessionstore.ClaimRequest{Expiry: 60}) }},
		{"expired", 1, nil, "", func(c sessionstore.Claimed) { mustRelease(t, a, fence(c), start, false) }},
		{"expired, claimed", 60, nil, "", func(c sessionstore.Claimed) {
			mustRelease(t, a, fence(c), start, false)
			again(c, sessionstore.ClaimRequest{Expiry: 60, Now: start.Add(time.Hour)})
		}},
		{"clean start", 60, nil, "", func(c sessionstore.Claimed) { again(c, sessionstore.ClaimRequest{Expiry: 60, Clean: true}) }},
		{"with a will and an inbox", 60, will(0, "x"), "q", func(c sessionstore.Claimed) { mustRelease(t, a, fence(c), start, true) }},
		{"its node died, expiry zero", 0, nil, "", nil},
		{"its node died, expired", 1, nil, "", nil},
	} {
		g, left := newGroup(), newGroup()
		kill := func() {}
		nodeName := "node-a"
		if way.end == nil {
			nodeName = "dies of " + way.name
			kill = alive(t, a, nodeName)
		}
		c := claim(t, a, sessionstore.ClaimRequest{Key: newKey(), Node: nodeName, Expiry: way.expiry, Will: way.will})
		if way.inbox != "" {
			mustWrite(t, a, fence(c), sessionstore.SetInbox{Name: way.inbox})
		}
		n := join(t, a, g, fence(c))
		m := join(t, a, left, fence(c))
		leave(t, a, left, fence(c), true)
		takeAndFinish(t, a, over(left, m))
		if kill(); way.end != nil {
			way.end(c)
		} else {
			sweepUntil(t, b, "sweeper", 1)
		}
		got := awaitDue(t, b, 1)
		if w := got[0]; len(got) != 1 || !w.Ended || w.Key != c.Session.Key || w.Incarnation != c.Session.Incarnation || w.Inbox != way.inbox {
			t.Fatalf("%s: %+v", way.name, got)
		}
		same(t, way.name, []string{g.Filter}, got[0].Groups)
		for range 2 { // a worker may have died after it had left
			leave(t, b, g, sessionstore.Fence{Key: got[0].Key, Epoch: got[0].Epoch}, true)
		}
		finish(t, b, got[0])
		takeAndFinish(t, a, over(g, n))
	}
}

// groupEndsOnce: sessions come and go on all nodes; each incarnation that a Join gave ends in exactly one piece of work.
func groupEndsOnce(t *testing.T, fresh Fresh) {
	node := fresh(t)
	stores := []sessionstore.Store{node(), node(), node()}
	g := newGroup()
	var mu sync.Mutex
	began, ended := map[uint64]bool{}, map[uint64]int{}
	var wg sync.WaitGroup
	for i := range 6 {
		wg.Go(func() {
			s := stores[i%len(stores)]
			f := fence(claim(t, s, sessionstore.ClaimRequest{Key: newKey(), Expiry: 60}))
			for range 20 {
				n, err := s.Join(t.Context(), g, f)
				if err != nil {
					t.Errorf("Join: %v", err)
					return
				}
				mu.Lock()
				began[n] = true
				if ended[n] > 0 {
					t.Errorf("incarnation %d was joined after it had ended", n)
				}
				mu.Unlock()
				if _, err := s.Leave(t.Context(), g, f); err != nil {
					t.Errorf("Leave: %v", err)
				}
			}
		})
	}
	collect := func(t *testing.T, s sessionstore.Store) {
		pieces, err := s.Due(t.Context(), 100)
		if err != nil {
			t.Errorf("Due: %v", err)
		}
		mu.Lock()
		for _, w := range pieces {
			ended[w.Incarnation]++
		}
		mu.Unlock()
		for _, w := range pieces {
			if w.Group == nil || *w.Group != g || s.Finish(t.Context(), w) != nil {
				t.Errorf("work %+v", w)
			}
		}
	}
	wg.Wait()
	for deadline := time.Now().Add(patience); len(ended) < len(began) && time.Now().Before(deadline); {
		collect(t, stores[0])
	}
	collect(t, stores[1])
	if len(began) < 2 || len(began) != len(ended) {
		t.Fatalf("%d incarnations began, %d ended", len(began), len(ended))
	}
	for n, times := range ended {
		if times != 1 || !began[n] {
			t.Errorf("incarnation %d ended %d times, began %v", n, times, began[n])
		}
	}
}

func groupsFull(t *testing.T, fresh Fresh) {
	s := fresh(t)()
	f := fence(claim(t, s, sessionstore.ClaimRequest{Key: newKey(), Expiry: 60}))
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	var wg sync.WaitGroup
	numbered := func(i int) sessionstore.Group {
		return sessionstore.Group{Tenant: f.Key.Tenant, Filter: fmt.Sprint("$share/g/", i)}
	}
	for i := range sessionstore.MaxGroups {
		wg.Go(func() {
			if _, err := s.Join(ctx, numbered(i), f); err != nil {
				t.Errorf("group %d: %v", i, err)
			}
		})
	}
	wg.Wait()
	join(t, s, numbered(0), f)
	if _, err := s.Join(ctx, numbered(-1), f); !errors.Is(err, sessionstore.ErrFull) {
		t.Fatalf("one group more: %v, want ErrFull", err)
	}
	leave(t, s, numbered(0), f, true)
	join(t, s, numbered(-1), f)
	mustRelease(t, s, f, start, true)
	if got := awaitDue(t, s, 2); len(got[0].Groups)+len(got[1].Groups) != sessionstore.MaxGroups {
		t.Fatalf("%d pieces of work do not have all groups", len(got))
	}
	// A group that begins and ends again and again, and nobody removes its queues.
	g := newGroup()
	f = fence(claim(t, s, sessionstore.ClaimRequest{Key: newKey(), Expiry: 60}))
	for range sessionstore.MaxWork {
		join(t, s, g, f)
		leave(t, s, g, f, true)
	}
	if _, err := s.Join(ctx, g, f); !errors.Is(err, sessionstore.ErrFull) {
		t.Fatalf("one queue more: %v, want ErrFull", err)
	}
	if found := mustGet(t, s, f.Key, start); found.Groups != nil {
		t.Fatalf("refused, and noted: %q", found.Groups)
	}
	finish(t, s, awaitDue(t, s, 1)[0])
	join(t, s, g, f)
}

func groupInvalid(t *testing.T, fresh Fresh) {
	s := fresh(t)()
	f := fence(claim(t, s, sessionstore.ClaimRequest{Key: newKey(), Expiry: 60}))
	tenant := f.Key.Tenant
	long := strings.Repeat("x", sessionstore.MaxString+1)
	for what, g := range map[string]sessionstore.Group{
		"no filter": {Tenant: tenant}, "long filter": {Tenant: tenant, Filter: long}, "another tenant": {Tenant: tenant + "x", Filter: "$share/g/a"},
	} {
		if _, err := s.Join(t.Context(), g, f); !errors.Is(err, sessionstore.ErrInvalid) {
			t.Errorf("%s: Join: %v, want ErrInvalid", what, err)
		}
		if _, err := s.Leave(t.Context(), g, f); !errors.Is(err, sessionstore.ErrInvalid) {
			t.Errorf("%s: Leave: %v, want ErrInvalid", what, err)
		}
	}
	g := newGroup()
	if _, err := s.Join(t.Context(), g, sessionstore.Fence{Key: sessionstore.Key{Tenant: g.Tenant}}); !errors.Is(err, sessionstore.ErrInvalid) {
		t.Errorf("no client id: %v, want ErrInvalid", err)
	}
	by := sessionstore.Member{Key: f.Key, Incarnation: 1}
	if _, err := s.Take(t.Context(), g, 1, long, by); !errors.Is(err, sessionstore.ErrInvalid) {
		t.Errorf("long identity: %v, want ErrInvalid", err)
	}
	if _, err := s.Take(t.Context(), g, 1, "m", sessionstore.Member{}); !errors.Is(err, sessionstore.ErrInvalid) {
		t.Errorf("taken by nobody: %v, want ErrInvalid", err)
	}
	if _, err := s.Take(t.Context(), sessionstore.Group{}, 1, "m", by); !errors.Is(err, sessionstore.ErrInvalid) {
		t.Errorf("no group: %v, want ErrInvalid", err)
	}
}
