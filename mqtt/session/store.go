package session

import "sluice/mqtt/packet"

// then says how a Store goes on once it is confirmed.
type then uint8

const (
	thenPublish     then = iota // inbound record made: hand the message to the bus
	thenPubrec                  // inbound record accepted, or removed because the message was refused
	thenPubcomp                 // inbound record removed
	thenSend                    // outbound record made: PUBLISH may leave
	thenPubrel                  // outbound record released: settle, PUBREL
	thenSettle                  // the session is ours: settle what needs no answer of the device
	thenSuback                  // subscriptions made
	thenUnsubscribe             // subscriptions removed
)

type pendingStore struct {
	id   uint64
	then then
	pid  packet.ID
	out  *outbound    // thenSend, thenPubrel
	held *heldVerdict // thenSettle
}

// store has the ops written and goes on with next when they are. A session that ends with its connection has nothing to write.
func (m *Machine) store(next pendingStore, ops ...Op) {
	if !m.persistent() || len(ops) == 0 {
		m.goOn(next)
		return
	}
	m.nextID++
	next.id = m.nextID
	m.stores = append(m.stores, next)
	m.emit(Store{ID: next.id, Ops: ops})
}

// noteOutbound has a record written without waiting for it: QoS 1 may come twice, and a write for each message waited for would halve
// the pace.
func (m *Machine) noteOutbound(rec Outbound) {
	if m.persistent() {
		m.emit(Store{Ops: []Op{PutOutbound{Record: rec}}})
	}
}

// noteOutboundGone has a record removed without waiting for it: should it be left over, a resumed session closes it.
func (m *Machine) noteOutboundGone(id packet.ID) {
	if m.persistent() {
		m.emit(Store{Ops: []Op{DeleteOutbound{ID: id}}})
	}
}

func (m *Machine) stored(ev Stored) {
	for i, s := range m.stores {
		if s.id != ev.ID {
			continue
		}
		m.stores = append(m.stores[:i], m.stores[i+1:]...)
		if ev.Err == StoreOK {
			m.goOn(s)
		} else {
			m.storeFailed(ev.Err)
		}
		return
	}
}

func (m *Machine) goOn(s pendingStore) {
	switch s.then {
	case thenPublish:
		m.recorded(s.pid)
	case thenPubrec:
		m.decided(s.pid)
	case thenPubcomp:
		m.released(s.pid)
	case thenSend:
		s.out.ready = true
		m.sendQueued()
	case thenPubrel:
		m.sendPubrel(s.out)
	case thenSettle:
		m.settleHeld(s.held)
	case thenSuback:
		m.suback()
	case thenUnsubscribe:
		m.removeSubscriptions()
	}
}

func (m *Machine) storeFailed(err StoreError) {
	// What was to be confirmed never will be: nothing more is to be recorded on this connection.
	m.stores, m.down.unasked, m.down.session.unasked = nil, 0, 0
	for _, l := range m.down.shared {
		l.unasked = 0
	}
	if err == StoreFenced {
		// Another connection owns the session, perhaps for long: it answers for the Will.
		m.takenOver()
		m.ending.noWill = true
		m.close(packet.SessionTakenOver, "another connection has taken the session over")
		return
	}
	m.timers.lingerUntil = m.now
	m.close(packet.ServerBusy, "the session's state cannot be stored at present")
}
