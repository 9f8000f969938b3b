package session

import (
	"slices"

	"sluice/mqtt/topic"
)

// Shared subscriptions (MQTT 5, 4.8.2). A group has one queue on the bus; each member takes from it by a lane of its own.
//
// At QoS 1 a message belongs to the group until the device has acknowledged it. So there is no record of it: when the connection ends it goes
// back with the lane, and the next best member gets it, as the standard allows. At QoS 2 it must stay with the member that has begun
// [MQTT-4.8.2-4, MQTT-4.8.2-5]. So it is handed over to the session's inbox before anything is sent, and comes back by the session lane as a
// delivery like any other.

func (m *Machine) sharedAttached(filter string) {
	d := &m.down
	l := d.lane(filter)
	if l == nil {
		l = &lane{filter: filter, handing: make(map[uint64]struct{})}
		d.shared = append(d.shared, l)
	}
	l.attached = true
	l.credit = 0
	l.gen = d.nextGen()
	l.wanted = m.wants(filter)
}

// noteWanted finds out anew which shared lanes have a subscription that may be served. What waits on a lane without one has not been begun: it is the group's
// again [MQTT-3.10.4-2]. What was sent may still be acknowledged while the lane is there.
func (m *Machine) noteWanted() {
	for _, l := range m.down.shared {
		l.wanted = m.wants(l.filter)
		if !l.wanted {
			for _, delivery := range m.dropUnsent(l) {
				m.emit(Settle{Delivery: delivery, Outcome: SettleReleased})
			}
		}
	}
}

// dropUnsent forgets the exchanges of a shared lane whose PUBLISH has not left, and gives their deliveries.
func (m *Machine) dropUnsent(l *lane) (deliveries []uint64) {
	d := &m.down
	d.queue = slices.DeleteFunc(d.queue, func(o *outbound) bool {
		if o.lane != l {
			return false
		}
		if o.delivery != 0 {
			deliveries = append(deliveries, o.delivery)
		}
		o.pub = nil
		m.remove(o)
		return true
	})
	return deliveries
}

// sharedArrived takes a message of a shared lane.
func (m *Machine) sharedArrived(l *lane, ev MessageArrived) {
	if o := m.staleExchange(l, ev.Message.Identity); o != nil {
		// The lane was lost, the connection was not: the device has it already, and nothing is sent twice [MQTT-4.4.0-1].
		m.setStale(o, false)
		o.lane.slots--
		o.lane, o.delivery = l, ev.Delivery
		l.slots++
		return
	}
	if !l.wanted {
		m.emit(Settle{Delivery: ev.Delivery, Outcome: SettleReleased})
		return
	}
	m.deliver(l, ev)
}

// moveToInbox has a QoS 2 message handed over to the member that gets it for good.
func (m *Machine) moveToInbox(l *lane, delivery uint64) {
	l.handing[delivery] = struct{}{}
	m.emit(HandOver{Delivery: delivery})
}

func (m *Machine) handedOver(ev HandedOver) {
	for _, l := range m.down.shared {
		if _, asked := l.handing[ev.Delivery]; !asked {
			continue
		}
		delete(l.handing, ev.Delivery)
		if ev.OK && !ev.Elsewhere {
			l.copies++
		}
		// A copy that came first may have been one of an earlier connection.
		l.copies = max(l.copies, -len(l.handing))
	}
}

// copyArrived: a message that a shared lane gave away has come by the session lane.
func (m *Machine) copyArrived(filter string) {
	if l := m.down.lane(filter); l != nil && l.copies+len(l.handing) > 0 {
		l.copies--
	}
}

// copyAgain settles a copy that the inbox holds twice: whoever handed the message over could not know that it was done already. Its identity is
// that of no other message.
func (m *Machine) copyAgain(ev MessageArrived) bool {
	d := &m.down
	if !topic.IsShared(ev.Message.For) || ev.Message.Retained || !ev.Message.Unique {
		return false
	}
	known := slices.ContainsFunc(d.completed, func(r Outbound) bool { return r.Identity == ev.Message.Identity })
	for _, o := range d.exchanges {
		known = known || !o.lane.shared() && o.rec.Identity == ev.Message.Identity
	}
	if known {
		m.settleUnasked(&d.session, ev, accepted)
	}
	return known
}
