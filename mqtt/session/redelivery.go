package session

import (
	"slices"
	"time"

	"sluice/mqtt/packet"
)

// cameAgain handles a message that an earlier lane, of this connection or one before, has brought already.
func (m *Machine) cameAgain(ev MessageArrived) bool {
	d := &m.down
	if ev.Message.Identity == "" {
		return false
	}
	if o := m.staleExchange(&d.session, ev.Message.Identity); o != nil {
		m.setStale(o, false)
		if !m.timers.orphansAt.IsZero() {
			m.awaitOrphans() // the bus is still at it
		}
		m.rejoin(o, ev)
		return true
	}
	if m.underWayTwice(ev) || m.completedAgain(ev) || m.copyAgain(ev) {
		return true
	}
	if v, ok := d.answered.again(&ev.Message, d.session.gen); ok {
		m.settle(&d.session, ev.Delivery, ev.Message.Identity, v)
		return true
	}
	return false
}

// underWayTwice settles the second copy on the bus of a message whose first is being delivered. Should this connection end now, the bus still has
// the first. It is not remembered: the answer to the first may be another.
func (m *Machine) underWayTwice(ev MessageArrived) bool {
	if !ev.Message.PossibleDuplicate || !ev.Message.Unique {
		return false
	}
	for _, o := range m.down.exchanges {
		if !o.lane.shared() && o.rec.Identity == ev.Message.Identity {
			m.emit(Settle{Delivery: ev.Delivery, Outcome: SettleAccepted})
			return true
		}
	}
	return false
}

// staleExchange is the oldest exchange of a lane that waits for a message of this identity.
func (m *Machine) staleExchange(l *lane, identity string) *outbound {
	if m.down.stale == 0 || identity == "" {
		return nil
	}
	var found *outbound
	for _, o := range m.down.exchanges {
		if o.stale && o.lane.filter == l.filter && o.rec.Identity == identity && (found == nil || o.rec.Order < found.rec.Order) {
			found = o
		}
	}
	return found
}

// rejoin gives an exchange its message back.
func (m *Machine) rejoin(o *outbound, ev MessageArrived) {
	o.delivery = ev.Delivery
	switch o.state {
	case outKept:
		m.sendAgain(o, ev.Message)
	case outReleased:
		if !o.orphan {
			m.settleReleased(o)
		}
	case outDone:
		m.end(o, accepted)
	}
	// Queued or sent on this connection: the device's answer is awaited, and nothing is sent twice [MQTT-4.4.0-1].
}

// sendAgain sends a PUBLISH of an earlier connection: same identifier, DUP [MQTT-4.4.0-1, MQTT-3.3.1-1]. Delivery was begun, so it is
// completed although the subscription or the message's time may have ended since [MQTT-3.10.4-3, MQTT-4.3.3-7].
func (m *Machine) sendAgain(o *outbound, msg Message) {
	p := m.newPublish(msg, m.route(msg, fromInbox), o.rec.QoS)
	p.ID, p.Dup = o.rec.ID, true
	m.setExpiry(p, msg.Expires)
	if v, ok := m.writable(p); !ok {
		m.end(o, v)
		return
	}
	if m.poisonous(o) {
		m.end(o, m.poisoned())
		return
	}
	o.state, o.pub, o.expires = outQueued, p, msg.Expires
	o.again, o.slot = true, true
	o.lane.slots++
	m.down.slots++
	m.enqueue(o)
}

// awaitOrphans gives the bus OrphanTime to bring what it owes.
func (m *Machine) awaitOrphans() {
	m.timers.orphansAt = m.now.Add(m.cfg.OrphanTime)
}

// closeOrphans ends exchanges whose message did not come again: it has expired or was removed on the bus. Their identifiers must not
// swallow a later message.
func (m *Machine) closeOrphans() {
	m.timers.orphansAt = time.Time{}
	orphans := m.orphans()
	if len(orphans) == 0 {
		return
	}
	if m.down.session.credit == 0 {
		m.awaitOrphans() // the bus may not bring anything at present
		return
	}
	for _, o := range orphans {
		if o.state == outKept && o.rec.QoS == 2 {
			// The device may hold the message in wait for PUBREL.
			o.orphan = true
			m.release(o)
			continue
		}
		m.remove(o)
		m.noteOutboundGone(o.rec.ID)
	}
}

// orphans are the exchanges that only their message can bring on, oldest first.
func (m *Machine) orphans() []*outbound {
	var orphans []*outbound
	if m.down.stale > 0 {
		for _, o := range m.down.exchanges {
			if o.stale && (o.state == outKept || o.state == outDone) {
				orphans = append(orphans, o)
			}
		}
	}
	slices.SortFunc(orphans, byOrder)
	return orphans
}

func byOrder(a, b *outbound) int {
	if a.rec.Order < b.rec.Order {
		return -1
	}
	return 1
}

// endOrphan: should the message come after all, it is delivered as a new one, unless the device says that it had it. Twice is better than
// never.
func (m *Machine) endOrphan(o *outbound, reason packet.ReasonCode) {
	if m.v5() && reason == packet.Success {
		m.end(o, accepted)
		return
	}
	m.giveBack(o)
}
