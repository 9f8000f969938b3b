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
		if !r.admit(d, 2) {
			t.Fatal("not admitted")
		}
	}
	if r.admit(&device{}, 2) {
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
