package client

import (
	"testing"

	"sluice/amqp/topology"
)

func TestCopies(t *testing.T) {
	of := func(id int64) topology.Original { return topology.Original{ID: id, Address: "a"} }
	c := newCopies()
	for i, tt := range []struct {
		of      topology.Original
		repeats bool
	}{{of(1), false}, {of(1), true}, {of(2), false}, {topology.Original{ID: 1, Address: "b"}, false}, {of(1), true}} {
		if got := c.repeats(tt.of, uint64(i), false); got != tt.repeats {
			t.Errorf("%d: %+v repeats: %v", i, tt.of, got)
		}
	}
	c.settling(0, false) // accepted: another copy is one still
	if !c.repeats(of(1), 5, false) {
		t.Error("the copy of an accepted delivery is taken for another message")
	}
	c.settling(2, true) // released: it comes again
	if c.repeats(of(2), 6, false) {
		t.Error("what was released and came again is taken for a copy")
	}
	c.settling(2, true) // of the first delivery, long settled
	if !c.repeats(of(2), 7, false) {
		t.Error("a second settlement made it forget")
	}
}

func TestCopiesAreBounded(t *testing.T) {
	c := newCopies()
	for i := range int64(3 * copiesRemembered) {
		c.repeats(topology.Original{ID: i}, uint64(i), true)
	}
	if n := len(c.first); n != copiesRemembered || len(c.unsettled) != 0 {
		t.Errorf("%d originals, %d unsettled", n, len(c.unsettled))
	}
	if c.repeats(topology.Original{ID: 0}, 0, true) || !c.repeats(topology.Original{ID: 3*copiesRemembered - 1}, 0, true) {
		t.Error("the oldest are forgotten first")
	}
}

func TestKindsOfOptions(t *testing.T) {
	for _, o := range []Options{{Kind: "other"}, {Root: "activemq"}} {
		o.URLs = []string{"amqp://localhost"}
		if c, err := Open(o); err == nil {
			t.Errorf("%+v is taken", o)
			_ = c.Close(deadline(t))
		}
	}
	// Told what it is, the client needs no connection to know addresses.
	c, err := Open(Options{URLs: []string{"amqp://127.0.0.1:1"}, Kind: topology.Diverts})
	if err != nil {
		t.Fatal(err)
	}
	if got := c.InboxAddress("a"); got != "sluice.inbox.a::sluice.inbox.a" {
		t.Errorf("inbox address %q", got)
	}
	if err := c.Close(deadline(t)); err != nil {
		t.Error(err)
	}
}
