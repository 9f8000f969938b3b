package thirdparty

import "sluice/mqtt/packet"

// webSocket plays over WebSocket what depends on how packets are cut, joined and ended; the rest is behind the transport.
var webSocket = []scenario{
	{name: "WebSocket, every QoS up and down", play: overWebSocket(everyQoS)},
	{name: "WebSocket, many messages at a time", play: overWebSocket(manyAtATime)},
	{name: "WebSocket, payload up to the limit", play: overWebSocket(largePayloads)},
	{name: "WebSocket, packet above the gateway's limit", play: overWebSocket(aboveTheGatewaysLimit)},
	{name: "WebSocket, messages wait", play: overWebSocket(messagesWait)},
	{name: "WebSocket, will when the connection breaks", play: overWebSocket(willOnCut)},
	{name: "WebSocket, no will after DISCONNECT", play: overWebSocket(noWill)},
	{name: "WebSocket, takeover", play: overWebSocket(takeover)},
	{name: "WebSocket, node stops", play: overWebSocket(lastWords)},
	{name: "from TCP to WebSocket and back", play: betweenTransports},
}

func overWebSocket(play func(*stage)) func(*stage) {
	return func(s *stage) {
		s.websocket = true
		play(s)
	}
}

// betweenTransports: a session is the device's, not its connection's.
func betweenTransports(s *stage) {
	topic := s.name("x")
	pub := s.connect(s.second)
	sub := s.connect(s.first, persistent(s.prefix))
	sub.sub(topic, 2)
	for _, way := range []string{"to WebSocket", "to TCP"} {
		sub.end()
		pub.send(topic, way, 2)
		s.websocket = !s.websocket
		sub = s.connect(s.second, persistent(s.prefix))
		if !sub.present {
			s.Errorf("%s: the session is not present", way)
		}
		sub.expectText(topic, 2, way)
		s.first, s.second = s.second, s.first
	}
}

// lastWords: the DISCONNECT of a node that stops reaches the device.
func lastWords(s *stage) {
	third := s.startNode()
	d := s.connect(third)
	third.Stop(s)
	d.expectEnd(packet.ServerShuttingDown)
}
