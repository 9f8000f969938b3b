package sim

import (
	"container/heap"
	"fmt"
	"hash"
	"hash/fnv"
	"io"
	"math/rand/v2"
	"time"
)

// epochOfTime is when every run begins.
var epochOfTime = time.Date(2030, 1, 1, 0, 0, 0, 0, time.UTC)

// world is one run: everything in it happens in events, one after the other.
type world struct {
	rng     *rand.Rand
	now     time.Time
	events  eventHeap
	serial  uint64 // of events: those of one instant happen in the order they were planned
	stopped error  // the first violation ends the run

	trace hash.Hash64
	print io.Writer // nil unless the run is replayed

	plan    plan
	store   *store
	broker  *broker
	nodes   []*node // by slot; a restarted node is a new one
	devices []*device
	oracle  *oracle
	conns   int // connections ever made
	starts  int // of nodes

	sameNames bool // a node that is started again has its old name
	healed    bool
}

func newWorld(seed uint64, print io.Writer) *world {
	w := &world{rng: rand.New(rand.NewPCG(seed, 0x5106ce)), now: epochOfTime, trace: fnv.New64a(), print: print}
	w.oracle = newOracle(w)
	w.store = newStore(w)
	w.broker = newBroker(w)
	return w
}

// event is something that will happen unless it is called off.
type event struct {
	at     time.Time
	serial uint64
	do     func()
	off    bool
}

func (e *event) cancel() {
	if e != nil {
		e.off = true
	}
}

// after plans an event.
func (w *world) after(d time.Duration, do func()) *event {
	w.serial++
	e := &event{at: w.now.Add(max(d, 0)), serial: w.serial, do: do}
	heap.Push(&w.events, e)
	return e
}

// run lets events happen until the time has come, there are none left, or something is wrong.
func (w *world) run(until time.Time) {
	for w.stopped == nil && len(w.events) > 0 && !w.events[0].at.After(until) {
		e := heap.Pop(&w.events).(*event)
		if e.off {
			continue
		}
		w.now = e.at
		e.do()
	}
	if w.stopped == nil {
		w.now = until
	}
}

// fail ends the run: an invariant is broken.
func (w *world) fail(format string, args ...any) {
	if w.stopped == nil {
		w.stopped = fmt.Errorf(format, args...)
		w.log("VIOLATION %v", w.stopped)
	}
}

// log writes a line of the trace.
func (w *world) log(format string, args ...any) {
	line := fmt.Appendf(nil, "%10.3f  ", w.now.Sub(epochOfTime).Seconds())
	line = fmt.Appendf(line, format, args...)
	line = append(line, '\n')
	_, _ = w.trace.Write(line)
	if w.print != nil {
		_, _ = w.print.Write(line)
	}
}

func (w *world) chance(p float64) bool { return p > 0 && w.rng.Float64() < p }

// between draws a time evenly.
func (w *world) between(a, b time.Duration) time.Duration {
	return a + time.Duration(w.rng.Int64N(int64(b-a)+1))
}

// eventHeap has the next event first.
type eventHeap []*event

func (h eventHeap) Len() int { return len(h) }
func (h eventHeap) Less(i, j int) bool {
	if !h[i].at.Equal(h[j].at) {
		return h[i].at.Before(h[j].at)
	}
	return h[i].serial < h[j].serial
}
func (h eventHeap) Swap(i, j int) { h[i], h[j] = h[j], h[i] }
func (h *eventHeap) Push(x any)   { *h = append(*h, x.(*event)) }
func (h *eventHeap) Pop() any {
	old := *h
	e := old[len(old)-1]
	old[len(old)-1] = nil
	*h = old[:len(old)-1]
	return e
}
