package gateway

import (
	"net"
	"testing"

	"sluice/sessionstore"
)

func TestALateLeaverTakesNothingFromItsSuccessor(t *testing.T) {
	r := newDirectory()
	key := sessionstore.Key{ClientID: "c"}
	first, second := &device{}, &device{}
	for _, d := range []*device{first, second} {
		c := &net.TCPConn{}
		if !r.reserve(c, 2) {
			t.Fatal("no place")
		}
		r.admit(c, d)
	}
	if r.reserve(&net.TCPConn{}, 2) {
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
	first, second := &net.TCPConn{}, &net.TCPConn{}
	if !r.reserve(first, 1) || r.reserve(second, 1) {
		t.Error("a handshake does not count")
	}
	r.unreserve(first)
	if !r.reserve(second, 1) {
		t.Error("a handshake that failed still counts")
	}
	if all := r.handshakes(); len(all) != 1 || all[0] != net.Conn(second) {
		t.Errorf("handshakes are %v", all)
	}
	d := &device{}
	r.admit(second, d)
	if r.reserve(first, 1) || len(r.handshakes()) != 0 {
		t.Error("a connection does not count after its handshake, or still as one")
	}
	r.leave(d)
	if !r.reserve(first, 1) {
		t.Error("a connection that left still counts")
	}
}
