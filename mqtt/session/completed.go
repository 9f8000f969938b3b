package session

import (
	"slices"

	"sluice/mqtt/packet"
)

// completed are the latest QoS 2 exchanges that the device has ended with PUBCOMP, oldest first, at most a window of them.
//
// The bus confirms no settlement. One that was written to a connection which carried nothing any more, or died with its node, brings the message
// again to whoever owns the session then. So a record is kept, marked Done, until it cannot matter any more: what the bus has delivered and
// not seen settled is never more than the window it gave credit for, since credit travels behind the settlements that made room for
// it. What was completed a window ago has therefore reached the bus. The records also tell a second copy that a publisher's change of nodes has put on
// the bus, which comes soon after the first; for that a session that ends with its connection has them, too, in memory.
type completed []Outbound

// has reports whether an identifier names a kept record: a new exchange must not overwrite it in the store.
func (c completed) has(id packet.ID) bool {
	return slices.ContainsFunc(c, func(r Outbound) bool { return r.ID == id })
}

// complete keeps the record of an exchange that is over. The store has it where another connection can get the message.
func (m *Machine) complete(rec Outbound) {
	d := &m.down
	d.lastOrder++
	rec.Released, rec.Done, rec.Order = true, true, d.lastOrder
	d.completed = append(d.completed, rec)
	ops := append([]Op{PutOutbound{Record: rec}}, m.trimCompleted()...)
	if m.persistent() {
		m.emit(Store{Ops: ops})
	}
}

// trimCompleted forgets the oldest beyond a window.
func (m *Machine) trimCompleted() (ops []Op) {
	d := &m.down
	for len(d.completed) > max(int(m.window), 1) {
		ops = append(ops, DeleteOutbound{ID: d.completed[0].ID})
		d.completed = d.completed[1:]
	}
	return ops
}

// completedAgain settles a message whose exchange the device has ended. Only what the bus says it delivered before can be one, or what its sender
// says may be on the bus twice, and only an identity that no other message has tells it apart: anything else is a message of its own.
func (m *Machine) completedAgain(ev MessageArrived) bool {
	d := &m.down
	if !ev.Message.Redelivered && !ev.Message.PossibleDuplicate || !ev.Message.Unique {
		return false
	}
	i := slices.IndexFunc(d.completed, func(r Outbound) bool { return r.Identity == ev.Message.Identity })
	if i < 0 {
		return false
	}
	rec := d.completed[i]
	d.completed = slices.Delete(d.completed, i, i+1)
	d.answered.take(rec.Identity, d.session.gen)
	m.settle(&d.session, ev.Delivery, rec.Identity, accepted)
	m.complete(rec) // this settlement can get lost as well
	return true
}
