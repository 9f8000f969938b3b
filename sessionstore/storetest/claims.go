package storetest

import (
	"errors"
	"testing"
	"time"

	"sluice/sessionstore"
)

func claimCreates(t *testing.T, fresh Fresh) {
	s := fresh(t)()
	key := newKey()
	if _, err := get(t, s, key, start); !errors.Is(err, sessionstore.ErrNotFound) {
		t.Fatalf("Get before the first claim: %v, want ErrNotFound", err)
	}
	c := claim(t, s, sessionstore.ClaimRequest{Key: key, Node: "node-a", Expiry: 60})
	if c.Session.Epoch == 0 || c.Session.Incarnation == 0 {
		t.Fatalf("epoch %d, incarnation %d: zero is no number", c.Session.Epoch, c.Session.Incarnation)
	}
	want := sessionstore.Session{Key: key, Epoch: c.Session.Epoch, Incarnation: c.Session.Incarnation, Owner: "node-a", Expiry: 60}
	same(t, "claimed", sessionstore.Claimed{Session: want}, c)
	same(t, "got", want, mustGet(t, s, key, start))
}

func claimGoesOn(t *testing.T, fresh Fresh) {
	node := fresh(t)
	a, b := node(), node()
	first := claim(t, a, sessionstore.ClaimRequest{Key: newKey(), Node: "node-a", Expiry: 60})
	key := first.Session.Key
	sub := sessionstore.Subscription{Filter: "a/#", QoS: 1}
	mustWrite(t, a, fence(first), sessionstore.PutSubscription{Subscription: sub}, sessionstore.SetInbox{Name: "q1"})

	second := claim(t, b, sessionstore.ClaimRequest{Key: key, Node: "node-b", Expiry: 90})
	if second.Session.Epoch <= first.Session.Epoch {
		t.Fatalf("epoch went from %d to %d", first.Session.Epoch, second.Session.Epoch)
	}
	want := sessionstore.Session{
		Key: key, Epoch: second.Session.Epoch, Incarnation: first.Session.Incarnation, Owner: "node-b", Expiry: 90,
		Inbox: "q1", Subscriptions: []sessionstore.Subscription{sub},
	}
	previous := &sessionstore.Owner{Node: "node-a", Epoch: first.Session.Epoch}
	same(t, "takeover", sessionstore.Claimed{Session: want, Present: true, Previous: previous}, second)

	mustRelease(t, b, fence(second), start, false)
	third := claim(t, a, sessionstore.ClaimRequest{Key: key, Node: "node-a", Expiry: 90, Now: start.Add(time.Second)})
	want.Epoch, want.Owner = third.Session.Epoch, "node-a"
	same(t, "claim after release", sessionstore.Claimed{Session: want, Present: true}, third)
}

func cleanStartDiscards(t *testing.T, fresh Fresh) {
	s := fresh(t)()
	first := claim(t, s, sessionstore.ClaimRequest{Key: newKey(), Expiry: 60})
	key := first.Session.Key
	mustWrite(t, s, fence(first), everything()...)
	before := mustGet(t, s, key, start)
	second := claim(t, s, sessionstore.ClaimRequest{Key: key, Node: "node-b", Clean: true, Expiry: 5})
	if second.Session.Incarnation == first.Session.Incarnation {
		t.Fatal("clean start kept the incarnation")
	}
	same(t, "clean start", sessionstore.Claimed{
		Session: sessionstore.Session{
			Key: key, Epoch: second.Session.Epoch, Incarnation: second.Session.Incarnation, Owner: "node-b", Expiry: 5,
		},
		Previous:  &sessionstore.Owner{Node: "node-a", Epoch: first.Session.Epoch},
		Discarded: &before,
		Work:      true, // its inbox
	}, second)
	same(t, "stored", second.Session, mustGet(t, s, key, start))
}

func expiryZeroEnds(t *testing.T, fresh Fresh) {
	s := fresh(t)()
	first := claim(t, s, sessionstore.ClaimRequest{Key: newKey()})
	key := first.Session.Key
	mustWrite(t, s, fence(first), sessionstore.SetInbox{Name: "q"})
	second := claim(t, s, sessionstore.ClaimRequest{Key: key, Expiry: 60})
	if second.Present || second.Discarded == nil || second.Discarded.Inbox != "q" || second.Previous == nil {
		t.Fatalf("takeover of a session of expiry zero: %+v, want a new session, the old one discarded, its owner told", second)
	}
	if second.Session.Incarnation == first.Session.Incarnation || second.Session.Inbox != "" {
		t.Fatalf("the session of expiry zero goes on: %+v", second.Session)
	}
}

func expiryByNow(t *testing.T, fresh Fresh) {
	s := fresh(t)()
	released := start.Add(3*time.Second + 7*time.Millisecond)
	ends := released.Add(60 * time.Second)
	prepare := func() sessionstore.Session {
		c := claim(t, s, sessionstore.ClaimRequest{Key: newKey(), Expiry: 60})
		mustWrite(t, s, fence(c), sessionstore.SetInbox{Name: "q"})
		mustRelease(t, s, fence(c), released.Add(400*time.Microsecond), false)
		want := c.Session
		want.Owner, want.ReleasedAt, want.Inbox = "", released, "q"
		return want
	}

	want := prepare()
	same(t, "just before the end", want, mustGet(t, s, want.Key, ends.Add(-time.Millisecond)))
	if _, err := get(t, s, want.Key, ends); !errors.Is(err, sessionstore.ErrNotFound) {
		t.Fatalf("Get at the end: %v, want ErrNotFound", err)
	}
	c := claim(t, s, sessionstore.ClaimRequest{Key: want.Key, Expiry: 60, Now: ends.Add(-time.Millisecond)})
	if !c.Present || c.Discarded != nil || !c.Session.ReleasedAt.IsZero() || c.Session.Inbox != "q" {
		t.Fatalf("claim just before the end: %+v", c)
	}
	// Owned again, it does not end.
	if found := mustGet(t, s, want.Key, ends.Add(time.Hour)); found.Owner == "" {
		t.Fatalf("owned session: %+v", found)
	}

	want = prepare()
	c = claim(t, s, sessionstore.ClaimRequest{Key: want.Key, Expiry: 60, Now: ends})
	if c.Present || c.Previous != nil || c.Session.Inbox != "" || c.Session.Incarnation == want.Incarnation {
		t.Fatalf("claim at the end: %+v", c)
	}
	same(t, "discarded", &want, c.Discarded)
}

func neverExpires(t *testing.T, fresh Fresh) {
	s := fresh(t)()
	c := claim(t, s, sessionstore.ClaimRequest{Key: newKey(), Expiry: sessionstore.NeverExpires})
	mustRelease(t, s, fence(c), start, false)
	later := start.AddDate(150, 0, 0)
	if found := mustGet(t, s, c.Session.Key, later); found.Expiry != sessionstore.NeverExpires {
		t.Fatalf("expiry %d", found.Expiry)
	}
	if again := claim(t, s, sessionstore.ClaimRequest{Key: c.Session.Key, Expiry: 1, Now: later}); !again.Present {
		t.Fatalf("claim after 150 years: %+v", again)
	}
	// One second less than never does end.
	c = claim(t, s, sessionstore.ClaimRequest{Key: newKey(), Expiry: sessionstore.NeverExpires - 1})
	mustRelease(t, s, fence(c), start, false)
	if _, err := get(t, s, c.Session.Key, later); !errors.Is(err, sessionstore.ErrNotFound) {
		t.Fatalf("expiry 0xFFFFFFFE after 150 years: %v, want ErrNotFound", err)
	}
}

func setExpiryCounts(t *testing.T, fresh Fresh) {
	s := fresh(t)()
	// DISCONNECT may lengthen or shorten the interval given at CONNECT (MQTT 5, 3.14.2.2.2).
	c := claim(t, s, sessionstore.ClaimRequest{Key: newKey(), Expiry: 10})
	mustWrite(t, s, fence(c), sessionstore.SetExpiry{Seconds: 100})
	mustRelease(t, s, fence(c), start, false)
	if found := mustGet(t, s, c.Session.Key, start.Add(99*time.Second)); found.Expiry != 100 {
		t.Fatalf("expiry %d, want 100", found.Expiry)
	}
	c = claim(t, s, sessionstore.ClaimRequest{Key: newKey(), Expiry: 10})
	mustWrite(t, s, fence(c), sessionstore.SetExpiry{Seconds: 0})
	mustRelease(t, s, fence(c), start, false)
	if _, err := get(t, s, c.Session.Key, start); !errors.Is(err, sessionstore.ErrNotFound) {
		t.Fatalf("released with expiry zero: %v, want ErrNotFound", err)
	}
}

func epochsRise(t *testing.T, fresh Fresh) {
	s := fresh(t)()
	key := newKey()
	incarnations := map[uint64]bool{}
	var last uint64
	var incarnation uint64
	for i := range 60 {
		c := claim(t, s, sessionstore.ClaimRequest{Key: key, Clean: i%3 == 2, Expiry: 60})
		if c.Session.Epoch <= last {
			t.Fatalf("claim %d: epoch %d after %d", i, c.Session.Epoch, last)
		}
		last = c.Session.Epoch
		if c.Present != (c.Session.Incarnation == incarnation) {
			t.Fatalf("claim %d: present %v, incarnation %d after %d", i, c.Present, c.Session.Incarnation, incarnation)
		}
		if !c.Present && incarnations[c.Session.Incarnation] {
			t.Fatalf("claim %d: incarnation %d was used before", i, c.Session.Incarnation)
		}
		incarnation = c.Session.Incarnation
		incarnations[incarnation] = true
		if i%5 == 4 { // removed for good: the numbers still go on
			mustRelease(t, s, fence(c), start, true)
		}
	}
}

func removedLeavesNothing(t *testing.T, fresh Fresh) {
	s := fresh(t)()
	for _, expiry := range []uint32{0, 60} {
		c := claim(t, s, sessionstore.ClaimRequest{Key: newKey(), Expiry: expiry})
		mustWrite(t, s, fence(c), everything()[:6]...)
		mustRelease(t, s, fence(c), start, expiry != 0)
		if _, err := get(t, s, c.Session.Key, start); !errors.Is(err, sessionstore.ErrNotFound) {
			t.Fatalf("expiry %d: Get after the end: %v, want ErrNotFound", expiry, err)
		}
		again := claim(t, s, sessionstore.ClaimRequest{Key: c.Session.Key})
		if again.Present || again.Previous != nil || again.Discarded != nil || again.Session.Inbox != "" || again.Session.Subscriptions != nil {
			t.Fatalf("expiry %d: claim after the end: %+v", expiry, again)
		}
	}
}
