package thirdparty

import (
	"time"

	"sluice/gateway/e2e/rig"
	"sluice/mqtt/packet"
)

var connections = []scenario{
	{name: "takeover", play: takeover},
	{name: "keep-alive", play: keepAlive},
	{name: "node stops", play: nodeStops},
}

// expectEnd demands that the connection ended, on MQTT 5 with this reason.
func (d *device) expectEnd(reason packet.ReasonCode) {
	d.s.Helper()
	end := d.ends.next(d.s, "the end of the connection")
	if d.s.version == packet.V5 && (!end.told || end.reason != reason) {
		d.s.Errorf("the connection ended with %+v, want %v", end, reason)
	}
}

// A second connection with the same identifier, on the other node, ends the first [MQTT-3.1.4-3] and has its subscriptions.
func takeover(s *stage) {
	topic := s.name("x")
	pub := s.connect(s.first)
	d := s.connect(s.second, persistent(s.prefix))
	d.sub(topic, 1)
	for i, n := range []*rig.Node{s.first, s.second, s.second} {
		next := s.connect(n, persistent(s.prefix))
		if !next.present {
			s.Errorf("takeover %d: the session is not present", i+1)
		}
		d.expectEnd(packet.SessionTakenOver)
		d = next
		pub.send(topic, "on", 1)
		d.expectText(topic, 1, "on")
	}
}

// A library keeps its idle connection alive. One that is not heard any more for one and a half times its keep-alive is disconnected
// [MQTT-3.1.2-22], and its Will comes.
func keepAlive(s *stage) {
	every := func(seconds uint16) option { return func(o *options) { o.keepAlive = seconds } }
	topic := s.name("will")
	idle := s.connect(s.second, every(6)) // a loaded machine may ping late by half of it
	idle.sub(topic, 1)
	since := time.Now()
	silent := s.connect(s.first, every(1), withWill(plainWill(topic, 1)))
	silent.wire.silence()
	// The library may be the first to give up, for its ping has no answer; then the node has no time to say why.
	silent.ends.next(s, "the end of the connection")
	idle.expectText(topic, 1, "gone")
	if after := time.Since(since); after < time.Second {
		s.Errorf("the device was given up after %v, its keep-alive is 1 s", after)
	}
	idle.wire.seen.await(s, "two pings of the idle device", func(all []sighting) bool {
		pings := 0
		for _, seen := range all {
			if _, ok := seen.Packet.(*packet.Pingresp); ok {
				pings++
			}
		}
		return pings >= 2
	})
	idle.send(topic, "alive", 1)
	idle.expectText(topic, 1, "alive")
}

// A node that stops says so, and the device comes back by itself on another node, where its session is.
func nodeStops(s *stage) {
	topic := s.name("x")
	third := s.startNode()
	d := s.connectTo([]*rig.Node{third, s.first}, persistent(s.prefix), withWill(plainWill(topic, 1)), func(o *options) { o.reconnect = true })
	d.sub(topic, 1)
	third.Stop(s)
	d.expectEnd(packet.ServerShuttingDown)
	d.ups.next(s, "the next connection")
	if !d.wire.present(1) {
		s.Error("the session is not present on the other node")
	}
	s.connect(s.second).send(topic, "no will before this", 1)
	d.expectText(topic, 1, "no will before this")
}
