package storetest

import (
	"errors"
	"strings"
	"sync"
	"testing"

	"sluice/sessionstore"
)

func take(t testing.TB, s sessionstore.Store, g sessionstore.Group, n uint64, identity string, by sessionstore.Member) sessionstore.Member {
	t.Helper()
	first, err := s.Take(t.Context(), g, n, identity, by)
	if err != nil {
		t.Fatalf("Take(%q): %v", identity, err)
	}
	return first
}

func takenOnce(t *testing.T, fresh Fresh) {
	node := fresh(t)
	stores := []sessionstore.Store{node(), node(), node()}
	g, other := newGroup(), newGroup()
	f := fence(claim(t, stores[0], sessionstore.ClaimRequest{Key: newKey(), Expiry: 60}))
	n, m := join(t, stores[0], g, f), join(t, stores[0], other, f)
	const takers = 30
	got := make([]sessionstore.Member, takers)
	members := make([]sessionstore.Member, takers)
	var wg sync.WaitGroup
	for i := range takers {
		members[i] = sessionstore.Member{Key: newKey(), Incarnation: uint64(i + 1)}
		wg.Go(func() {
			var err error
			if got[i], err = stores[i%3].Take(t.Context(), g, n, "id\x00\xff 1", members[i]); err != nil {
				t.Errorf("Take: %v", err)
			}
		})
	}
	wg.Wait()
	first := got[0]
	for i := range takers {
		if got[i] != first {
			t.Fatalf("taken by %v and by %v", first, got[i])
		}
	}
	same(t, "first", members[first.Incarnation-1], first)
	// Repeated; others; the same in another group.
	same(t, "again", first, take(t, stores[1], g, n, "id\x00\xff 1", first))
	for _, id := range []string{"", "another", strings.Repeat("x", sessionstore.MaxString)} {
		same(t, "another message", members[1], take(t, stores[0], g, n, id, members[1]))
	}
	same(t, "another group", members[2], take(t, stores[0], other, m, "id\x00\xff 1", members[2]))
	same(t, "of the others", members[1], take(t, stores[1], g, n, "another", members[4]))
	same(t, "of the other group", members[2], take(t, stores[1], other, m, "id\x00\xff 1", members[4]))
}

func takenIsOver(t *testing.T, fresh Fresh) {
	s := fresh(t)()
	g := newGroup()
	by := sessionstore.Member{Key: newKey(), Incarnation: 1}
	refused := func(what string, n uint64) {
		t.Helper()
		if first, err := s.Take(t.Context(), g, n, "m", by); !errors.Is(err, sessionstore.ErrNotFound) {
			t.Fatalf("%s: %v, %v; want ErrNotFound", what, first, err)
		}
	}
	refused("no group", 1)
	f := fence(claim(t, s, sessionstore.ClaimRequest{Key: newKey(), Expiry: 60}))
	n := join(t, s, g, f)
	take(t, s, g, n, "m", by)
	refused("another incarnation", n+1)
	leave(t, s, g, f, true)
	refused("over", n)
	next := join(t, s, g, f)
	refused("of the group before", n)
	other := sessionstore.Member{Key: newKey(), Incarnation: 2}
	same(t, "in the new group", other, take(t, s, g, next, "m", other))
}
