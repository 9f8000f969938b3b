package session

import "sluice/mqtt/packet"

// puback ends a QoS 1 exchange.
func (m *Machine) puback(p *packet.Ack) {
	o := m.down.exchanges[p.ID]
	switch {
	case o == nil:
		return // answered before; nothing hangs on it
	case o.rec.QoS != 1:
		m.fail(packet.ProtocolError, "MQTT-4.3.3-3", "PUBACK for a QoS 2 PUBLISH")
	case o.state == outQueued:
		m.fail(packet.ProtocolError, "MQTT-4.3.2-4", "PUBACK for a PUBLISH that was not sent yet")
	case p.Reason.Failed():
		m.end(o, refusedBy(p)) // never sent again [MQTT-4.4.0-2]
	default:
		m.end(o, accepted)
	}
}

// pubrec is the first half of a QoS 2 exchange.
func (m *Machine) pubrec(p *packet.Ack) {
	o := m.down.exchanges[p.ID]
	switch {
	case o == nil || o.state == outDone:
		if !p.Reason.Failed() {
			m.sendAck(packet.PUBREL, p.ID, packet.PacketIDNotFound, Explanation{})
		}
	case o.rec.QoS != 2:
		m.fail(packet.ProtocolError, "MQTT-4.3.2-4", "PUBREC for a QoS 1 PUBLISH")
	case o.state == outQueued:
		m.fail(packet.ProtocolError, "MQTT-4.3.3-2", "PUBREC for a PUBLISH that was not sent yet")
	case o.state == outReleasing:
		// Its PUBREL is on the way.
	case o.state == outReleased:
		m.sendAck(packet.PUBREL, p.ID, packet.Success, Explanation{})
	case p.Reason.Failed():
		m.end(o, refusedBy(p)) // [MQTT-4.4.0-2]
	default:
		m.release(o)
	}
}

// release records that the device has the message, so that no resumed session sends it again [MQTT-4.3.3-6]. Only then may the bus forget
// it. Stores are answered in order, so PUBRELs leave in the order of the PUBRECs [MQTT-4.6.0-4].
func (m *Machine) release(o *outbound) {
	o.state, o.rec.Released = outReleasing, true
	m.store(pendingStore{then: thenPubrel, out: o}, PutOutbound{Record: o.rec})
}

func (m *Machine) sendPubrel(o *outbound) {
	o.state = outReleased
	if !o.orphan {
		m.settleReleased(o)
	}
	if m.phase == phaseOpen {
		m.sendAck(packet.PUBREL, o.rec.ID, packet.Success, Explanation{})
	}
}

// settleReleased settles an exchange past PUBREC; it stays open until PUBCOMP.
func (m *Machine) settleReleased(o *outbound) {
	if o.delivery == 0 {
		return
	}
	m.settle(o.lane, o.delivery, o.rec.Identity, accepted)
	o.delivery, o.settled = 0, true
}

// pubcomp ends a QoS 2 exchange, whatever its reason: 0x92 says that the device had ended it before.
func (m *Machine) pubcomp(p *packet.Ack) {
	o := m.down.exchanges[p.ID]
	switch {
	case o == nil || o.state == outDone:
		return
	case o.state != outReleased:
		m.fail(packet.ProtocolError, "MQTT-4.3.3-5", "PUBCOMP before PUBREL")
	case o.orphan:
		m.endOrphan(o, p.Reason)
	case o.settled:
		m.remove(o)
		m.complete(o.rec)
	default:
		// The bus will bring the message again to be settled. Until then the record keeps a resumed session from sending it.
		m.freeSlot(o)
		o.state = outDone
		if m.down.session.attached && m.timers.orphansAt.IsZero() {
			m.awaitOrphans()
		}
	}
}
