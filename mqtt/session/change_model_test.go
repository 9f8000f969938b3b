package session

import (
	"fmt"
	"slices"
	"testing"
	"time"

	"sluice/mqtt/packet"
)

// displaced is a connection whose device went on with another one. What it had handed to the bus is answered later.
type displaced struct {
	m    *Machine
	pubs []Publish
	by   time.Time // the bus answers by then
}

func (d *displaced) settled() bool { return d == nil || len(d.pubs) == 0 }

// change makes the device go on with another connection, while the old one's node lives. Of the writes under way some come before the claim; the
// others are refused.
func (w *world) change() error {
	w.log("change")
	w.changes++
	applied := w.applyWrites(w.rng.IntN(len(w.writes) + 1))
	refused := w.writes
	w.writes = nil
	// The bus answers in half the time that the new connection gives it.
	w.old = &displaced{m: w.m, pubs: slices.DeleteFunc(w.pubs, func(p Publish) bool { return p.Packet.QoS != 2 }), by: w.now.Add(recallTime / 2)}
	w.end()
	for _, s := range applied {
		w.old.step(w, Stored{ID: s.ID})
	}
	if w.rng.IntN(2) == 0 {
		w.old.step(w, ConnectionLost{})
	}
	for _, s := range refused {
		w.tell(s.Ops)
		w.old.step(w, Stored{ID: s.ID, Err: StoreFenced})
	}
	w.old.step(w, CloseRequested{Reason: packet.SessionTakenOver})
	w.old.step(w, ConnectionLost{})
	return nil
}

// tell applies what counts of a write that comes too late.
func (w *world) tell(ops []Op) {
	for _, op := range ops {
		if op, ok := op.(AcceptInbound); ok {
			w.stored.apply(op)
		}
	}
}

func (d *displaced) step(w *world, ev Event) {
	w.log("old: %s", formatEvent(ev))
	for _, e := range d.m.Step(w.now, ev, nil) {
		w.log("old: \t%s", formatEffect(e, scriptStart))
		if e, ok := e.(Publish); ok && e.Packet.QoS == 2 {
			d.pubs = append(d.pubs, e) // its record was stored before the takeover
		}
		if e, ok := e.(Store); ok {
			w.tell(e.Ops)
		}
	}
}

// busAnswersOld: the bus answers what the old connection had handed over.
func (w *world) busAnswersOld() error {
	i := w.rng.IntN(len(w.old.pubs))
	p := w.old.pubs[i]
	w.old.pubs = slices.Delete(w.old.pubs, i, i+1)
	w.take(p)
	w.old.step(w, PublishAnswered{Token: p.Token})
	return nil
}

// take: the bus has a message, and knows it again by its message-id.
func (w *world) take(p Publish) {
	w.taken[p.MessageID] = string(p.Packet.Payload)
	w.times[p.MessageID]++
}

func (w *world) storeRecalls() error {
	w.recall = false
	return w.step(Recalled{Inbound: slices.Clone(w.stored.Inbound)})
}

// looksAgain lets the time pass until the machine looks into the store again. The bus is quicker than the last look.
func (w *world) looksAgain() error {
	if at := w.m.up.recall.due(); w.now.Before(at) {
		w.now = at
	}
	for !w.old.settled() && !w.now.Before(w.old.by) {
		if err := w.busAnswersOld(); err != nil {
			return err
		}
	}
	return w.step(DeadlineReached{})
}

// onceOnTheBus: a device that changes connections makes no duplicates, if nothing else goes wrong.
func (w *world) onceOnTheBus() error {
	for id, n := range w.times {
		if w.changing && n > 1 {
			return fmt.Errorf("the bus got %s %d times", id, n)
		}
	}
	return nil
}

// TestModelChangesConnections: a QoS 2 message goes to the bus once however often its device takes the session over in the middle.
func TestModelChangesConnections(t *testing.T) {
	changes := 0
	for _, v := range []packet.Version{packet.V311, packet.V5} {
		for seed := range uint64(120) {
			w := newWorld(seed, v)
			w.changing = true
			w.test(t, seed)
			changes += w.changes
		}
	}
	if changes < 2000 {
		t.Errorf("only %d changes of connection: they prove little", changes)
	}
}
