package session

import (
	"time"

	"sluice/mqtt/packet"
)

// timers are the points in time that the machine waits for; zero is none. heard is when the device last sent a packet.
type timers struct {
	// phaseUntil is when phaseConnect and phaseAuthenticating have taken too long. In phaseOpen it is when the old node has given up waiting for what the
	// bus says of the device's messages, or is dead (recall).
	phaseUntil  time.Time
	heard       time.Time
	orphansAt   time.Time
	slowUntil   time.Time // see SlowDown; not after now: there is none
	lingerUntil time.Time

	set time.Time // the SetDeadline in force
}

// silentUntil is when the device has been silent for too long: one and a half times the Keep Alive [MQTT-3.1.2-22]. While reading is
// paused by us its silence says nothing.
func (m *Machine) silentUntil() time.Time {
	if m.phase != phaseOpen || m.conn.keepAlive == 0 || m.paused {
		return time.Time{}
	}
	return m.timers.heard.Add(time.Duration(m.conn.keepAlive) * time.Second * 3 / 2)
}

func (m *Machine) nextDeadline() time.Time {
	switch m.phase {
	case phaseConnect, phaseAuthenticating:
		return m.timers.phaseUntil
	case phaseOpen:
		at := earlier(earlier(m.silentUntil(), m.timers.orphansAt), m.up.recall.due())
		if m.slowed() {
			at = earlier(at, m.timers.slowUntil)
		}
		return at
	case phaseClosing:
		if m.ending.lost && !m.ending.opening {
			return m.timers.lingerUntil
		}
	}
	return time.Time{}
}

func earlier(a, b time.Time) time.Time {
	if a.IsZero() || !b.IsZero() && b.Before(a) {
		return b
	}
	return a
}

// setDeadline asks for a wake-up unless an earlier one is on its way. Each packet moves the keep-alive, so a deadline that moves back is
// looked at when the old one is reached.
func (m *Machine) setDeadline() {
	next := m.nextDeadline()
	if next.IsZero() || !m.timers.set.IsZero() && !next.Before(m.timers.set) {
		return
	}
	m.timers.set = next
	m.emit(SetDeadline{At: next})
}

func (m *Machine) deadlineReached() {
	m.timers.set = time.Time{}
	switch m.phase {
	case phaseConnect:
		if m.due(m.timers.phaseUntil) {
			m.fail(packet.MaximumConnectTime, "3.1.4", "no CONNECT came in time")
		}
	case phaseAuthenticating:
		if m.due(m.timers.phaseUntil) {
			m.authOverdue()
		}
	case phaseOpen:
		if at := m.silentUntil(); m.due(at) && m.now.Sub(at) > time.Duration(m.conn.keepAlive)*time.Second/2 {
			// Nobody looked when it was time: the process stood still, and what the device sent meanwhile may wait to be read.
			m.timers.heard = m.now
		}
		if m.due(m.silentUntil()) {
			m.fail(packet.KeepAliveTimeout, "MQTT-3.1.2-22", "nothing was heard for one and a half times the keep alive")
			return
		}
		if m.due(m.up.recall.due()) {
			m.up.recall.look(m)
		}
		if m.due(m.timers.orphansAt) {
			m.closeOrphans()
		}
	}
}

func (m *Machine) due(at time.Time) bool { return !at.IsZero() && !m.now.Before(at) }
