package session

import (
	"strconv"

	"sluice/mqtt/packet"
)

// uplink is what the device has published and not seen the end of.
type uplink struct {
	qos0, qos1, qos2 ledger
	ids1             map[packet.ID]struct{} // in qos1
	records          map[packet.ID]*inbound // QoS 2, until PUBREL
	counted          int                    // records that take up Receive Maximum
	recall           *recall                // nil while nothing is looked for
	tokens           uint64
	aliases          map[uint16]string
}

// publishBlocked reports whether a PUBLISH must wait for room in the window. MQTT 5 devices know their window at QoS 1 and 2 and are held to
// it; nothing tells a device about QoS 0, or a 3.1.1 device about anything, but that we stop reading. See recall for the other reason to wait.
func (m *Machine) publishBlocked(p *packet.Publish) bool {
	window := int(m.limits.ReceiveMaximum)
	if p.QoS == 0 {
		window = min(window, qos0Window)
	}
	if len(m.held) > 0 {
		window = max(1, window/2) // we have stopped, and go on when there is room for many: a single one would be a read and a wake-up each time
	}
	switch {
	case p.QoS == 0:
		return m.up.qos0.len() >= window
	case p.QoS == 2 && m.up.recall != nil && m.up.records[p.ID] == nil:
		return true // a new message does not pass those whose outcome is looked for
	case m.v5():
		return false
	}
	return m.up.qos1.len()+m.up.qos2.len() >= window
}

// checkPublish reports what forbids a PUBLISH, and resolves its Topic Alias or opens its property bag.
func (m *Machine) checkPublish(p *packet.Publish) *packet.Error {
	switch {
	case byte(p.QoS) > m.cfg.MaximumQoS:
		return violation(packet.QoSNotSupported, "MQTT-3.2.2-11", "PUBLISH has a higher QoS than this server offers")
	case p.Retain && !m.cfg.RetainAvailable:
		return violation(packet.RetainNotSupported, "MQTT-3.2.2-14",
			"PUBLISH is to be retained, which this server does not offer")
	case len(p.Properties.SubscriptionIDs) > 0:
		return violation(packet.ProtocolError, "MQTT-3.3.4-6", "PUBLISH of a client has a Subscription Identifier")
	case p.QoS > 0 && p.ID == 0:
		return violation(packet.ProtocolError, "MQTT-2.2.1-3", "PUBLISH has no Packet Identifier")
	}
	if m.cfg.PropertyBag && !m.v5() {
		return openBag(&p.Topic, &p.Properties)
	}
	return m.resolveAlias(p)
}

func (m *Machine) publish(p *packet.Publish) {
	if err := m.checkPublish(p); err != nil {
		m.fail(err.Reason, err.Clause, err.Detail)
		return
	}
	switch p.QoS {
	case 0:
		m.handOver(&m.up.qos0, p, m.nextMessageID(), false)
	case 1:
		m.publish1(p)
	default:
		m.publish2(p)
	}
}

func (m *Machine) publish1(p *packet.Publish) {
	if _, pending := m.up.ids1[p.ID]; pending {
		if !p.Dup {
			m.fail(packet.ProtocolError, "MQTT-2.2.1-3", "PUBLISH has the Packet Identifier of one that has no answer yet")
		}
		// Sent again although the connection lasts: the answer under way is for both.
		return
	}
	if !m.admit() {
		return
	}
	if m.up.ids1 == nil {
		m.up.ids1 = make(map[packet.ID]struct{})
	}
	m.up.ids1[p.ID] = struct{}{}
	if m.v5() && m.up.records[p.ID] != nil {
		// The device has forgotten a QoS 2 exchange that we remember; 3.1.1 has no way to say so, and no harm comes of it.
		x := m.explain(Failure{Reason: packet.PacketIDInUse, Text: "a QoS 2 exchange with this Packet Identifier is not complete", ID: p.ID})
		m.up.qos1.push(ledgerEntry{
			token: m.nextToken(1), id: p.ID, answered: true,
			reason: packet.PacketIDInUse, text: x.Text, user: x.User,
		})
		m.sendPubacks()
		return
	}
	m.handOver(&m.up.qos1, p, m.nextMessageID(), p.Dup)
}

// admit checks the Receive Maximum for one more QoS 1 or 2 PUBLISH [MQTT-3.3.4-7]. 3.1.1 has none: there reading stops instead.
func (m *Machine) admit() bool {
	if m.v5() && m.up.qos1.len()+m.up.counted >= int(m.limits.ReceiveMaximum) {
		m.fail(packet.ReceiveMaximumExceeded, "MQTT-3.3.4-7",
			"more PUBLISH packets without answer than the Receive Maximum of "+strconv.Itoa(int(m.limits.ReceiveMaximum)))
		return false
	}
	return true
}

// handOver gives a message to the bus; its answer is awaited in the ledger.
func (m *Machine) handOver(l *ledger, p *packet.Publish, messageID string, duplicate bool) {
	token := m.nextToken(p.QoS)
	l.push(ledgerEntry{token: token, id: p.ID})
	m.emit(Publish{Token: token, Packet: p, MessageID: messageID, Duplicate: duplicate})
}

// tokenQoS is where a token says its QoS, so that its ledger is known.
const tokenQoS = 3

func (m *Machine) nextToken(q packet.QoS) uint64 {
	m.up.tokens++
	return m.up.tokens<<2 | uint64(q)
}

// nextMessageID is unique for ever: the prefix has the session's incarnation and the connection's epoch in it.
func (m *Machine) nextMessageID() string {
	m.conn.msgCount++
	var digits [13]byte
	return m.conn.msgPrefix + string(strconv.AppendUint(digits[:0], m.conn.msgCount, 36))
}

func (m *Machine) publishAnswered(ev PublishAnswered) {
	switch ev.Token & tokenQoS {
	case 0:
		// Nobody is told at QoS 0; the shell counts what the bus refused.
		answer(&m.up.qos0, ev)
		for ok := true; ok; {
			_, ok = m.up.qos0.popAnswered()
		}
	case 1:
		if answer(&m.up.qos1, ev) {
			m.sendPubacks()
		}
	case 2:
		m.publish2Answered(ev)
	}
}

func answer(l *ledger, ev PublishAnswered) bool {
	e := l.find(ev.Token)
	if e == nil || e.answered {
		return false
	}
	e.answered = true
	e.answer(ev)
	return true
}

// sendPubacks sends the PUBACKs whose turn it is [MQTT-4.6.0-2]. A refusal ends a 3.1.1 connection, as there is no negative PUBACK to tell
// it with, but only when its turn comes, so that what was accepted before is acknowledged.
func (m *Machine) sendPubacks() {
	for m.phase == phaseOpen {
		e, ok := m.up.qos1.popAnswered()
		if !ok {
			return
		}
		delete(m.up.ids1, e.id)
		if e.reason.Failed() && !m.v5() && !m.reported(&e) {
			m.closeRefused(&e)
			return
		}
		m.sendAck(packet.PUBACK, e.id, e.reason, Explanation{Text: e.text, User: e.user})
	}
}

// reported reports whether the device has the report of a refusal on the wire, so that it may be acknowledged.
func (m *Machine) reported(e *ledgerEntry) bool {
	return e.report != nil && m.sendRecord(e.report, true)
}
