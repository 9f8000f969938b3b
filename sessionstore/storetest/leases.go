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

func keepLease(t *testing.T, s sessionstore.Store, node string) {
	t.Helper()
	if err := s.KeepLease(t.Context(), node); err != nil {
		t.Fatalf("KeepLease(%s): %v", node, err)
	}
}

func sweep(t *testing.T, s sessionstore.Store, node string) int {
	t.Helper()
	taken, err := s.Sweep(t.Context(), node)
	if err != nil {
		t.Fatalf("Sweep: %v", err)
	}
	return taken
}

// alive keeps a node's lease until the function it gives is called: then the node is dead, without a word.
func alive(t *testing.T, s sessionstore.Store, node string) (kill func()) {
	t.Helper()
	keepLease(t, s, node)
	ctx, cancel := context.WithCancel(context.Background())
	var wg sync.WaitGroup
	wg.Go(func() {
		for {
			select {
			case <-ctx.Done():
				return
			case <-time.After(Quick.Lease / 10):
			}
			if err := s.KeepLease(t.Context(), node); err != nil && t.Context().Err() == nil {
				t.Errorf("KeepLease(%s): %v", node, err)
			}
		}
	})
	kill = func() { cancel(); wg.Wait() }
	t.Cleanup(kill)
	return kill
}

// sweepUntil sweeps as a node would until n sessions are taken, and gives how long that took.
func sweepUntil(t *testing.T, s sessionstore.Store, node string, n int) time.Duration {
	t.Helper()
	began := time.Now()
	for taken := 0; ; {
		taken += sweep(t, s, node)
		if taken == n {
			return time.Since(began)
		}
		if taken > n || time.Since(began) > patience {
			t.Fatalf("%d sessions taken, want %d", taken, n)
		}
		<-time.After(Quick.DeadAfter / 20)
	}
}

func nodeDies(t *testing.T, fresh Fresh) {
	t.Parallel()
	node := fresh(t)
	a, b := node(), node()
	kill := alive(t, a, "node-a")
	alive(t, b, "node-b")
	stays := claim(t, a, sessionstore.ClaimRequest{Key: newKey(), Expiry: 60, Will: will(0, "stays")})
	ends := claim(t, a, sessionstore.ClaimRequest{Key: newKey(), Will: will(1000, "ends")})
	plain := claim(t, a, sessionstore.ClaimRequest{Key: newKey()})
	mustWrite(t, a, fence(stays), sessionstore.SetInbox{Name: "q1"})
	mustWrite(t, a, fence(ends), sessionstore.SetInbox{Name: "q2"})
	moved := claim(t, a, sessionstore.ClaimRequest{Key: newKey(), Expiry: 60})
	moved = claim(t, b, sessionstore.ClaimRequest{Key: moved.Session.Key, Node: "node-b", Expiry: 60})
	given := claim(t, a, sessionstore.ClaimRequest{Key: newKey(), Expiry: 60})
	mustRelease(t, a, fence(given), start, false)

	kill()
	if took := sweepUntil(t, b, "node-b", 3); took < Quick.DeadAfter {
		t.Fatalf("dead after %v, want it seen missing for %v", took, Quick.DeadAfter)
	}
	swept := time.Now()
	found := mustGet(t, b, stays.Session.Key, start)
	if found.Owner != "" || found.Epoch <= stays.Session.Epoch || found.Incarnation != stays.Session.Incarnation || found.ReleasedAt.IsZero() {
		t.Fatalf("swept: %+v, was %+v", found, stays.Session)
	}
	// The zombie is fenced, whatever it does.
	for _, c := range []sessionstore.Claimed{stays, ends, plain} {
		if err := write(t, a, fence(c), sessionstore.SetInbox{Name: "x"}); !errors.Is(err, sessionstore.ErrFenced) {
			t.Fatalf("the dead owner writes: %v", err)
		}
		if work, err := releaseWith(t, a, fence(c), sessionstore.ReleaseRequest{End: true}); work || !errors.Is(err, sessionstore.ErrFenced) {
			t.Fatalf("the dead owner releases: work %v, %v", work, err)
		}
	}
	mustWrite(t, b, fence(moved), sessionstore.SetInbox{Name: "q3"})
	nothingDue(t, b)
	first, second := left(stays, found.Epoch), left(ends, 0)
	first.Will = will(0, "stays")
	second.Will, second.Inbox, second.Ended = will(1000, "ends"), "q2", true
	got := awaitDue(t, b, 2)
	if took := time.Since(swept); took < Quick.WillGrace-200*time.Millisecond {
		t.Fatalf("wills of a dead node after %v, want a grace of %v", took, Quick.WillGrace)
	}
	if got[0].Key != first.Key {
		got[0], got[1] = got[1], got[0]
	}
	if got[1].Epoch <= ends.Session.Epoch {
		t.Fatalf("epoch %d of a swept session, its owner had %d", got[1].Epoch, ends.Session.Epoch)
	}
	second.Epoch = got[1].Epoch
	for i, w := range got {
		finish(t, b, w)
		got[i].Token = ""
	}
	same(t, "due", []sessionstore.Work{first, second}, got)
	nothingDue(t, b)
	if n := sweep(t, b, "node-b"); n != 0 {
		t.Fatalf("%d taken from the dead a second time", n)
	}
}

func backInGrace(t *testing.T, fresh Fresh) {
	t.Parallel()
	node := fresh(t)
	a, b := node(), node()
	kill := alive(t, a, "node-a")
	reqs := []sessionstore.ClaimRequest{
		{Key: newKey(), Expiry: 60, Will: will(0, "goes on")},
		{Key: newKey(), Will: will(0, "new each time")},
		{Key: newKey(), Expiry: 60, Clean: true, Will: will(0, "clean start")},
	}
	for _, req := range reqs {
		claim(t, a, req)
	}
	kill()
	// Before anybody knew that the node died.
	early := claim(t, a, sessionstore.ClaimRequest{Key: newKey(), Will: will(0, "early")})
	claim(t, b, sessionstore.ClaimRequest{Key: early.Session.Key, Node: "node-b"})
	sweepUntil(t, b, "node-b", len(reqs))
	for _, req := range reqs {
		req.Node, req.Will = "node-b", nil
		if c := claim(t, b, req); c.Work || c.Previous != nil {
			t.Fatalf("%s: %+v", req.Key, c)
		}
	}
	for until := time.Now().Add(Quick.WillGrace + 200*time.Millisecond); time.Now().Before(until); {
		nothingDue(t, b)
		<-time.After(50 * time.Millisecond)
	}
}

func zombieIsTold(t *testing.T, fresh Fresh) {
	t.Parallel()
	node := fresh(t)
	a, b := node(), node()
	kill := alive(t, a, "node-a")
	old := claim(t, a, sessionstore.ClaimRequest{Key: newKey(), Expiry: 60})
	kill()
	sweepUntil(t, b, "node-b", 1)
	if err := a.KeepLease(t.Context(), "node-a"); !errors.Is(err, sessionstore.ErrFenced) {
		t.Fatalf("KeepLease of a node taken for dead: %v, want ErrFenced", err)
	}
	// A new life: it owns again, is not taken for dead, and can die again.
	kill = alive(t, a, "node-a")
	claim(t, a, sessionstore.ClaimRequest{Key: old.Session.Key, Expiry: 60})
	for until := time.Now().Add(Quick.Lease); time.Now().Before(until); {
		if n := sweep(t, b, "node-b"); n != 0 {
			t.Fatalf("%d taken from a living node", n)
		}
		<-time.After(50 * time.Millisecond)
	}
	kill()
	sweepUntil(t, b, "node-b", 1)
}

func manySweepers(t *testing.T, fresh Fresh) {
	t.Parallel()
	node := fresh(t)
	stores := []sessionstore.Store{node(), node(), node()}
	dead := node()
	kill := alive(t, dead, "node-dead")
	const sessions = 50
	for range sessions {
		claim(t, dead, sessionstore.ClaimRequest{Key: newKey(), Node: "node-dead", Expiry: 60, Will: will(0, "x")})
	}
	kill()
	var mu sync.Mutex
	taken := 0
	var wg sync.WaitGroup
	deadline := time.Now().Add(patience)
	for i, s := range stores {
		wg.Go(func() {
			for time.Now().Before(deadline) {
				n, err := s.Sweep(t.Context(), fmt.Sprintf("node-%d", i))
				if err != nil {
					t.Errorf("Sweep: %v", err)
					return
				}
				mu.Lock()
				taken += n
				all := taken >= sessions
				mu.Unlock()
				if all {
					return
				}
				<-time.After(20 * time.Millisecond)
			}
		})
	}
	wg.Wait()
	if taken != sessions {
		t.Fatalf("%d sessions taken, want each of %d once", taken, sessions)
	}
	seen := map[sessionstore.Key]bool{}
	for len(seen) < sessions {
		for _, w := range awaitDue(t, stores[0], 1) {
			if seen[w.Key] {
				t.Fatalf("the will of %v is due twice", w.Key)
			}
			seen[w.Key] = true
			finish(t, stores[0], w)
		}
	}
	nothingDue(t, stores[1])
}

func livingIsNotSwept(t *testing.T, fresh Fresh) {
	t.Parallel()
	node := fresh(t)
	a, b := node(), node()
	alive(t, a, "node-a")
	leased := claim(t, a, sessionstore.ClaimRequest{Key: newKey(), Expiry: 60})
	// One that never kept a lease is not known, so nobody misses it.
	without := claim(t, b, sessionstore.ClaimRequest{Key: newKey(), Node: "node-c", Expiry: 60})
	for until := time.Now().Add(Quick.Lease + 2*Quick.DeadAfter); time.Now().Before(until); {
		if n := sweep(t, b, "node-b"); n != 0 {
			t.Fatalf("%d sessions taken", n)
		}
		<-time.After(50 * time.Millisecond)
	}
	mustWrite(t, a, fence(leased))
	mustWrite(t, b, fence(without))
}
