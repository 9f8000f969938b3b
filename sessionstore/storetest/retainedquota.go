package storetest

import (
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"sluice/sessionstore"
)

func full(t testing.TB, what string, err error, words ...string) {
	t.Helper()
	if !errors.Is(err, sessionstore.ErrFull) {
		t.Fatalf("%s: %v, want ErrFull", what, err)
	}
	for _, word := range words {
		if !strings.Contains(err.Error(), word) {
			t.Fatalf("%s: %q does not name %q", what, err, word)
		}
	}
}

func retainedQuota(t *testing.T, fresh Fresh) {
	node := fresh(t)
	a, b := node(), node()
	tenant := newTenant()
	fill := func(principal string, n int) {
		t.Helper()
		var all []sessionstore.Retained
		for i := range n {
			all = append(all, message(fmt.Sprint(principal, "/", i), principal, 50))
		}
		for i, err := range retainAll(t, a, tenant, all) {
			if err != nil {
				t.Fatalf("%s's message %d: %v", principal, i, err)
			}
		}
	}
	fill("p", Quota.PrincipalMessages)
	full(t, "one more of p", retain(t, b, tenant, message("more", "p", 50)), "principal", "200 retained messages")
	mustRetain(t, b, tenant, message("p/0", "p", 60)) // in place of another
	fill("q", Quota.Messages-Quota.PrincipalMessages)
	full(t, "one more of q", retain(t, b, tenant, message("more", "q", 50)), "tenant", "300 retained messages")
	if got := getRetained(t, a, tenant, "more"); len(got) != 0 {
		t.Fatalf("refused, and stored: %+v", got)
	}
	// q takes the place of one of p: the tenant has as many as before, p one less, q one more.
	mustRetain(t, b, tenant, message("p/1", "q", 50))
	full(t, "p after q took its place", retain(t, a, tenant, message("more", "p", 50)), "tenant")
	mustRetain(t, a, tenant, sessionstore.Retained{Topic: "q/0"}, message("more", "p", 50))
	full(t, "p is full again", retain(t, a, tenant, message("p/1", "p", 50)), "principal")
	same(t, "refused to replace", []sessionstore.Retained{message("p/1", "q", 50)}, getRetained(t, a, tenant, "p/1"))
	mustRetain(t, a, newTenant(), message("more", "p", 50)) // quotas are each tenant's own

	// The same in bytes: all that a publisher chose counts.
	tenant = newTenant()
	mustRetain(t, a, tenant, message("1", "p", 1<<20), message("2", "p", 1<<20))
	full(t, "bytes of p", retain(t, a, tenant, message("3", "p", 50)), "principal", "2097152 bytes")
	full(t, "p's message grows", retain(t, a, tenant, message("2", "p", 1<<20+1)), "principal", "2097152 bytes")
	mustRetain(t, b, tenant, message("2", "p", 1<<20), message("3", "q", 1<<20))
	full(t, "bytes of the tenant", retain(t, a, tenant, message("4", "q", 50)), "tenant", "3145728 bytes")
	mustRetain(t, b, tenant, message("2", "p", 1<<20-50), message("4", "q", 50))
	full(t, "by one byte", retain(t, a, tenant, message("4", "q", 51)), "tenant", "3145728 bytes")
}

func retainedMakesRoom(t *testing.T, fresh Fresh) {
	t.Parallel()
	s := fresh(t)()
	tenant := newTenant()
	soon := time.Now().Add(300 * time.Millisecond)
	var all []sessionstore.Retained
	for i := range Quota.PrincipalMessages {
		r := message(fmt.Sprint(i), "p", 50)
		r.Expires = soon
		all = append(all, r)
	}
	for _, err := range retainAll(t, s, tenant, all) {
		if err != nil {
			t.Fatal(err)
		}
	}
	// Nobody trims, but whoever needs the room.
	deadline := time.Now().Add(patience)
	for {
		err := retain(t, s, tenant, message("more", "p", 50))
		if err == nil {
			break
		}
		if full(t, "before the time", err, "principal"); time.Now().After(deadline) {
			t.Fatal("what has expired counts for ever")
		}
		<-time.After(20 * time.Millisecond)
	}
	if time.Now().Before(soon) {
		t.Fatal("room was made too soon")
	}
}

// retainedCounts: whatever was put, replaced and removed by whom, in the end the quotas hold what they should.
func retainedCounts(t *testing.T, fresh Fresh) {
	node := fresh(t)
	stores := []sessionstore.Store{node(), node(), node()}
	tenant := newTenant()
	var wg sync.WaitGroup
	for w := range 6 {
		wg.Go(func() {
			s := stores[w%len(stores)]
			for i := range 150 {
				r := message(fmt.Sprint("t/", (i*7+w*13)%40), fmt.Sprint("p", (i+w)%3), 40+(i*w)%30)
				if i%3 == 0 {
					r.Message = nil
				}
				if err := retain(t, s, tenant, r); err != nil {
					t.Errorf("put: %v", err)
				}
			}
		})
	}
	wg.Wait()
	for _, topic := range pages(t, stores[0], tenant, 10) {
		mustRetain(t, stores[1], tenant, sessionstore.Retained{Topic: topic})
	}
	for _, p := range []string{"p0", "p1"} {
		n := min(Quota.PrincipalMessages, Quota.Messages-len(allTopics(t, stores[0], tenant)))
		var all []sessionstore.Retained
		for i := range n {
			all = append(all, message(fmt.Sprint(p, "/", i), p, 50))
		}
		for i, err := range retainAll(t, stores[2], tenant, all) {
			if err != nil {
				t.Fatalf("all was removed, and %s's message %d of %d does not fit: %v", p, i, n, err)
			}
		}
		full(t, "one more than the quota", retain(t, stores[0], tenant, message("more", p, 50)))
	}
}
