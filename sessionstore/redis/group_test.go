package redis

import (
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"

	"sluice/sessionstore"
)

var testGroup = sessionstore.Group{Tenant: testKey.Tenant, Filter: "$share/g/a/#"}

func mustJoin(t *testing.T, s *Store, f sessionstore.Fence) uint64 {
	t.Helper()
	n, err := s.Join(t.Context(), testGroup, f)
	if err != nil {
		t.Fatalf("Join: %v", err)
	}
	return n
}

func mustLeave(t *testing.T, s *Store, f sessionstore.Fence, want bool) {
	t.Helper()
	if work, err := s.Leave(t.Context(), testGroup, f); work != want || err != nil {
		t.Fatalf("Leave: work %v, %v; want %v", work, err, want)
	}
}

func members(t *testing.T, s *Store) int64 {
	t.Helper()
	n, err := s.client.HLen(t.Context(), s.groupKeys(testGroup)[1]).Result()
	if err != nil {
		t.Fatal(err)
	}
	return n
}

func TestKeysOfAGroupShareASlot(t *testing.T) {
	s := &Store{prefix: "sluice:", writer: "w"}
	rapid.Check(t, func(rt *rapid.T) {
		part := rapid.OneOf(rapid.String(), rapid.StringMatching(`[{}/:]{0,3}`))
		g := sessionstore.Group{Tenant: part.Draw(rt, "tenant"), Filter: part.Draw(rt, "filter")}
		other := sessionstore.Group{Tenant: part.Draw(rt, "other tenant"), Filter: part.Draw(rt, "other filter")}
		keys := s.groupKeys(g)
		keys = append(keys, s.sentKey(&lane{id: 3}, keys[0]))
		seen := map[string]bool{}
		for _, k := range keys {
			if hashTag(k) != hashTag(keys[0]) || seen[k] {
				rt.Fatalf("key %q beside %q", k, keys[0])
			}
			seen[k] = true
		}
		if same := hashTag(s.groupKeys(other)[0]) == hashTag(keys[0]); same != (g == other) {
			rt.Fatalf("groups %v and %v: one slot is %v", g, other, same)
		}
		for _, k := range s.keys(sessionstore.Key{Tenant: other.Tenant, Principal: g.Tenant, ClientID: g.Filter}) {
			if seen[k] {
				rt.Fatalf("a session and a group share the key %q", k)
			}
		}
		if back, err := sessionstore.ParseGroup(g.String()); (err == nil) != (g.Validate() == nil) || err == nil && back != g {
			rt.Fatalf("%v came back as %v, %v", g, back, err)
		}
	})
}

// Joins, leaves and takes whose answers are lost have the effect and the answer of one.
func TestGroupsThroughLostAnswers(t *testing.T) {
	p, s, direct := behindProxy(t, Options{})
	_, f := mustClaim(t, s, sessionstore.ClaimRequest{Expiry: 60})
	lose := func(n int) { p.set(func() { p.cut = n }) }
	one, other := sessionstore.Member{Key: testKey, Incarnation: 1}, sessionstore.Member{Key: testKey, Incarnation: 2}
	for range 3 {
		lose(2)
		n := mustJoin(t, s, f)
		if again := mustJoin(t, direct, f); again != n || members(t, direct) != 1 {
			t.Fatalf("incarnation %d, then %d, with %d members", n, again, members(t, direct))
		}
		lose(1)
		if first, err := s.Take(t.Context(), testGroup, n, "m", one); err != nil || first != one {
			t.Fatalf("Take: %v, %v", first, err)
		}
		if first, err := direct.Take(t.Context(), testGroup, n, "m", other); err != nil || first != one {
			t.Fatalf("Take: %v, %v", first, err)
		}
		lose(3)
		mustLeave(t, s, f, true)
		if found := mustGet(t, direct); found.Groups != nil || members(t, direct) != 0 {
			t.Fatalf("left, and there are %d members; the session has %q", members(t, direct), found.Groups)
		}
		lose(1)
		pieces, err := s.Due(t.Context(), 10)
		if err != nil || len(pieces) != 1 || pieces[0].Incarnation != n || *pieces[0].Group != testGroup {
			t.Fatalf("due: %+v, %v", pieces, err)
		}
		lose(1)
		if err := s.Finish(t.Context(), pieces[0]); err != nil {
			t.Fatal(err)
		}
		if pieces, err := direct.Due(t.Context(), 10); err != nil || len(pieces) != 0 {
			t.Fatalf("due again: %+v, %v", pieces, err)
		}
	}
	if unspent, struck := p.counts(); unspent != 0 || struck != 24 {
		t.Fatalf("%d answers were lost, %d not, want 24: the test tested nothing", struck, unspent)
	}
}

// A Join stays in the network, is repeated on another connection, is followed by Leave, and arrives after all.
func TestLateCopyOfAJoinChangesNothing(t *testing.T) {
	p, s, direct := behindProxy(t, Options{})
	_, f := mustClaim(t, s, sessionstore.ClaimRequest{Expiry: 60})
	mustJoin(t, s, f)
	mustLeave(t, s, f, true)
	s.trip = 200 * time.Millisecond
	join := s.groupStep(groupJoinScript, testGroup, f.Key.String(), s.groupKeys(testGroup)[:4:4],
		f.Key.String(), fmt.Sprint(f.Epoch), sessionstore.MaxMembers, sessionstore.MaxWork)
	p.set(func() { p.hold = 1 })
	if _, err := s.do(t.Context(), s.laneOf(join.key), join); err != nil {
		t.Fatal(err)
	}
	mustLeave(t, s, f, true)
	close(p.let)
	select {
	case <-p.late:
	case <-time.After(patience):
		t.Fatal("the copy never reached Redis: the test tested nothing")
	}
	if n := members(t, direct); n != 0 {
		t.Fatalf("the late copy was applied: %d members", n)
	}
}

// A node notes the group, is gone for a while, and goes on with the second half of its Join when others have long done away with the session.
func TestJoinOfANodeThatWasGone(t *testing.T) {
	url := serverURL(t, "SLUICE_TEST_REDIS_URL")
	prefix := newPrefix(t, url)
	zombie, other := open(t, url, Options{Prefix: prefix}), open(t, url, Options{Prefix: prefix})
	secondHalf := func(f sessionstore.Fence) {
		t.Helper()
		join := zombie.groupStep(groupJoinScript, testGroup, f.Key.String(), zombie.groupKeys(testGroup)[:4:4],
			f.Key.String(), fmt.Sprint(f.Epoch), sessionstore.MaxMembers, sessionstore.MaxWork)
		reply, err := zombie.do(t.Context(), zombie.laneOf(join.key), join)
		if what, _, bad := decodePair(reply); err != nil || bad != nil || what != 0 {
			t.Fatalf("joined: %v, %v", reply, err)
		}
		if n := members(t, other); n != 0 {
			t.Fatalf("%d members that nobody finds", n)
		}
	}
	_, old := mustClaim(t, zombie, sessionstore.ClaimRequest{Expiry: 60})
	if n, err := zombie.number(t.Context(), &step{
		key: old.Key, script: groupNoteScript, keys: zombie.keys(old.Key)[:1], args: []any{fmt.Sprint(old.Epoch), testGroup.Filter, 10},
	}); n != 1 || err != nil {
		t.Fatalf("note: %d, %v", n, err)
	}
	// Another owner finds a group without a subscription, and leaves.
	c, now := mustClaim(t, other, sessionstore.ClaimRequest{Node: "node-b", Expiry: 60})
	if len(c.Session.Groups) != 1 {
		t.Fatalf("groups %q", c.Session.Groups)
	}
	mustLeave(t, other, now, false)
	secondHalf(old)
	// Its own Join and Leave again are its own business.
	n := mustJoin(t, other, now)
	mustLeave(t, other, now, true)
	mustJoin(t, other, now)
	mustLeave(t, other, now, true)
	// The session ends: not even the last owner's Join may come any more.
	mustJoin(t, other, now)
	if err := release(t, other, now, time.Now(), true); err != nil {
		t.Fatal(err)
	}
	pieces, err := other.Due(t.Context(), 10)
	if err != nil {
		t.Fatal(err)
	}
	left := false
	for _, w := range pieces {
		if len(w.Groups) == 1 {
			left = true
			mustLeave(t, other, sessionstore.Fence{Key: w.Key, Epoch: w.Epoch}, true)
		}
	}
	if !left {
		t.Fatalf("incarnation %d; due: %+v", n, pieces)
	}
	secondHalf(old)
	secondHalf(now)
	// The next session joins.
	_, next := mustClaim(t, other, sessionstore.ClaimRequest{Node: "node-b", Expiry: 60})
	mustJoin(t, other, next)
}

// A node dies in the middle of Leave: the group is over, and nothing tells of its queue. The session still knows the group, and so does whoever
// owns or ends it.
func TestLeaveThatStoppedHalfway(t *testing.T) {
	url := serverURL(t, "SLUICE_TEST_REDIS_URL")
	s := open(t, url, Options{Prefix: newPrefix(t, url)})
	for name, goOn := range map[string]func(f sessionstore.Fence) sessionstore.Fence{
		"the next owner": func(f sessionstore.Fence) sessionstore.Fence {
			c, next := mustClaim(t, s, sessionstore.ClaimRequest{Node: "node-b", Expiry: 60})
			if len(c.Session.Groups) != 1 {
				t.Fatalf("groups %q", c.Session.Groups)
			}
			return next
		},
		"the end": func(f sessionstore.Fence) sessionstore.Fence {
			if err := release(t, s, f, time.Now(), true); err != nil {
				t.Fatal(err)
			}
			pieces, err := s.Due(t.Context(), 10)
			if err != nil || len(pieces) != 1 || len(pieces[0].Groups) != 1 {
				t.Fatalf("due: %+v, %v", pieces, err)
			}
			if err := s.Finish(t.Context(), pieces[0]); err != nil {
				t.Fatal(err)
			}
			return sessionstore.Fence{Key: pieces[0].Key, Epoch: pieces[0].Epoch}
		},
	} {
		_, f := mustClaim(t, s, sessionstore.ClaimRequest{Expiry: 60})
		n := mustJoin(t, s, f)
		if left, err := s.number(t.Context(), s.leaveStep(testGroup, f, true)); left != 1 || err != nil {
			t.Fatalf("%s: %d, %v", name, left, err)
		}
		if pieces, err := s.Due(t.Context(), 10); err != nil || len(pieces) != 0 {
			t.Fatalf("%s: due: %+v, %v; the test tests nothing", name, pieces, err)
		}
		mustLeave(t, s, goOn(f), true)
		pieces, err := s.Due(t.Context(), 10)
		if err != nil || len(pieces) != 1 || pieces[0].Group == nil || pieces[0].Incarnation != n {
			t.Fatalf("%s: due: %+v, %v; want the queue of %d", name, pieces, err, n)
		}
		if err := s.Finish(t.Context(), pieces[0]); err != nil {
			t.Fatal(err)
		}
	}
}

func TestGroupsAreFull(t *testing.T) {
	url := serverURL(t, "SLUICE_TEST_REDIS_URL")
	s := open(t, url, Options{Prefix: newPrefix(t, url)})
	_, f := mustClaim(t, s, sessionstore.ClaimRequest{Expiry: 60})
	n := mustJoin(t, s, f)
	// The bounds themselves are too large to be filled here: the scripts get smaller ones.
	join := func(key string, most int) int64 {
		t.Helper()
		st := s.groupStep(groupJoinScript, testGroup, key, s.groupKeys(testGroup)[:4:4], key, "1", most, sessionstore.MaxWork)
		reply, err := s.do(t.Context(), s.laneOf(st.key), st)
		what, _, bad := decodePair(reply)
		if err != nil || bad != nil {
			t.Fatalf("%v, %v", reply, err)
		}
		return what
	}
	if a, b, again := join("t/p/a", 2), join("t/p/b", 2), join("t/p/a", 2); a != 1 || b != -1 || again != 1 {
		t.Fatalf("a second member %d, a third %d, the second again %d", a, b, again)
	}
	for i := range 5 {
		st := s.takeStep(testGroup, n, fmt.Sprint(i), sessionstore.Member{Key: testKey, Incarnation: uint64(i)}, 3)
		if _, err := s.do(t.Context(), s.laneOf(st.key), st); err != nil {
			t.Fatal(err)
		}
	}
	taken, err := s.client.HKeys(t.Context(), s.groupKeys(testGroup)[4]).Result()
	if err != nil || len(taken) != 3 || strings.Contains(strings.Join(taken, ""), "0") || strings.Contains(strings.Join(taken, ""), "1") {
		t.Fatalf("taken %q, %v; want the last three", taken, err)
	}
}

// Groups, sessions and work that are over leave only what goes by itself.
func TestGroupsLeaveNothingBehind(t *testing.T) {
	url := serverURL(t, "SLUICE_TEST_REDIS_URL")
	prefix := newPrefix(t, url)
	s, admin := open(t, url, Options{Prefix: prefix}), adminOf(t, url)
	_, f := mustClaim(t, s, sessionstore.ClaimRequest{Expiry: 60})
	n := mustJoin(t, s, f)
	if _, err := s.Take(t.Context(), testGroup, n, "m", sessionstore.Member{Key: testKey}); err != nil {
		t.Fatal(err)
	}
	if err := release(t, s, f, time.Now(), false); err != nil {
		t.Fatal(err)
	}
	// The backstop leaves time for the work, and the member its group.
	if d := admin.PTTL(t.Context(), s.keys(testKey)[0]).Val(); d < workKept {
		t.Fatalf("a session with a group is removed in %v", d)
	}
	_, f = mustClaim(t, s, sessionstore.ClaimRequest{Expiry: 60})
	if again := mustJoin(t, s, f); again != n {
		t.Fatalf("incarnation %d, then %d", n, again)
	}
	if err := release(t, s, f, time.Now(), true); err != nil {
		t.Fatal(err)
	}
	every(t, func() bool {
		pieces, err := s.Due(t.Context(), 10)
		if err != nil {
			t.Fatal(err)
		}
		for _, w := range pieces {
			for range w.Groups {
				mustLeave(t, s, sessionstore.Fence{Key: w.Key, Epoch: w.Epoch}, true)
			}
			if err := s.Finish(t.Context(), w); err != nil {
				t.Fatal(err)
			}
		}
		var left []string
		for _, key := range keysOf(t, admin, prefix) {
			if d := admin.PTTL(t.Context(), key).Val(); d <= 0 || d > 10*time.Minute {
				left = append(left, key)
			}
		}
		return len(left) == 0
	})
}

func TestGroupIsConfirmedByTheReplica(t *testing.T) {
	s, replica := openDurable(t, Options{})
	_, f := mustClaim(t, s, sessionstore.ClaimRequest{Expiry: 60})
	over := stall(t, s, replica, 2*time.Second)
	mustJoin(t, s, f)
	if early := time.Until(over); early > 100*time.Millisecond {
		t.Fatalf("joined %v before the replica woke up", early)
	}
	if n := replica.HLen(t.Context(), s.groupKeys(testGroup)[1]).Val(); n != 1 {
		t.Fatal("confirmed, and the replica does not have it")
	}
	mustLeave(t, s, f, true)
	if n := replica.ZCard(t.Context(), s.groupTimers()).Val(); n != 1 {
		t.Fatal("confirmed, and the replica does not have the hint to its work")
	}
}

// A record of this version or an older one without groups, and work that an older node left.
func TestWorkOfAnOlderNode(t *testing.T) {
	url := serverURL(t, "SLUICE_TEST_REDIS_URL")
	s := open(t, url, Options{Prefix: newPrefix(t, url)})
	lua := `return redis.call('HSET', KEYS[1], '7:e', cmsgpack.pack({ v = '1', i = '5', q = 'inbox', n = 0 }))`
	if err := s.client.Eval(t.Context(), lua, []string{s.keys(testKey)[6]}).Err(); err != nil {
		t.Fatal(err)
	}
	if err := s.setHint(t.Context(), hint{testKey, "x"}, "0", false); err != nil {
		t.Fatal(err)
	}
	pieces, err := s.Due(t.Context(), 1)
	if err != nil || len(pieces) != 1 || pieces[0].Inbox != "inbox" || pieces[0].Epoch != 7 || pieces[0].Groups != nil {
		t.Fatalf("due: %+v, %v", pieces, err)
	}
	if err := s.Finish(t.Context(), pieces[0]); err != nil {
		t.Fatal(err)
	}
	if err := s.Finish(t.Context(), sessionstore.Work{Token: "g x y"}); !errors.Is(err, sessionstore.ErrInvalid) {
		t.Fatalf("the work of no group: %v, want ErrInvalid", err)
	}
	// What has groups is not for an older node: it would forget them.
	_, f := mustClaim(t, s, sessionstore.ClaimRequest{Expiry: 60})
	mustJoin(t, s, f)
	if err := release(t, s, f, time.Now(), true); err != nil {
		t.Fatal(err)
	}
	version := `return cmsgpack.unpack(redis.call('HVALS', KEYS[1])[1]).v`
	if v, err := s.client.Eval(t.Context(), version, []string{s.keys(testKey)[6]}).Result(); v != "2" || err != nil {
		t.Fatalf("version %v, %v; want 2", v, err)
	}
}
