package session

import (
	"fmt"
	"strings"

	"sluice/mqtt/packet"
)

// bounds: never more PUBLISH packets than the device takes, and no lane has more outstanding than its share.
func (w *watcher) bounds() error {
	if !w.connected || w.closed {
		return nil
	}
	unacked := 0
	for _, s := range w.sent {
		if !s.released {
			unacked++
		}
	}
	if unacked > w.window || w.lanes == 0 && w.credit[""]+unacked > w.window {
		return fmt.Errorf("credit %d and %d PUBLISH packets without answer, the window is %d", w.credit[""], unacked, w.window)
	}
	open := map[string]int{}
	for delivery, ev := range w.open {
		if ev.Lane != "" && !w.handed[delivery] {
			open[ev.Lane]++
		}
	}
	for lane, n := range open {
		if credit, most := w.credit[lane], max(1, w.window/2); credit > 0 && credit+n > most {
			return fmt.Errorf("lane %q: credit %d and %d unsettled, at most %d are allowed", lane, credit, n, most)
		}
	}
	return nil
}

func (w *watcher) sending(p packet.Packet) error {
	if w.closed {
		return fmt.Errorf("%s after CloseConnection", p.Type())
	}
	wire, err := packet.Append(nil, p, w.m.Version())
	if err != nil {
		return err
	}
	if w.maxPacket > 0 && len(wire) > int(w.maxPacket) {
		return fmt.Errorf("%s of %d bytes, the device takes %d", p.Type(), len(wire), w.maxPacket)
	}
	if a, ok := p.(*packet.Connack); ok {
		if w.connected {
			return fmt.Errorf("a second CONNACK")
		}
		w.connected = a.Reason == packet.Success
		return nil
	}
	if a, ok := p.(*packet.Auth); ok && !w.asked && !w.asksAuth && (w.connected || a.Reason == packet.ContinueAuthentication) {
		return nil
	}
	if !w.connected {
		return fmt.Errorf("%s before CONNACK", p.Type())
	}
	switch p := p.(type) {
	case *packet.Ack:
		return w.sendingAck(p)
	case *packet.Publish:
		if p.Topic != "" && w.heldBack(p.Topic) {
			return fmt.Errorf("PUBLISH of %s, which the device may not hear", p.Topic)
		}
		return w.sendingPublish(p)
	}
	return nil
}

func (w *watcher) sendingAck(p *packet.Ack) error {
	switch p.Kind {
	case packet.PUBACK:
		if p.Reason == packet.PacketIDInUse {
			return nil
		}
		if len(w.owed) == 0 {
			return fmt.Errorf("PUBACK %d without PUBLISH", p.ID)
		}
		token := w.owed[0]
		w.owed = w.owed[1:]
		ok, answered := w.success[token]
		if !answered || ok == p.Reason.Failed() {
			return fmt.Errorf("PUBACK %d with %s, but the bus has answered %t, positively %t", p.ID, code(p.Reason), answered, ok)
		}
	case packet.PUBREC:
		if !p.Reason.Failed() && !w.backed[p.ID] {
			return fmt.Errorf("PUBREC %d that nothing backs", p.ID)
		}
	case packet.PUBREL:
		if o := w.sent[p.ID]; o != nil && p.Reason == packet.Success {
			o.released = true
		}
	case packet.PUBCOMP:
		for _, s := range w.stores {
			for _, op := range s.Ops {
				if del, ok := op.(DeleteInbound); ok && del.ID == p.ID {
					return fmt.Errorf("PUBCOMP %d before its record is gone", p.ID)
				}
			}
		}
		delete(w.backed, p.ID)
	}
	return nil
}

func (w *watcher) sendingPublish(p *packet.Publish) error {
	if p.QoS == 0 {
		return nil
	}
	if o := w.sent[p.ID]; o != nil {
		return fmt.Errorf("identifier %d is in use", p.ID)
	}
	o := w.m.down.exchanges[p.ID]
	rec := o.rec
	w.begun[rec.Identity] = true
	w.sent[p.ID] = &sentOut{identity: known(o.lane.filter, rec.Identity), qos: p.QoS}
	if o.lane.shared() {
		w.ofGroups++
	}
	if o.lane.shared() && p.QoS == 2 {
		return fmt.Errorf("a QoS 2 PUBLISH of a group that was not handed over")
	}
	if p.QoS == 2 && w.persistent && !p.Dup {
		for _, s := range w.stores {
			for _, op := range s.Ops {
				if put, ok := op.(PutOutbound); ok && put.Record.ID == p.ID && !put.Record.Released {
					return fmt.Errorf("QoS 2 PUBLISH before its record was stored")
				}
			}
		}
	}
	return nil
}

// noteQoS0: a message whose subscription grants QoS 0 needs no answer.
func (w *watcher) noteQoS0(ev Event, effects []Effect) {
	arrived, ok := ev.(MessageArrived)
	if !ok {
		return
	}
	for _, e := range effects {
		if s, ok := e.(SendPacket); ok {
			if p, ok := s.Packet.(*packet.Publish); ok && p.QoS == 0 {
				w.asQoS0[arrived.Delivery] = true
			}
		}
	}
}

// known is what the device's word on a message is kept under: a group's message is not the session's, though it may be the same.
func known(lane, identity string) string {
	if lane == "" {
		return identity
	}
	return lane + " " + identity
}

func (w *watcher) settled(e Settle) error {
	ev, ok := w.open[e.Delivery]
	if !ok {
		return fmt.Errorf("delivery %d is not there to settle", e.Delivery)
	}
	if w.handed[e.Delivery] {
		return fmt.Errorf("delivery %d is being handed over", e.Delivery)
	}
	delete(w.open, e.Delivery)
	if e.Outcome != SettleAccepted || w.known[known(ev.Lane, ev.Message.Identity)] {
		return nil
	}
	msg := ev.Message
	if msg.PossibleDuplicate && msg.Unique && w.begun[msg.Identity] {
		return nil // the other copy is the one that counts
	}
	// A QoS 0 message that comes again after the lane was lost has no trace on the device's side.
	if msg.FromSelf || strings.HasPrefix(msg.Publish.Topic, "$") || w.asQoS0[e.Delivery] || w.excused[e.Delivery] || msg.Publish.QoS == 0 || msg.Seen {
		// What was settled without the device is settled the same way should the session lane bring it again.
		if ev.Lane == "" {
			w.known[msg.Identity] = true
		}
		return nil
	}
	return fmt.Errorf("delivery %d accepted before the device acknowledged it", e.Delivery)
}
