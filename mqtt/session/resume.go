package session

import (
	"maps"
	"slices"

	"sluice/mqtt/packet"
)

// resume takes up what earlier connections left. PUBREL packets go out at once [MQTT-4.4.0-1]; PUBLISH packets follow as the bus brings
// their messages, for it alone has the payloads.
func (m *Machine) resume(s State) {
	for _, sub := range s.Subscriptions {
		m.subs.put(sub)
	}
	m.subs.resumed = len(m.subs.list)
	m.noteWanted()
	for _, rec := range s.Inbound {
		r := &inbound{rec: rec}
		if rec.Accepted {
			r.state = inAccepted
		}
		if m.up.records == nil {
			m.up.records = make(map[packet.ID]*inbound)
		}
		m.up.records[rec.ID] = r
	}
	records := slices.SortedFunc(slices.Values(s.Outbound), func(a, b Outbound) int {
		if a.Order < b.Order {
			return -1
		}
		return 1
	})
	for _, rec := range records {
		m.resumeExchange(rec)
		if m.down.suspect == nil {
			m.suspect(rec.ID)
		}
	}
	// More than a window of records that are done: a write that was to remove one has failed, or the window was larger.
	if ops := m.trimCompleted(); ops != nil {
		m.emit(Store{Ops: ops})
	}
}

func (m *Machine) resumeExchange(rec Outbound) {
	d := &m.down
	if d.exchanges == nil {
		d.exchanges = make(map[packet.ID]*outbound)
	}
	// Going on from the last order also goes on from the last identifier: what an earlier connection used comes round last.
	d.lastOrder, d.lastID = rec.Order, rec.ID
	if rec.Done {
		d.completed = append(d.completed, rec)
		return
	}
	o := &outbound{rec: rec, lane: &d.session, owed: rec.QoS == 2}
	d.exchanges[rec.ID] = o
	m.setStale(o, true)
	if o.owed {
		d.owed++
	}
	if rec.Released {
		o.state = outReleased
		m.sendAck(packet.PUBREL, rec.ID, packet.Success, Explanation{})
	}
}

// State is what a store holds, or will hold once the Stores under way are done.
func (m *Machine) State() State {
	var s State
	for _, sub := range m.subs.list {
		s.Subscriptions = append(s.Subscriptions, sub.Subscription)
	}
	for _, id := range slices.Sorted(maps.Keys(m.up.records)) {
		if r := m.up.records[id]; r.state != inRefusing && r.state != inReleasing {
			s.Inbound = append(s.Inbound, r.rec)
		}
	}
	for _, o := range slices.SortedFunc(maps.Values(m.down.exchanges), byOrder) {
		if !o.lane.shared() {
			s.Outbound = append(s.Outbound, o.rec)
		}
	}
	s.Outbound = append(s.Outbound, m.down.completed...)
	return s
}
