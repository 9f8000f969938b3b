package sim

import (
	"fmt"
	"io"
	"time"

	"sluice/mqtt/packet"
	"sluice/sessionstore"
)

// The bounds of a run, in virtual time.
const (
	stormMin = 15 * time.Second
	stormMax = 60 * time.Second
	// recovery is how long after the last fault everything must be in order again. It covers the longest chain of time-outs: a claim that is
	// waited for, the bus's idle time-out, the grace, and then orphans.
	recovery = 4 * time.Minute
	// look is how often it is looked at.
	look = 2 * time.Second
)

// Result is what a run showed.
type Result struct {
	Trace  uint64 // hash of the whole trace
	Events uint64
	Err    error // the first violation, or what was not finished; nil is a good run
	marks  marks
}

// Run simulates one seed. With print it writes the trace there.
func Run(seed uint64, print io.Writer) Result {
	w := newWorld(seed, print)
	w.drawPlan()
	if seed%changesEvery == 0 {
		w.plan.onlyChanges()
	}
	w.broker.dedup = w.chance(0.5)
	w.sameNames = w.chance(0.5)
	w.log("seed %d, duplicate detection %t, %+v", seed, w.broker.dedup, w.plan)
	w.populate()
	w.storm()
	storm := w.between(stormMin, stormMax)
	w.employ(storm)
	w.run(epochOfTime.Add(storm))
	if w.stopped == nil {
		w.heal()
		w.recover()
	}
	return Result{Trace: w.trace.Sum64(), Events: w.serial, Err: w.stopped, marks: w.oracle.marks}
}

// recover waits until everything is done.
func (w *world) recover() {
	last := w.now.Add(recovery)
	for w.stopped == nil {
		w.run(w.now.Add(look))
		err := w.unfinished()
		if err == nil {
			w.rest()
			return
		}
		if w.stopped == nil && w.now.After(last) {
			w.fail("liveness: %v after the faults ended: %w", recovery, err)
		}
	}
}

// rest lets the world idle until every claim of work is over: what is done stays done.
func (w *world) rest() {
	w.log("everything is done")
	w.run(w.now.Add(sessionstore.WorkLease + 2*duePause))
	if w.stopped != nil {
		return
	}
	if err := w.unfinished(); err != nil {
		w.fail("liveness: everything was done, and then %w", err)
	}
}

// populate makes nodes and devices.
func (w *world) populate() {
	for slot := range 2 + w.rng.IntN(3) {
		w.nodes = append(w.nodes, w.startNode(slot))
	}
	for n := range 3 + w.rng.IntN(4) {
		d := newDevice(w, n)
		d.version = packet.V311
		if w.chance(0.6) {
			d.version = packet.V5
		}
		d.persistent = w.chance(0.85)
		d.receiveMax = 65535
		if d.version == packet.V5 && w.chance(0.5) {
			d.receiveMax = uint16(1 + w.rng.IntN(6))
		}
		d.thinks = w.between(time.Millisecond, 30*time.Millisecond)
		if w.chance(0.3) {
			d.thinks = w.between(time.Second, 3*time.Second)
		}
		if w.chance(0.3) {
			d.refuses = 0.1
		}
		d.wills = w.chance(0.5)
		d.patient = w.chance(0.4)
		d.mortal = w.chance(0.3)
		d.subscribes()
		w.devices = append(w.devices, d)
		d.offline = w.after(w.between(10*time.Millisecond, 2*time.Second), d.connect)
	}
}

var filters = []string{"t/0", "t/1", "t/2", "t/+", "t/#", "+/1", "#"}

func (d *device) subscribes() {
	w := d.w
	for _, i := range w.rng.Perm(len(filters))[:w.rng.IntN(3)] {
		d.filters = append(d.filters, subscription{filter: filters[i], qos: packet.QoS(w.rng.IntN(3)), wanted: true})
	}
	if d.version == packet.V5 && len(d.filters) > 0 {
		d.filters[0].noLocal = w.chance(0.3)
	}
	if w.chance(0.5) {
		d.filters = append(d.filters, subscription{filter: "t/1/#", qos: 1, wanted: w.chance(0.5), volatile: true})
	}
}

// employ has the devices publish during the storm.
func (w *world) employ(storm time.Duration) {
	for _, d := range w.devices {
		for n := range 4 + w.rng.IntN(12) {
			at := w.between(0, storm)
			if w.chance(0.3) {
				at = at.Truncate(5 * time.Second) // bursts
			}
			m := &appMessage{key: fmt.Sprintf("%s-%d", d.id, n), topic: fmt.Sprintf("t/%d", w.rng.IntN(3)), qos: packet.QoS(w.rng.IntN(3))}
			w.after(at, func() { d.publish(m) })
		}
	}
}

func (w *world) device(id string) *device {
	for _, d := range w.devices {
		if d.id == id {
			return d
		}
	}
	return nil
}
