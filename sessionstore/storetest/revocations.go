package storetest

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"sluice/sessionstore"
)

// ofPrincipal is a revocation that is not over soon.
func ofPrincipal(id, principal string) sessionstore.Revocation {
	return sessionstore.Revocation{
		ID: id, Tenant: "t/{1}", Principal: principal, Reason: "lost, says é \"them\"\n", At: start, Until: start.Add(time.Hour),
	}
}

func revoke(t testing.TB, s sessionstore.Store, r sessionstore.Revocation) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	if err := s.PutRevocation(ctx, r); err != nil {
		t.Fatalf("PutRevocation(%+v): %v", r, err)
	}
}

// revocations gives those with this beginning of their ID, whoever else has some.
func revocations(t testing.TB, s sessionstore.Store, known uint64, prefix string) (list []sessionstore.Revocation, version uint64) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	list, version, err := s.Revocations(ctx, known)
	if err != nil {
		t.Fatalf("Revocations: %v", err)
	}
	return slices.DeleteFunc(list, func(r sessionstore.Revocation) bool { return !strings.HasPrefix(r.ID, prefix) }), version
}

func revokedIsListed(t *testing.T, fresh Fresh) {
	node := fresh(t)
	a, b := node(), node()
	list, nothing := revocations(t, b, 0, "")
	if len(list) != 0 || nothing != 0 {
		t.Fatalf("of nothing: %+v, version %d", list, nothing)
	}
	want := []sessionstore.Revocation{
		ofPrincipal("1", alice),
		{ID: "2", Tenant: "t", ClientID: "dév}ice{-1", At: start, Until: start.Add(time.Hour)},
		{ID: "3", Credential: cred, Reason: "stolen", At: start, Until: start.AddDate(7000, 0, 0)},
	}
	for _, i := range []int{2, 0, 1} {
		revoke(t, a, want[i])
	}
	list, first := revocations(t, b, nothing, "")
	same(t, "all", want, list)
	if list, again := revocations(t, a, first, ""); list != nil || again != first {
		t.Fatalf("nothing has changed: %+v, version %d after %d", list, again, first)
	}

	want[0].Until = want[0].Until.Add(time.Minute)
	revoke(t, b, want[0])
	list, second := revocations(t, a, first, "")
	same(t, "one replaced", want, list)
	for range 2 {
		if err := b.RemoveRevocation(t.Context(), "2"); err != nil {
			t.Fatal(err)
		}
	}
	list, third := revocations(t, a, second, "")
	same(t, "one removed", []sessionstore.Revocation{want[0], want[2]}, list)
	if first == nothing || second == first || third == second {
		t.Fatalf("the versions are %d, %d, %d and %d", nothing, first, second, third)
	}
}

func revocationsEnd(t *testing.T, fresh Fresh) {
	t.Parallel()
	s := fresh(t)()
	short := ofPrincipal("short", alice)
	short.At, short.Until = time.Now(), time.Now().Add(200*time.Millisecond)
	revoke(t, s, short)
	revoke(t, s, ofPrincipal("long", alice))
	// What is over goes with the next change, at the latest.
	eventually(t, "it is gone", func() bool {
		revoke(t, s, ofPrincipal("other", bob))
		list, _ := revocations(t, s, 0, "")
		return len(list) == 2
	})
	if time.Now().Before(short.Until) {
		t.Fatal("it is gone too soon")
	}
}

func revocationsAreBounded(t *testing.T, fresh Fresh) {
	s := fresh(t)()
	var wg sync.WaitGroup
	const writers = 50
	for w := range writers {
		wg.Go(func() {
			for i := w; i < sessionstore.MaxRevocations; i += writers {
				if err := s.PutRevocation(t.Context(), ofPrincipal(fmt.Sprint("n", i), alice)); err != nil {
					t.Errorf("revocation %d: %v", i, err)
					return
				}
			}
		})
	}
	wg.Wait()
	full(t, "one more", s.PutRevocation(t.Context(), ofPrincipal("more", alice)), "10000 revocations")
	revoke(t, s, ofPrincipal("n7", bob)) // in place of another
	if list, _ := revocations(t, s, 0, "n"); len(list) != sessionstore.MaxRevocations {
		t.Fatalf("%d are listed", len(list))
	}
	if err := s.RemoveRevocation(t.Context(), "n8"); err != nil {
		t.Fatal(err)
	}
	revoke(t, s, ofPrincipal("more", alice))
}

func revocationInvalid(t *testing.T, fresh Fresh) {
	s := fresh(t)()
	for name, spoil := range map[string]func(*sessionstore.Revocation){
		"no id":                  func(r *sessionstore.Revocation) { r.ID = "" },
		"nothing named":          func(r *sessionstore.Revocation) { r.Principal = "" },
		"two things":             func(r *sessionstore.Revocation) { r.ClientID = "x" },
		"no tenant":              func(r *sessionstore.Revocation) { r.Tenant = "" },
		"a credential of one":    func(r *sessionstore.Revocation) { r.Principal, r.Credential = "", "x" },
		"it ends at its start":   func(r *sessionstore.Revocation) { r.Until = r.At },
		"no time":                func(r *sessionstore.Revocation) { r.At = time.Time{} },
		"a reason that is long":  func(r *sessionstore.Revocation) { r.Reason = strings.Repeat("x", sessionstore.MaxRevocationText+1) },
		"a reason, and no UTF-8": func(r *sessionstore.Revocation) { r.Reason = "\xff" },
	} {
		r := ofPrincipal("1", alice)
		spoil(&r)
		if err := s.PutRevocation(t.Context(), r); !errors.Is(err, sessionstore.ErrInvalid) {
			t.Errorf("%s: %v, want ErrInvalid", name, err)
		}
	}
	if list, _ := revocations(t, s, 0, ""); len(list) != 0 {
		t.Fatalf("refused, and listed: %+v", list)
	}
}
