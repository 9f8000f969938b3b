package thirdparty

import (
	"time"

	"sluice/gateway/e2e/rig"
)

var expiry = []scenario{
	{name: "expiry is counted down", play: countedDown, only: v5},
	{name: "expired is not delivered", play: expired, only: v5},
}

const (
	patience = rig.Patience
	// everyExpiry is an expiry that no test lives to see, in seconds.
	everyExpiry = 500
	// sessionExpired is when a session that expires in a second is over for certain; messageExpired the same for a message.
	sessionExpired = 1500 * time.Millisecond
	messageExpired = 1500 * time.Millisecond
	// willSlack is how much later than its delay a Will that should not come would have come.
	willSlack = 500 * time.Millisecond
)

func expectExpiry(s *stage, m message, least, most uint32) {
	s.Helper()
	if m.Expiry < least || m.Expiry > most {
		s.Errorf("%q expires in %d s, want %d to %d", m.Payload, m.Expiry, least, most)
	}
}

// The time a message has waited is taken off its expiry [MQTT-3.3.2-6].
func countedDown(s *stage) {
	topic := s.name("x")
	sub := s.connect(s.second, persistent(s.prefix))
	sub.sub(topic, 1)
	pub := s.connect(s.first)
	m := message{Topic: topic, Payload: "at once", QoS: 1, extras: extras{Expiry: everyExpiry}}
	pub.pub(m)
	got := sub.messages.next(s, "the message")
	expectExpiry(s, got, everyExpiry-uint32(patience/time.Second), everyExpiry)
	sub.end()
	m.Payload = "later"
	pub.pub(m)
	pass(messageExpired)
	sub = s.connect(s.first, persistent(s.prefix))
	got = sub.messages.next(s, "the message")
	expectExpiry(s, got, everyExpiry-uint32(patience/time.Second), everyExpiry-1)
}

// What expires while the device is away is not delivered [MQTT-3.3.2-5].
func expired(s *stage) {
	topic := s.name("x")
	sub := s.connect(s.second, persistent(s.prefix))
	sub.sub(topic, 2)
	sub.end()
	pub := s.connect(s.first)
	for qos := range byte(3) {
		pub.pub(message{Topic: topic, Payload: "expires", QoS: qos, extras: extras{Expiry: 1}})
	}
	pub.send(topic, "stays", 1)
	pass(messageExpired)
	sub = s.connect(s.first, persistent(s.prefix))
	sub.expectText(topic, 1, "stays")
}
