package session

import (
	"slices"
	"strings"

	"sluice/mqtt/packet"
)

// authentication is an enhanced authentication (MQTT 5, 4.12): by CONNECT, before the session is opened, or again on an open connection. The
// method itself is the shell's; here is who may say what when.
type authentication struct {
	method  string          // of CONNECT; empty: none
	connect *packet.Connect // until the session is opened
	going   bool            // an exchange is under way
	asked   bool            // it is the shell's turn: Authenticate has no answer
	data    []byte          // for CONNACK
}

// beginAuthentication: CONNECT named an Authentication Method that is offered.
func (m *Machine) beginAuthentication(c *packet.Connect) {
	m.phase = phaseAuthenticating
	m.auth = authentication{method: strings.Clone(c.Properties.AuthMethod), connect: c}
	m.authenticate(&c.Properties, true)
}

func (m *Machine) authenticate(p *packet.Properties, start bool) {
	m.auth.going, m.auth.asked = true, true
	e := Authenticate{Method: m.auth.method, Connect: m.auth.connect, Start: start, Again: m.phase == phaseOpen}
	if p.Has(packet.PropAuthData) {
		e.Data = p.AuthData
	}
	m.emit(e)
}

// authenticating takes a packet between CONNECT and CONNACK.
func (m *Machine) authenticating(p packet.Packet) {
	switch p := p.(type) {
	case *packet.Auth:
		m.authReceived(p)
	case *packet.Disconnect:
		m.shut(CloseConnection{Reason: p.Reason, ByDevice: true})
	default:
		m.failAhead()
	}
}

func (m *Machine) failAhead() {
	m.fail(packet.ProtocolError, "MQTT-3.1.2-30", "after a CONNECT with an Authentication Method only AUTH and DISCONNECT may come before CONNACK")
}

// authReceived takes AUTH: the device's turn in an exchange, or the start of a re-authentication. Other packets go on meanwhile (4.12.1).
func (m *Machine) authReceived(p *packet.Auth) {
	a := &m.auth
	switch {
	case a.method == "":
		m.fail(packet.ProtocolError, "MQTT-4.12.0-7", "AUTH although CONNECT named no Authentication Method")
	case p.Properties.AuthMethod != a.method && p.Reason == packet.ReAuthenticate:
		m.fail(packet.ProtocolError, "MQTT-4.12.1-1", "the Authentication Method must be that of CONNECT")
	case p.Properties.AuthMethod != a.method:
		m.fail(packet.ProtocolError, "MQTT-4.12.0-5", "the Authentication Method must be that of CONNECT")
	case a.asked:
		m.fail(packet.ProtocolError, "4.12", "AUTH came before the answer to the one before")
	case p.Reason == packet.ContinueAuthentication && a.going:
		m.authenticate(&p.Properties, false)
	case p.Reason == packet.ReAuthenticate && !a.going:
		m.authenticate(&p.Properties, true)
	case p.Reason == packet.ReAuthenticate:
		m.fail(packet.ProtocolError, "4.12.1", "AUTH begins a re-authentication although one is under way")
	case p.Reason == packet.ContinueAuthentication:
		m.fail(packet.ProtocolError, "MQTT-4.12.0-3", "AUTH continues an authentication that is not under way")
	default:
		m.fail(packet.ProtocolError, "3.15.2.1", "only the server sends AUTH with this Reason Code")
	}
}

// answered reports whether an answer of the shell is awaited, which this one is then.
func (a *authentication) answered() bool {
	asked := a.asked
	a.asked = false
	return asked
}

func (m *Machine) authContinue(ev AuthContinue) {
	if m.auth.answered() && m.phase != phaseClosing {
		m.sendAuth(packet.ContinueAuthentication, ev.Data) // [MQTT-4.12.0-2]
	}
}

func (m *Machine) authSucceeded(ev AuthSucceeded) {
	if !m.auth.answered() {
		return
	}
	m.auth.going = false
	switch m.phase {
	case phaseAuthenticating:
		m.auth.data = ev.Data
		c := m.auth.connect
		m.auth.connect = nil
		m.openSession(c)
	case phaseOpen:
		m.sendAuth(packet.Success, ev.Data)
	}
}

// authFailed: a failed re-authentication ends the connection too [MQTT-4.12.0-4, MQTT-4.12.1-2].
func (m *Machine) authFailed(ev AuthFailed) {
	if m.auth.answered() {
		m.closeFor(closing{Failure: Failure{Reason: ev.Reason, Text: ev.Text, Cause: ev.Cause, Detail: ev.Detail}})
	}
}

func (m *Machine) sendAuth(reason packet.ReasonCode, data []byte) {
	p := &packet.Auth{Reason: reason}
	m.auth.describe(&p.Properties, data)
	m.send(p)
}

// describe puts the method into the properties, as each AUTH and the CONNACK with success must have it [MQTT-4.12.0-5].
func (a *authentication) describe(p *packet.Properties, data []byte) {
	p.SetAuthMethod(a.method)
	if data != nil {
		p.SetAuthData(data)
	}
}

func (m *Machine) authOffered(method string) bool { return slices.Contains(m.cfg.AuthMethods, method) }

// authOverdue: the connection has waited for CONNACK for too long.
func (m *Machine) authOverdue() {
	if m.auth.asked {
		m.fail(packet.ServerUnavailable, "", "the authentication took too long")
		return
	}
	m.fail(packet.NotAuthorized, "3.1.4", "the authentication was not continued in time")
}
