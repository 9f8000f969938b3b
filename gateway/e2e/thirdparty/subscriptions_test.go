package thirdparty

import (
	"fmt"
	"slices"

	"github.com/google/go-cmp/cmp"
)

var subscriptions = []scenario{
	{name: "wildcards", play: wildcards},
	{name: "unsubscribe", play: unsubscribe},
	{name: "overlapping subscriptions", play: overlapping},
	{name: "subscription identifiers", play: identifiers, only: v5},
	{name: "no local", play: noLocal, only: v5},
}

// Each filter brings what it matches; what comes last tells that nothing more was on its way.
func wildcards(s *stage) {
	p := s.prefix
	last := p + "-last"
	names := []string{p, p + "/a", p + "/a/b", p + "/a/b/c", p + "//b", p + "/b"}
	matched := map[string][]string{
		p + "/#":   {p, p + "/a", p + "/a/b", p + "/a/b/c", p + "//b", p + "/b"},
		p + "/+":   {p + "/a", p + "/b"},
		p + "/+/b": {p + "/a/b", p + "//b"},
		p + "/a/#": {p + "/a", p + "/a/b", p + "/a/b/c"},
	}
	pub := s.connect(s.first)
	subs := map[string]*device{}
	for f := range matched {
		subs[f] = s.connect(s.second)
		subs[f].sub(f, 1)
		subs[f].sub(last, 1)
	}
	for _, name := range append(names, last) {
		pub.send(name, "x", 1)
	}
	for f, want := range matched {
		var got []string
		for m := subs[f].messages.next(s, "a message"); m.Topic != last; m = subs[f].messages.next(s, "a message") {
			got = append(got, m.Topic)
		}
		if diff := cmp.Diff(want, got); diff != "" {
			s.Errorf("filter %s (-want +got):\n%s", f, diff)
		}
	}
}

// After UNSUBACK nothing more comes [MQTT-3.10.4-2]; other subscriptions go on.
func unsubscribe(s *stage) {
	sub, pub := s.connect(s.second), s.connect(s.first)
	for qos := range byte(3) {
		gone, kept := s.name("gone"), s.name("kept")
		sub.sub(gone, qos)
		sub.sub(kept, qos)
		pub.send(gone, "before", qos)
		sub.expectText(gone, qos, "before")
		if err := sub.unsubscribe(gone); err != nil {
			s.Fatalf("UNSUBSCRIBE: %v", err)
		}
		pub.send(gone, "after", qos)
		pub.send(kept, "on", qos)
		sub.expectText(kept, qos, "on")
	}
}

// Overlapping subscriptions give one copy, at the highest QoS [MQTT-3.3.4-2].
func overlapping(s *stage) {
	sub, pub := s.connect(s.second), s.connect(s.first)
	sub.request(request{filters: []filter{{Filter: s.name("#"), QoS: 0}, {Filter: s.name("+"), QoS: 2}, {Filter: s.name("a"), QoS: 1}}})
	// One at a time, for order is kept per QoS. A second copy of one would come in the place of the next.
	for i, m := range []message{{Topic: s.name("a"), QoS: 2}, {Topic: s.name("b"), QoS: 1}, {Topic: s.name("c"), QoS: 0}, {Topic: s.name("a"), QoS: 2}} {
		m.Payload = fmt.Sprint(i)
		pub.pub(m)
		sub.expect(m)
	}
}

// The copy has the identifiers of all subscriptions that match [MQTT-3.3.4-3, MQTT-3.3.4-4], and not of one that was replaced without.
func identifiers(s *stage) {
	sub, pub := s.connect(s.second), s.connect(s.first)
	for i, f := range []string{s.name("#"), s.name("+/b"), s.name("a/b"), s.name("c")} {
		sub.request(request{id: i + 1, filters: []filter{{Filter: f, QoS: 1}}})
	}
	pub.send(s.name("a/b"), "three", 1)
	pub.send(s.name("x/b"), "two", 1)
	pub.send(s.name("x"), "one", 1)
	sub.expect( // or they come after the replacement
		message{Topic: s.name("a/b"), Payload: "three", QoS: 1},
		message{Topic: s.name("x/b"), Payload: "two", QoS: 1},
		message{Topic: s.name("x"), Payload: "one", QoS: 1},
	)
	sub.request(request{filters: []filter{{Filter: s.name("#"), QoS: 1}}})
	pub.send(s.name("x"), "none", 1)
	pub.send(s.name("c"), "fourth", 1)
	sub.expect(
		message{Topic: s.name("x"), Payload: "none", QoS: 1},
		message{Topic: s.name("c"), Payload: "fourth", QoS: 1},
	)
	want := [][]uint32{{1, 2, 3}, {1, 2}, {1}, nil, {4}}
	for i, p := range sub.publishes(false, len(want)) {
		got := slices.Sorted(slices.Values(p.Properties.SubscriptionIDs))
		if !slices.Equal(got, want[i]) {
			s.Errorf("%q came with the identifiers %v, want %v", p.Payload, got, want[i])
		}
	}
	s.toldIdentifiers(sub, want)
}

// toldIdentifiers compares what the library hands on. paho.golang keeps one of several.
func (s *stage) toldIdentifiers(sub *device, want [][]uint32) {
	for i, m := range sub.messages.soFar() {
		var told []uint32
		for _, id := range m.Subscriptions {
			told = append(told, uint32(id))
		}
		slices.Sort(told)
		if len(told) == 1 && slices.Contains(want[i], told[0]) {
			continue
		}
		if !slices.Equal(told, want[i]) {
			s.Errorf("the library tells the identifiers %v of message %d, want %v", told, i+1, want[i])
		}
	}
}

// With No Local a device gets what others publish and not what it publishes itself [MQTT-3.8.3-3], wherever it is connected by then.
func noLocal(s *stage) {
	topic := s.name("x")
	for qos := range byte(3) {
		d := s.connect(s.second)
		d.request(request{filters: []filter{{Filter: topic, QoS: qos, NoLocal: true}}})
		other := s.connect(s.first)
		d.send(topic, "own", 2)
		other.send(topic, "other's", 2)
		d.expectText(topic, qos, "other's")
	}
	id := s.name("moving")
	d := s.connect(s.second, persistent(id))
	d.request(request{filters: []filter{{Filter: topic, QoS: 1, NoLocal: true}}})
	d.end()
	other := s.connect(s.first)
	d = s.connect(s.first, persistent(id))
	d.send(topic, "own", 1)
	other.send(topic, "other's", 1)
	d.expectText(topic, 1, "other's")
}
