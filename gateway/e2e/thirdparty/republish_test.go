package thirdparty

import "sluice/gateway/e2e/rig"

var republish = []scenario{{name: "publisher comes back by itself", play: publisherComesBack}}

// publisherComesBack: it loses its connection again and again while messages are under way, and goes on by itself on the other node
// [MQTT-4.3.3-10].
func publisherComesBack(s *stage) {
	pub := s.connectTo([]*rig.Node{s.second, s.first}, persistent(s.name("pub")), comesBack)
	s.throughCuts(s.connect(s.first, persistent(s.name("sub"))), pub, pub)
}
