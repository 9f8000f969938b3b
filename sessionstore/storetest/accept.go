package storetest

import (
	"errors"
	"testing"
	"time"

	"sluice/sessionstore"
)

// An owner that lost the session says what the bus has taken, however it was lost: to another, to a later one still, by its own release. Nothing
// else of what it writes counts.
func staleAccepts(t *testing.T, fresh Fresh) {
	node := fresh(t)
	a, b := node(), node()
	key := newKey()
	old := claim(t, a, sessionstore.ClaimRequest{Key: key, Node: "node-a", Expiry: 60})
	mustWrite(t, a, fence(old),
		sessionstore.PutInbound{Record: sessionstore.Inbound{PacketID: 1, MessageID: "m:1"}},
		sessionstore.PutInbound{Record: sessionstore.Inbound{PacketID: 2, MessageID: "m:2"}},
		sessionstore.PutInbound{Record: sessionstore.Inbound{PacketID: 3, MessageID: "m:3"}})
	late := func(id uint16, messageID string) {
		t.Helper()
		err := write(t, a, fence(old),
			sessionstore.SetInbox{Name: "x"},
			sessionstore.AcceptInbound{PacketID: id, MessageID: messageID},
			sessionstore.PutInbound{Record: sessionstore.Inbound{PacketID: 9, MessageID: "x"}})
		if !errors.Is(err, sessionstore.ErrFenced) {
			t.Fatalf("%s: %v, want ErrFenced", messageID, err)
		}
	}
	want := claim(t, b, sessionstore.ClaimRequest{Key: key, Node: "node-b", Expiry: 60}).Session
	late(1, "m:1")
	want.Inbound[0].Accepted = true
	same(t, "after one takeover", want, mustGet(t, b, key, start))

	c := claim(t, b, sessionstore.ClaimRequest{Key: key, Node: "node-b", Expiry: 60})
	late(2, "m:2")
	late(2, "m:2")
	want = c.Session
	want.Inbound[1].Accepted = true
	same(t, "after two takeovers, twice", want, mustGet(t, b, key, start))

	mustRelease(t, b, fence(c), start, false)
	late(3, "m:3")
	want.Inbound[2].Accepted = true
	want.Owner, want.ReleasedAt = "", start
	same(t, "after the new owner's release", want, mustGet(t, b, key, start))
	// The mark is there for the next owner, and the session ends as it would have.
	next := claim(t, b, sessionstore.ClaimRequest{Key: key, Node: "node-b", Expiry: 60, Now: start.Add(time.Second)})
	if !next.Present {
		t.Fatal("the session is gone")
	}
	same(t, "claimed", want.Inbound, next.Session.Inbound)
}

// The mark is for one message: not for another one under its identifier, nor one that is over, nor a session that began anew. The owner's own
// word is bound in the same way.
func acceptsTheMessage(t *testing.T, fresh Fresh) {
	node := fresh(t)
	a, b := node(), node()
	key := newKey()
	old := claim(t, a, sessionstore.ClaimRequest{Key: key, Node: "node-a", Expiry: 60})
	put := func(f sessionstore.Fence, id uint16, messageID string) {
		t.Helper()
		mustWrite(t, a, f, sessionstore.PutInbound{Record: sessionstore.Inbound{PacketID: id, MessageID: messageID}})
	}
	stale := func() {
		t.Helper()
		err := write(t, a, fence(old), sessionstore.AcceptInbound{PacketID: 1, MessageID: "old"}, sessionstore.AcceptInbound{PacketID: 2, MessageID: "m:2"})
		if !errors.Is(err, sessionstore.ErrFenced) {
			t.Fatalf("%v, want ErrFenced", err)
		}
	}
	put(fence(old), 1, "old")
	mustWrite(t, a, fence(old), sessionstore.AcceptInbound{PacketID: 1, MessageID: "other"}, sessionstore.AcceptInbound{PacketID: 7, MessageID: "old"})
	same(t, "the owner's word on other messages", []sessionstore.Inbound{{PacketID: 1, MessageID: "old"}}, mustGet(t, b, key, start).Inbound)

	now := claim(t, b, sessionstore.ClaimRequest{Key: key, Node: "node-b", Expiry: 60})
	put(fence(now), 1, "new")
	put(fence(now), 2, "m:2")
	mustWrite(t, b, fence(now), sessionstore.DeleteInbound{PacketID: 2})
	stale()
	same(t, "another message under its identifier", []sessionstore.Inbound{{PacketID: 1, MessageID: "new"}}, mustGet(t, b, key, start).Inbound)

	mustWrite(t, b, fence(now), sessionstore.AcceptInbound{PacketID: 1, MessageID: "new"})
	same(t, "the owner's word", []sessionstore.Inbound{{PacketID: 1, MessageID: "new", Accepted: true}}, mustGet(t, b, key, start).Inbound)

	anew := claim(t, b, sessionstore.ClaimRequest{Key: key, Node: "node-b", Clean: true, Expiry: 60})
	stale()
	same(t, "a session that began anew", anew.Session, mustGet(t, b, key, start))
	mustRelease(t, b, fence(anew), start, true)
	stale()
	if _, err := get(t, b, key, start); !errors.Is(err, sessionstore.ErrNotFound) {
		t.Fatalf("a session that had ended: %v, want ErrNotFound", err)
	}
}
