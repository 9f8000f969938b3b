package thirdparty

import (
	"fmt"

	"sluice/mqtt/packet"
)

var flow = []scenario{
	{name: "slow acknowledgements", play: slowAcknowledgements},
	{name: "receive maximum of the gateway", play: gatewaysReceiveMaximum, only: func(k kind) bool { return k.throttled }},
}

// window is how many messages the devices of the scenarios let be under way. MQTT 3.1.1 has no word for it; there it is the gateway's.
func (s *stage) window() int {
	if s.version == packet.V311 {
		return s.config().Window
	}
	return 2
}

// A device that acknowledges slowly never has more under way than it takes: its Receive Maximum [MQTT-3.3.4-9], and the gateway's window
// for MQTT 3.1.1, which has none.
func slowAcknowledgements(s *stage) {
	window := s.window()
	pub := s.connect(s.first)
	for qos := byte(1); qos <= 2; qos++ {
		topic := s.name(fmt.Sprint(qos))
		sub := s.connect(s.second, manual, func(o *options) { o.receiveMaximum = uint16(window) })
		sub.sub(topic, qos)
		count := 3*window + 1
		var payloads []string
		for i := range count {
			payloads = append(payloads, fmt.Sprint(i))
			pub.send(topic, payloads[i], qos)
		}
		// All are at the gateway. Those in the window come, and the next only when one of them is acknowledged.
		sub.publishes(false, window)
		for i := range count {
			sub.messages.await(s, "the next message", func(all []message) bool { return len(all) > i })
			if err := sub.acknowledge(); err != nil {
				s.Fatal(err)
			}
		}
		sub.expectText(topic, qos, payloads...)
		sub.wire.seen.await(s, "the last acknowledgement", func(all []sighting) bool {
			_, now := underWay(all, false)
			return now == 0
		})
		if most, _ := underWay(sub.wire.seen.soFar(), false); most != window {
			s.Errorf("QoS %d: %d messages were under way at a time, want %d", qos, most, window)
		}
	}
}

// A device that has more to send than the gateway takes at a time waits, or is read more slowly; all of it arrives.
func gatewaysReceiveMaximum(s *stage) {
	limit := s.config().ReceiveMaximum
	count := 2 * limit
	sub, pub := s.connect(s.second), s.connect(s.first)
	for qos := byte(1); qos <= 2; qos++ {
		topic := s.name(fmt.Sprint(qos))
		sub.sub(topic, qos)
		var sent []message
		for i := range count {
			sent = append(sent, message{Topic: topic, Payload: fmt.Sprint(i), QoS: qos})
		}
		pub.pubAll(sent)
		sub.messages.await(s, "all messages", func(all []message) bool { return distinct(all, topic) == count })
	}
	if most, _ := underWay(pub.wire.seen.soFar(), true); s.version == packet.V5 && most > limit {
		s.Errorf("the library had %d messages under way, the gateway takes %d", most, limit)
	}
}
