package storetest

import (
	"errors"
	"fmt"
	"math"
	"strings"
	"testing"
	"time"

	"sluice/sessionstore"
)

// everything is one op of each kind that puts something, with values at the edges, the session's expiry left as it is.
func everything() []sessionstore.Op {
	return []sessionstore.Op{
		sessionstore.PutSubscription{Subscription: sessionstore.Subscription{
			Filter: "$share/g/a/+/#", QoS: 2, NoLocal: true, RetainAsPublished: true, RetainHandling: 2, ID: math.MaxUint32,
		}},
		sessionstore.PutSubscription{Subscription: sessionstore.Subscription{Filter: "plain"}},
		sessionstore.PutInbound{Record: sessionstore.Inbound{PacketID: math.MaxUint16, MessageID: "m:1", Accepted: true}},
		sessionstore.PutInbound{Record: sessionstore.Inbound{PacketID: 1}},
		sessionstore.PutOutbound{Record: sessionstore.Outbound{
			PacketID: math.MaxUint16, Identity: "id\x00\xff", QoS: 2, Released: true, Done: true, Order: math.MaxUint64, Attempts: sessionstore.MaxAttempts,
		}},
		sessionstore.SetInbox{Name: "inbox/é"},
		sessionstore.PutOutbound{Record: sessionstore.Outbound{PacketID: 1, QoS: 1}},
	}
}

func recordsComeBack(t *testing.T, fresh Fresh) {
	node := fresh(t)
	s := node()
	c := claim(t, s, sessionstore.ClaimRequest{Key: newKey(), Expiry: 60})
	long := strings.Repeat("ü", sessionstore.MaxString/2)
	mustWrite(t, s, fence(c), append(everything(),
		sessionstore.PutSubscription{Subscription: sessionstore.Subscription{Filter: long, RetainHandling: 255, QoS: 255, ID: 128}},
		sessionstore.PutSubscription{Subscription: sessionstore.Subscription{Filter: "a:b%{c} d\x01", NoLocal: true}},
		sessionstore.PutInbound{Record: sessionstore.Inbound{PacketID: 300, MessageID: long}},
		sessionstore.PutOutbound{Record: sessionstore.Outbound{PacketID: 300, Identity: long, Order: 128}},
	)...)
	want := c.Session
	want.Inbox = "inbox/é"
	want.Subscriptions = []sessionstore.Subscription{
		{Filter: "$share/g/a/+/#", QoS: 2, NoLocal: true, RetainAsPublished: true, RetainHandling: 2, ID: math.MaxUint32},
		{Filter: "plain"},
		{Filter: long, RetainHandling: 255, QoS: 255, ID: 128},
		{Filter: "a:b%{c} d\x01", NoLocal: true},
	}
	want.Inbound = []sessionstore.Inbound{
		{PacketID: 1}, {PacketID: 300, MessageID: long}, {PacketID: math.MaxUint16, MessageID: "m:1", Accepted: true},
	}
	want.Outbound = []sessionstore.Outbound{
		{PacketID: 1, QoS: 1},
		{PacketID: 300, Identity: long, Order: 128},
		{PacketID: math.MaxUint16, Identity: "id\x00\xff", QoS: 2, Released: true, Done: true, Order: math.MaxUint64, Attempts: sessionstore.MaxAttempts},
	}
	same(t, "stored", want, mustGet(t, s, want.Key, start))
	// What done(nil) confirmed is there for the next claim, on another node.
	next := claim(t, node(), sessionstore.ClaimRequest{Key: want.Key, Expiry: 60})
	want.Epoch = next.Session.Epoch
	same(t, "claimed elsewhere", want, next.Session)
}

func subscriptionOrder(t *testing.T, fresh Fresh) {
	s := fresh(t)()
	c := claim(t, s, sessionstore.ClaimRequest{Key: newKey(), Expiry: 60})
	put := func(filter string, qos byte) sessionstore.Op {
		return sessionstore.PutSubscription{Subscription: sessionstore.Subscription{Filter: filter, QoS: qos}}
	}
	// Names whose own order differs from the order made, and more than nine.
	for i := range 12 {
		mustWrite(t, s, fence(c), put(fmt.Sprintf("f%d", 11-i), 0))
	}
	mustWrite(t, s, fence(c), put("f8", 2)) // replaced: keeps its place
	mustWrite(t, s, fence(c), sessionstore.DeleteSubscription{Filter: "f11"}, put("f11", 1))
	var order []string
	for _, sub := range mustGet(t, s, c.Session.Key, start).Subscriptions {
		order = append(order, fmt.Sprintf("%s/%d", sub.Filter, sub.QoS))
	}
	same(t, "order", "f10/0 f9/0 f8/2 f7/0 f6/0 f5/0 f4/0 f3/0 f2/0 f1/0 f0/0 f11/1", strings.Join(order, " "))
}

func recordOrder(t *testing.T, fresh Fresh) {
	s := fresh(t)()
	c := claim(t, s, sessionstore.ClaimRequest{Key: newKey(), Expiry: 60})
	for i := range 20 {
		mustWrite(t, s, fence(c),
			sessionstore.PutInbound{Record: sessionstore.Inbound{PacketID: uint16(20 - i)}},
			sessionstore.PutOutbound{Record: sessionstore.Outbound{PacketID: uint16(1 + i), Order: uint64(1000 - 50*i)}})
	}
	found := mustGet(t, s, c.Session.Key, start)
	for i := range 20 {
		if found.Inbound[i].PacketID != uint16(1+i) || found.Outbound[i].PacketID != uint16(20-i) {
			t.Fatalf("place %d: inbound %d, outbound %d", i, found.Inbound[i].PacketID, found.Outbound[i].PacketID)
		}
	}
}

func deleteAbsent(t *testing.T, fresh Fresh) {
	s := fresh(t)()
	c := claim(t, s, sessionstore.ClaimRequest{Key: newKey(), Expiry: 60})
	mustWrite(t, s, fence(c))
	mustWrite(t, s, fence(c), sessionstore.DeleteSubscription{Filter: "x"}, sessionstore.DeleteInbound{PacketID: 7},
		sessionstore.DeleteOutbound{PacketID: 7})
	same(t, "stored", c.Session, mustGet(t, s, c.Session.Key, start))
}

func writeRepeats(t *testing.T, fresh Fresh) {
	s := fresh(t)()
	c := claim(t, s, sessionstore.ClaimRequest{Key: newKey(), Expiry: 60})
	mustWrite(t, s, fence(c), everything()...)
	once := mustGet(t, s, c.Session.Key, start)
	mustWrite(t, s, fence(c), everything()...)
	same(t, "after a repeat", once, mustGet(t, s, c.Session.Key, start))
	gone := []sessionstore.Op{
		sessionstore.DeleteSubscription{Filter: "plain"}, sessionstore.DeleteSubscription{Filter: "$share/g/a/+/#"},
		sessionstore.DeleteInbound{PacketID: 1}, sessionstore.DeleteInbound{PacketID: math.MaxUint16},
		sessionstore.DeleteOutbound{PacketID: 1}, sessionstore.DeleteOutbound{PacketID: math.MaxUint16}, sessionstore.SetInbox{},
	}
	for range 2 {
		mustWrite(t, s, fence(c), gone...)
		same(t, "emptied", c.Session, mustGet(t, s, c.Session.Key, start))
	}
}

func writeIsAtomic(t *testing.T, fresh Fresh) {
	s := fresh(t)()
	c := claim(t, s, sessionstore.ClaimRequest{Key: newKey(), Expiry: 60})
	tooLong := strings.Repeat("x", sessionstore.MaxString+1)
	err := write(t, s, fence(c), append(everything(), sessionstore.SetInbox{Name: tooLong})...)
	if !errors.Is(err, sessionstore.ErrInvalid) {
		t.Fatalf("an inbox over the limit: %v, want ErrInvalid", err)
	}
	same(t, "stored", c.Session, mustGet(t, s, c.Session.Key, start))
	// Ops of one write that undo each other apply in their order.
	mustWrite(t, s, fence(c), sessionstore.PutInbound{Record: sessionstore.Inbound{PacketID: 1, MessageID: "a"}},
		sessionstore.DeleteInbound{PacketID: 1}, sessionstore.PutInbound{Record: sessionstore.Inbound{PacketID: 1, MessageID: "b"}})
	same(t, "in order", []sessionstore.Inbound{{PacketID: 1, MessageID: "b"}}, mustGet(t, s, c.Session.Key, start).Inbound)
}

func doneInOrder(t *testing.T, fresh Fresh) {
	s := fresh(t)()
	const writes = 2000
	c := claim(t, s, sessionstore.ClaimRequest{Key: newKey(), Expiry: 60})
	answered := make(chan int, 2*writes)
	for i := range writes {
		// Each write undoes and redoes something, so that a swapped pair shows in what is stored.
		op := sessionstore.Op(sessionstore.PutInbound{Record: sessionstore.Inbound{PacketID: uint16(i / 2)}})
		if i%2 == 1 {
			op = sessionstore.DeleteInbound{PacketID: uint16(i / 2)}
		}
		s.Write(fence(c), []sessionstore.Op{op, sessionstore.SetInbox{Name: fmt.Sprint(i)}}, func(err error) {
			if err != nil {
				t.Errorf("write %d: %v", i, err)
			}
			answered <- i
		})
	}
	timeout := time.After(patience)
	for want := range writes {
		select {
		case got := <-answered:
			if got != want {
				t.Fatalf("done of write %d came when %d was due", got, want)
			}
		case <-timeout:
			t.Fatalf("done of write %d was not called", want)
		}
	}
	found := mustGet(t, s, c.Session.Key, start)
	if found.Inbound != nil || found.Inbox != fmt.Sprint(writes-1) {
		t.Fatalf("after the last write: inbox %q, %d inbound records", found.Inbox, len(found.Inbound))
	}
	if len(answered) != 0 {
		t.Fatal("a done was called twice")
	}
}

func doneMayWrite(t *testing.T, fresh Fresh) {
	s := fresh(t)()
	c := claim(t, s, sessionstore.ClaimRequest{Key: newKey(), Expiry: 60})
	end := make(chan error, 1)
	s.Write(fence(c), []sessionstore.Op{sessionstore.SetInbox{Name: "1"}}, func(error) {
		s.Write(fence(c), []sessionstore.Op{sessionstore.SetInbox{Name: "2"}}, func(err error) { end <- err })
	})
	select {
	case err := <-end:
		if err != nil {
			t.Fatal(err)
		}
	case <-time.After(patience):
		t.Fatal("a write from inside done was not answered")
	}
	if inbox := mustGet(t, s, c.Session.Key, start).Inbox; inbox != "2" {
		t.Fatalf("inbox %q, want 2", inbox)
	}
}

func invalidRefused(t *testing.T, fresh Fresh) {
	s := fresh(t)()
	for _, key := range []sessionstore.Key{
		{}, {Tenant: "t", Principal: "p"}, {ClientID: "\xff"}, {ClientID: strings.Repeat("x", sessionstore.MaxString+1)},
	} {
		_, claimErr := s.Claim(t.Context(), sessionstore.ClaimRequest{Key: key, Node: "n", Now: start})
		_, getErr := s.Get(t.Context(), key, start)
		f := sessionstore.Fence{Key: key, Epoch: 1}
		for _, err := range []error{claimErr, getErr, write(t, s, f), release(t, s, f, start, true)} {
			if !errors.Is(err, sessionstore.ErrInvalid) {
				t.Errorf("key %.40q: %v, want ErrInvalid", key.ClientID, err)
			}
		}
	}
	if _, err := s.Claim(t.Context(), sessionstore.ClaimRequest{Key: newKey(), Now: start}); !errors.Is(err, sessionstore.ErrInvalid) {
		t.Errorf("claim without a node: %v, want ErrInvalid", err)
	}
	c := claim(t, s, sessionstore.ClaimRequest{Key: newKey()})
	if err := write(t, s, fence(c), make([]sessionstore.Op, sessionstore.MaxOps+1)...); !errors.Is(err, sessionstore.ErrInvalid) {
		t.Errorf("too many ops: %v, want ErrInvalid", err)
	}
	if err := write(t, s, fence(c), nil...); err != nil {
		t.Errorf("no ops: %v", err)
	}
	if err := write(t, s, fence(c), sessionstore.Op(nil)); !errors.Is(err, sessionstore.ErrInvalid) {
		t.Errorf("a nil op: %v, want ErrInvalid", err)
	}
}

func subscriptionsFull(t *testing.T, fresh Fresh) {
	s := fresh(t)()
	c := claim(t, s, sessionstore.ClaimRequest{Key: newKey(), Expiry: 60})
	put := func(i int) sessionstore.Op {
		return sessionstore.PutSubscription{Subscription: sessionstore.Subscription{Filter: fmt.Sprint(i)}}
	}
	for from := 0; from < sessionstore.MaxSubscriptions; from += sessionstore.MaxOps {
		var ops []sessionstore.Op
		for i := range sessionstore.MaxOps {
			ops = append(ops, put(from+i))
		}
		mustWrite(t, s, fence(c), ops...)
	}
	err := write(t, s, fence(c), sessionstore.SetInbox{Name: "no"}, put(-1))
	if !errors.Is(err, sessionstore.ErrFull) {
		t.Fatalf("one more than fits: %v, want ErrFull", err)
	}
	found := mustGet(t, s, c.Session.Key, start)
	if len(found.Subscriptions) != sessionstore.MaxSubscriptions || found.Inbox != "" {
		t.Fatalf("%d subscriptions, inbox %q: the refused write left something", len(found.Subscriptions), found.Inbox)
	}
	mustWrite(t, s, fence(c), sessionstore.DeleteSubscription{Filter: "0"})
	mustWrite(t, s, fence(c), put(-1))
	mustRelease(t, s, fence(c), start, true)
}
