package session

import (
	"slices"
	"time"
)

// lane is a link that brings messages to be settled: the session lane, or that of a shared subscription, which the device has for itself.
type lane struct {
	filter   string // of the shared subscription; empty: the session lane
	attached bool
	// gen numbers the attachments of a connection, over all lanes: a delivery belongs to the one that brought it.
	gen    uint64
	credit int // messages the lane may still bring
	slots  int // its exchanges that take up the window, or wait for it
	// unasked counts the messages that are to be settled without the device; they take up the quota until the store has answered.
	unasked int

	// Of shared lanes only.
	wanted  bool                // there is a subscription, or one under way
	handing map[uint64]struct{} // deliveries whose HandOver has no answer
	// copies is how many messages were handed over to this session and have not come by its session lane. It is below zero while one came
	// before the answer to its HandOver.
	copies int
}

func (l *lane) shared() bool { return l.filter != "" }

// underWay is what the lane has brought and we have not done with.
func (l *lane) underWay() int { return l.slots + l.unasked + len(l.handing) + l.copies }

// lane gives the lane of this name: the session lane, attached or not, or a shared one that is attached; else nil.
func (d *downlink) lane(filter string) *lane {
	if filter == "" {
		return &d.session
	}
	for _, l := range d.shared {
		if l.filter == filter {
			return l
		}
	}
	return nil
}

func (d *downlink) nextGen() uint64 {
	d.gens++
	return d.gens
}

func (m *Machine) laneAttached(filter string) {
	d := &m.down
	if filter != "" {
		m.sharedAttached(filter)
		return
	}
	d.session.attached = true
	d.session.credit = 0
	for _, l := range d.shared {
		// Copies that have not come need not come: an inbox that was made again has lost them. So they are no longer waited for.
		l.copies = min(l.copies, 0)
	}
	if len(m.orphans()) > 0 {
		m.awaitOrphans()
	}
}

// laneDetached: what is unsettled is back on the bus. An exchange goes on with the device, and takes its message back when it comes again.
func (m *Machine) laneDetached(filter string) {
	d := &m.down
	l := d.lane(filter)
	if l == nil {
		return
	}
	l.attached = false
	l.credit = 0
	l.gen = d.nextGen()
	if l.shared() {
		d.shared = slices.DeleteFunc(d.shared, func(x *lane) bool { return x == l })
		m.dropUnsent(l)
	} else {
		m.timers.orphansAt = time.Time{}
	}
	for _, o := range d.exchanges {
		if o.lane == l {
			o.delivery = 0
			m.setStale(o, true)
		}
	}
}

func (m *Machine) setStale(o *outbound, stale bool) {
	if o.stale == stale {
		return
	}
	o.stale = stale
	if stale {
		m.down.stale++
	} else {
		m.down.stale--
	}
}
