package thirdparty

import (
	"fmt"

	"sluice/mqtt/packet"
)

var aliases = []scenario{
	{name: "topic aliases of the device", play: aliasesUp, only: v5},
	{name: "topic aliases of the gateway", play: aliasesDown, only: v5},
}

const aliasTopics, aliasRounds = 3, 4

// aliasPackets demands that most PUBLISH packets of a direction had an alias in place of their topic.
func aliasPackets(s *stage, sent []*packet.Publish) {
	s.Helper()
	bare := 0
	for _, p := range sent {
		if p.Topic == "" && p.Properties.Has(packet.PropTopicAlias) {
			bare++
		}
	}
	if want := aliasTopics * (aliasRounds - 1); bare < want {
		s.Errorf("%d PUBLISH packets have an alias and no topic, want %d or more", bare, want)
	}
}

// playAliases leaves QoS 2 out: mqtt.js hands a QoS 2 message on without its topic when that was an alias.
func playAliases(s *stage, sub, pub *device) {
	for round := range aliasRounds {
		for i := range aliasTopics {
			topic := s.name(fmt.Sprint("topic ", i))
			payload := fmt.Sprintf("%d of %d", round, i)
			pub.send(topic, payload, byte(round%2))
			sub.expectText(topic, byte(round%2), payload)
		}
	}
}

// What the device abbreviates reaches others under its whole name. Another connection of the same device begins anew [MQTT-3.3.2-7].
func aliasesUp(s *stage) {
	sub := s.connect(s.second)
	for i := range aliasTopics {
		sub.sub(s.name(fmt.Sprint("topic ", i)), 2)
	}
	for range 2 {
		pub := s.connect(s.first, clean(s.name("pub")), func(o *options) { o.aliases = true })
		playAliases(s, sub, pub)
		aliasPackets(s, pub.publishes(true, aliasTopics*aliasRounds))
		pub.end()
	}
}

// The gateway abbreviates for a device that takes aliases, no more of them than it takes [MQTT-3.1.2-26, MQTT-3.1.2-27].
func aliasesDown(s *stage) {
	pub := s.connect(s.first)
	sub := s.connect(s.second, func(o *options) { o.aliasMaximum = aliasTopics })
	none := s.connect(s.second)
	for i := range aliasTopics {
		sub.sub(s.name(fmt.Sprint("topic ", i)), 2)
		none.sub(s.name(fmt.Sprint("topic ", i)), 2)
	}
	playAliases(s, sub, pub)
	sent := sub.publishes(false, aliasTopics*aliasRounds)
	aliasPackets(s, sent)
	for _, p := range sent {
		if p.Properties.TopicAlias > aliasTopics {
			s.Errorf("alias %d, the device takes %d", p.Properties.TopicAlias, aliasTopics)
		}
	}
	for _, p := range none.publishes(false, aliasTopics*aliasRounds) {
		if p.Properties.Has(packet.PropTopicAlias) {
			s.Error("an alias for a device that takes none")
		}
	}
}
