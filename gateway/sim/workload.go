package sim

import (
	"fmt"
	"io"
	"slices"
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

// rest lets the world idle until every claim of work is over: what is done stays done. Somebody new asks what is retained.
func (w *world) rest() {
	w.log("everything is done")
	fresh := w.fresh()
	w.run(w.now.Add(sessionstore.WorkLease + 2*duePause))
	if w.stopped != nil {
		return
	}
	err := w.unfinished()
	if err == nil {
		err = w.oracle.retainedFor(fresh)
	}
	if err == nil {
		err = w.disband()
	}
	if err != nil {
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
		d.joins()
		w.devices = append(w.devices, d)
		d.offline = w.after(w.between(10*time.Millisecond, 2*time.Second), d.connect)
	}
}

var filters = []string{"t/0", "t/1", "t/2", "t/+", "t/#", "+/1", "#", "r/#", "r/+/d1.0"}

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
	if w.chance(0.4) {
		d.filters = append(d.filters, subscription{filter: "r/x/#", qos: packet.QoS(w.rng.IntN(3)), wanted: w.chance(0.5), volatile: true})
	}
}

// joins has a device be a member of a group, which comes and goes. What it gets of the group's topics it gets as a member: no other filter of it
// matches them.
func (d *device) joins() {
	w := d.w
	if w.chance(0.3) {
		return
	}
	d.filters = slices.DeleteFunc(d.filters, func(f subscription) bool { return f.filter == "#" })
	d.group = groupFilters[0]
	if w.chance(0.3) {
		d.group = groupFilters[1]
	}
	d.filters = append(d.filters, subscription{filter: d.group, qos: w.rather2(), wanted: w.chance(0.8), volatile: true})
}

// rather2 is a QoS, that with the most rules more often than not.
func (w *world) rather2() packet.QoS { return min(packet.QoS(w.rng.IntN(5)), 2) }

var groupFilters = []string{"$share/a/g/#", "$share/b/g/+/1"}

// retains has a device publish messages that are retained. One topic has one publisher and one QoS, for only then there is an order; and each is
// removed once at most, so that a message without payload can be told from others.
func (d *device) retains(storm time.Duration) {
	w := d.w
	if w.chance(0.6) {
		return
	}
	for i := range 1 + w.rng.IntN(2) {
		name, qos := fmt.Sprintf("r/x/%s.%d", d.id, i), packet.QoS(w.rng.IntN(3))
		times := make([]time.Duration, 2+w.rng.IntN(5))
		for k := range times {
			times[k] = w.between(0, storm)
		}
		slices.Sort(times)
		removal := w.rng.IntN(2 * len(times))
		for k, at := range times {
			m := &appMessage{key: fmt.Sprintf("%s-r%d-%d", d.id, i, k), topic: name, qos: qos, retain: true}
			if m.remove = k == removal; m.remove {
				m.key = payloadKey(name, nil)
			}
			w.after(at, func() { d.publish(m) })
		}
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
			if w.chance(0.4) {
				m.topic, m.qos = fmt.Sprintf("g/x/%d", w.rng.IntN(2)), w.rather2()
			}
			w.after(at, func() { d.publish(m) })
		}
		d.retains(storm)
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
