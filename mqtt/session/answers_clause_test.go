package session

import (
	"strings"
	"testing"
	"time"

	"sluice/mqtt/packet"
)

// shell answers each effect at once and keeps what the device gets.
type shell struct {
	t       *testing.T
	m       *Machine
	now     time.Time
	version packet.Version
	// reason and text are what the bus says to a PUBLISH and to a SUBSCRIBE.
	reason packet.ReasonCode
	text   string
	sent   []packet.Packet
	closed bool
}

func newShell(t *testing.T, v packet.Version) *shell {
	cfg := testConfig()
	cfg.AuthMethods = []string{"M"}
	s := &shell{t: t, m: New(&cfg, Hooks{}), now: scriptStart, version: v}
	s.step(ConnectionOpened{AssignedClientID: "assigned"})
	return s
}

// step takes an event and all that follows from it.
func (s *shell) step(ev Event) {
	for queue := []Event{ev}; len(queue) > 0; queue = queue[1:] {
		for _, e := range s.m.Step(s.now, queue[0], nil) {
			switch e := e.(type) {
			case SendPacket:
				s.sent = append(s.sent, e.Packet)
			case CloseConnection:
				s.closed = true
			default:
				if answer := s.answer(e); answer != nil {
					queue = append(queue, answer)
				}
			}
		}
	}
}

func (s *shell) answer(e Effect) Event {
	switch e := e.(type) {
	case Publish:
		return PublishAnswered{Token: e.Token, Reason: s.reason, Text: s.text}
	case Store:
		if e.ID != 0 {
			return Stored{ID: e.ID}
		}
	case Subscribe:
		ev := Subscribed{ID: e.ID}
		for range e.Subscriptions {
			ev.Reasons = append(ev.Reasons, s.reason)
		}
		return ev
	case Unsubscribe:
		return Unsubscribed{ID: e.ID}
	case Authenticate:
		if e.Start {
			return AuthContinue{Data: []byte("challenge")}
		}
		return AuthSucceeded{}
	}
	return nil
}

func (s *shell) receive(p packet.Packet) { s.step(PacketReceived{Packet: p}) }

// connect sends CONNECT, changed by set, and opens its session.
func (s *shell) connect(set func(*packet.Connect)) {
	c := &packet.Connect{Version: s.version, ClientID: "c"}
	if s.version == packet.V5 {
		c.Properties.SetSessionExpiry(60)
	}
	if set != nil {
		set(c)
	}
	s.receive(c)
	s.step(SessionOpened{MessageIDPrefix: "m-"})
}

// authenticated is connect with enhanced authentication, where there is such a thing.
func (s *shell) authenticated(set func(*packet.Connect)) {
	if s.version != packet.V5 {
		s.connect(set)
		return
	}
	c := &packet.Connect{Version: s.version, ClientID: "c"}
	c.Properties.SetSessionExpiry(60)
	c.Properties.SetAuthMethod("M")
	if set != nil {
		set(c)
	}
	s.receive(c)
	s.proof(packet.ContinueAuthentication)
	s.step(SessionOpened{MessageIDPrefix: "m-"})
}

// proof sends AUTH.
func (s *shell) proof(reason packet.ReasonCode) {
	p := &packet.Auth{Reason: reason}
	p.Properties.SetAuthMethod("M")
	s.receive(p)
}

// exchange makes the server send a packet of every kind, as many with a reason as there are.
func (s *shell) exchange() {
	for id := packet.ID(1); id <= 2; id++ {
		s.receive(&packet.Publish{QoS: packet.QoS(id), ID: id, Topic: "up"})
	}
	s.receive(&packet.Ack{Kind: packet.PUBREL, ID: 2})
	s.receive(&packet.Ack{Kind: packet.PUBREL, ID: 9})
	s.receive(&packet.Ack{Kind: packet.PUBREC, ID: 9})
	s.receive(&packet.Pingreq{})
	s.receive(&packet.Subscribe{ID: 3, Subscriptions: []packet.Subscription{{Filter: "a", QoS: 1}, {Filter: "a#"}}})
	s.reason = packet.Success
	s.receive(&packet.Subscribe{ID: 4, Subscriptions: []packet.Subscription{{Filter: "#", QoS: 2}}})
	s.step(LaneAttached{})
	for qos := range packet.QoS(3) {
		s.step(MessageArrived{Delivery: uint64(qos) + 1, Message: Message{Identity: string('a' + rune(qos)), Publish: &packet.Publish{Topic: "down", QoS: qos}}})
	}
	for _, p := range s.sent {
		if p, ok := p.(*packet.Publish); ok && p.QoS == 2 {
			s.receive(&packet.Ack{Kind: packet.PUBREC, ID: p.ID})
		}
	}
	if s.version == packet.V5 {
		s.proof(packet.ReAuthenticate)
		s.proof(packet.ContinueAuthentication)
	}
	s.receive(&packet.Unsubscribe{ID: 5, Filters: []string{"#", "never", "a#"}})
	s.step(CloseRequested{Reason: packet.ServerShuttingDown, Text: s.text})
}

// sentence is longer than any packet it could be left out of.
var sentence = strings.Repeat("why this is so ", 40)

// seen fails the test if a kind of packet that a server sends was not sent.
func (s *shell) seen(kinds ...packet.Type) {
	s.t.Helper()
	got := map[packet.Type]bool{}
	for _, p := range s.sent {
		got[p.Type()] = true
	}
	for _, k := range kinds {
		if !got[k] {
			s.t.Errorf("no %s was sent, so nothing is proven about it", k)
		}
	}
}

var serverKinds = []packet.Type{packet.CONNACK, packet.PUBLISH, packet.PUBACK, packet.PUBREC, packet.PUBREL, packet.PUBCOMP, packet.SUBACK, packet.UNSUBACK,
	packet.PINGRESP, packet.DISCONNECT, packet.AUTH}

// A packet that is larger than the device's Maximum Packet Size is not sent [MQTT-3.1.2-24], and a Reason String or User Property is left out where
// it would make one so ([MQTT-3.4.2-2] and those like it), however much there is to say.
func TestNothingIsLargerThanTheDeviceTakes(t *testing.T) {
	const least, most = 1, 200
	for size := uint32(least); size <= most; size++ {
		s := newShell(t, packet.V5)
		s.reason, s.text = packet.NotAuthorized, sentence
		s.authenticated(func(c *packet.Connect) { c.Properties.SetMaximumPacketSize(size) })
		s.exchange()
		for _, p := range s.sent {
			if n, err := packet.Size(p, packet.V5); err != nil || uint32(n) > size {
				t.Errorf("%d bytes are the most, %s has %d (%v)", size, formatPacket(p), n, err)
			}
		}
		if size == most {
			s.seen(serverKinds...)
		}
		if !s.closed {
			t.Errorf("%d bytes: the connection is still open", size)
		}
	}
}

// A device that asked for no problem information gets a Reason String or User Property on CONNACK, PUBLISH and DISCONNECT only
// [MQTT-3.1.2-29].
func TestNoProblemInformation(t *testing.T) {
	for _, quiet := range []bool{true, false} {
		s := newShell(t, packet.V5)
		s.reason, s.text = packet.NotAuthorized, sentence
		s.authenticated(func(c *packet.Connect) { c.Properties.SetRequestProblemInfo(!quiet) })
		s.exchange()
		s.seen(serverKinds...)
		told := 0
		for _, p := range s.sent {
			properties := propertiesOfAny(p)
			if properties == nil || !properties.Has(packet.PropReasonString) && len(properties.User) == 0 {
				continue
			}
			if told++; quiet && p.Type() != packet.DISCONNECT && p.Type() != packet.CONNACK {
				t.Errorf("sent although it was not wanted: %s", formatPacket(p))
			}
		}
		if !quiet && told < 3 {
			t.Errorf("only %d packets had a Reason String: the test proves nothing", told)
		}
	}
}

// propertiesOfAny are the properties of a packet other than PUBLISH.
func propertiesOfAny(p packet.Packet) *packet.Properties {
	switch p := p.(type) {
	case *packet.Connack:
		return &p.Properties
	case *packet.Ack:
		return p.Properties
	case *packet.Suback:
		return &p.Properties
	case *packet.Unsuback:
		return &p.Properties
	case *packet.Disconnect:
		return &p.Properties
	case *packet.Auth:
		return &p.Properties
	}
	return nil
}

// Whatever code the gateway has for a failure, each packet carries one that is its own, and DISCONNECT no Session Expiry Interval
// [MQTT-3.2.2-8, MQTT-3.4.2-1, MQTT-3.5.2-1, MQTT-3.6.2-1, MQTT-3.7.2-1, MQTT-3.9.3-2, MQTT-3.11.3-2, MQTT-3.14.2-1, MQTT-3.14.2-2, MQTT-3.15.2-1].
func TestOnlyReasonCodesOfThePacket(t *testing.T) {
	for _, v := range []packet.Version{packet.V311, packet.V5} {
		for code := range 256 {
			reason := packet.ReasonCode(code)
			s := newShell(t, v)
			s.reason = reason
			s.authenticated(nil)
			s.exchange()
			s.checkReasons(reason)
			if v == packet.V5 {
				s.seen(serverKinds...)
			}
			if reason.Failed() {
				s = newShell(t, v)
				s.receive(&packet.Connect{Version: v, ClientID: "c", CleanStart: true})
				s.step(SessionRefused{Reason: reason})
				s.checkReasons(reason)
				s = newShell(t, v)
				s.connect(nil)
				s.step(CloseRequested{Reason: reason})
				s.checkReasons(reason)
			}
		}
	}
}

func (s *shell) checkReasons(given packet.ReasonCode) {
	s.t.Helper()
	for _, p := range s.sent {
		if _, err := packet.Append(nil, p, s.version); err != nil {
			s.t.Errorf("given 0x%02X: %v", byte(given), err)
		}
		var reasons []packet.ReasonCode
		switch p := p.(type) {
		case *packet.Connack:
			reasons = []packet.ReasonCode{p.Reason}
		case *packet.Ack:
			reasons = []packet.ReasonCode{p.Reason}
		case *packet.Suback:
			reasons = p.Reasons
		case *packet.Unsuback:
			reasons = p.Reasons
		case *packet.Auth:
			reasons = []packet.ReasonCode{p.Reason}
		case *packet.Disconnect:
			reasons = []packet.ReasonCode{p.Reason}
			if p.Properties.Has(packet.PropSessionExpiry) {
				s.t.Errorf("given 0x%02X: %s", byte(given), formatPacket(p))
			}
		}
		for _, r := range reasons {
			if !r.LegalIn(p.Type()) {
				s.t.Errorf("given 0x%02X: %s", byte(given), formatPacket(p))
			}
		}
	}
}
