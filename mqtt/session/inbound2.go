package session

import "sluice/mqtt/packet"

// inbound is a QoS 2 exchange with the device as sender (MQTT 5, 4.3.3). It goes
//
//	PUBLISH -> recording -> publishing -> accepting -> accepted: PUBREC ... PUBREL -> releasing -> PUBCOMP
//	                              refused: -> refusing: PUBREC >= 0x80
//
// where recording, accepting, refusing and releasing each wait for a Store. An exchange that came from the store starts at accepted, or
// at idle when it is not known whether the bus has the message; from there PUBLISH leads to recalling, and on to accepted or recording.
type inbound struct {
	rec     Inbound
	state   inboundState
	counted bool            // PUBLISH came on this connection: it takes up Receive Maximum
	token   uint64          // of the PUBREC owed; zero is none
	pub     *packet.Publish // until it is handed over
	dup     bool
}

type inboundState uint8

const (
	inIdle inboundState = iota
	inRecalling
	inRecording
	inPublishing
	inAccepting
	inAccepted
	inRefusing
	inReleasing
)

func (m *Machine) publish2(p *packet.Publish) {
	r := m.up.records[p.ID]
	again := r != nil
	if !again {
		if r = m.newInbound(p); r == nil {
			return
		}
	} else if !m.publish2Again(r, p) {
		return
	}
	r.token = m.nextToken(2)
	m.up.qos2.push(ledgerEntry{token: r.token, id: p.ID})
	if r.state == inAccepted {
		// The bus has it: no second Publish [MQTT-4.3.3-10].
		m.pubrecReady(r)
		return
	}
	r.pub = p
	if again {
		m.beginRecall(r)
		return
	}
	m.record(r)
}

// record has the exchange stored, and then the message handed to the bus.
func (m *Machine) record(r *inbound) {
	r.state = inRecording
	// A record that is there is written once more: it keeps the order of what is behind it, and a connection that lost the session
	// learns so before it publishes.
	m.store(pendingStore{then: thenPublish, pid: r.rec.ID}, PutInbound{Record: r.rec})
}

// newInbound starts an exchange; nil when it must not.
func (m *Machine) newInbound(p *packet.Publish) *inbound {
	if _, used := m.up.ids1[p.ID]; used {
		m.fail(packet.ProtocolError, "MQTT-2.2.1-3", "PUBLISH has the Packet Identifier of one that has no answer yet")
		return nil
	}
	if !m.admit() {
		return nil
	}
	if len(m.up.records) >= m.inboundMax() {
		m.fail(packet.QuotaExceeded, "", "too many QoS 2 exchanges were begun and not ended with PUBREL")
		return nil
	}
	r := &inbound{rec: Inbound{ID: p.ID, MessageID: m.nextMessageID()}, counted: true, dup: p.Dup}
	m.up.counted++
	if m.up.records == nil {
		m.up.records = make(map[packet.ID]*inbound)
	}
	m.up.records[p.ID] = r
	return r
}

func (m *Machine) inboundMax() int { return max(m.cfg.InboundQoS2Max, int(m.limits.ReceiveMaximum)) }

// publish2Again reports whether a PUBLISH with a known identifier needs a PUBREC. Until PUBREL it is the same message, whatever its
// DUP flag says [MQTT-4.3.3-10].
func (m *Machine) publish2Again(r *inbound, p *packet.Publish) bool {
	switch {
	case r.state == inReleasing:
		m.fail(packet.ProtocolError, "MQTT-2.2.1-3", "PUBLISH has a Packet Identifier whose PUBREL has no answer yet")
		return false
	case r.token != 0:
		return false // its PUBREC is on the way
	}
	if !r.counted {
		if !m.admit() {
			return false
		}
		r.counted = true
		m.up.counted++
	}
	r.dup = true
	return true
}

// recorded: the record is stored, the message may go to the bus.
func (m *Machine) recorded(id packet.ID) {
	r := m.up.records[id]
	if m.phase != phaseOpen {
		r.state, r.pub = inIdle, nil // the device will send it again
		return
	}
	p := r.pub
	r.state, r.pub = inPublishing, nil
	m.emit(Publish{Token: r.token, Packet: p, MessageID: r.rec.MessageID, Duplicate: r.dup})
}

func (m *Machine) publish2Answered(ev PublishAnswered) {
	e := m.up.qos2.find(ev.Token)
	if e == nil {
		return
	}
	r := m.up.records[e.id]
	if r == nil || r.token != ev.Token || r.state != inPublishing {
		return
	}
	e.answer(ev)
	next := pendingStore{then: thenPubrec, pid: e.id}
	if ev.Reason.Failed() {
		r.state = inRefusing
		m.store(next, DeleteInbound{ID: e.id})
		return
	}
	r.state, r.rec.Accepted = inAccepting, true
	m.store(next, AcceptInbound{ID: r.rec.ID, MessageID: r.rec.MessageID})
}

// publishAbandoned: the outcome will not be known, and is not waited for.
func (m *Machine) publishAbandoned(token uint64) {
	e := m.up.qos2.find(token)
	if e == nil || !m.ending.taken {
		return
	}
	if r := m.up.records[e.id]; r != nil && r.token == token && r.state == inPublishing {
		r.state = inIdle
	}
}

// decided: what the bus said is stored, PUBREC may go out.
func (m *Machine) decided(id packet.ID) {
	r := m.up.records[id]
	if r.state == inAccepting {
		r.state = inAccepted
	}
	e := m.up.qos2.find(r.token)
	if m.phase != phaseOpen && e.reason.Failed() {
		m.dropInbound(r)
		return
	}
	m.pubrecReady(r)
}

func (m *Machine) pubrecReady(r *inbound) {
	m.up.qos2.find(r.token).answered = true
	m.sendPubrecs()
}

// sendPubrecs sends the PUBRECs whose turn it is [MQTT-4.6.0-3]; see sendPubacks.
func (m *Machine) sendPubrecs() {
	for m.phase == phaseOpen {
		e, ok := m.up.qos2.popAnswered()
		if !ok {
			return
		}
		r := m.up.records[e.id]
		r.token = 0
		if e.reason.Failed() {
			m.dropInbound(r) // a negative PUBREC ends the exchange [MQTT-4.3.3-9]
			if !m.v5() && !m.reported(&e) {
				m.closeRefused(&e)
				return
			}
		}
		m.sendAck(packet.PUBREC, e.id, e.reason, Explanation{Text: e.text, User: e.user})
	}
}

func (m *Machine) dropInbound(r *inbound) {
	if r.counted {
		m.up.counted--
	}
	delete(m.up.records, r.rec.ID)
}

func (m *Machine) pubrel(p *packet.Ack) {
	r := m.up.records[p.ID]
	switch {
	case r == nil:
		m.sendAck(packet.PUBCOMP, p.ID, packet.PacketIDNotFound, Explanation{})
	case r.state == inReleasing:
		// Its PUBCOMP is on the way.
	case r.token != 0:
		m.fail(packet.ProtocolError, "MQTT-4.3.3-4", "PUBREL before PUBREC")
	default:
		// From idle too: the device claims a PUBREC that was never sent, so the message is gone on its side.
		r.state = inReleasing
		m.store(pendingStore{then: thenPubcomp, pid: p.ID}, DeleteInbound{ID: p.ID})
	}
}

// released: the record is gone, PUBCOMP may go out [MQTT-4.3.3-11].
func (m *Machine) released(id packet.ID) {
	r := m.up.records[id]
	m.dropInbound(r)
	if m.phase != phaseOpen {
		return
	}
	reason := packet.Success
	if !r.rec.Accepted {
		reason = packet.PacketIDNotFound
	}
	m.sendAck(packet.PUBCOMP, id, reason, Explanation{})
}
