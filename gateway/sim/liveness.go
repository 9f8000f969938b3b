package sim

import (
	"errors"
	"fmt"
	"slices"
)

// unfinished says what is still to be done after the faults have ended, nil when everything is delivered, acknowledged and cleaned up.
func (w *world) unfinished() error {
	for _, d := range w.devices {
		switch {
		case d.gone:
		case !d.online:
			return fmt.Errorf("%s is not connected", d.id)
		case d.conn.up.broken:
			return fmt.Errorf("%s has not noticed that its connection is dead", d.id)
		case len(d.sending) > 0:
			o := d.sending[0]
			return fmt.Errorf("%s has not seen the end of %s, identifier %d, PUBREC %t", d.id, o.key, o.id, o.pubrec)
		case len(d.backlog) > 0:
			return fmt.Errorf("%s has %d messages to publish", d.id, len(d.backlog))
		case d.holds > 0:
			return fmt.Errorf("%s waits for %d PUBREL", d.id, d.holds)
		case len(d.requests) > 0:
			return fmt.Errorf("%s has %d requests without answer", d.id, len(d.requests))
		}
	}
	for _, due := range w.oracle.pending {
		if due.r.acked && !due.done && !due.waived && !due.d.gone {
			return fmt.Errorf("lost: %s was acknowledged to %s and is not delivered to %s", due.r.key, due.r.publisher.id, due.d.id)
		}
	}
	if undone := w.oracle.undone(); undone != "" {
		return errors.New(undone)
	}
	for _, check := range []func() error{w.ownerLeftovers, w.storeLeftovers, w.inboxLeftovers, w.busLeftovers, w.groupLeftovers, w.nodeLeftovers} {
		if err := check(); err != nil {
			return err
		}
	}
	return nil
}

// ownerLeftovers: who owns a session serves it. What a dead node owned is released by now, also when a node of its name lives.
func (w *world) ownerLeftovers() error {
	for _, key := range w.store.keys {
		s := w.store.session(key)
		if s == nil || s.Owner == "" {
			continue
		}
		if w.device(key.ClientID).gone && w.oracle.unanswered[key] {
			continue // it stays until the device comes back, or the node ends
		}
		serves := func(n *node) bool {
			sh := n.directory[key]
			return n.alive && n.life == s.Owner && sh != nil && sh.epoch == s.Epoch
		}
		if !slices.ContainsFunc(w.nodes, serves) {
			return fmt.Errorf("the store says that %s owns the session of %s with epoch %d, and it does not serve it", s.Owner, key.ClientID, s.Epoch)
		}
	}
	return nil
}

// storeLeftovers: no record stays of a complete exchange, but for a window of those that are kept in case a settlement was lost.
func (w *world) storeLeftovers() error {
	for _, key := range w.store.keys {
		s := w.store.session(key)
		over := 0
		if s != nil {
			for _, r := range s.Outbound {
				if r.Done {
					over++
				}
			}
		}
		switch {
		case s == nil, w.device(key.ClientID).gone:
		case len(s.Inbound) > 0:
			return fmt.Errorf("the store keeps %+v of %s", s.Inbound[0], key.ClientID)
		case len(s.Outbound) > over:
			return fmt.Errorf("the store keeps %+v of %s, %d of them over", s.Outbound, key.ClientID, over)
		case over > outboundWindow:
			return fmt.Errorf("the store keeps %d completed exchanges of %s", over, key.ClientID)
		}
	}
	return nil
}

// inboxLeftovers: no queue stays of a session that has ended, but for an empty one without bindings: a request to make it can be on its way
// when its session ends. That is what its expiry on the bus is for.
func (w *world) inboxLeftovers() error {
	for _, q := range w.broker.queues {
		if d := w.oracle.owner(q); d != nil && len(q.patterns)+len(q.ready) > 0 {
			if s := w.store.session(keyOf(d.id)); s == nil || s.Inbox != q.name {
				return fmt.Errorf("the queue %s has no session", q.name)
			}
		}
	}
	return nil
}

// busLeftovers: the queues of the sessions are empty, each with one consumer that has its credit back; also where all subscriptions have QoS 0 by now.
func (w *world) busLeftovers() error {
	for _, key := range w.store.keys {
		s := w.store.session(key)
		if s == nil || w.device(key.ClientID).gone || s.Inbox == "" || len(s.Subscriptions) == 0 {
			continue
		}
		q := w.broker.queue(s.Inbox)
		switch {
		case q == nil:
			return fmt.Errorf("the bus has no queue %s", s.Inbox)
		case len(q.ready) > 0:
			return fmt.Errorf("%d messages wait in %s, the first is %s", len(q.ready), q.name, q.ready[0].key)
		case len(q.consumers) != 1:
			return fmt.Errorf("%s has %d consumers", q.name, len(q.consumers))
		case len(q.consumers[0].unsettled) > 0:
			return fmt.Errorf("%s is not settled in %s", q.consumers[0].unsettled[0].key, q.name)
		}
		// Credit is given in batches of half a window, so more than half of it is out when nothing is under way.
		c, window := q.consumers[0], outboundWindow
		if d := w.oracle.owner(q); d.receiveMax > 0 {
			window = min(window, int(d.receiveMax))
		}
		// A session in a group gives half of its window to that, from then on.
		if shared := len(s.Groups) > 0; !shared && 2*c.credit <= window || c.credit > window || c.credit == 0 {
			return fmt.Errorf("credit: %s has %d at rest, the window is %d", q.name, c.credit, window)
		}
	}
	return nil
}

// nodeLeftovers: each node has a shell for each device connected to it, and no other. One that perished may have left a connection that ends with
// its keep-alive.
func (w *world) nodeLeftovers() error {
	shells, devices := 0, 0
	for _, n := range w.nodes {
		for _, sh := range n.shells {
			switch d := sh.conn.d; {
			case d.gone:
			case d.conn != sh.conn:
				return fmt.Errorf("%s keeps a dead connection of %s", n.id, d.id)
			default:
				shells++
			}
		}
	}
	for _, d := range w.devices {
		if !d.gone {
			devices++
		}
	}
	if shells != devices {
		return fmt.Errorf("%d connections for %d devices", shells, devices)
	}
	return nil
}
