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

// asked is a request of a principal that has a credential.
func asked(tenant, principal, credential, clientID string) sessionstore.BindRequest {
	return sessionstore.BindRequest{
		Binding:    sessionstore.Binding{Tenant: tenant, ClientID: clientID, Principal: principal},
		Credential: credential, One: true, Keep: time.Hour,
	}
}

func shared(r sessionstore.BindRequest) sessionstore.BindRequest {
	r.One = false
	return r
}

// bind gives what is in the way.
func bind(t testing.TB, s sessionstore.Store, r sessionstore.BindRequest) *sessionstore.Binding {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	b, err := s.Bind(ctx, r)
	if err != nil {
		t.Fatalf("Bind(%+v): %v", r, err)
	}
	return b
}

func mustBind(t testing.TB, s sessionstore.Store, r sessionstore.BindRequest) {
	t.Helper()
	if b := bind(t, s, r); b != nil {
		t.Fatalf("Bind(%+v): %+v is in the way", r, *b)
	}
}

// inTheWay demands that a Bind meets the binding of this client identifier.
func inTheWay(t testing.TB, s sessionstore.Store, r sessionstore.BindRequest, clientID, principal string) {
	t.Helper()
	b := bind(t, s, r)
	if b == nil || b.Tenant != r.Tenant || b.ClientID != clientID || b.Principal != principal {
		t.Fatalf("Bind(%+v) meets %+v, want that of %q to %q", r, b, clientID, principal)
	}
}

func boundTo(t testing.TB, s sessionstore.Store, tenant, clientID, principal string) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	b, err := s.BoundTo(ctx, tenant, clientID)
	if principal == "" {
		if !errors.Is(err, sessionstore.ErrNotFound) {
			t.Fatalf("%q is bound: %+v, %v", clientID, b, err)
		}
		return
	}
	if err != nil || b.Tenant != tenant || b.ClientID != clientID || b.Principal != principal {
		t.Fatalf("%q is bound: %+v, %v; want to %q", clientID, b, err, principal)
	}
}

// names with all that makes one hard to store.
const (
	alice = "CN=alice {b}:%/ x"
	bob   = "b/ob"
	cred  = "jwt:https://issuer/{1} é"
)

func boundToOnePrincipal(t *testing.T, fresh Fresh) {
	node := fresh(t)
	a, b := node(), node()
	tenant, id := newTenant(), "dév}ice{-1"
	boundTo(t, a, tenant, id, "")
	mustBind(t, a, asked(tenant, alice, cred, id))
	mustBind(t, b, asked(tenant, alice, cred, id)) // again
	mustBind(t, b, asked(tenant, alice, "another credential", id))
	boundTo(t, b, tenant, id, alice)
	inTheWay(t, b, asked(tenant, bob, cred, id), id, alice)
	inTheWay(t, b, shared(asked(tenant, bob, cred, id)), id, alice)
	boundTo(t, a, tenant, id, alice)
	mustBind(t, b, asked(newTenant(), bob, cred, id)) // tenants do not meet
}

func credentialHasOneClient(t *testing.T, fresh Fresh) {
	node := fresh(t)
	a, b := node(), node()
	tenant := newTenant()
	mustBind(t, a, asked(tenant, alice, cred, "1"))
	inTheWay(t, b, asked(tenant, alice, cred, "2"), "1", alice)
	boundTo(t, b, tenant, "2", "") // refused, and nothing is left of it
	mustBind(t, b, asked(tenant, alice, "", "2"))
	inTheWay(t, a, asked(tenant, alice, "", "3"), "2", alice)
	mustBind(t, b, asked(tenant, bob, cred, "3")) // a credential is its principal's
	mustBind(t, b, shared(asked(tenant, alice, cred, "4")))
	mustBind(t, b, shared(asked(tenant, alice, cred, "5")))
	mustBind(t, b, asked(tenant, alice, cred, "1")) // what shared has bound left the credential alone
}

func credentialGivesUp(t *testing.T, fresh Fresh) {
	s := fresh(t)()
	tenant := newTenant()
	made := asked(tenant, alice, cred, "made-1")
	made.Assigned = true
	mustBind(t, s, made)
	if b := bind(t, s, asked(tenant, alice, cred, "own")); b == nil || !b.Assigned {
		t.Fatalf("in the way is %+v, want what the server has assigned", b)
	}
	next := asked(tenant, alice, cred, "own")
	next.Instead = "made-2"
	inTheWay(t, s, next, "made-1", alice)
	next.Instead = "made-1"
	mustBind(t, s, next)
	mustBind(t, s, next) // again
	boundTo(t, s, tenant, "made-1", "")
	boundTo(t, s, tenant, "own", alice)

	// What the device has chosen stays bound when the credential gives it up.
	last := asked(tenant, alice, cred, "another")
	last.Instead = "own"
	mustBind(t, s, last)
	boundTo(t, s, tenant, "own", alice)
	inTheWay(t, s, asked(tenant, alice, cred, "own"), "another", alice)
	// What is in nobody's way is not given up.
	other := asked(tenant, alice, "other", "third")
	other.Instead = "another"
	mustBind(t, s, other)
	boundTo(t, s, tenant, "another", alice)
}

func bindingsEnd(t *testing.T, fresh Fresh) {
	t.Parallel()
	s := fresh(t)()
	tenant := newTenant()
	short, credentialShort := asked(tenant, alice, cred, "1"), asked(tenant, alice, "short", "2")
	short.Keep = 300 * time.Millisecond
	credentialShort.CredentialKeep = 300 * time.Millisecond
	long := asked(tenant, alice, "long", "3")
	began := time.Now()
	mustBind(t, s, short)
	mustBind(t, s, credentialShort)
	mustBind(t, s, long)
	eventually(t, "the client identifier is bound no longer", func() bool { return bind(t, s, asked(tenant, bob, cred, "1")) == nil })
	eventually(t, "the credential is bound no longer", func() bool { return bind(t, s, asked(tenant, alice, "short", "4")) == nil })
	if time.Since(began) < 300*time.Millisecond {
		t.Fatal("bindings ended too soon")
	}
	boundTo(t, s, tenant, "2", alice)
	inTheWay(t, s, asked(tenant, bob, cred, "3"), "3", alice)
	mustBind(t, s, asked(tenant, alice, cred, "5")) // its credential was bound to what is bob's by now
}

// eventually looks again until it is so.
func eventually(t testing.TB, what string, so func() bool) {
	t.Helper()
	for deadline := time.Now().Add(patience); !so(); <-time.After(20 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("never: %s", what)
		}
	}
}

func unbound(t *testing.T, fresh Fresh) {
	node := fresh(t)
	a, b := node(), node()
	tenant := newTenant()
	mustBind(t, a, asked(tenant, alice, cred, "1"))
	if err := b.Unbind(t.Context(), tenant, "1"); err != nil {
		t.Fatal(err)
	}
	boundTo(t, a, tenant, "1", "")
	for range 2 {
		if err := b.Unbind(t.Context(), tenant, "1"); !errors.Is(err, sessionstore.ErrNotFound) {
			t.Fatalf("unbound again: %v", err)
		}
	}
	mustBind(t, a, asked(tenant, bob, cred, "1"))
	mustBind(t, a, asked(tenant, alice, cred, "2")) // the credential is free as well
	// It is bound anew, to the same principal: what was bound to the first time is not bound to the second.
	if err := b.Unbind(t.Context(), tenant, "2"); err != nil {
		t.Fatal(err)
	}
	mustBind(t, a, asked(tenant, alice, "another", "2"))
	mustBind(t, a, asked(tenant, alice, cred, "3"))
}

// oneOfManyGetsIt: of all that ask at a time one is let in, whichever node it asks.
func oneOfManyGetsIt(t *testing.T, fresh Fresh) {
	node := fresh(t)
	stores := []sessionstore.Store{node(), node(), node()}
	tenant := newTenant()
	for name, ask := range map[string]func(i int) sessionstore.BindRequest{
		"principals want one client identifier": func(i int) sessionstore.BindRequest { return asked(tenant, fmt.Sprint("p", i), cred, "wanted") },
		"devices have one credential":           func(i int) sessionstore.BindRequest { return asked(tenant, alice, cred, fmt.Sprint("d", i)) },
	} {
		var wg sync.WaitGroup
		var mu sync.Mutex
		var got []int
		for i := range 40 {
			wg.Go(func() {
				b, err := stores[i%len(stores)].Bind(t.Context(), ask(i))
				mu.Lock()
				defer mu.Unlock()
				if err != nil {
					t.Errorf("%s: %v", name, err)
				} else if b == nil {
					got = append(got, i)
				}
			})
		}
		wg.Wait()
		if len(got) != 1 {
			t.Fatalf("%s: %v get it, want one", name, got)
		}
		mustBind(t, stores[0], ask(got[0]))
	}
}

// clientsOfAPrincipal: what is bound already may be bound again, what ended or was removed makes room, and nobody else's count.
func clientsOfAPrincipal(t *testing.T, fresh Fresh) {
	t.Parallel()
	node := fresh(t)
	a, b := node(), node()
	tenant := newTenant()
	of := func(principal, id string) sessionstore.BindRequest {
		r := shared(asked(tenant, principal, cred, id))
		r.Most = 3
		return r
	}
	full := func(s sessionstore.Store, r sessionstore.BindRequest) bool {
		t.Helper()
		found, err := s.Bind(t.Context(), r)
		if err != nil && !errors.Is(err, sessionstore.ErrPrincipalFull) || found != nil {
			t.Fatalf("Bind(%+v): %+v, %v", r, found, err)
		}
		return err != nil
	}
	short := of(alice, "3")
	short.Keep = 300 * time.Millisecond
	mustBind(t, a, of(alice, "1"))
	mustBind(t, b, of(alice, "2"))
	mustBind(t, a, short)
	if !full(b, of(alice, "4")) || !full(a, of(alice, "4")) {
		t.Fatal("a fourth client identifier is bound where there may be three")
	}
	boundTo(t, a, tenant, "4", "")
	mustBind(t, a, of(alice, "1"))
	mustBind(t, a, of(bob, "b"))
	eventually(t, "what is over makes room", func() bool { return !full(b, of(alice, "4")) })
	if !full(a, of(alice, "5")) {
		t.Fatal("what was bound in the place of another does not count")
	}
	if err := b.Unbind(t.Context(), tenant, "2"); err != nil {
		t.Fatal(err)
	}
	mustBind(t, a, of(alice, "5"))
	mustBind(t, a, shared(asked(tenant, alice, cred, "6"))) // without a bound
	inTheWay(t, a, of(alice, "b"), "b", bob)                // who asks for what is another's is told that
}

func bindInvalid(t *testing.T, fresh Fresh) {
	s := fresh(t)()
	tenant := newTenant()
	for name, spoil := range map[string]func(*sessionstore.BindRequest){
		"no client identifier":       func(r *sessionstore.BindRequest) { r.ClientID = "" },
		"no principal":               func(r *sessionstore.BindRequest) { r.Principal = "" },
		"no time":                    func(r *sessionstore.BindRequest) { r.Keep = 0 },
		"less than no time":          func(r *sessionstore.BindRequest) { r.CredentialKeep = -1 },
		"less than none":             func(r *sessionstore.BindRequest) { r.Most = -1 },
		"a long credential":          func(r *sessionstore.BindRequest) { r.Credential = strings.Repeat("x", sessionstore.MaxString+1) },
		"a credential, not UTF-8":    func(r *sessionstore.BindRequest) { r.Credential = "\xff" },
		"a long client identifier":   func(r *sessionstore.BindRequest) { r.Instead = strings.Repeat("x", sessionstore.MaxString+1) },
		"a principal that is no UTF": func(r *sessionstore.BindRequest) { r.Principal = "\xff" },
	} {
		r := asked(tenant, alice, cred, "1")
		spoil(&r)
		if _, err := s.Bind(t.Context(), r); !errors.Is(err, sessionstore.ErrInvalid) {
			t.Errorf("%s: %v, want ErrInvalid", name, err)
		}
	}
	boundTo(t, s, tenant, "1", "")
}
