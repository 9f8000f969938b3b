package redis

import (
	"errors"
	"fmt"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"sluice/sessionstore"
)

// idleLane gives a lane that nobody empties.
func idleLane() *lane { return newLane(&Store{}, 0) }

func writeStep(client string, epoch uint64, puts, ops int) *step {
	w := &write{epoch: epoch, puts: puts, ops: make([]any, 3*ops)}
	return &step{
		key: sessionstore.Key{ClientID: client}, script: applyScript, write: w, size: 100, deadline: time.Now().Add(time.Hour),
	}
}

func TestLaneIsBounded(t *testing.T) {
	l := idleLane()
	for i := range laneSteps {
		if err := l.add(writeStep("c", 1, 0, 1), nil); err != nil {
			t.Fatalf("step %d: %v", i, err)
		}
	}
	if err := l.add(writeStep("c", 1, 0, 1), func() { t.Error("a refused step took a number") }); !errors.Is(err, errLaneFull) {
		t.Fatalf("one step more: %v", err)
	}
	l = idleLane()
	big := func() *step { st := writeStep("c", 1, 0, 1); st.size = laneBytes/2 + 1; return st }
	if err := l.add(big(), nil); err != nil {
		t.Fatal(err)
	}
	if err := l.add(big(), nil); !errors.Is(err, errLaneFull) {
		t.Fatalf("more bytes than fit: %v", err)
	}
	if _, _, open := l.take(time.Now()); !open || l.bytes != 0 {
		t.Fatalf("%d bytes are left in an empty lane", l.bytes)
	}
	if err := l.add(big(), nil); err != nil {
		t.Fatalf("after the queue emptied: %v", err)
	}
}

// A full lane answers at once.
func TestWriteToAFullLane(t *testing.T) {
	s := &Store{}
	for i := range s.lanes {
		s.lanes[i] = newLane(s, i)
		s.lanes[i].bytes = laneBytes
	}
	var got error
	s.Write(sessionstore.Fence{Key: testKey, Epoch: 1}, nil, func(err error) { got = err })
	if !errors.Is(got, sessionstore.ErrUnavailable) || !errors.Is(got, errLaneFull) {
		t.Fatalf("%v", got)
	}
}

func TestBatchHasOneCallPerSessionInOrder(t *testing.T) {
	l := idleLane()
	claim := &step{key: sessionstore.Key{ClientID: "a"}, script: claimScript, deadline: time.Now().Add(time.Hour)}
	steps := map[*step]string{}
	add := func(name string, st *step) {
		steps[st] = name
		if err := l.add(st, nil); err != nil {
			t.Fatal(err)
		}
	}
	add("a1", writeStep("a", 1, 0, 1))
	add("b1", writeStep("b", 1, 1, 1)) // puts a subscription: alone
	add("a2", writeStep("a", 1, 0, 2))
	add("b2", writeStep("b", 1, 0, 1))
	add("a3", writeStep("a", 2, 0, 1)) // another owner
	add("a4", writeStep("a", 1, 0, 1)) // would fit a1, but must not pass a3
	add("c1", writeStep("c", 1, 0, callOps))
	add("c2", writeStep("c", 1, 0, 1)) // over the ops of a call
	add("aC", claim)
	var batches [][]string
	for len(l.queue) > 0 {
		calls, late, _ := l.take(time.Now())
		if len(late) != 0 {
			t.Fatalf("%d late", len(late))
		}
		var batch []string
		for _, c := range calls {
			name := ""
			for _, st := range c.steps {
				name += steps[st]
			}
			batch = append(batch, name)
		}
		batches = append(batches, batch)
	}
	want := [][]string{{"a1a2", "b1", "c1"}, {"b2", "a3", "c2"}, {"a4"}, {"aC"}}
	if diff := cmp.Diff(want, batches); diff != "" {
		t.Fatal(diff)
	}
}

func TestFailedStepsGoFirst(t *testing.T) {
	l := idleLane()
	first := writeStep("a", 1, 0, 1)
	if err := l.add(first, nil); err != nil {
		t.Fatal(err)
	}
	calls, _, _ := l.take(time.Now())
	if err := l.add(writeStep("a", 1, 0, 1), nil); err != nil {
		t.Fatal(err)
	}
	l.putBack(calls[0].steps)
	calls, _, _ = l.take(time.Now())
	if len(calls) != 1 || len(calls[0].steps) != 2 || calls[0].steps[0] != first || l.bytes != 0 {
		t.Fatalf("%d calls, %d bytes left", len(calls), l.bytes)
	}
}

func TestBatchesAreBounded(t *testing.T) {
	l := idleLane()
	for i := range batchCalls + 10 {
		if err := l.add(writeStep(fmt.Sprint(i), 1, 0, 1), nil); err != nil {
			t.Fatal(err)
		}
	}
	if calls, _, _ := l.take(time.Now()); len(calls) != batchCalls {
		t.Fatalf("%d calls", len(calls))
	}
	if calls, _, _ := l.take(time.Now()); len(calls) != 10 {
		t.Fatalf("%d calls are left", len(calls))
	}
	for i := range 4 {
		st := writeStep(fmt.Sprint(i), 1, 0, 1)
		st.size = batchBytes / 2
		if err := l.add(st, nil); err != nil {
			t.Fatal(err)
		}
	}
	if calls, _, _ := l.take(time.Now()); len(calls) != 2 {
		t.Fatalf("%d calls of half a batch", len(calls))
	}
}

func TestLateAndAbandonedStepsAreNotSent(t *testing.T) {
	l := idleLane()
	now := time.Now()
	late, abandoned, good := writeStep("a", 1, 0, 1), writeStep("a", 1, 0, 1), writeStep("a", 1, 0, 1)
	late.deadline = now
	abandoned.abandoned.Store(true)
	for _, st := range []*step{late, abandoned, good} {
		if err := l.add(st, nil); err != nil {
			t.Fatal(err)
		}
	}
	calls, gone, _ := l.take(now)
	if len(calls) != 1 || calls[0].steps[0] != good || len(gone) != 2 || l.bytes != 0 {
		t.Fatalf("%d calls, %d late, %d bytes left", len(calls), len(gone), l.bytes)
	}
}
