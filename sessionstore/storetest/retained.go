package storetest

import (
	"bytes"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"sluice/sessionstore"
)

var tenants atomic.Uint64

// newTenant gives one that no other test uses, with what makes it hard to store.
func newTenant() string { return fmt.Sprintf("té{n}ant/%d: %%", tenants.Add(1)) }

// retain waits for the answer.
func retain(t testing.TB, s sessionstore.Store, tenant string, r sessionstore.Retained) error {
	t.Helper()
	done := make(chan error, 1)
	s.PutRetained(tenant, r, func(err error) { done <- err })
	select {
	case err := <-done:
		return err
	case <-time.After(patience):
		t.Fatalf("PutRetained(%q): done was not called", r.Topic)
		return nil
	}
}

func mustRetain(t testing.TB, s sessionstore.Store, tenant string, all ...sessionstore.Retained) {
	t.Helper()
	for _, r := range all {
		if err := retain(t, s, tenant, r); err != nil {
			t.Fatalf("PutRetained(%.40q): %v", r.Topic, err)
		}
	}
}

// retainAll puts side by side and gives the error of each.
func retainAll(t testing.TB, s sessionstore.Store, tenant string, all []sessionstore.Retained) []error {
	t.Helper()
	errs := make([]error, len(all))
	var left sync.WaitGroup
	left.Add(len(all))
	for i, r := range all {
		s.PutRetained(tenant, r, func(err error) {
			errs[i] = err
			left.Done()
		})
	}
	left.Wait()
	return errs
}

func getRetained(t testing.TB, s sessionstore.Store, tenant string, topics ...string) []sessionstore.Retained {
	t.Helper()
	out, err := s.GetRetained(t.Context(), tenant, topics)
	if err != nil {
		t.Fatalf("GetRetained: %v", err)
	}
	return out
}

func retainedTopics(t testing.TB, s sessionstore.Store, tenant, from, to string, most int) []string {
	t.Helper()
	out, err := s.RetainedTopics(t.Context(), tenant, from, to, most)
	if err != nil {
		t.Fatalf("RetainedTopics: %v", err)
	}
	return out
}

func allTopics(t testing.TB, s sessionstore.Store, tenant string) []string {
	t.Helper()
	return retainedTopics(t, s, tenant, "", "", sessionstore.MaxRetainedPage)
}

// message is a retained message of so many bytes in all.
func message(topic, principal string, size int) sessionstore.Retained {
	r := sessionstore.Retained{Topic: topic, Principal: principal, ClientID: "c"}
	r.Message = filler[:size-r.Size()]
	return r
}

var filler = bytes.Repeat([]byte{'x'}, sessionstore.MaxRetained)

func retainedComeBack(t *testing.T, fresh Fresh) {
	node := fresh(t)
	a, b := node(), node()
	tenant := newTenant()
	want := []sessionstore.Retained{
		{Topic: "a/b", Principal: "p", ClientID: "c", Message: []byte("m"), Expires: start.Add(time.Hour + 7*time.Millisecond)},
		{Topic: strings.Repeat("/", sessionstore.MaxString), Principal: strings.Repeat("p", sessionstore.MaxString), Message: []byte{0}},
		{Topic: "ü{x}\x00\xff", Principal: "\xff 1:2", ClientID: strings.Repeat("c", sessionstore.MaxString), Message: []byte("\x00\xff")},
		{Topic: "$SYS/large", Message: bytes.Repeat([]byte("0123456789abcdef"), sessionstore.MaxRetained/16)},
		{Topic: "late", Message: []byte("x"), Expires: time.Date(9999, 12, 31, 23, 59, 59, int(999*time.Millisecond), time.UTC)},
	}
	mustRetain(t, a, tenant, want...)
	var topics []string
	for _, r := range want {
		topics = append(topics, r.Topic)
	}
	for _, s := range []sessionstore.Store{a, b} {
		same(t, "stored", digest(want), digest(getRetained(t, s, tenant, topics...)))
	}
	// In the order asked, without those that are not there.
	same(t, "asked", []sessionstore.Retained{want[4], want[0], want[4]}, getRetained(t, b, tenant, "late", "none", "a/b", "late"))
	if got := getRetained(t, b, tenant); len(got) != 0 {
		t.Fatalf("no topic: %v", got)
	}
	// Stored to the millisecond, and in UTC.
	odd := sessionstore.Retained{Topic: "odd", Message: []byte("x"), Expires: start.Add(time.Hour + 1500*time.Microsecond).In(time.FixedZone("x", 3600))}
	mustRetain(t, a, tenant, odd)
	odd.Expires = start.Add(time.Hour + time.Millisecond)
	same(t, "time", []sessionstore.Retained{odd}, getRetained(t, a, tenant, "odd"))
}

func retainedRemoved(t *testing.T, fresh Fresh) {
	node := fresh(t)
	a, b := node(), node()
	tenant := newTenant()
	first := sessionstore.Retained{Topic: "a", Principal: "p", ClientID: "c", Message: []byte("1"), Expires: start.Add(time.Hour)}
	second := sessionstore.Retained{Topic: "a", Principal: "q", ClientID: "d", Message: []byte("22")}
	for range 2 { // a put may be repeated
		mustRetain(t, a, tenant, first)
	}
	same(t, "first", []sessionstore.Retained{first}, getRetained(t, b, tenant, "a"))
	mustRetain(t, b, tenant, second)
	same(t, "replaced", []sessionstore.Retained{second}, getRetained(t, a, tenant, "a"))
	for range 2 {
		mustRetain(t, a, tenant, sessionstore.Retained{Topic: "a", Principal: "r"})
		if got := getRetained(t, b, tenant, "a"); len(got) != 0 || len(allTopics(t, b, tenant)) != 0 {
			t.Fatalf("removed, and there is %v", got)
		}
	}
	mustRetain(t, a, tenant, first)
	same(t, "again", []string{"a"}, allTopics(t, b, tenant))
}

// retainedLate: a put of a connection whose successor has put or removed the message since comes too late; others know no order.
func retainedLate(t *testing.T, fresh Fresh) {
	node := fresh(t)
	a, b := node(), node()
	tenant := newTenant()
	put := func(client string, epoch uint64, message string) sessionstore.Retained {
		return sessionstore.Retained{Topic: "a", Principal: "p", ClientID: client, Epoch: epoch, Message: []byte(message)}
	}
	for i, c := range []struct {
		put  sessionstore.Retained
		want string
	}{
		{put("c", 1<<52+1, "1"), "1"},
		{put("c", 1<<52, "0"), "1"},
		{put("c", 1<<52, ""), "1"},
		{put("c", 1<<52+1, "2"), "2"},
		{put("c", 1<<52+2, ""), ""},
		{put("c", 1<<52+1, "1"), ""},
		{put("c", 1<<52+1, ""), ""},
		{put("c", 1<<52+2, "3"), "3"},
		{put("c", 1<<52+1, "1"), "3"},
		{put("d", 7, "4"), "4"},
		{put("c", 0, "5"), "5"},
		{put("c", 0, ""), ""},
		{put("d", 7, "6"), "6"},
	} {
		on := []sessionstore.Store{a, b}[i%2]
		mustRetain(t, on, tenant, c.put)
		var got string
		for _, r := range getRetained(t, a, tenant, "a") {
			got = string(r.Message)
		}
		if got != c.want {
			t.Fatalf("put %d, %q of %s under epoch %d: there is %q, want %q", i, c.put.Message, c.put.ClientID, c.put.Epoch, got, c.want)
		}
	}
}

// retainedInOrder: each put undoes the one before, so that a swapped pair shows.
func retainedInOrder(t *testing.T, fresh Fresh) {
	s := fresh(t)()
	tenant := newTenant()
	const puts = 400
	topics := []string{"a", "b", "c", "d", "e"}
	var all []sessionstore.Retained
	for i := range puts {
		for _, topic := range topics {
			r := sessionstore.Retained{Topic: topic}
			if i%2 == 0 {
				r.Message = []byte(fmt.Sprint(i))
			}
			all = append(all, r)
		}
	}
	all = append(all, sessionstore.Retained{Topic: "a", Message: []byte("last")})
	for i, err := range retainAll(t, s, tenant, all) {
		if err != nil {
			t.Fatalf("put %d: %v", i, err)
		}
	}
	same(t, "after the last", []sessionstore.Retained{{Topic: "a", Message: []byte("last")}}, getRetained(t, s, tenant, topics...))
}

func retainedTenants(t *testing.T, fresh Fresh) {
	s := fresh(t)()
	one, other := newTenant(), newTenant()
	mine := message("a", "p", 100)
	mustRetain(t, s, one, mine)
	mustRetain(t, s, other, message("a", "p", 200), message("b", "p", 100))
	mustRetain(t, s, other, sessionstore.Retained{Topic: "a"})
	same(t, "one's", []sessionstore.Retained{mine}, getRetained(t, s, one, "a", "b"))
	same(t, "one's topics", []string{"a"}, allTopics(t, s, one))
	same(t, "the other's topics", []string{"b"}, allTopics(t, s, other))
	if got := allTopics(t, s, newTenant()); len(got) != 0 {
		t.Fatalf("a third's: %v", got)
	}
}

func retainedPages(t *testing.T, fresh Fresh) {
	s := fresh(t)()
	tenant := newTenant()
	want := []string{"$SYS", "A", "a", "a/", "a/\x00", "a/b", "a/b/c", "a0", "b", "é", "\xff"}
	for _, i := range []int{3, 1, 0, 10, 2, 9, 4, 8, 5, 7, 6} {
		mustRetain(t, s, tenant, message(want[i], "p", 100))
	}
	for _, c := range []struct {
		from, to string
		max      int
		want     []string
	}{
		{"", "", 100, want}, {"", "", 3, want[:3]}, {"a", "b", 100, want[2:8]}, {"a/", "a0", 100, want[3:7]}, {"a/", "a0", 2, want[3:5]},
		{"a\x00", "a/b", 100, want[3:5]}, {"b", "b", 100, nil}, {"c", "b", 100, nil}, {"b", "", 1, want[8:9]}, {"\xff\xff", "", 5, nil}, {"", "", 0, nil},
	} {
		if got := retainedTopics(t, s, tenant, c.from, c.to, c.max); !slices.Equal(got, c.want) {
			t.Errorf("from %q to %q, %d: %q, want %q", c.from, c.to, c.max, got, c.want)
		}
	}
}

// pages reads all topics, few at a time.
func pages(t *testing.T, s sessionstore.Store, tenant string, size int) (out []string) {
	t.Helper()
	for from := ""; ; {
		page := retainedTopics(t, s, tenant, from, "", size)
		out = append(out, page...)
		if len(page) < size {
			return out
		}
		from = page[len(page)-1] + "\x00"
	}
}

func retainedPagesUnderChange(t *testing.T, fresh Fresh) {
	node := fresh(t)
	a, b := node(), node()
	tenant := newTenant()
	var stay []string
	var all []sessionstore.Retained
	for i := range 100 {
		stay = append(stay, fmt.Sprintf("s/%03d", i))
		all = append(all, message(stay[i], "p", 50))
	}
	for _, err := range retainAll(t, a, tenant, all) {
		if err != nil {
			t.Fatal(err)
		}
	}
	stop := make(chan struct{})
	var churn sync.WaitGroup
	churn.Go(func() {
		for i := 0; ; i++ {
			select {
			case <-stop:
				return
			default:
			}
			r := message(fmt.Sprintf("s/%03d/%d", i*37%100, i%3), "q", 60)
			if i%2 == 1 {
				r.Message = nil
			}
			if err := retain(t, b, tenant, r); err != nil {
				t.Errorf("churn: %v", err)
				return
			}
			// What stays is replaced meanwhile.
			if err := retain(t, b, tenant, message(stay[i%100], "p", 51)); err != nil {
				t.Errorf("churn: %v", err)
				return
			}
		}
	})
	for range 20 {
		got := pages(t, a, tenant, 7)
		if !slices.IsSorted(got) || len(slices.Compact(slices.Clone(got))) != len(got) {
			t.Errorf("not in order, or twice: %q", got)
		}
		for _, topic := range stay {
			if _, found := slices.BinarySearch(got, topic); !found {
				t.Errorf("%q was there all the time and was not found", topic)
			}
		}
	}
	close(stop)
	churn.Wait()
}

func retainedExpire(t *testing.T, fresh Fresh) {
	t.Parallel()
	node := fresh(t)
	a, b := node(), node()
	tenant, other := newTenant(), newTenant()
	soon := time.Now().Add(400 * time.Millisecond)
	var all []sessionstore.Retained
	for i := range 20 {
		r := message(fmt.Sprint("soon/", i), "p", 60)
		r.Expires = soon
		all = append(all, r)
	}
	for _, err := range retainAll(t, a, tenant, all) {
		if err != nil {
			t.Fatal(err)
		}
	}
	late, never := message("late", "p", 60), message("never", "p", 60)
	late.Expires = start.Add(time.Hour)
	changed := all[0]
	changed.Expires = time.Time{}
	mustRetain(t, a, tenant, late, never, changed)
	mustRetain(t, b, other, all[1])
	if got := getRetained(t, b, tenant, "soon/1", "late"); len(got) != 2 && time.Now().Before(soon) {
		t.Fatalf("before the time: %+v", got)
	}
	// It is gone by itself, and then removed: 19 here, one of the other tenant.
	removed := 0
	deadline := time.Now().Add(patience)
	for removed < 20 {
		n, err := b.TrimRetained(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		if n > 0 && time.Now().Before(soon.Add(-50*time.Millisecond)) {
			t.Fatalf("%d removed before the time", n)
		}
		if removed += n; time.Now().After(deadline) {
			t.Fatalf("%d were removed, want 20", removed)
		}
		if time.Now().After(soon.Add(50 * time.Millisecond)) {
			if got := getRetained(t, a, tenant, "soon/1", "soon/2"); len(got) != 0 {
				t.Fatalf("after the time: %+v", got)
			}
		}
		<-time.After(20 * time.Millisecond)
	}
	if n, err := a.TrimRetained(t.Context()); n != 0 || err != nil {
		t.Fatalf("one more was removed: %d, %v", n, err)
	}
	same(t, "left", []string{"late", "never", "soon/0"}, allTopics(t, a, tenant))
	same(t, "not expired", []sessionstore.Retained{late, never}, getRetained(t, b, tenant, "late", "never"))
	same(t, "of the other tenant", []string(nil), allTopics(t, a, other))
	// Found again after everything that expires was removed.
	again := message("again", "p", 60)
	again.Expires = time.Now().Add(-time.Second)
	mustRetain(t, a, other, again)
	if got := getRetained(t, a, other, "again"); len(got) != 0 {
		t.Fatalf("put after its time: %+v", got)
	}
	for len(allTopics(t, a, other)) != 0 {
		if _, err := b.TrimRetained(t.Context()); err != nil || time.Now().After(deadline) {
			t.Fatalf("not removed: %v", err)
		}
	}
}

func retainedInvalid(t *testing.T, fresh Fresh) {
	s := fresh(t)()
	tenant := newTenant()
	long := strings.Repeat("x", sessionstore.MaxString+1)
	for what, r := range map[string]sessionstore.Retained{
		"no topic":         {Message: []byte("x")},
		"long topic":       {Topic: long, Message: []byte("x")},
		"long principal":   {Topic: "a", Principal: long, Message: []byte("x")},
		"long client id":   {Topic: "a", ClientID: long, Message: []byte("x")},
		"large message":    {Topic: "a", Message: make([]byte, sessionstore.MaxRetained+1)},
		"time before 1970": {Topic: "a", Message: []byte("x"), Expires: time.Unix(-1, 0)},
		"time after 9999":  {Topic: "a", Message: []byte("x"), Expires: time.Date(10000, 1, 1, 0, 0, 0, 0, time.UTC)},
	} {
		if err := retain(t, s, tenant, r); !errors.Is(err, sessionstore.ErrInvalid) {
			t.Errorf("%s: %v, want ErrInvalid", what, err)
		}
	}
	if err := retain(t, s, long, message("a", "p", 50)); !errors.Is(err, sessionstore.ErrInvalid) {
		t.Errorf("long tenant: %v, want ErrInvalid", err)
	}
	if got := allTopics(t, s, tenant); len(got) != 0 {
		t.Fatalf("refused, and stored: %q", got)
	}
	for _, most := range []int{-1, sessionstore.MaxRetainedPage + 1} {
		if _, err := s.RetainedTopics(t.Context(), tenant, "", "", most); !errors.Is(err, sessionstore.ErrInvalid) {
			t.Errorf("a page of %d: %v, want ErrInvalid", most, err)
		}
	}
	if _, err := s.GetRetained(t.Context(), tenant, make([]string, sessionstore.MaxRetainedPage+1)); !errors.Is(err, sessionstore.ErrInvalid) {
		t.Errorf("too many topics: %v, want ErrInvalid", err)
	}
}
