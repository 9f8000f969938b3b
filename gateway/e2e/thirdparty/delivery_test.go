package thirdparty

import (
	"fmt"
	"strings"

	"sluice/mqtt/packet"
)

var delivery = []scenario{
	{name: "every QoS up and down", play: everyQoS},
	{name: "from every other client", play: fromEveryOther},
	{name: "nobody subscribes", play: nobodySubscribes},
	{name: "many messages at a time", play: manyAtATime},
	{name: "payload up to the limit", play: largePayloads},
	{name: "packet above the gateway's limit", play: aboveTheGatewaysLimit},
	{name: "packet above the device's limit", play: aboveTheDevicesLimit, only: v5},
}

// A message comes at the lower of the QoS it was sent with and the QoS it was subscribed with, whatever is in it.
func everyQoS(s *stage) {
	topics := []string{s.name("0"), s.name("1"), s.name("2")}
	sub, pub := s.connect(s.second), s.connect(s.first)
	for qos, topic := range topics {
		sub.sub(topic, byte(qos))
	}
	payloads := []string{"21.5", "", "a\x00b", "\xff\xfe\x00", "ä€😀"}
	for granted, topic := range topics {
		for sent := range byte(3) {
			for _, p := range payloads {
				pub.send(topic, p, sent)
			}
			sub.expectText(topic, min(byte(granted), sent), payloads...)
		}
	}
}

// Versions and libraries meet: what one cannot say the other does not miss.
func fromEveryOther(s *stage) {
	topic := s.name("x")
	sub := s.connect(s.second)
	sub.sub(topic, 2)
	for _, k := range kinds() {
		pub := s.connectAs(k, s.first)
		m := message{Topic: topic, Payload: k.name, QoS: 2}
		if k.version == packet.V5 {
			m.extras = extras{ContentType: "text/plain", User: []string{"a=1"}}
		}
		pub.pub(m)
		if s.version != packet.V5 {
			m.extras = extras{}
		}
		sub.expect(m)
		pub.end()
	}
}

// A message that nobody gets is no failure. MQTT 5 devices are told (0x10).
func nobodySubscribes(s *stage) {
	pub := s.connect(s.first)
	for qos := range byte(3) {
		reason, err := pub.publish(message{Topic: s.name("nobody"), Payload: "x", QoS: qos})
		if err != nil {
			s.Fatal(err)
		}
		want := packet.Success
		if s.version == packet.V5 && qos > 0 {
			want = packet.NoMatchingSubscribers
		}
		if told := pub.lastReason(); told != want {
			s.Errorf("QoS %d: the answer has %v, want %v; the library says %v", qos, told, want, reason)
		}
	}
}

// lastReason is the latest reason of a PUBACK or PUBREC.
func (d *device) lastReason() (reason packet.ReasonCode) {
	for _, seen := range d.wire.seen.soFar() {
		if p, ok := seen.Packet.(*packet.Ack); ok && !seen.ToNode && (p.Kind == packet.PUBACK || p.Kind == packet.PUBREC) {
			reason = p.Reason
		}
	}
	return reason
}

// Messages that are under way side by side all arrive, once at QoS 2.
func manyAtATime(s *stage) {
	const count = 60
	sub, pub := s.connect(s.second), s.connect(s.first)
	for qos := byte(1); qos <= 2; qos++ {
		topic := s.name(fmt.Sprint(qos))
		sub.sub(topic, qos)
		var sent []message
		for i := range count {
			sent = append(sent, message{Topic: topic, Payload: fmt.Sprint(i), QoS: qos})
		}
		pub.pubAll(sent)
		got := map[string]int{}
		for range count {
			got[sub.messages.next(s, "a message").Payload]++
		}
		for i := range count {
			if n := got[fmt.Sprint(i)]; n != 1 {
				s.Errorf("QoS %d: message %d came %d times", qos, i, n)
			}
		}
	}
}

// sized makes a message whose PUBLISH packet has this size, 16 KiB to 2 MiB.
func sized(v packet.Version, topic string, qos byte, size int) message {
	overhead := 1 + 3 + 2 + len(topic) // type, Remaining Length, topic
	if qos > 0 {
		overhead += 2 // packet identifier
	}
	if v == packet.V5 {
		overhead++ // the length of no properties
	}
	return message{Topic: topic, QoS: qos, Payload: strings.Repeat("x", size-overhead)}
}

func largePayloads(s *stage) {
	limit := s.config().MaxPacketSize
	topic := s.name("large")
	sub, pub := s.connect(s.second), s.connect(s.first)
	sub.sub(topic, 2)
	for _, size := range []int{20_000, 100_000, limit} {
		for qos := range byte(3) {
			m := sized(s.version, topic, qos, size)
			pub.pub(m)
			if got := sub.messages.next(s, "the large message"); got.Payload != m.Payload || got.QoS != qos {
				s.Errorf("QoS %d: a payload of %d bytes came as one of %d, QoS %d", qos, len(m.Payload), len(got.Payload), got.QoS)
			}
		}
	}
	sub.send(topic, "alive", 1)
	sub.expectText(topic, 1, "alive")
}

// One byte more and the gateway closes the connection, with the reason where there is one [MQTT-3.2.2-15]. Nothing of it is delivered.
func aboveTheGatewaysLimit(s *stage) {
	topic := s.name("too large")
	sub, pub := s.connect(s.second), s.connect(s.first)
	sub.sub(topic, 1)
	tooLarge := sized(s.version, topic, 1, s.config().MaxPacketSize+1)
	s.background(func() {
		_, _ = pub.publish(tooLarge)
	})
	if end := pub.ends.next(s, "the end of the connection"); s.version == packet.V5 && (!end.told || end.reason != packet.PacketTooLarge) {
		s.Errorf("the end was %+v", end)
	}
	sub.send(topic, "alive", 1)
	sub.expectText(topic, 1, "alive")
}

// What is larger than the device takes is not delivered to it, and the session goes on [MQTT-3.1.2-24, MQTT-3.1.2-25].
func aboveTheDevicesLimit(s *stage) {
	const limit = 20_000
	topic := s.name("x")
	sub := s.connect(s.second, persistent(s.prefix), func(o *options) { o.maximumPacket = limit })
	pub := s.connect(s.first)
	for qos := range byte(3) {
		sub.sub(topic, qos)
		pub.pub(sized(s.version, topic, qos, limit+1))
		pub.pub(message{Topic: topic, QoS: qos, Payload: "small"})
		sub.expectText(topic, qos, "small")
	}
	fits := sized(s.version, topic, 2, limit)
	pub.pub(fits)
	sub.expect(fits)
}
