package storetest

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"testing"
	"time"

	"sluice/sessionstore"
)

func staleFence(t *testing.T, fresh Fresh) {
	node := fresh(t)
	a, b := node(), node()
	for _, clean := range []bool{false, true} {
		old := claim(t, a, sessionstore.ClaimRequest{Key: newKey(), Node: "node-a", Expiry: 60})
		now := claim(t, b, sessionstore.ClaimRequest{Key: old.Session.Key, Node: "node-b", Clean: clean, Expiry: 60})
		mustWrite(t, b, fence(now), sessionstore.SetInbox{Name: "b"})
		want := mustGet(t, b, old.Session.Key, start)

		if err := write(t, a, fence(old), everything()...); !errors.Is(err, sessionstore.ErrFenced) {
			t.Fatalf("clean %v: stale write: %v, want ErrFenced", clean, err)
		}
		for _, end := range []bool{false, true} {
			if err := release(t, a, fence(old), start, end); !errors.Is(err, sessionstore.ErrFenced) {
				t.Fatalf("clean %v: stale release: %v, want ErrFenced", clean, err)
			}
		}
		same(t, "after stale calls", want, mustGet(t, a, old.Session.Key, start))
		// Nor may an epoch that was never given out write.
		future := sessionstore.Fence{Key: old.Session.Key, Epoch: now.Session.Epoch + 1}
		if err := write(t, b, future, sessionstore.SetInbox{Name: "x"}); !errors.Is(err, sessionstore.ErrFenced) {
			t.Fatalf("future epoch: %v, want ErrFenced", err)
		}
		mustWrite(t, b, fence(now), sessionstore.SetInbox{Name: "still mine"})
	}
}

func fenceOfRemoved(t *testing.T, fresh Fresh) {
	s := fresh(t)()
	old := claim(t, s, sessionstore.ClaimRequest{Key: newKey(), Expiry: 60})
	mustRelease(t, s, fence(old), start, true)
	refused := func(when string) {
		t.Helper()
		if err := write(t, s, fence(old), sessionstore.SetInbox{Name: "x"}); !errors.Is(err, sessionstore.ErrFenced) {
			t.Fatalf("%s: write: %v, want ErrFenced", when, err)
		}
		if err := release(t, s, fence(old), start, true); !errors.Is(err, sessionstore.ErrFenced) {
			t.Fatalf("%s: release: %v, want ErrFenced", when, err)
		}
	}
	refused("removed")
	if _, err := get(t, s, old.Session.Key, start); !errors.Is(err, sessionstore.ErrNotFound) {
		t.Fatalf("a refused write made a session: %v", err)
	}
	// Nothing of the old session was left to compare with; the new one's epoch differs all the same.
	now := claim(t, s, sessionstore.ClaimRequest{Key: old.Session.Key, Expiry: 60})
	refused("created again")
	same(t, "created again", now.Session, mustGet(t, s, old.Session.Key, start))
}

func fenceIsSpent(t *testing.T, fresh Fresh) {
	s := fresh(t)()
	c := claim(t, s, sessionstore.ClaimRequest{Key: newKey(), Expiry: 60})
	mustRelease(t, s, fence(c), start, false)
	want := mustGet(t, s, c.Session.Key, start)
	if err := write(t, s, fence(c), sessionstore.SetInbox{Name: "x"}); !errors.Is(err, sessionstore.ErrFenced) {
		t.Fatalf("write after release: %v, want ErrFenced", err)
	}
	same(t, "after release", want, mustGet(t, s, c.Session.Key, start))
}

func releaseRepeats(t *testing.T, fresh Fresh) {
	s := fresh(t)()
	c := claim(t, s, sessionstore.ClaimRequest{Key: newKey(), Expiry: 60})
	mustRelease(t, s, fence(c), start, false)
	mustRelease(t, s, fence(c), start.Add(30*time.Second), false)
	if at := mustGet(t, s, c.Session.Key, start).ReleasedAt; !at.Equal(start) {
		t.Fatalf("released at %v, want the first release, %v", at, start)
	}
	mustRelease(t, s, fence(c), start, true)
	if _, err := get(t, s, c.Session.Key, start); !errors.Is(err, sessionstore.ErrNotFound) {
		t.Fatalf("ended after it was released: %v, want ErrNotFound", err)
	}
}

func releaseWaits(t *testing.T, fresh Fresh) {
	s := fresh(t)()
	c := claim(t, s, sessionstore.ClaimRequest{Key: newKey(), Expiry: 60})
	var answered []int // done is called in order: before Release returned, so without a lock
	for i := range 500 {
		s.Write(fence(c), []sessionstore.Op{sessionstore.SetInbox{Name: fmt.Sprint(i)}}, func(err error) {
			if err != nil {
				t.Errorf("write %d: %v", i, err)
			}
			answered = append(answered, i)
		})
	}
	mustRelease(t, s, fence(c), start, false)
	if len(answered) != 500 {
		t.Fatalf("Release returned after %d of 500 writes were answered", len(answered))
	}
	if inbox := mustGet(t, s, c.Session.Key, start).Inbox; inbox != "499" {
		t.Fatalf("inbox %q, want 499", inbox)
	}
}

// A takeover through the same store loses nothing that the old owner has handed over, confirmed or not.
func claimWaits(t *testing.T, fresh Fresh) {
	s := fresh(t)()
	key := newKey()
	c := claim(t, s, sessionstore.ClaimRequest{Key: key, Expiry: 60})
	for i := range 500 {
		s.Write(fence(c), []sessionstore.Op{sessionstore.SetInbox{Name: fmt.Sprint(i)}}, func(err error) {
			if err != nil {
				t.Errorf("write %d: %v", i, err)
			}
		})
	}
	if found := claim(t, s, sessionstore.ClaimRequest{Key: key, Expiry: 60}); found.Session.Inbox != "499" {
		t.Fatalf("the claim found write %q, want 499", found.Session.Inbox)
	}
}

func contention(t *testing.T, fresh Fresh) {
	node := fresh(t)
	stores := []sessionstore.Store{node(), node(), node()}
	const claimers = 50
	key := newKey()
	claims := make([]sessionstore.Claimed, claimers)
	var wg sync.WaitGroup
	for i := range claimers {
		wg.Go(func() {
			s := stores[i%len(stores)]
			c, err := s.Claim(t.Context(), sessionstore.ClaimRequest{
				Key: key, Node: fmt.Sprintf("node-%d", i%len(stores)), Expiry: 60, Clean: i%7 == 0, Now: start,
			})
			if err != nil {
				t.Errorf("claim %d: %v", i, err)
				return
			}
			claims[i] = c
			// A write of an owner that was overtaken is refused; that of the last is not, whenever it comes.
			written := make(chan error, 1)
			s.Write(fence(c), []sessionstore.Op{sessionstore.SetInbox{Name: fmt.Sprint(i)}}, func(err error) { written <- err })
			if err := <-written; err != nil && !errors.Is(err, sessionstore.ErrFenced) {
				t.Errorf("write %d: %v", i, err)
			}
		})
	}
	wg.Wait()
	if t.Failed() {
		return
	}
	byEpoch := map[uint64]int{}
	last := 0
	for i, c := range claims {
		if other, twice := byEpoch[c.Session.Epoch]; twice {
			t.Fatalf("claims %d and %d both got epoch %d", other, i, c.Session.Epoch)
		}
		byEpoch[c.Session.Epoch] = i
		if c.Session.Epoch > claims[last].Session.Epoch {
			last = i
		}
	}
	found := mustGet(t, stores[0], key, start)
	if found.Epoch != claims[last].Session.Epoch || found.Owner != fmt.Sprintf("node-%d", last%len(stores)) || found.Inbox != fmt.Sprint(last) {
		t.Fatalf("owned by %s with epoch %d, inbox %s; the greatest epoch is %d of claim %d",
			found.Owner, found.Epoch, found.Inbox, claims[last].Session.Epoch, last)
	}
	// Each claim but the first took it from another one: the chain of owners has no gap and no fork.
	previous := map[uint64]bool{}
	for _, c := range claims {
		if c.Previous == nil {
			previous[0] = true
			continue
		}
		if _, ok := byEpoch[c.Previous.Epoch]; !ok || previous[c.Previous.Epoch] || c.Previous.Epoch >= c.Session.Epoch {
			t.Fatalf("epoch %d was taken from %d", c.Session.Epoch, c.Previous.Epoch)
		}
		previous[c.Previous.Epoch] = true
	}
	if len(previous) != claimers {
		t.Fatalf("%d links in the chain of %d claims", len(previous), claimers)
	}
	for i, c := range claims {
		err := write(t, stores[i%len(stores)], fence(c), sessionstore.SetInbox{Name: "late"})
		if (i == last) != (err == nil) || (i != last && !errors.Is(err, sessionstore.ErrFenced)) {
			t.Fatalf("late write of claim %d (last is %d): %v", i, last, err)
		}
	}
}

func manySessions(t *testing.T, fresh Fresh) {
	node := fresh(t)
	stores := []sessionstore.Store{node(), node()}
	var wg sync.WaitGroup
	for i := range 64 {
		wg.Go(func() {
			s := stores[i%len(stores)]
			c, err := s.Claim(t.Context(), sessionstore.ClaimRequest{Key: newKey(), Node: "n", Expiry: 60, Now: start})
			if err != nil || c.Present || c.Previous != nil || c.Discarded != nil {
				t.Errorf("claim %d: %+v, %v", i, c, err)
				return
			}
			written := make(chan error, 1)
			for n := range 20 {
				s.Write(fence(c), []sessionstore.Op{sessionstore.SetInbox{Name: fmt.Sprint(i, n)}}, func(err error) { written <- err })
				if err := <-written; err != nil {
					t.Errorf("write %d.%d: %v", i, n, err)
					return
				}
			}
			found, err := stores[(i+1)%len(stores)].Get(t.Context(), c.Session.Key, start)
			if err != nil || found.Inbox != fmt.Sprint(i, 19) {
				t.Errorf("session %d: inbox %q, %v", i, found.Inbox, err)
			}
		})
	}
	wg.Wait()
}

type notice struct {
	Key   sessionstore.Key
	Epoch uint64
}

// watch gives the notices a node gets.
func watch(ctx context.Context, t *testing.T, s sessionstore.Store, node string) <-chan notice {
	t.Helper()
	told := make(chan notice, 1000)
	if err := s.Watch(ctx, node, func(key sessionstore.Key, epoch uint64) { told <- notice{key, epoch} }, func() {}); err != nil {
		t.Fatalf("Watch: %v", err)
	}
	return told
}

// next fails on any notice but the one for this claim. Notices may be repeated: those seen before pass.
func next(t *testing.T, told <-chan notice, c sessionstore.Claimed) {
	t.Helper()
	want := notice{c.Session.Key, c.Session.Epoch}
	timeout := time.After(patience)
	for {
		select {
		case got := <-told:
			if got == want {
				return
			}
			if got.Key != want.Key || got.Epoch > want.Epoch {
				t.Fatalf("told %+v, want %+v", got, want)
			}
		case <-timeout:
			t.Fatalf("not told of %+v", want)
		}
	}
}

func watchTells(t *testing.T, fresh Fresh) {
	node := fresh(t)
	a, b := node(), node()
	toldA := watch(t.Context(), t, a, "node-a")
	toldB := watch(t.Context(), t, b, "node-b")
	key := newKey()
	claim(t, a, sessionstore.ClaimRequest{Key: key, Node: "node-a", Expiry: 60})
	next(t, toldA, claim(t, b, sessionstore.ClaimRequest{Key: key, Node: "node-b", Expiry: 60}))
	next(t, toldB, claim(t, a, sessionstore.ClaimRequest{Key: key, Node: "node-a", Expiry: 60, Clean: true}))
	// The same node: its other connection lost.
	next(t, toldA, claim(t, a, sessionstore.ClaimRequest{Key: key, Node: "node-a"}))
	next(t, toldA, claim(t, b, sessionstore.ClaimRequest{Key: key, Node: "node-b"}))
}

func watchIsQuiet(t *testing.T, fresh Fresh) {
	node := fresh(t)
	a, b := node(), node()
	told := watch(t.Context(), t, a, "node-a")
	// Released sessions, other nodes' sessions and new ones are no loss.
	released := claim(t, a, sessionstore.ClaimRequest{Key: newKey(), Node: "node-a", Expiry: 60})
	mustRelease(t, a, fence(released), start, false)
	claim(t, b, sessionstore.ClaimRequest{Key: released.Session.Key, Node: "node-b"})
	other := claim(t, b, sessionstore.ClaimRequest{Key: newKey(), Node: "node-b", Expiry: 60})
	claim(t, b, sessionstore.ClaimRequest{Key: other.Session.Key, Node: "node-c"})
	// A loss that comes last is the first thing told.
	lost := claim(t, a, sessionstore.ClaimRequest{Key: newKey(), Node: "node-a", Expiry: 60})
	next(t, told, claim(t, b, sessionstore.ClaimRequest{Key: lost.Session.Key, Node: "node-b"}))
}

func watchEnds(t *testing.T, fresh Fresh) {
	node := fresh(t)
	a, b := node(), node()
	ctx, cancel := context.WithCancel(t.Context())
	ended := watch(ctx, t, a, "node-a")
	goesOn := watch(t.Context(), t, a, "node-a")
	take := func() sessionstore.Claimed {
		c := claim(t, a, sessionstore.ClaimRequest{Key: newKey(), Node: "node-a", Expiry: 60})
		return claim(t, b, sessionstore.ClaimRequest{Key: c.Session.Key, Node: "node-b"})
	}
	c := take()
	next(t, ended, c)
	next(t, goesOn, c)
	cancel()
	c = take()
	next(t, goesOn, c)
	select {
	case got := <-ended:
		t.Fatalf("told %+v after the context ended", got)
	default:
	}
}

// someWork is a piece nobody has, named as either store names them.
var someWork = sessionstore.Work{Key: sessionstore.Key{ClientID: "c"}, Epoch: 1, Token: "e 1"}

func contextDone(t *testing.T, fresh Fresh) {
	s := fresh(t)()
	c := claim(t, s, sessionstore.ClaimRequest{Key: newKey(), Expiry: 60})
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	_, claimErr := s.Claim(ctx, sessionstore.ClaimRequest{Key: c.Session.Key, Node: "n", Now: start})
	_, getErr := s.Get(ctx, c.Session.Key, start)
	_, releaseErr := s.Release(ctx, fence(c), sessionstore.ReleaseRequest{Now: start, End: true})
	_, dueErr := s.Due(ctx, 1)
	_, sweepErr := s.Sweep(ctx, "n")
	_, epochsErr := s.Epochs(ctx, []sessionstore.Key{c.Session.Key})
	_, pageErr := s.RetainedTopics(ctx, "t", "", "", 1)
	_, retainedErr := s.GetRetained(ctx, "t", []string{"a"})
	_, trimErr := s.TrimRetained(ctx)
	_, joinErr := s.Join(ctx, someGroup, sessionstore.Fence{Key: someWork.Key, Epoch: 1})
	_, leaveErr := s.Leave(ctx, someGroup, sessionstore.Fence{Key: someWork.Key, Epoch: 1})
	_, takeErr := s.Take(ctx, someGroup, 1, "m", sessionstore.Member{Key: someWork.Key})
	for what, err := range map[string]error{
		"Claim": claimErr, "Get": getErr, "Release": releaseErr, "Ready": s.Ready(ctx), "Due": dueErr, "Sweep": sweepErr, "Epochs": epochsErr,
		"RetainedTopics": pageErr, "GetRetained": retainedErr, "TrimRetained": trimErr,
		"Join": joinErr, "Leave": leaveErr, "Take": takeErr,
		"Finish": s.Finish(ctx, someWork), "KeepLease": s.KeepLease(ctx, "n"),
		"Watch": s.Watch(ctx, "n", func(sessionstore.Key, uint64) {}, func() {}),
	} {
		if !errors.Is(err, sessionstore.ErrUnavailable) {
			t.Errorf("%s: %v, want ErrUnavailable", what, err)
		}
	}
	if err := s.Ready(t.Context()); err != nil {
		t.Fatalf("Ready: %v", err)
	}
	same(t, "stored", c.Session, mustGet(t, s, c.Session.Key, start))
}

func closedUnavailable(t *testing.T, fresh Fresh) {
	s := fresh(t)()
	c := claim(t, s, sessionstore.ClaimRequest{Key: newKey()})
	told := watch(t.Context(), t, s, "node-a")
	for range 2 {
		if err := s.Close(); err != nil {
			t.Fatalf("Close: %v", err)
		}
	}
	_, claimErr := s.Claim(t.Context(), sessionstore.ClaimRequest{Key: c.Session.Key, Node: "n", Now: start})
	_, getErr := s.Get(t.Context(), c.Session.Key, start)
	_, dueErr := s.Due(t.Context(), 1)
	_, sweepErr := s.Sweep(t.Context(), "n")
	_, epochsErr := s.Epochs(t.Context(), []sessionstore.Key{c.Session.Key})
	_, pageErr := s.RetainedTopics(t.Context(), "t", "", "", 1)
	_, retainedErr := s.GetRetained(t.Context(), "t", []string{"a"})
	_, trimErr := s.TrimRetained(t.Context())
	_, joinErr := s.Join(t.Context(), someGroup, sessionstore.Fence{Key: someWork.Key, Epoch: 1})
	_, leaveErr := s.Leave(t.Context(), someGroup, sessionstore.Fence{Key: someWork.Key, Epoch: 1})
	_, takeErr := s.Take(t.Context(), someGroup, 1, "m", sessionstore.Member{Key: someWork.Key})
	for what, err := range map[string]error{
		"Claim": claimErr, "Get": getErr, "Write": write(t, s, fence(c), sessionstore.SetInbox{Name: "x"}),
		"Release": release(t, s, fence(c), start, true), "Ready": s.Ready(t.Context()), "Due": dueErr, "Sweep": sweepErr, "Epochs": epochsErr,
		"RetainedTopics": pageErr, "GetRetained": retainedErr, "TrimRetained": trimErr,
		"Join": joinErr, "Leave": leaveErr, "Take": takeErr,
		"Finish": s.Finish(t.Context(), someWork), "KeepLease": s.KeepLease(t.Context(), "n"),
		"Watch": s.Watch(t.Context(), "n", func(sessionstore.Key, uint64) {}, func() {}),
	} {
		if !errors.Is(err, sessionstore.ErrUnavailable) {
			t.Errorf("%s: %v, want ErrUnavailable", what, err)
		}
	}
	if len(told) != 0 {
		t.Errorf("a watch was told something: %+v", <-told)
	}
}
