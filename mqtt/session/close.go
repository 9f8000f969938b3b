package session

import "sluice/mqtt/packet"

// ending is what is known about how the connection ends and what it leaves behind.
type ending struct {
	opening bool // OpenSession has no answer yet
	opened  bool // there is a session to release
	lost    bool // the transport is gone
	noWill  bool // the Will is deleted, or kept back
	taken   bool // another connection owns the session
}

// violation names the rule a packet breaks; text is for the device's developer.
func violation(reason packet.ReasonCode, clause, text string) *packet.Error {
	return &packet.Error{Reason: reason, Clause: clause, Detail: text}
}

// closing is why the machine ends a connection.
type closing struct {
	Failure
	serverReference string
	told            bool // Explain was asked already
}

// fail ends the connection because the device broke a rule.
func (m *Machine) fail(reason packet.ReasonCode, clause, text string) {
	if clause != "" {
		text += " [" + clause + "]"
	}
	m.closeFor(closing{Failure: Failure{Reason: reason, Clause: clause, Text: text}})
}

// close ends the connection for a reason that is no fault of the device.
func (m *Machine) close(reason packet.ReasonCode, text string) {
	m.closeFor(closing{Failure: Failure{Reason: reason, Text: text}})
}

// closeRefused ends a connection of MQTT 3.1.1 because a PUBLISH was refused: there is no negative acknowledgement to tell it with.
func (m *Machine) closeRefused(e *ledgerEntry) {
	m.closeFor(closing{Failure: Failure{Reason: e.reason, Text: e.text}, told: true})
}

// closeFor tells the device why, if there is a way to, and ends the connection.
//
// MQTT 5 has DISCONNECT for it, and CONNACK while CONNECT has no answer. 3.1.1 only has CONNACK: later the server just closes.
func (m *Machine) closeFor(why closing) {
	if m.phase >= phaseClosing {
		return
	}
	x := Explanation{Text: why.Text}
	if !why.told {
		x = m.explain(why.Failure)
	}
	switch m.phase {
	case phaseAuthenticating, phaseOpening:
		m.refuse(why, x)
	case phaseConnect:
		// A connection that sent no CONNECT gets no CONNACK; one whose CONNECT was read and found wanting does.
		if m.conn.known {
			m.refuse(why, x)
		}
	case phaseOpen:
		if m.v5() {
			d := &packet.Disconnect{Reason: legal(why.Reason, packet.DISCONNECT, packet.ImplementationSpecificError)}
			why.describe(&d.Properties, x)
			m.send(d)
		}
	}
	m.shut(CloseConnection{Reason: why.Reason, Text: why.Text})
}

// LastWords is the DISCONNECT for a connection that the machine cannot close any more, because it failed; nil where there is none: before CONNACK, and
// in 3.1.1.
func (m *Machine) LastWords(reason packet.ReasonCode, x Explanation) packet.Packet {
	if m.phase != phaseOpen || !m.v5() {
		return nil
	}
	d := &packet.Disconnect{Reason: reason}
	new(closing).describe(&d.Properties, x)
	if !m.fit(d) {
		return nil
	}
	return d
}

// describe puts what the device is told beside the reason into CONNACK or DISCONNECT. Even a device that wants no problem information gets it there
// [MQTT-3.1.2-29].
func (why *closing) describe(p *packet.Properties, x Explanation) {
	if x.Text != "" {
		p.SetReasonString(x.Text)
	}
	p.User = x.User
	if why.serverReference != "" {
		p.SetServerReference(why.serverReference)
	}
}

// refuse answers CONNECT with a failure [MQTT-3.1.4-2]. Such a connection never had a Will.
func (m *Machine) refuse(why closing, x Explanation) {
	m.ending.noWill = true
	if !m.v5() && brokenConnect(why.Reason) {
		return
	}
	a := &packet.Connack{Reason: legal(why.Reason, packet.CONNACK, packet.ServerUnavailable)}
	if m.v5() {
		why.describe(&a.Properties, x)
	}
	m.send(a)
}

// brokenConnect: the CONNECT, or what came behind it, breaks the protocol. 3.1.1 gets no CONNACK then: none of its return codes says so,
// and "not authorized" would send people looking for a wrong password [3.1.1 MQTT-3.1.4-1, 3.1.1 MQTT-3.2.2-6].
func brokenConnect(reason packet.ReasonCode) bool {
	switch reason {
	case packet.MalformedPacket, packet.ProtocolError, packet.PacketTooLarge, packet.TopicNameInvalid:
		return true
	}
	return false
}

func (m *Machine) shut(c CloseConnection) {
	m.emit(c)
	m.phase = phaseClosing
	m.held = nil
}

// legal replaces a code that the packet must not carry.
func legal(r packet.ReasonCode, in packet.Type, instead packet.ReasonCode) packet.ReasonCode {
	if r.LegalIn(in) {
		return r
	}
	return instead
}

func (m *Machine) packetMalformed(err *packet.Error) {
	if m.phase == phaseConnect && err.Version != 0 {
		// The version was read before the fault: the refusal can be said in it.
		m.conn.version = err.Version
		m.conn.known = true
	}
	reason := err.Reason
	if m.phase == phaseOpen && !reason.LegalIn(packet.DISCONNECT) {
		reason = packet.ProtocolError // a second CONNECT, and a bad one: DISCONNECT has no code for what is wrong with it
	}
	m.fail(reason, err.Clause, err.Detail)
}

func (m *Machine) disconnect(d *packet.Disconnect) {
	if m.v5() && d.Properties.Has(packet.PropSessionExpiry) {
		asked := d.Properties.SessionExpiry
		if asked > 0 && m.conn.askedExpiry == 0 {
			m.fail(packet.ProtocolError, "3.14.2.2.2", "DISCONNECT sets a Session Expiry Interval although CONNECT had none")
			return
		}
		m.changeExpiry(min(asked, m.cfg.SessionExpiryMax))
	}
	// Normal disconnection deletes the Will [MQTT-3.14.4-3]; any other reason leaves it to be published.
	if d.Reason == packet.Success {
		m.ending.noWill = true
	}
	m.shut(CloseConnection{Reason: d.Reason, ByDevice: true})
}

func (m *Machine) changeExpiry(seconds uint32) {
	if seconds == m.conn.expiry {
		return
	}
	if m.persistent() && seconds > 0 {
		m.emit(Store{Ops: []Op{SetExpiry{Seconds: seconds}}})
	}
	m.conn.expiry = seconds
}

func (m *Machine) closeRequested(ev CloseRequested) {
	if ev.NoWill {
		m.ending.noWill = true
	}
	switch {
	case ev.Reason == packet.SessionTakenOver:
		m.takenOver()
	case m.ending.lost:
		// Whoever asks does not want to wait for the last outcomes.
		m.timers.lingerUntil = m.now
	}
	if m.phase == phaseNew {
		m.phase = phaseConnect
	}
	m.closeFor(closing{Failure: Failure{Reason: ev.Reason, Text: ev.Text, Cause: ev.Cause}, serverReference: ev.ServerReference})
}

// takenOver: another connection owns the session. What the bus says of the device's QoS 2 messages is still to be told, for as long as that
// connection looks for it (recall).
func (m *Machine) takenOver() {
	m.ending.taken = true
	m.timers.lingerUntil = earlier(m.timers.lingerUntil, m.now.Add(recallTime))
}

func (m *Machine) connectionLost() {
	if m.ending.lost {
		return
	}
	byUs := m.phase == phaseClosing
	m.ending.lost = true
	m.phase = phaseClosing
	if linger := m.now.Add(m.cfg.LingerTime); m.ending.taken {
		m.timers.lingerUntil = earlier(m.timers.lingerUntil, linger)
	} else {
		m.timers.lingerUntil = linger
	}
	switch {
	case byUs:
		m.held = nil
	case !m.ending.opening:
		m.drainLost()
	}
}

// drainLost takes what was held of a device that has gone meanwhile. It sent its last words in good faith, and nobody will send them
// again: QoS 0 goes to the bus, and a DISCONNECT deletes the Will. The rest has no answer and will come again.
func (m *Machine) drainLost() {
	held := m.held
	m.held = nil
	for _, p := range held {
		switch p := p.(type) {
		case *packet.Publish:
			if m.checkPublish(p) != nil {
				return
			}
			if p.QoS == 0 {
				m.handOver(&m.up.qos0, p, m.nextMessageID(), false)
			}
		case *packet.Disconnect:
			m.ending.noWill = m.ending.noWill || p.Reason == packet.Success
			if p.Properties.Has(packet.PropSessionExpiry) && m.conn.askedExpiry > 0 {
				m.changeExpiry(min(p.Properties.SessionExpiry, m.cfg.SessionExpiryMax))
			}
			return
		}
	}
}

// finish ends everything once the connection is lost and nothing is worth waiting for.
func (m *Machine) finish() {
	e := &m.ending
	if !e.lost || e.opening || m.lingers() {
		return
	}
	m.emit(Finish{
		Opened: e.opened,
		// Who took the session over also decides whether it goes on.
		End:  e.opened && !m.persistent() && !e.taken,
		Will: m.willDue(),
	})
	m.phase = phaseFinished
}

// lingers reports whether outcomes are awaited that decide what a resumed session does: a QoS 2 message the bus has taken must be
// recorded as such, or it is sent again. When another connection owns the session, the word of that is a Store which will be refused but for this
// (AcceptInbound), so its answer is not waited for.
func (m *Machine) lingers() bool {
	if !m.persistent() || !m.now.Before(m.timers.lingerUntil) {
		return false
	}
	for _, r := range m.up.records {
		switch r.state {
		case inPublishing:
			return true
		case inAccepting, inRefusing:
			if !m.ending.taken {
				return true
			}
		}
	}
	return false
}

// willDue is the Will to publish (MQTT 5, 3.1.2.5). It is due when the connection ends in any way but a normal DISCONNECT
// [MQTT-3.1.2-8], also by a takeover, whose new connection has a Will of its own (3.1.4). Only a Will that was to be delayed is
// called off by a takeover, as the device is back before its time, unless the session ended with this connection [MQTT-3.1.3-9].
// When the store says that another connection owns the session, it also answers for the Will.
func (m *Machine) willDue() *packet.Will {
	e, w := &m.ending, m.conn.will
	if !e.opened || e.noWill || w == nil {
		return nil
	}
	if e.taken && m.persistent() && w.Properties.Has(packet.PropWillDelay) && w.Properties.WillDelay > 0 {
		return nil
	}
	return w
}
