package gateway

import (
	"testing"

	"sluice/sessionstore"
)

func TestALateLeaverTakesNothingFromItsSuccessor(t *testing.T) {
	r := newDirectory()
	key := sessionstore.Key{ClientID: "c"}
	first, second := &device{}, &device{}
	for _, d := range []*device{first, second} {
		if !r.reserve(2) {
			t.Fatal("no place")
		}
		r.admit(d)
	}
	if r.reserve(2) {
		t.Error("a third of two was admitted")
	}
	if r.enter(key, first) != nil {
		t.Error("displaced somebody who was not there")
	}
	if r.enter(key, second) != first {
		t.Error("the first was not displaced")
	}
	r.leave(first)
	if r.devices[key] != second {
		t.Error("the first took the second's place away")
	}
	r.leave(second)
	if len(r.devices) != 0 || len(r.connections()) != 0 {
		t.Errorf("left over: %v", r.devices)
	}
}

func TestHandshakesTakePlaces(t *testing.T) {
	r := newDirectory()
	if !r.reserve(1) || r.reserve(1) {
		t.Error("a handshake does not count")
	}
	r.unreserve()
	if !r.reserve(1) {
		t.Error("a handshake that failed still counts")
	}
	d := &device{}
	r.admit(d)
	if r.reserve(1) {
		t.Error("a connection does not count after its handshake")
	}
	r.leave(d)
	if !r.reserve(1) {
		t.Error("a connection that left still counts")
	}
}
