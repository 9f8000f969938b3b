package session

import (
	"testing"
	"time"

	"sluice/mqtt/packet"
)

// Response Information is never sent, whether the device wants none [MQTT-3.1.2-28] or says nothing or would take it: the gateway has none.
func TestNoResponseInformation(t *testing.T) {
	for name, set := range map[string]func(*packet.Connect){
		"absent":     nil,
		"not wanted": func(c *packet.Connect) { c.Properties.SetRequestResponseInfo(false) },
		"wanted":     func(c *packet.Connect) { c.Properties.SetRequestResponseInfo(true) },
	} {
		s := newShell(t, packet.V5)
		s.connect(set)
		connack := s.sent[0].(*packet.Connack)
		if connack.Reason != packet.Success || connack.Properties.Has(packet.PropResponseInfo) {
			t.Errorf("%s: %s, response information %q", name, formatPacket(connack), connack.Properties.ResponseInfo)
		}
	}
}

// A client identifier that cannot be accepted is refused with its own code, and the connection closed [MQTT-3.1.3-8].
func TestNoIdentifierToAssign(t *testing.T) {
	for _, v := range []packet.Version{packet.V311, packet.V5} {
		cfg := testConfig()
		s := &shell{t: t, m: New(&cfg, Hooks{}), now: scriptStart, version: v}
		s.step(ConnectionOpened{}) // a shell that assigns none
		s.receive(&packet.Connect{Version: v, CleanStart: true})
		if len(s.sent) != 1 || !s.closed {
			t.Fatalf("%s: sent %v, closed %t", v, s.sent, s.closed)
		}
		if connack := s.sent[0].(*packet.Connack); connack.Reason != packet.ClientIDNotValid {
			t.Errorf("%s: %s", v, formatPacket(connack))
		}
	}
}

// The message of a QoS 2 PUBLISH may expire while it is acknowledged; the exchange is completed all the same [MQTT-4.3.3-13].
func TestAnExpiredExchangeIsCompleted(t *testing.T) {
	s := newShell(t, packet.V5)
	s.connect(nil)
	p := &packet.Publish{QoS: 2, ID: 1, Topic: "up"}
	p.Properties.SetMessageExpiry(1)
	s.receive(p)
	s.now = s.now.Add(time.Hour)
	s.receive(&packet.Publish{QoS: 2, ID: 1, Topic: "up", Dup: true, Properties: p.Properties})
	s.now = s.now.Add(time.Hour)
	s.receive(&packet.Ack{Kind: packet.PUBREL, ID: 1})
	var kinds []packet.Type
	for _, p := range s.sent[1:] {
		a := p.(*packet.Ack)
		if a.ID != 1 || a.Reason != packet.Success {
			t.Errorf("sent %s", formatPacket(a))
		}
		kinds = append(kinds, a.Kind)
	}
	if len(kinds) != 3 || kinds[0] != packet.PUBREC || kinds[1] != packet.PUBREC || kinds[2] != packet.PUBCOMP {
		t.Errorf("sent %v, want PUBREC twice and PUBCOMP", kinds)
	}
}

// DUP of the message that came in says nothing about the PUBLISH that goes out [MQTT-3.3.1-3].
func TestDupIsOfThePacketOnly(t *testing.T) {
	for _, v := range []packet.Version{packet.V311, packet.V5} {
		s := newShell(t, v)
		s.connect(nil)
		s.receive(&packet.Subscribe{ID: 1, Subscriptions: []packet.Subscription{{Filter: "#", QoS: 2}}})
		s.step(LaneAttached{})
		for qos := range packet.QoS(3) {
			s.step(MessageArrived{Delivery: uint64(qos) + 1, Message: Message{
				Identity: string('a' + rune(qos)), Publish: &packet.Publish{Topic: "t", QoS: qos, Dup: true, ID: 77},
			}})
		}
		published := 0
		for _, p := range s.sent {
			if p, ok := p.(*packet.Publish); ok {
				if published++; p.Dup || p.ID == 77 {
					t.Errorf("%s: sent %s", v, formatPacket(p))
				}
			}
		}
		if published != 3 {
			t.Errorf("%s: %d PUBLISH packets, want 3", v, published)
		}
	}
}
