package session

import (
	"strings"

	"sluice/mqtt/packet"
	"sluice/mqtt/topic"
)

// connection is what CONNECT asked for and CONNACK granted.
type connection struct {
	version      packet.Version
	known        bool // CONNECT was read, at least up to its version
	clientID     string
	fallbackID   string // used when CONNECT has no client identifier
	assigned     bool
	cleanStart   bool
	askedExpiry  uint32 // seconds
	expiry       uint32 // seconds, as granted
	keepAlive    uint16 // seconds, as granted; zero is none
	setKeepAlive bool   // granted is not what was asked
	receiveMax   uint16
	maxPacket    uint32 // bytes; zero is no limit
	aliasMax     uint16
	quiet        bool // Request Problem Information is 0
	will         *packet.Will

	msgPrefix string
	msgCount  uint64
}

func (m *Machine) connectionOpened(ev ConnectionOpened) {
	if m.phase != phaseNew {
		return
	}
	m.phase = phaseConnect
	m.conn.fallbackID = ev.AssignedClientID
	m.timers.phaseUntil = m.now.Add(m.cfg.ConnectTimeout)
}

func (m *Machine) connect(c *packet.Connect) {
	m.conn.version, m.conn.known = c.Version, true
	m.timers.heard = m.now
	if c.Version == packet.V5 && c.Properties.Has(packet.PropMaximumPacketSize) {
		m.conn.maxPacket = c.Properties.MaximumPacketSize // holds for a refusal too
	}
	if err := m.checkConnect(c); err != nil {
		m.fail(err.Reason, err.Clause, err.Detail)
		return
	}
	m.readConnect(c)
	if c.Properties.Has(packet.PropAuthMethod) {
		m.beginAuthentication(c)
		return
	}
	m.openSession(c)
}

func (m *Machine) openSession(c *packet.Connect) {
	m.phase = phaseOpening
	m.ending.opening = true
	// What the device sends ahead of CONNACK is kept, but not without end.
	m.pause()
	m.emit(OpenSession{Connect: c, ClientID: m.conn.clientID, Expiry: m.conn.expiry})
}

// checkConnect reports what forbids the connection before anybody is asked who the device is.
func (m *Machine) checkConnect(c *packet.Connect) *packet.Error {
	p := &c.Properties
	switch {
	case p.Has(packet.PropAuthMethod) && len(m.cfg.AuthMethods) == 0:
		return violation(packet.BadAuthenticationMethod, "MQTT-4.12.0-1",
			"no enhanced authentication is offered; leave the Authentication Method out")
	case p.Has(packet.PropAuthMethod) && !m.authOffered(p.AuthMethod):
		return violation(packet.BadAuthenticationMethod, "MQTT-4.12.0-1",
			"this Authentication Method is not offered; offered are "+strings.Join(m.cfg.AuthMethods, ", "))
	case p.Has(packet.PropAuthData) && !p.Has(packet.PropAuthMethod):
		return violation(packet.ProtocolError, "3.1.2.11.10",
			"CONNECT has Authentication Data without an Authentication Method")
	case c.ClientID == "" && c.Version != packet.V5 && !c.CleanStart:
		return violation(packet.ClientIDNotValid, "3.1.1 MQTT-3.1.3-8", "an empty client identifier needs Clean Session")
	case c.ClientID == "" && m.conn.fallbackID == "":
		return violation(packet.ClientIDNotValid, "MQTT-3.1.3-6", "a client identifier is needed")
	}
	return m.checkWill(c.Will)
}

// checkWill reports what forbids the Will, and opens its property bag.
func (m *Machine) checkWill(w *packet.Will) *packet.Error {
	switch {
	case w == nil:
		return nil
	case byte(w.QoS) > m.cfg.MaximumQoS:
		return violation(packet.QoSNotSupported, "MQTT-3.2.2-12", "the Will has a higher QoS than this server offers")
	case w.Retain && !m.cfg.RetainAvailable:
		return violation(packet.RetainNotSupported, "MQTT-3.2.2-13",
			"the Will is to be retained, which this server does not offer")
	case OwnTopic(w.Topic):
		return violation(packet.TopicNameInvalid, "", "the Will Topic is one of the server's own")
	case topic.ValidateName(w.Topic) != nil:
		return violation(packet.TopicNameInvalid, "MQTT-3.1.3-11", "the Will Topic is not a valid topic name")
	}
	if m.cfg.PropertyBag && !m.v5() {
		return openBag(&w.Topic, &w.Properties)
	}
	return nil
}

// readConnect keeps what the connection needs of CONNECT. Strings are copied: they share memory with the packet, which need not live as
// long as the connection.
func (m *Machine) readConnect(c *packet.Connect) {
	n, p := &m.conn, &c.Properties
	n.cleanStart = c.CleanStart
	n.clientID = strings.Clone(c.ClientID)
	if n.clientID == "" {
		n.clientID, n.assigned = n.fallbackID, true
	}
	n.fallbackID = ""
	n.will = cloneWill(c.Will)
	n.receiveMax, n.keepAlive = packetIDs, c.KeepAlive
	if c.Version != packet.V5 {
		// Clean Session ends the session with the connection; without it 3.1.1 has no end, so the gateway's longest applies.
		if !c.CleanStart {
			n.expiry = m.cfg.SessionExpiryMax
		}
		n.askedExpiry = n.expiry
		return
	}
	if p.Has(packet.PropSessionExpiry) {
		n.askedExpiry = p.SessionExpiry
	}
	n.expiry = min(n.askedExpiry, m.cfg.SessionExpiryMax)
	if p.Has(packet.PropReceiveMaximum) {
		n.receiveMax = max(p.ReceiveMaximum, 1)
	}
	if p.Has(packet.PropTopicAliasMaximum) {
		n.aliasMax = min(p.TopicAliasMaximum, m.cfg.OutboundAliasMaximum)
	}
	n.quiet = p.Has(packet.PropRequestProblemInfo) && p.RequestProblemInfo == 0
	if limit := m.cfg.KeepAliveMax; limit > 0 && (c.KeepAlive == 0 || c.KeepAlive > limit) {
		n.keepAlive, n.setKeepAlive = limit, true
	}
}

func cloneWill(w *packet.Will) *packet.Will {
	if w == nil {
		return nil
	}
	c := *w
	c.Topic = strings.Clone(w.Topic)
	c.Payload = append([]byte(nil), w.Payload...)
	p := &c.Properties
	p.ContentType = strings.Clone(p.ContentType)
	p.ResponseTopic = strings.Clone(p.ResponseTopic)
	p.CorrelationData = append([]byte(nil), p.CorrelationData...)
	p.User = append([]packet.UserProperty(nil), p.User...)
	for i, u := range p.User {
		p.User[i] = packet.UserProperty{Key: strings.Clone(u.Key), Value: strings.Clone(u.Value)}
	}
	return &c
}

func (m *Machine) sessionOpened(ev SessionOpened) {
	if !m.ending.opening {
		return
	}
	m.ending.opening = false
	m.ending.opened = true
	m.conn.msgPrefix = ev.MessageIDPrefix
	if m.conn.assigned && ev.AssignedClientID != "" {
		m.conn.clientID = ev.AssignedClientID
	}
	if m.phase != phaseOpening {
		m.drainLost()
		return
	}
	m.phase = phaseOpen
	m.limits.take(ev.Limits)
	m.timers.heard = m.now
	m.timers.phaseUntil = m.now.Add(recallTime)
	m.down.window = int(min(m.conn.receiveMax, m.window))
	// After Clean Start there is no session to be present [MQTT-3.2.2-2].
	present := ev.Present && !m.conn.cleanStart
	m.send(m.connack(present))
	if present && m.phase == phaseOpen {
		m.resume(ev.State)
	}
}

// connack is the CONNACK with success. What it leaves out has the standard's default (MQTT 5, 3.2.2.3).
func (m *Machine) connack(present bool) *packet.Connack {
	a := &packet.Connack{SessionPresent: present}
	if !m.v5() {
		return a
	}
	n, cfg, limits, p := &m.conn, m.cfg, &m.limits, &a.Properties
	if m.auth.method != "" {
		m.auth.describe(p, m.auth.data)
		m.auth.data = nil
	}
	if n.expiry != n.askedExpiry {
		p.SetSessionExpiry(n.expiry) // MQTT 5, 3.2.2.3.2
	}
	if n.assigned {
		p.SetAssignedClientID(n.clientID) // [MQTT-3.2.2-16]
	}
	if n.setKeepAlive {
		p.SetServerKeepAlive(n.keepAlive) // [MQTT-3.2.2-21]
	}
	if limits.ReceiveMaximum < packetIDs {
		p.SetReceiveMaximum(limits.ReceiveMaximum)
	}
	if cfg.MaximumQoS < 2 {
		p.SetMaximumQoS(packet.QoS(cfg.MaximumQoS)) // [MQTT-3.2.2-9]
	}
	if !cfg.RetainAvailable {
		p.SetRetainAvailable(false)
	}
	if limits.MaximumPacketSize > 0 {
		p.SetMaximumPacketSize(limits.MaximumPacketSize)
	}
	if cfg.TopicAliasMaximum > 0 {
		p.SetTopicAliasMaximum(cfg.TopicAliasMaximum)
	}
	if !cfg.SharedAvailable {
		p.SetSharedSubAvailable(false)
	}
	m.tellProfile(a)
	return a
}

// profileProperty is the User Property of CONNACK that names the profile.
const profileProperty = "sluice-profile"

// tellProfile adds the name of the profile, unless that would make CONNACK larger than the device takes [MQTT-3.2.2-20].
func (m *Machine) tellProfile(a *packet.Connack) {
	if m.cfg.Profile == "" {
		return
	}
	a.Properties.AddUser(profileProperty, m.cfg.Profile)
	if m.tooLarge(a) {
		a.Properties.User = nil
	}
}

func (m *Machine) sessionRefused(ev SessionRefused) {
	if !m.ending.opening {
		return
	}
	m.ending.opening = false
	m.closeFor(closing{Failure: Failure{Reason: ev.Reason, Text: ev.Text, Cause: ev.Cause, Detail: ev.Detail}, serverReference: ev.ServerReference})
}
