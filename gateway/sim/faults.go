package sim

import (
	"time"
)

// plan is what can go wrong in a run. Each run draws which faults there are at all and how often (a swarm of different storms finds more than
// many of the same).
type plan struct {
	// With each request or message:
	storeRefuses    float64 // not applied, ErrUnavailable
	storeLies       float64 // applied, ErrUnavailable
	storeLosesReply float64 // applied, and sent again on a new connection

	lostNotice       float64 // the word of a takeover does not arrive
	busCutsBefore    float64 // connection cut, message not taken
	busCutsAfter     float64 // taken, connection cut, outcome lost
	busRejectsForNow float64
	busRejects       float64
	busModifies      float64
	busRequestFails  float64
	busThinks        time.Duration // before an outcome

	// Now and then: the mean time between two, zero for never.
	kill, perish, pause, shutdown            time.Duration
	cutStore, cutBus, cutDevices             time.Duration
	slowStore, slowBus, resetStore, resetBus time.Duration
	stall                                    time.Duration
	cutConn, takeover, disconnect, newStart  time.Duration
	changeSubs                               time.Duration

	changes bool // onlyChanges
}

func (w *world) drawPlan() {
	p := &w.plan
	for _, often := range []*float64{
		&p.storeRefuses, &p.storeLies, &p.storeLosesReply, &p.busCutsBefore, &p.busCutsAfter,
		&p.busRejectsForNow, &p.busRejects, &p.busModifies, &p.busRequestFails,
	} {
		if w.chance(0.3) {
			*often = w.rng.Float64() * 0.06
		}
	}
	if w.chance(0.5) {
		p.lostNotice = 0.5
	}
	p.busThinks = w.between(time.Millisecond, 50*time.Millisecond)
	for _, mean := range []*time.Duration{
		&p.kill, &p.perish, &p.pause, &p.shutdown, &p.cutStore, &p.cutBus, &p.cutDevices, &p.slowStore, &p.slowBus, &p.resetStore, &p.resetBus,
		&p.stall, &p.cutConn, &p.takeover, &p.disconnect, &p.newStart, &p.changeSubs,
	} {
		if w.chance(0.35) {
			*mean = w.between(2*time.Second, 20*time.Second)
		}
	}
	if p.newStart > 0 {
		p.newStart *= 4
	}
}

// changesEvery is of how many runs one has devices that change nodes and nothing else that goes wrong.
const changesEvery = 5

// onlyChanges leaves of the faults those that no node, store or bus has a part in: devices lose their connections and make others, often, while
// the bus takes its time. Then even what the standard leaves to the network has no excuse (oracle.onceOnTheBus).
func (p *plan) onlyChanges() {
	*p = plan{
		changes: true, lostNotice: p.lostNotice, busThinks: 6 * p.busThinks,
		busRejectsForNow: p.busRejectsForNow, busRejects: p.busRejects, busModifies: p.busModifies,
		cutConn: time.Second, takeover: time.Second, disconnect: p.disconnect, newStart: p.newStart, changeSubs: p.changeSubs,
	}
}

// storm starts the faults that come now and then.
func (w *world) storm() {
	p := &w.plan
	for _, f := range []struct {
		mean time.Duration
		do   func()
	}{
		{p.kill, func() { w.killAndRestart(w.anyNode()) }},
		{p.perish, func() {
			if d := w.anyDevice(); d.mortal && d.online && d.conn.n.alive {
				n := d.conn.n
				d.perish()
				w.killAndRestart(n)
			}
		}},
		{p.pause, func() { w.pauseAndResume(w.anyNode()) }},
		{p.shutdown, func() { w.shutDownAndRestart(w.anyNode()) }},
		{p.cutStore, func() { n := w.anyNode(); w.partition(n, n.toStore, "the store") }},
		{p.cutBus, func() { n := w.anyNode(); w.partition(n, n.toBus, "the bus") }},
		{p.cutDevices, func() { n := w.anyNode(); w.partition(n, n.toDevices, "the devices") }},
		{p.slowStore, func() { w.slow(w.anyNode().toStore) }},
		{p.slowBus, func() { w.slow(w.anyNode().toBus) }},
		{p.resetStore, func() { w.anyNode().store.reset() }},
		{p.resetBus, func() { w.anyNode().bus.cut() }},
		{p.stall, w.stallBus},
		{p.cutConn, func() {
			if c := w.anyDevice().conn; c != nil {
				c.cut(w.chance(0.7), w.chance(0.7))
			}
		}},
		{p.takeover, func() {
			if d := w.anyDevice(); d.conn != nil {
				w.log("fault   %s connects a second time", d.id)
				w.oracle.marks.takeovers++
				d.connect()
				// What it asks of its new node the old one does not know.
				w.after(w.between(20*time.Millisecond, 400*time.Millisecond), d.change)
			}
		}},
		{p.disconnect, func() { w.anyDevice().disconnect() }},
		{p.newStart, func() {
			if d := w.anyDevice(); d.persistent {
				d.clean = true
				d.disconnectAbruptly()
			}
		}},
		{p.changeSubs, func() { w.anyDevice().change() }},
	} {
		if f.mean > 0 {
			w.nowAndThen(f.mean, f.do)
		}
	}
}

func (w *world) nowAndThen(mean time.Duration, do func()) {
	pause := time.Duration(w.rng.ExpFloat64() * float64(mean))
	w.after(pause, func() {
		if w.healed {
			return
		}
		do()
		w.nowAndThen(mean, do)
	})
}

func (w *world) anyNode() *node     { return w.nodes[w.rng.IntN(len(w.nodes))] }
func (w *world) anyDevice() *device { return w.devices[w.rng.IntN(len(w.devices))] }

func (w *world) killAndRestart(n *node) {
	if !n.alive {
		return
	}
	n.kill()
	w.after(w.between(100*time.Millisecond, 10*time.Second), func() { w.restart(n) })
}

func (w *world) restart(n *node) {
	if !n.alive && w.nodes[n.slot] == n {
		w.nodes[n.slot] = w.startNode(n.slot)
	}
}

func (w *world) shutDownAndRestart(n *node) {
	n.shutdown()
	w.after(shutdownWait+w.between(time.Second, 5*time.Second), func() {
		n.kill()
		w.restart(n)
	})
}

func (w *world) pauseAndResume(n *node) {
	n.pause()
	w.after(w.duration(), n.resume)
}

// duration of a fault: mostly short, at times longer than every time-out.
func (w *world) duration() time.Duration {
	switch {
	case w.chance(0.5):
		return w.between(10*time.Millisecond, time.Second)
	case w.chance(0.7):
		return w.between(time.Second, 12*time.Second)
	}
	return w.between(12*time.Second, 45*time.Second)
}

func (w *world) partition(n *node, r *route, what string) {
	if r.blocked {
		return
	}
	w.log("fault   %s is cut off from %s", n.id, what)
	r.block()
	if r == n.toBus {
		n.bus.silent()
	}
	w.after(w.duration(), func() { w.reunite(n, r) })
}

func (w *world) reunite(n *node, r *route) {
	if !r.blocked {
		return
	}
	w.log("fault   a partition of %s ends", n.id)
	r.unblock()
	if r == n.toBus {
		n.bus.heard()
	}
}

func (w *world) slow(r *route) {
	r.slow = w.between(20*time.Millisecond, 2*time.Second)
	w.after(w.duration(), func() { r.slow = 0 })
}

func (w *world) stallBus() {
	w.log("fault   the bus takes nothing")
	w.broker.stall()
	w.after(w.duration(), w.broker.unstall)
}

func (c *storeClient) reset() {
	c.n.w.log("fault   %s loses its connections to the store", c.n.id)
	for _, l := range c.order {
		l.reset()
	}
}

func (c *busClient) cut() {
	if c.link != nil {
		c.n.w.log("fault   the connection of %s to the bus is cut", c.n.id)
		c.link.cut()
	}
}

// heal ends all faults.
func (w *world) heal() {
	w.log("heal")
	w.healed = true
	w.plan = plan{busThinks: time.Millisecond}
	w.broker.unstall()
	for _, n := range w.nodes {
		for _, r := range []*route{n.toStore, n.toBus, n.toDevices} {
			r.slow = 0
			w.reunite(n, r)
		}
		n.resume()
		if n.stopping {
			n.kill()
		}
		w.restart(n)
	}
	for _, d := range w.devices {
		d.refuses = 0
		d.thinks = min(d.thinks, 50*time.Millisecond)
	}
}
