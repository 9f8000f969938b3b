package thirdparty

import (
	"fmt"

	"sluice/gateway/e2e/rig"
	"sluice/mqtt/packet"
)

var sessions = []scenario{
	{name: "clean session", play: cleanSession},
	{name: "messages wait", play: messagesWait},
	{name: "assigned client identifier", play: assignedIdentifier, only: v5},
	{name: "session expiry", play: sessionExpires, only: v5},
	{name: "unacknowledged comes again", play: unacknowledged},
	{name: "subscriber comes back by itself", play: subscriberComesBack},
}

// A clean session leaves nothing behind: no subscription, no message.
func cleanSession(s *stage) {
	id, topic := s.prefix, s.name("x")
	pub := s.connect(s.first)
	sub := s.connect(s.second, clean(id))
	sub.sub(topic, 1)
	sub.end()
	pub.send(topic, "missed", 1)
	sub = s.connect(s.second, persistent(id))
	if sub.present {
		s.Error("a session is present after a clean session")
	}
	sub.sub(s.name("y"), 1)
	sub.end()
	sub = s.connect(s.first, clean(id))
	if sub.present {
		s.Error("a session is present after a clean start [MQTT-3.2.2-2]")
	}
	pub.send(s.name("y"), "missed too", 1)
	sub.sub(topic, 1)
	pub.send(topic, "on", 1)
	sub.expectText(topic, 1, "on")
}

// What comes while the device is away waits, and is there on the other node: all of it, in order, once.
func messagesWait(s *stage) {
	pub := s.connect(s.first)
	for qos := byte(1); qos <= 2; qos++ {
		id := s.name(fmt.Sprint("id", qos))
		topic := s.name(fmt.Sprint(qos))
		sub := s.connect(s.second, persistent(id))
		if sub.present {
			s.Error("a session is present before there was any")
		}
		sub.sub(topic, qos)
		sub.end()
		var payloads []string
		for i := range 25 {
			payloads = append(payloads, fmt.Sprint(i))
			pub.send(topic, payloads[i], qos)
		}
		sub = s.connect(s.first, persistent(id))
		if !sub.present {
			s.Error("the session is not present on the other node")
		}
		pub.send(topic, "last", qos)
		sub.expectText(topic, qos, append(payloads, "last")...)
	}
}

// A device without an identifier gets one [MQTT-3.1.3-6], and finds its session under it on the other node.
func assignedIdentifier(s *stage) {
	topic := s.name("x")
	sub := s.connect(s.second, func(o *options) { o.id, o.expiry = "", sessionExpiry })
	if sub.assigned == "" {
		s.Fatal("no client identifier was assigned [MQTT-3.2.2-16]")
	}
	sub.sub(topic, 1)
	sub.end()
	pub := s.connect(s.first)
	pub.send(topic, "waited", 1)
	again := s.connect(s.first, persistent(sub.assigned))
	if !again.present || again.assigned != "" {
		s.Errorf("the session is present: %t, assigned identifier %q", again.present, again.assigned)
	}
	again.expectText(topic, 1, "waited")
}

// A session ends with its connection when it expires in no time, be that said in CONNECT or in DISCONNECT (MQTT 5, 3.14.2.2.2).
func sessionExpires(s *stage) {
	bus := rig.OpenBus(s, s.first)
	never := uint32(0)
	for name, c := range map[string]struct {
		expiry uint32
		leave  leave
	}{
		"in CONNECT":    {0, leave{}},
		"in DISCONNECT": {sessionExpiry, leave{expiry: &never}},
	} {
		id := s.name(name)
		unclean := func(o *options) { o.id, o.clean, o.expiry = id, false, c.expiry }
		d := s.connect(s.second, unclean)
		d.sub(s.name("x"), 1)
		d.endWith(c.leave)
		bus.ExpectNobody(s.name("x"))
		if d = s.connect(s.first, unclean); d.present {
			s.Errorf("expiry 0 %s: the session is still there", name)
		}
	}
	// And the other way round: what DISCONNECT makes longer stays.
	id, longer := s.name("longer"), uint32(sessionExpiry)
	s.connect(s.second, func(o *options) { o.id, o.clean, o.expiry = id, false, 1 }).endWith(leave{expiry: &longer})
	pass(sessionExpired)
	if d := s.connect(s.first, persistent(id)); !d.present {
		s.Error("DISCONNECT said how long the session is to stay, and it is gone")
	}
}

// What was delivered and not acknowledged when the connection broke comes again on the other node, with DUP [MQTT-4.4.0-1].
func unacknowledged(s *stage) {
	pub := s.connect(s.first)
	for qos := byte(1); qos <= 2; qos++ {
		id, topic := s.name(fmt.Sprint("id", qos)), s.name(fmt.Sprint(qos))
		sub := s.connect(s.second, persistent(id), manual)
		sub.sub(topic, qos)
		pub.send(topic, "first", qos)
		before := sub.publishes(false, 1)[0]
		sub.wire.cut()
		sub.ends.next(s, "the end of the connection")
		again := s.connect(s.first, persistent(id))
		if !again.present {
			s.Error("the session is not present")
		}
		pub.send(topic, "second", qos)
		again.expectAgain(before)
		again.messages.await(s, "the second message", func(all []message) bool {
			return len(all) > 0 && all[len(all)-1].Payload == "second"
		})
	}
}

// expectAgain waits until the exchange of a message goes on on a new connection: with the PUBLISH again under its identifier and with DUP
// [MQTT-4.4.0-1], or with PUBREL, for mqtt.js sends PUBREC before the application has the message.
func (d *device) expectAgain(before *packet.Publish) {
	d.s.Helper()
	d.wire.seen.await(d.s, "the exchange again", func(all []sighting) bool {
		for _, seen := range all {
			switch p := seen.Packet.(type) {
			case *packet.Publish:
				if seen.ToNode || string(p.Payload) != string(before.Payload) {
					continue
				}
				if !p.Dup || p.ID != before.ID {
					d.s.Errorf("%q came again with DUP %t and identifier %d, was %d", p.Payload, p.Dup, p.ID, before.ID)
				}
				return true
			case *packet.Ack:
				if !seen.ToNode && p.Kind == packet.PUBREL && p.ID == before.ID {
					return true
				}
			}
		}
		return false
	})
}

// cuts is how often a device loses its connection, and each how many messages of both QoS there are between two cuts.
const cuts, each = 4, 10

func comesBack(o *options) { o.reconnect = true }

// subscriberComesBack: it loses its connection again and again while messages come, and comes back by itself, each time to the other node.
func subscriberComesBack(s *stage) {
	sub := s.connectTo([]*rig.Node{s.first, s.second}, persistent(s.name("sub")), comesBack)
	s.throughCuts(sub, s.connect(s.second), sub)
}

// throughCuts publishes while the connection of cut breaks again and again. At QoS 1 all messages come, at QoS 2 all once.
func (s *stage) throughCuts(sub, pub, cut *device) {
	sub.request(request{filters: []filter{{Filter: s.name("1"), QoS: 1}, {Filter: s.name("2"), QoS: 2}}})
	for i := range cuts {
		var sent []message
		for j := range each {
			n := fmt.Sprintf("%03d", i*each+j)
			sent = append(sent, message{Topic: s.name("1"), Payload: n, QoS: 1}, message{Topic: s.name("2"), Payload: n, QoS: 2})
		}
		s.background(func() { _ = pub.tryAll(sent) })
		cut.publishes(cut == pub, 2*i*each+each)
		cut.wire.cut()
		cut.ups.next(s, "the next connection")
		if !cut.wire.present(i + 1) {
			s.Error("the session is not present on the other node")
		}
		if cut != pub {
			s.awaitAll(sub, (i+1)*each)
			continue
		}
		sub.messages.await(s, "what went over the wire", func(all []message) bool {
			return distinct(all, s.name("1")) == len(pub.began(1)) && distinct(all, s.name("2")) == len(pub.began(2))
		})
	}
	if cut == pub {
		// paho.golang keeps what it cannot write while it loses the connection until it has the next one but one.
		cut.wire.cut()
		cut.ups.next(s, "the next connection")
	}
	s.awaitAll(sub, cuts*each)
	s.onceOnTheWire(sub, pub.began(2))
	if !s.once {
		return
	}
	seen := map[string]int{}
	for _, m := range sub.messages.soFar() {
		if m.Topic == s.name("2") {
			seen[m.Payload]++
		}
	}
	for n, times := range seen {
		if times != 1 {
			s.Errorf("QoS 2: the application got message %s %d times", n, times)
		}
	}
}

func (s *stage) awaitAll(sub *device, count int) {
	s.Helper()
	sub.messages.await(s, fmt.Sprintf("%d messages on each topic", count), func(all []message) bool {
		return distinct(all, s.name("1")) == count && distinct(all, s.name("2")) == count
	})
}

// began counts the exchanges of a QoS that a device began for each payload. One, but for paho.mqtt.golang: it can send PUBLISH again when it has sent
// PUBREL, which no sender may [MQTT-4.3.3-6], and for the receiver that is a new message.
func (d *device) began(qos packet.QoS) map[string]int {
	count := map[string]int{}
	open := map[packet.ID]string{}
	for _, seen := range d.wire.seen.soFar() {
		if !seen.ToNode {
			continue
		}
		switch p := seen.Packet.(type) {
		case *packet.Publish:
			if payload := string(p.Payload); p.QoS == qos && open[p.ID] != payload {
				open[p.ID] = payload
				count[payload]++
			}
		case *packet.Ack:
			if p.Kind == packet.PUBREL {
				delete(open, p.ID)
			}
		}
	}
	return count
}

// onceOnTheWire demands what lets a device tell a QoS 2 message from one it has: its identifier stays the same and copies have DUP
// [MQTT-4.4.0-1], and after PUBREL it does not come again [MQTT-4.3.3-6]. The payloads are each message's own; began says how many there are with
// each.
func (s *stage) onceOnTheWire(sub *device, began map[string]int) {
	s.Helper()
	first := map[string]*packet.Publish{}
	released := map[packet.ID]bool{}
	for _, seen := range sub.wire.seen.soFar() {
		switch p := seen.Packet.(type) {
		case *packet.Publish:
			if seen.ToNode || p.QoS < 2 {
				continue
			}
			payload := string(p.Payload)
			before, again := first[payload]
			switch {
			case !again || before.ID != p.ID && began[payload] > 1:
				if again {
					began[payload]--
				}
				first[payload] = p
				delete(released, p.ID)
			case before.ID != p.ID || !p.Dup || released[p.ID]:
				s.Errorf("QoS 2: %q came again with identifier %d (before %d), DUP %t, after PUBREL: %t", p.Payload, p.ID, before.ID, p.Dup, released[p.ID])
			}
		case *packet.Ack:
			if p.Kind == packet.PUBREL && !seen.ToNode {
				released[p.ID] = true
			}
		}
	}
}

func distinct(all []message, topic string) int {
	found := map[string]bool{}
	for _, m := range all {
		if m.Topic == topic {
			found[m.Payload] = true
		}
	}
	return len(found)
}
