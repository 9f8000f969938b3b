package session

import (
	"errors"
	"fmt"

	"sluice/mqtt/packet"
)

// checkLanes: a lane has no more outstanding than it may ever have had, and the books of all agree.
func (m *Machine) checkLanes() error {
	d := &m.down
	unasked := 0
	for i, l := range append([]*lane{&d.session}, d.shared...) {
		slots := 0
		for _, o := range d.exchanges {
			if o.lane == l && o.slot {
				slots++
			}
		}
		unasked += l.unasked
		most := d.window
		if l.shared() {
			most = max(1, d.window/2)
		}
		switch {
		case slots != l.slots:
			return fmt.Errorf("lane %q: %d of %d slots", l.filter, slots, l.slots)
		case l.credit < 0 || l.unasked < 0 || l.copies < -len(l.handing):
			return fmt.Errorf("lane %q: %d credit, %d messages to settle, %d copies awaited, %d being handed over", l.filter, l.credit, l.unasked, l.copies, len(l.handing))
		case m.phase == phaseOpen && l.credit+l.underWay() > most:
			return fmt.Errorf("lane %q: %d credit and %d messages under way, at most %d are allowed", l.filter, l.credit, l.underWay(), most)
		case !l.attached && l.credit != 0:
			return fmt.Errorf("lane %q: %d credit without a lane", l.filter, l.credit)
		case i > 0 && (!l.attached || d.lane(l.filter) != l):
			return fmt.Errorf("lane %q is kept although it is gone", l.filter)
		case l.wanted && (!l.shared() || m.subs.of(l.filter, false) == nil), m.hooks.Access == nil && l.wanted != (l.shared() && m.subs.of(l.filter, false) != nil):
			return fmt.Errorf("lane %q is wanted: %t", l.filter, l.wanted)
		}
	}
	if unasked > d.unasked || m.phase == phaseOpen && d.freeIDs() < 0 {
		return fmt.Errorf("%d of %d messages to settle, %d identifiers free", unasked, d.unasked, d.freeIDs())
	}
	return nil
}

// Check reports what is broken of the invariants that can be seen in the machine itself (doc.go). Tests and simulations call it after each
// Step.
func (m *Machine) Check() error {
	return errors.Join(m.checkUplink(), m.checkDownlink(), m.checkLanes(), m.checkWaiting())
}

func (m *Machine) checkUplink() error {
	u, window := &m.up, int(m.limits.ReceiveMaximum)
	if m.phase == phaseOpen && (u.qos0.len() > window || u.qos1.len() > window || u.qos2.len() > window) {
		return fmt.Errorf("uplink window of %d exceeded: %d at QoS 0, %d at QoS 1, %d at QoS 2", window, u.qos0.len(), u.qos1.len(), u.qos2.len())
	}
	if len(u.ids1) != u.qos1.len() {
		return fmt.Errorf("%d QoS 1 identifiers for %d PUBLISH packets", len(u.ids1), u.qos1.len())
	}
	counted, owed := 0, 0
	for id, r := range u.records {
		if id != r.rec.ID {
			return fmt.Errorf("record of identifier %d is kept under %d", r.rec.ID, id)
		}
		if r.counted {
			counted++
		}
		if r.token == 0 {
			continue
		}
		owed++
		e := u.qos2.find(r.token)
		if e == nil || e.id != id {
			return fmt.Errorf("the PUBREC owed for identifier %d is not in the ledger", id)
		}
		if (r.state == inRecalling || r.state == inRecording) != (r.pub != nil) {
			return fmt.Errorf("identifier %d is in state %d with a message to hand over: %t", id, r.state, r.pub != nil)
		}
		if e.answered && !e.reason.Failed() && (r.state != inAccepted || !r.rec.Accepted) {
			return fmt.Errorf("identifier %d would get a positive PUBREC that nothing backs", id)
		}
	}
	if counted != u.counted || m.phase == phaseOpen && owed != u.qos2.len() {
		return fmt.Errorf("QoS 2 accounts: %d of %d counted, %d of %d PUBRECs owed", counted, u.counted, owed, u.qos2.len())
	}
	if m.v5() && m.phase == phaseOpen && u.qos1.len()+counted > window {
		return fmt.Errorf("%d PUBLISH packets without answer, Receive Maximum is %d", u.qos1.len()+counted, window)
	}
	if c := u.recall; m.phase == phaseOpen && c != nil && (len(c.waiting) == 0 || len(c.waiting) > window || !c.asked && c.at.IsZero()) {
		return fmt.Errorf("%d messages wait for word of their outcome, asked for: %t", len(c.waiting), c.asked)
	}
	if len(u.aliases) > int(m.cfg.TopicAliasMaximum) {
		return fmt.Errorf("%d topic aliases of the device, %d allowed", len(u.aliases), m.cfg.TopicAliasMaximum)
	}
	return nil
}

func (m *Machine) checkDownlink() error {
	d := &m.down
	if n, most := len(d.completed), max(int(m.window), 1); n > most {
		return fmt.Errorf("%d records of completed exchanges are kept, %d allowed", n, most)
	}
	for _, r := range d.completed {
		if _, used := d.exchanges[r.ID]; used {
			return fmt.Errorf("identifier %d is in use although the record of a completed exchange has it", r.ID)
		}
	}
	slots, stale, flying, owed := 0, 0, 0, 0
	deliveries := make(map[uint64]packet.ID)
	for id, o := range d.exchanges {
		if id == 0 || id != o.rec.ID {
			return fmt.Errorf("exchange of identifier %d is kept under %d", o.rec.ID, id)
		}
		if o.slot {
			slots++
		}
		if o.stale {
			stale++
		}
		if o.flying {
			flying++
		}
		if o.owed {
			owed++
		}
		if o.delivery != 0 {
			if other, twice := deliveries[o.delivery]; twice {
				return fmt.Errorf("delivery %d belongs to identifiers %d and %d", o.delivery, other, id)
			}
			deliveries[o.delivery] = id
			if o.stale || o.settled {
				return fmt.Errorf("identifier %d holds a delivery that is gone", id)
			}
		}
		if (o.state == outQueued) != (o.pub != nil) {
			return fmt.Errorf("identifier %d is in state %d with a packet to send: %t", id, o.state, o.pub != nil)
		}
	}
	switch {
	case slots != d.slots || stale != d.stale || flying != d.flying || owed != d.owed:
		return fmt.Errorf("downlink accounts: %d of %d slots, %d of %d stale, %d of %d sent, %d of %d of earlier connections",
			slots, d.slots, stale, d.stale, flying, d.flying, owed, d.owed)
	case m.phase == phaseOpen && flying > d.window:
		return fmt.Errorf("%d PUBLISH packets without answer, the window is %d", flying, d.window)
	case len(d.queue) > slots:
		return fmt.Errorf("%d packets queued, %d slots in use", len(d.queue), slots)
	case len(d.exchanges) >= packetIDs:
		return fmt.Errorf("%d exchanges leave no packet identifier free", len(d.exchanges))
	case len(d.aliases) > int(m.conn.aliasMax):
		return fmt.Errorf("%d topic aliases towards the device, %d allowed", len(d.aliases), m.conn.aliasMax)
	case len(d.answered.entries) > m.answeredMax():
		return fmt.Errorf("%d answered messages remembered, %d allowed", len(d.answered.entries), m.answeredMax())
	}
	return nil
}

func (m *Machine) checkWaiting() error {
	switch {
	case len(m.held) > ReadAhead:
		return fmt.Errorf("%d packets held, %d allowed", len(m.held), ReadAhead)
	case m.phase == phaseOpen && len(m.held) > 0 && !m.paused:
		return errors.New("packets are held, but reading goes on")
	case m.phase == phaseOpen && m.paused && len(m.held) == 0 && !m.slowed():
		return errors.New("reading is paused, but nothing is held")
	case len(m.subs.left) > leftFiltersMax:
		return fmt.Errorf("%d filters of ended subscriptions are remembered, %d allowed", len(m.subs.left), leftFiltersMax)
	case len(m.subs.requests) > requestsMax+1:
		return fmt.Errorf("%d requests under way, %d allowed", len(m.subs.requests), requestsMax+1)
	case m.phase == phaseOpen && len(m.subs.list) > m.limits.SubscriptionsMax && m.subs.resumed <= m.limits.SubscriptionsMax:
		return fmt.Errorf("%d subscriptions, %d allowed", len(m.subs.list), m.limits.SubscriptionsMax)
	case m.persistent() && len(m.stores) > len(m.up.records)+len(m.down.exchanges)+m.down.unasked+1:
		return fmt.Errorf("%d Stores without answer for %d exchanges", len(m.stores), len(m.up.records)+len(m.down.exchanges))
	}
	seen := make(map[string]bool)
	for _, s := range m.subs.list {
		if seen[s.Filter] {
			return fmt.Errorf("filter %q is subscribed twice", s.Filter)
		}
		seen[s.Filter] = true
	}
	return nil
}
