package session

import (
	"time"

	"sluice/mqtt/packet"
)

// phase is how far a connection has come. It only goes forward.
type phase uint8

const (
	phaseNew            phase = iota // no event yet
	phaseConnect                     // the transport is up; CONNECT is awaited
	phaseAuthenticating              // an enhanced authentication is under way
	phaseOpening                     // OpenSession is under way
	phaseOpen                        // CONNACK with success was sent
	phaseClosing                     // CloseConnection was said, or the connection is lost; what is under way is waited for
	phaseFinished
)

// Machine is the session of one connection. It is not safe for concurrent use.
type Machine struct {
	cfg   *Config // shared: it is never changed
	hooks Hooks
	// limits are those of the session, once that is known; window is Config.OutboundWindow within its bounds.
	limits Limits
	window uint16
	phase  phase

	// now and out belong to the Step under way.
	now time.Time
	out []Effect

	conn   connection
	auth   authentication
	held   []packet.Packet // came while they could not be taken, in order
	paused bool            // PauseReading was said

	up     uplink
	down   downlink
	subs   subscriptions
	stores []pendingStore // without answer, in order
	nextID uint64         // of Store effects
	timers timers
	ending ending
}

// New returns the machine of a connection that has just been accepted. The configuration may be that of any number of machines; it must not change any more.
func New(cfg *Config, hooks Hooks) *Machine {
	return &Machine{
		cfg: cfg, hooks: hooks,
		limits: Limits{ReceiveMaximum: max(cfg.ReceiveMaximum, 1), MaximumPacketSize: cfg.MaximumPacketSize, SubscriptionsMax: cfg.SubscriptionsMax},
		window: min(max(cfg.OutboundWindow, 1), windowMax),
		conn:   connection{version: packet.V311},
		down:   downlink{session: lane{gen: 1}, gens: 1},
	}
}

// Version is the protocol version of CONNECT. Before that it is the version for a refusal: 3.1.1, unless the CONNECT asked for more.
func (m *Machine) Version() packet.Version { return m.conn.version }

// ClientID is the client identifier, as sent or assigned; empty before CONNECT.
func (m *Machine) ClientID() string { return m.conn.clientID }

// Subscriptions is how many the session has. settled is false while a SUBSCRIBE is under way that may add to them.
func (m *Machine) Subscriptions() (n int, settled bool) {
	return len(m.subs.list), len(m.subs.under) == 0
}

// TakenOver tells whether another connection is known to own the session.
func (m *Machine) TakenOver() bool { return m.ending.taken }

// Step takes one event and appends the effects of it to out. Times must not go back by much: a deadline is only as good as they are.
func (m *Machine) Step(now time.Time, ev Event, out []Effect) []Effect {
	if m.phase == phaseFinished {
		return out
	}
	m.now, m.out = now, out
	m.take(ev)
	m.drain()
	m.sendQueued()
	m.grant()
	m.finish()
	m.setDeadline()
	out, m.out = m.out, nil
	return out
}

func (m *Machine) take(ev Event) {
	switch ev := ev.(type) {
	case PacketReceived:
		m.packetReceived(ev.Packet)
	case PublishAnswered:
		m.publishAnswered(ev)
	case PublishAbandoned:
		m.publishAbandoned(ev.Token)
	case ErrorRecord:
		m.errorRecord(ev)
	case Recalled:
		m.recalled(ev)
	case MessageArrived:
		m.messageArrived(ev)
	case MessageUnusable:
		if l := m.down.lane(ev.Lane); l != nil && l.credit > 0 {
			l.credit--
		}
	case Stored:
		m.stored(ev)
	case DeadlineReached:
		m.deadlineReached()
	case Subscribed:
		m.subscribed(ev)
	case Unsubscribed:
		m.unsubscribed(ev)
	case AccessChanged:
		m.accessChanged()
	case LaneAttached:
		m.laneAttached(ev.Lane)
	case LaneDetached:
		m.laneDetached(ev.Lane)
	case HandedOver:
		m.handedOver(ev)
	case ConnectionOpened:
		m.connectionOpened(ev)
	case SessionOpened:
		m.sessionOpened(ev)
	case SessionRefused:
		m.sessionRefused(ev)
	case SlowDown:
		m.slowDown(ev.Until)
	case AuthContinue:
		m.authContinue(ev)
	case AuthSucceeded:
		m.authSucceeded(ev)
	case AuthFailed:
		m.authFailed(ev)
	case PacketMalformed:
		m.packetMalformed(ev.Err)
	case ConnectionLost:
		m.connectionLost()
	case CloseRequested:
		m.closeRequested(ev)
	}
}

func (m *Machine) emit(e Effect) { m.out = append(m.out, e) }

func (m *Machine) v5() bool { return m.conn.version == packet.V5 }

// persistent reports whether the session outlives its connection, so that its state is stored.
func (m *Machine) persistent() bool { return m.conn.expiry > 0 }

func (m *Machine) packetReceived(p packet.Packet) {
	switch m.phase {
	case phaseConnect:
		c, ok := p.(*packet.Connect)
		if !ok {
			m.fail(packet.ProtocolError, "MQTT-3.1.0-1", "the first packet is not CONNECT")
			return
		}
		m.connect(c)
	case phaseAuthenticating:
		m.authenticating(p)
	case phaseOpening:
		if _, bye := p.(*packet.Disconnect); m.auth.method != "" && !bye {
			m.failAhead()
			return
		}
		m.hold(p)
	case phaseOpen:
		m.timers.heard = m.now
		m.receive(p)
	}
}

// receive takes a packet, or keeps it behind the one that cannot be taken yet. PINGREQ and the answers to our PUBLISH packets pass: they
// depend on nothing before them, and holding them back would stall the downlink for the uplink's sake [MQTT-4.9.0-3].
func (m *Machine) receive(p packet.Packet) {
	switch p.Type() {
	case packet.PINGREQ, packet.PUBACK, packet.PUBREC, packet.PUBCOMP:
		m.process(p)
		return
	}
	if len(m.held) > 0 || m.blocked(p) {
		m.hold(p)
		return
	}
	m.process(p)
}

// blocked reports whether p must wait until something under way is answered.
func (m *Machine) blocked(p packet.Packet) bool {
	switch p := p.(type) {
	case *packet.Publish:
		return m.slowed() || m.publishBlocked(p)
	case *packet.Subscribe, *packet.Unsubscribe:
		return m.slowed() || len(m.subs.requests) >= requestsMax
	}
	return false
}

// slowDown holds the device back. That is kinder than a refusal: what it sends waits in its own buffers, and nothing is lost.
func (m *Machine) slowDown(until time.Time) {
	if m.phase == phaseOpen && until.After(m.timers.slowUntil) {
		m.timers.slowUntil = until
		m.pause()
	}
}

func (m *Machine) slowed() bool { return m.now.Before(m.timers.slowUntil) }

func (m *Machine) hold(p packet.Packet) {
	if len(m.held) >= ReadAhead {
		m.held = nil
		m.fail(packet.QuotaExceeded, "", "too many packets were sent ahead of their answers")
		return
	}
	m.held = append(m.held, p)
	m.pause()
}

func (m *Machine) pause() {
	if !m.paused {
		m.paused = true
		m.emit(PauseReading{})
	}
}

// drain takes what was held as far as it can be taken now, and reads on once nothing is left.
func (m *Machine) drain() {
	for m.phase == phaseOpen && len(m.held) > 0 && !m.blocked(m.held[0]) {
		p := m.held[0]
		m.held[0] = nil
		m.held = m.held[1:]
		m.process(p)
	}
	if m.phase != phaseOpen || !m.paused || len(m.held) > 0 || m.slowed() {
		return
	}
	m.held = nil
	m.paused = false
	// We did not listen: the device's silence starts now.
	m.timers.heard = m.now
	m.emit(ResumeReading{})
}

// process takes a packet of an open connection.
func (m *Machine) process(p packet.Packet) {
	switch p := p.(type) {
	case *packet.Publish:
		m.publish(p)
	case *packet.Ack:
		m.acknowledge(p)
	case *packet.Pingreq:
		m.send(&packet.Pingresp{}) // [MQTT-3.12.4-1]
	case *packet.Subscribe:
		m.subscribe(p)
	case *packet.Unsubscribe:
		m.unsubscribe(p)
	case *packet.Disconnect:
		m.disconnect(p)
	case *packet.Connect:
		m.fail(packet.ProtocolError, "MQTT-3.1.0-2", "a second CONNECT on the same connection")
	case *packet.Auth:
		m.authReceived(p)
	default:
		m.fail(packet.ProtocolError, "2.1.2", "a packet that only a server sends")
	}
}

func (m *Machine) acknowledge(p *packet.Ack) {
	switch p.Kind {
	case packet.PUBACK:
		m.puback(p)
	case packet.PUBREC:
		m.pubrec(p)
	case packet.PUBREL:
		m.pubrel(p)
	case packet.PUBCOMP:
		m.pubcomp(p)
	}
}
