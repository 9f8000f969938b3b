package redis

import (
	"bytes"
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"sluice/sessionstore"
)

func retain(s *Store, tenant string, r sessionstore.Retained) <-chan error {
	done := make(chan error, 1)
	s.PutRetained(tenant, r, func(err error) { done <- err })
	return done
}

func retained(topic, message string) sessionstore.Retained {
	return sessionstore.Retained{Topic: topic, Principal: "p", ClientID: "c", Message: []byte(message)}
}

// mustRetained is what the topics have.
func mustRetained(t *testing.T, s *Store, topics ...string) (messages []string) {
	t.Helper()
	found, err := s.GetRetained(t.Context(), "t", topics)
	if err != nil {
		t.Fatalf("GetRetained: %v", err)
	}
	for _, r := range found {
		messages = append(messages, string(r.Message))
	}
	return messages
}

func TestRetainedKeysOfATenantShareASlot(t *testing.T) {
	s := &Store{prefix: "sluice:", writer: "w"}
	sessions := map[string]bool{}
	rapid.Check(t, func(rt *rapid.T) {
		part := rapid.OneOf(rapid.String(), rapid.StringMatching(`[{}/]{0,3}`))
		tenant, other := part.Draw(rt, "tenant"), part.Draw(rt, "other")
		keys := s.retainedKeys(tenant)
		keys = append(keys, s.sentKey(&lane{id: 3}, keys[0]))
		for _, k := range s.keys(sessionstore.Key{Tenant: tenant, Principal: other, ClientID: other}) {
			sessions[k] = true
		}
		seen := map[string]bool{}
		for _, k := range keys {
			if hashTag(k) != hashTag(keys[0]) || seen[k] || sessions[k] {
				rt.Fatalf("key %q beside %q", k, keys[0])
			}
			seen[k] = true
		}
		if same := hashTag(s.retainedKeys(other)[0]) == hashTag(keys[0]); same != (tenant == other) {
			rt.Fatalf("tenants %q and %q: one slot is %v", tenant, other, same)
		}
	})
}

// What expired, and all that led to it, is gone in the end, but for the numbers of the senders, which go by themselves.
func TestRetainedLeaveNothingBehind(t *testing.T) {
	url := serverURL(t, "SLUICE_TEST_REDIS_URL")
	prefix := newPrefix(t, url)
	s, admin := open(t, url, Options{Prefix: prefix}), adminOf(t, url)
	for i := range 10 {
		r := retained(fmt.Sprint("topic/", i), "x")
		if i%2 == 0 {
			r.Expires = time.Now().Add(-time.Second)
		}
		if err := await(t, retain(s, "t", r)); err != nil {
			t.Fatal(err)
		}
	}
	for i := range 10 {
		if i%2 == 1 {
			if err := await(t, retain(s, "t", retained(fmt.Sprint("topic/", i), ""))); err != nil {
				t.Fatal(err)
			}
		}
	}
	if n, err := s.TrimRetained(t.Context()); n != 5 || err != nil {
		t.Fatalf("%d removed, %v; want 5", n, err)
	}
	every(t, func() bool { // the hint is removed by nobody's order
		var left []string
		for _, key := range keysOf(t, admin, prefix) {
			if !strings.Contains(key, "}:sent:") {
				left = append(left, key)
			} else if d := admin.PTTL(t.Context(), key).Val(); d <= 0 || d > 10*time.Minute {
				t.Fatalf("%s is kept for %v", key, d)
			}
		}
		return len(left) == 0
	})
}

// A put stays in the network, is repeated on another connection, is followed by a younger one, and arrives after all.
func TestLateCopyOfARetainedMessageChangesNothing(t *testing.T) {
	p, s, direct := behindProxy(t, Options{})
	s.trip = 200 * time.Millisecond
	p.set(func() { p.hold = 1 })
	if err := await(t, retain(s, "t", retained("a", "old"))); err != nil {
		t.Fatal(err)
	}
	if err := await(t, retain(s, "t", retained("a", ""))); err != nil {
		t.Fatal(err)
	}
	close(p.let)
	select {
	case <-p.late:
	case <-time.After(patience):
		t.Fatal("the copy never reached Redis: the test tested nothing")
	}
	if found := mustRetained(t, direct, "a"); len(found) != 0 {
		t.Fatalf("the late copy was applied: %q", found)
	}
}

// Puts whose answers are lost, and a server that is slow: order and quotas hold.
func TestRetainedThroughFaults(t *testing.T) {
	p, s, direct := behindProxy(t, Options{Retained: sessionstore.RetainedQuota{Messages: 3}})
	p.set(func() { p.cut, p.delay = 5, 5*time.Millisecond })
	var answered sync.WaitGroup
	for i := range 1000 {
		for _, topic := range []string{"a", "b", "c"} {
			r := retained(topic, fmt.Sprint(i))
			if i%2 == 0 {
				r.Message = nil
			}
			answered.Add(1)
			s.PutRetained("t", r, func(err error) {
				if err != nil {
					t.Errorf("put %d of %s: %v", i, topic, err)
				}
				answered.Done()
			})
		}
	}
	answered.Wait()
	if _, struck := p.counts(); struck != 5 {
		t.Fatalf("%d answers were lost, want 5: the test tested nothing", struck)
	}
	if diff := cmp.Diff([]string{"999", "999", "999"}, mustRetained(t, direct, "a", "b", "c")); diff != "" {
		t.Fatal(diff)
	}
	if err := await(t, retain(s, "t", retained("d", "x"))); !errors.Is(err, sessionstore.ErrFull) {
		t.Fatalf("one more: %v, want ErrFull", err)
	}
	p.down(time.Hour)
	s.grace = 300 * time.Millisecond
	if err := await(t, retain(s, "t", retained("a", "x"))); !errors.Is(err, sessionstore.ErrUnavailable) {
		t.Fatalf("in an outage: %v, want ErrUnavailable", err)
	}
}

// Whoever stored the first message that expires died before its hint was there: the next one sets it.
func TestRetainedHintThatWasNotSet(t *testing.T) {
	url := serverURL(t, "SLUICE_TEST_REDIS_URL")
	s, admin := open(t, url, Options{Prefix: newPrefix(t, url)}), adminOf(t, url)
	put := func(topic string) {
		t.Helper()
		r := retained(topic, "x")
		r.Expires = time.Now().Add(-time.Second)
		if err := await(t, retain(s, "t", r)); err != nil {
			t.Fatal(err)
		}
	}
	put("a")
	known := func() bool { return admin.HGet(t.Context(), s.retainedKeys("t")[3], "known").Val() == "1" }
	every(t, known)
	put("b")
	if n := admin.ZCard(t.Context(), s.retaining()).Val(); n != 1 {
		t.Fatalf("%d hints, want one", n)
	}
	if err := admin.Del(t.Context(), s.retaining()).Err(); err != nil {
		t.Fatal(err)
	}
	if err := admin.HDel(t.Context(), s.retainedKeys("t")[3], "known").Err(); err != nil {
		t.Fatal(err)
	}
	if n, err := s.TrimRetained(t.Context()); n != 0 || err != nil {
		t.Fatalf("without a hint: %d, %v", n, err)
	}
	put("c")
	if n, err := s.TrimRetained(t.Context()); n != 3 || err != nil {
		t.Fatalf("%d removed, %v; want 3", n, err)
	}
	// A hint that nobody knows of leads there, too.
	put("d")
	every(t, known)
	if err := admin.HDel(t.Context(), s.retainedKeys("t")[3], "hint", "known").Err(); err != nil {
		t.Fatal(err)
	}
	if n, err := s.TrimRetained(t.Context()); n != 1 || err != nil {
		t.Fatalf("%d removed, %v; want 1", n, err)
	}
	// Nor is it given up for one whose name is there and that nobody has set.
	put("e")
	every(t, known)
	later := retained("later", "x")
	later.Expires = time.Now().Add(time.Hour)
	if err := await(t, retain(s, "t", later)); err != nil {
		t.Fatal(err)
	}
	use := s.retainedKeys("t")[3]
	if err := admin.HSet(t.Context(), use, "hint", "of nobody").Err(); err != nil {
		t.Fatal(err)
	}
	if err := admin.HDel(t.Context(), use, "known").Err(); err != nil {
		t.Fatal(err)
	}
	if n, err := s.TrimRetained(t.Context()); n != 1 || err != nil {
		t.Fatalf("%d removed, %v; want 1", n, err)
	}
	name := admin.HGet(t.Context(), use, "hint").Val()
	if err := admin.ZScore(t.Context(), s.retaining(), retainingMember("t", name)).Err(); err != nil || !known() {
		t.Fatalf("the tenant's hint is %q, and it is not there: %v", name, err)
	}
}

// A quota that was lowered refuses what adds to it, and nothing else.
func TestRetainedQuotaIsLowered(t *testing.T) {
	url := serverURL(t, "SLUICE_TEST_REDIS_URL")
	prefix := newPrefix(t, url)
	before := open(t, url, Options{Prefix: prefix})
	for _, topic := range []string{"a", "b", "c"} {
		if err := await(t, retain(before, "t", retained(topic, "12345"))); err != nil {
			t.Fatal(err)
		}
	}
	for name, quota := range map[string]sessionstore.RetainedQuota{
		"messages": {Messages: 1}, "bytes": {Bytes: 1}, "messages of the principal": {PrincipalMessages: 1}, "bytes of the principal": {PrincipalBytes: 1},
	} {
		s := open(t, url, Options{Prefix: prefix, Retained: quota})
		if err := await(t, retain(s, "t", retained("b", "54321"))); err != nil {
			t.Errorf("%s: in place of one as large: %v", name, err)
		}
		if err := await(t, retain(s, "t", retained("d", "x"))); !errors.Is(err, sessionstore.ErrFull) {
			t.Errorf("%s: one more: %v, want ErrFull", name, err)
		}
	}
}

func TestManyRetainedAreTrimmedInParts(t *testing.T) {
	url := serverURL(t, "SLUICE_TEST_REDIS_URL")
	s := open(t, url, Options{Prefix: newPrefix(t, url)})
	const more = 10
	var answered sync.WaitGroup
	for i := range sessionstore.MaxTrim + more {
		r := retained(fmt.Sprint(i), "x")
		r.Expires = time.Now().Add(-time.Second)
		answered.Add(1)
		s.PutRetained(fmt.Sprint("tenant ", i%3), r, func(err error) {
			if err != nil {
				t.Error(err)
			}
			answered.Done()
		})
	}
	answered.Wait()
	removed := 0
	for _, most := range []int{sessionstore.MaxTrim, more} {
		n, err := s.TrimRetained(t.Context())
		if removed += n; n > most || err != nil {
			t.Fatalf("%d removed, %v; want at most %d", n, err, most)
		}
	}
	every(t, func() bool { // a hint may still be on its way
		n, err := s.TrimRetained(t.Context())
		if removed += n; err != nil || removed > sessionstore.MaxTrim+more {
			t.Fatalf("%d removed, %v", removed, err)
		}
		return removed == sessionstore.MaxTrim+more
	})
}

func TestLargeRetainedAreReadInParts(t *testing.T) {
	url := serverURL(t, "SLUICE_TEST_REDIS_URL")
	s := open(t, url, Options{Prefix: newPrefix(t, url)})
	var topics, want []string
	for i := range 6 {
		topics = append(topics, fmt.Sprint(i))
		want = append(want, string(bytes.Repeat([]byte{'a' + byte(i)}, batchBytes*2/3)))
		if err := await(t, retain(s, "t", retained(topics[i], want[i]))); err != nil {
			t.Fatal(err)
		}
	}
	if found := mustRetained(t, s, topics...); strings.Join(found, " ") != strings.Join(want, " ") {
		t.Fatalf("%d messages, not those that were put", len(found))
	}
}

func TestRetainedIsConfirmedByTheReplica(t *testing.T) {
	s, replica := openDurable(t, Options{})
	r := retained("a", "x")
	r.Expires = time.Now().Add(time.Hour)
	if err := await(t, retain(s, "t", r)); err != nil {
		t.Fatal(err)
	}
	if n := replica.HExists(t.Context(), s.retainedKeys("t")[0], "a").Val(); !n {
		t.Fatal("confirmed, and the replica does not have it")
	}
	if n := replica.ZCard(t.Context(), s.retaining()).Val(); n != 1 {
		t.Fatal("confirmed, and the replica does not have its hint")
	}
	over := stall(t, s, replica, 2*time.Second)
	if err := await(t, retain(s, "t", retained("a", ""))); err != nil {
		t.Fatal(err)
	}
	if early := time.Until(over); early > 100*time.Millisecond {
		t.Fatalf("confirmed %v before the replica woke up", early)
	}
}

// On a server without memory a message is refused at once, unless an attempt of it may have been applied.
func TestRetainedOnAFullServer(t *testing.T) {
	oom := reply(t, "OOM command not allowed when used memory > 'maxmemory'.")
	l := idleLane()
	for _, doubtful := range []bool{false, true} {
		var got error
		st := &step{script: retainScript, doubtful: doubtful, finish: func(_ any, err error) { got = err }}
		retry, _ := l.settle(&call{steps: []*step{st}}, nil, oom)
		if retry != doubtful || !doubtful && !errors.Is(got, sessionstore.ErrFull) {
			t.Errorf("doubtful %v: repeated %v, %v", doubtful, retry, got)
		}
	}
}
