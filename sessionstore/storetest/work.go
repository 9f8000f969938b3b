package storetest

import (
	"cmp"
	"context"
	"errors"
	"slices"
	"sync"
	"testing"
	"time"

	"sluice/sessionstore"
)

// left is a piece of work of a session, with what every piece has.
func left(c sessionstore.Claimed, epoch uint64) sessionstore.Work {
	return sessionstore.Work{Key: c.Session.Key, Incarnation: c.Session.Incarnation, Epoch: epoch}
}

func due(t *testing.T, s sessionstore.Store, most int) []sessionstore.Work {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	out, err := s.Due(ctx, most)
	if err != nil {
		t.Fatalf("Due: %v", err)
	}
	return out
}

func nothingDue(t *testing.T, s sessionstore.Store) {
	t.Helper()
	if out := due(t, s, 10); len(out) != 0 {
		t.Fatalf("due: %+v, want nothing", out)
	}
}

// awaitDue asks until at least n pieces are due.
func awaitDue(t *testing.T, s sessionstore.Store, n int) (out []sessionstore.Work) {
	t.Helper()
	deadline := time.Now().Add(patience)
	for {
		out = append(out, due(t, s, 1000)...)
		if len(out) >= n {
			return out
		}
		if time.Now().After(deadline) {
			t.Fatalf("%d pieces are due, want %d: %+v", len(out), n, out)
		}
		<-time.After(20 * time.Millisecond)
	}
}

func finish(t *testing.T, s sessionstore.Store, w sessionstore.Work) {
	t.Helper()
	if err := s.Finish(t.Context(), w); err != nil {
		t.Fatalf("Finish(%v): %v", w.Key, err)
	}
}

// takeAndFinish waits for exactly these pieces, and sees that nothing is left of them.
func takeAndFinish(t *testing.T, s sessionstore.Store, want ...sessionstore.Work) {
	t.Helper()
	got := awaitDue(t, s, len(want))
	byKey := func(a, b sessionstore.Work) int {
		return cmp.Or(cmp.Compare(a.Key.ClientID, b.Key.ClientID), cmp.Compare(a.Epoch, b.Epoch), cmp.Compare(a.Incarnation, b.Incarnation))
	}
	slices.SortFunc(want, byKey)
	slices.SortFunc(got, byKey)
	plain := slices.Clone(got)
	for i := range plain {
		if plain[i].Token == "" {
			t.Fatalf("no token: %+v", plain[i])
		}
		plain[i].Token = ""
	}
	same(t, "due", want, plain)
	nothingDue(t, s)
	for _, w := range got {
		finish(t, s, w)
		finish(t, s, w)
	}
	nothingDue(t, s)
}

// oneWorkerEach: pieces of many sessions, workers on several nodes at once.
func oneWorkerEach(t *testing.T, fresh Fresh) {
	node := fresh(t)
	stores := []sessionstore.Store{node(), node(), node()}
	const sessions = 60
	for range sessions {
		c := withWill(t, stores[0], will(0, "x"))
		kept(t, stores[0], c, sessionstore.ReleaseRequest{}, true)
	}
	var mu sync.Mutex
	took := map[sessionstore.Key]int{}
	var wg sync.WaitGroup
	deadline := time.Now().Add(patience)
	for i := range 6 {
		wg.Go(func() {
			s := stores[i%len(stores)]
			for time.Now().Before(deadline) {
				pieces, err := s.Due(t.Context(), 7)
				if err != nil || len(pieces) > 7 {
					t.Errorf("Due: %d pieces, %v", len(pieces), err)
					return
				}
				mu.Lock()
				for _, w := range pieces {
					took[w.Key]++
				}
				all := len(took) == sessions
				mu.Unlock()
				for _, w := range pieces {
					if err := s.Finish(t.Context(), w); err != nil {
						t.Errorf("Finish: %v", err)
					}
				}
				if all {
					return
				}
			}
			t.Error("not all work was found")
		})
	}
	wg.Wait()
	for key, n := range took {
		if n != 1 {
			t.Errorf("%v: %d workers", key, n)
		}
	}
}

func deadWorker(t *testing.T, fresh Fresh) {
	t.Parallel()
	node := fresh(t)
	a, b := node(), node()
	c := withWill(t, a, will(0, "x"))
	kept(t, a, c, sessionstore.ReleaseRequest{}, true)
	began := time.Now()
	first := awaitDue(t, a, 1)[0]
	nothingDue(t, b)
	second := awaitDue(t, b, 1)[0]
	if took := time.Since(began); took < Quick.WorkLease-10*time.Millisecond {
		t.Fatalf("claimed from a living worker, after %v", took)
	}
	if first.Again || !second.Again {
		t.Fatalf("again: first %v, second %v", first.Again, second.Again)
	}
	first.Again, second.Token = true, first.Token
	same(t, "the same piece", first, second)
}

func lateFinish(t *testing.T, fresh Fresh) {
	t.Parallel()
	node := fresh(t)
	a, b := node(), node()
	c := withWill(t, a, will(0, "x"))
	kept(t, a, c, sessionstore.ReleaseRequest{}, true)
	first := awaitDue(t, a, 1)[0]
	second := awaitDue(t, b, 1)[0]
	if err := a.Finish(t.Context(), first); !errors.Is(err, sessionstore.ErrFenced) {
		t.Fatalf("Finish of who was too slow: %v, want ErrFenced", err)
	}
	finish(t, b, second)
	if err := a.Finish(t.Context(), first); err != nil {
		t.Fatalf("Finish of what is done: %v", err)
	}
	second.Token = "no token"
	if err := a.Finish(t.Context(), second); !errors.Is(err, sessionstore.ErrInvalid) {
		t.Fatalf("a token of nobody: %v, want ErrInvalid", err)
	}
	nothingDue(t, a)
}
