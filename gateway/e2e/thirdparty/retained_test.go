package thirdparty

import (
	"fmt"
	"time"
)

var retained = []scenario{
	{name: "retained on any node", play: retainedOnAnyNode},
	{name: "retained and wildcards", play: retainedWildcards},
	{name: "retained within the window", play: retainedWithinTheWindow},
	{name: "retained will", play: retainedWill},
	{name: "retain handling", play: retainHandling, only: v5},
	{name: "retain as published", play: retainAsPublished, only: v5},
	{name: "retained with properties", play: retainedProperties, only: v5},
	{name: "retained and expired", play: retainedExpired, only: v5},
}

// retain publishes with RETAIN at QoS 1: when it returns, every node has it.
func (d *device) retain(topic, payload string) {
	d.s.Helper()
	d.pub(message{Topic: topic, Payload: payload, QoS: 1, Retain: true})
}

// What is retained on one node comes to new subscriptions on the other, with RETAIN [3.1.1 MQTT-3.3.1-8]; to those there were, without
// [MQTT-3.3.1-12]. The latest replaces what was before, and an empty one removes it [MQTT-3.3.1-5, MQTT-3.3.1-6].
func retainedOnAnyNode(s *stage) {
	topic := s.name("x")
	pub, live := s.connect(s.first), s.connect(s.second)
	live.sub(topic, 1)
	for _, payload := range []string{"old", "new"} {
		pub.retain(topic, payload)
		live.expectText(topic, 1, payload)
	}
	var subs []*device
	for qos := range byte(3) {
		sub := s.connect(s.second)
		subs = append(subs, sub)
		sub.sub(topic, qos)
		sub.expect(message{Topic: topic, Payload: "new", QoS: min(qos, 1), Retain: true})
		pub.send(topic, "not retained", 2)
		sub.expectText(topic, qos, "not retained")
		live.expectText(topic, 1, "not retained")
	}
	pub.retain(topic, "")
	live.expectText(topic, 1, "")
	subs[0].expectText(topic, 0, "not retained")
	subs[0].expectText(topic, 0, "not retained")
	// At QoS 0 all devices of a node have one way from the bus: what is still on it comes to those who join just now.
	subs[0].expectText(topic, 0, "")
	for qos := range byte(3) {
		sub := s.connect(s.second)
		sub.sub(topic, qos)
		pub.send(topic, "nothing before this", qos)
		sub.expectText(topic, qos, "nothing before this")
	}
}

// A wildcard brings the retained messages of all topics that match.
func retainedWildcards(s *stage) {
	pub := s.connect(s.first)
	for _, name := range []string{"a", "a/b", "a/b/c", "b/b", "/b"} {
		pub.retain(s.name(name), name)
	}
	for last, want := range map[string][]string{
		"#":   {"a", "a/b", "a/b/c", "b/b", "/b"},
		"+":   {"a"},
		"+/b": {"a/b", "b/b", "/b"},
		"a/#": {"a", "a/b", "a/b/c"},
	} {
		for qos := range byte(2) {
			sub := s.connect(s.second)
			sub.sub(s.name(last), qos)
			got := map[string]bool{}
			for range want {
				m := sub.messages.next(s, "a retained message")
				if got[m.Payload] || m.Topic != s.name(m.Payload) || m.QoS != qos || !m.Retain {
					s.Errorf("%s: got %+v", last, m)
				}
				got[m.Payload] = true
			}
			for _, name := range want {
				if !got[name] {
					s.Errorf("%s: %s has not come", last, name)
				}
			}
			// One too many would come before this.
			pub.send(s.name("a"), "last", qos)
			if last != "+/b" {
				sub.expectText(s.name("a"), qos, "last")
			}
		}
	}
}

// Retained messages wait for a slow device like any others.
func retainedWithinTheWindow(s *stage) {
	window := s.window()
	count := 3 * window
	pub := s.connect(s.first)
	for i := range count {
		pub.retain(s.name(fmt.Sprintf("%03d", i)), "x")
	}
	sub := s.connect(s.second, manual, func(o *options) { o.receiveMaximum = uint16(window) })
	// Beside the rest: mqtt.js hands SUBACK on after the messages before it.
	subscribed := make(chan error, 1)
	s.background(func() {
		_, err := sub.subscribe(request{filters: []filter{{Filter: s.name("+"), QoS: 1}}})
		subscribed <- err
	})
	sub.publishes(false, window)
	for i := range count {
		sub.messages.await(s, "the next message", func(all []message) bool { return len(all) > i })
		if err := sub.acknowledge(); err != nil {
			s.Fatal(err)
		}
	}
	if err := <-subscribed; err != nil {
		s.Error(err)
	}
	if most, _ := underWay(sub.wire.seen.soFar(), false); most != window {
		s.Errorf("%d messages were under way at a time, want %d", most, window)
	}
}

// A Will with Will Retain is retained [MQTT-3.1.2-15].
func retainedWill(s *stage) {
	topic := s.name("will")
	live := s.connect(s.second)
	live.sub(topic, 1)
	w := plainWill(topic, 1)
	w.Retain = true
	s.connect(s.first, withWill(w)).wire.cut()
	live.expectText(topic, 1, "gone")
	sub := s.connect(s.second)
	sub.sub(topic, 1)
	sub.expect(message{Topic: topic, Payload: "gone", QoS: 1, Retain: true})
}

// Retain Handling 0 sends them with each SUBSCRIBE, 1 with the first, 2 with none [MQTT-3.3.1-9 to MQTT-3.3.1-11].
func retainHandling(s *stage) {
	pub := s.connect(s.first)
	for handling, comes := range []int{2, 1, 0} {
		topic := s.name(fmt.Sprint(handling))
		pub.retain(topic, "kept")
		sub := s.connect(s.second)
		for i := range 2 {
			sub.request(request{filters: []filter{{Filter: topic, QoS: 1, RetainHandling: byte(handling)}}})
			if i < comes {
				sub.expect(message{Topic: topic, Payload: "kept", QoS: 1, Retain: true})
			}
			pub.send(topic, "nothing before this", 1)
			sub.expectText(topic, 1, "nothing before this")
		}
	}
}

// Retain As Published leaves the flag as it was sent [MQTT-3.3.1-13].
func retainAsPublished(s *stage) {
	topic := s.name("x")
	pub := s.connect(s.first)
	for qos := range byte(3) {
		sub := s.connect(s.second)
		sub.request(request{filters: []filter{{Filter: topic, QoS: qos, RetainAsPublished: true, RetainHandling: 2}}})
		pub.pub(message{Topic: topic, Payload: "kept", QoS: qos, Retain: true})
		sub.expect(message{Topic: topic, Payload: "kept", QoS: qos, Retain: true})
		pub.send(topic, "not kept", qos)
		sub.expectText(topic, qos, "not kept")
	}
}

// A retained message keeps all it has, and its time runs while it is kept.
func retainedProperties(s *stage) {
	topic := s.name("x")
	pub := s.connect(s.first)
	m := message{Topic: topic, Payload: "21.5", QoS: 1, Retain: true, extras: everything(s.name("answers"))}
	pub.pub(m)
	pass(messageExpired)
	for qos := range byte(2) {
		sub := s.connect(s.second)
		sub.sub(topic, qos)
		got := sub.messages.next(s, "the retained message")
		expectExpiry(s, got, everyExpiry-uint32(patience/time.Second), everyExpiry-1)
		got.Expiry = m.Expiry
		m.QoS = qos
		if diff := compare(m, got); diff != "" {
			s.Errorf("QoS %d (-want +got):\n%s", qos, diff)
		}
	}
}

// What has expired is retained no more.
func retainedExpired(s *stage) {
	topic := s.name("x")
	pub := s.connect(s.first)
	pub.pub(message{Topic: topic, Payload: "expires", QoS: 1, Retain: true, extras: extras{Expiry: 1}})
	pass(messageExpired)
	for qos := range byte(2) {
		sub := s.connect(s.second)
		sub.sub(topic, qos)
		pub.send(topic, "nothing before this", qos)
		sub.expectText(topic, qos, "nothing before this")
	}
}
