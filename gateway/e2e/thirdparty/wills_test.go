package thirdparty

import (
	"time"

	"sluice/mqtt/packet"
)

var wills = []scenario{
	{name: "will when the connection breaks", play: willOnCut},
	{name: "no will after DISCONNECT", play: noWill},
	{name: "will on request", play: willOnRequest, only: v5},
	{name: "will with properties", play: willProperties, only: v5},
	{name: "delayed will", play: delayedWill, only: v5},
	{name: "will of a session that ends before its delay", play: willOfEndedSession, only: v5},
	{name: "no delayed will for a device that is back", play: willOfReturned, only: v5},
}

func plainWill(topic string, qos byte) will {
	return will{message: message{Topic: topic, Payload: "gone", QoS: qos}}
}

// The Will comes when the connection ends without DISCONNECT [MQTT-3.1.2-8], at its QoS, to devices on the other node.
func willOnCut(s *stage) {
	topic := s.name("will")
	sub := s.connect(s.second)
	sub.sub(topic, 2)
	for qos := range byte(3) {
		s.connect(s.first, withWill(plainWill(topic, qos))).wire.cut()
		sub.expectText(topic, qos, "gone")
	}
}

// A normal DISCONNECT drops the Will [MQTT-3.14.4-3].
func noWill(s *stage) {
	topic := s.name("will")
	sub := s.connect(s.second)
	sub.sub(topic, 1)
	s.connect(s.first, withWill(plainWill(topic, 1))).end()
	s.connect(s.first).send(topic, "nothing before this", 1)
	sub.expectText(topic, 1, "nothing before this")
}

// DISCONNECT 0x04 asks for the Will.
func willOnRequest(s *stage) {
	topic := s.name("will")
	sub := s.connect(s.second)
	sub.sub(topic, 1)
	s.connect(s.first, withWill(plainWill(topic, 1))).endWith(leave{reason: packet.DisconnectWithWill})
	sub.expectText(topic, 1, "gone")
}

// A Will has what any message has.
func willProperties(s *stage) {
	topic := s.name("will")
	sub := s.connect(s.second)
	sub.sub(topic, 1)
	m := message{Topic: topic, Payload: "gone", QoS: 1, extras: everything(s.name("answers"))}
	if !s.wholeWills {
		m.extras = extras{User: m.User}
	}
	s.connect(s.first, withWill(will{message: m})).wire.cut()
	got := sub.messages.next(s, "the will")
	if s.wholeWills {
		expectExpiry(s, got, everyExpiry-uint32(patience/time.Second), everyExpiry)
	}
	got.Expiry = m.Expiry
	if diff := compare(m, got); diff != "" {
		s.Errorf("-want +got:\n%s", diff)
	}
}

// The Will waits for its delay [MQTT-3.1.3-9].
func delayedWill(s *stage) {
	topic := s.name("will")
	sub := s.connect(s.second)
	sub.sub(topic, 1)
	w := plainWill(topic, 1)
	w.Delay = 1
	d := s.connect(s.first, persistent(s.prefix), withWill(w))
	cut := time.Now()
	d.wire.cut()
	sub.expectText(topic, 1, "gone")
	if after := time.Since(cut); after < time.Second {
		s.Errorf("the will came after %v, its delay is 1 s", after)
	}
}

// The end of the session ends the delay.
func willOfEndedSession(s *stage) {
	topic := s.name("will")
	sub := s.connect(s.second)
	sub.sub(topic, 1)
	w := plainWill(topic, 1)
	w.Delay = sessionExpiry
	s.connect(s.first, withWill(w)).wire.cut()
	sub.expectText(topic, 1, "gone")
}

// A device that is back in time, on whichever node, has lost nothing: no Will [MQTT-3.1.3-9].
func willOfReturned(s *stage) {
	topic := s.name("will")
	sub := s.connect(s.second)
	sub.sub(topic, 1)
	w := plainWill(topic, 1)
	w.Delay = 4 // the device must be back before, also on a loaded machine
	d := s.connect(s.first, persistent(s.prefix), withWill(w))
	d.wire.cut()
	d.ends.next(s, "the end of the connection")
	back := s.connect(s.second, persistent(s.prefix))
	pass(time.Duration(w.Delay)*time.Second + willSlack)
	back.send(topic, "nothing before this", 1)
	sub.expectText(topic, 1, "nothing before this")
}
