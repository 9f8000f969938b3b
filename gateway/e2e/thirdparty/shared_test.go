package thirdparty

import (
	"errors"
	"fmt"

	"sluice/gateway/e2e/rig"
)

var shared = []scenario{
	{name: "shared, each message once", play: sharedEachOnce},
	{name: "shared, a group, another and a subscriber", play: sharedGroups},
	{name: "shared, a member is lost", play: sharedMemberLost},
	{name: "shared, all members are away", play: sharedAllAway},
	{name: "shared, QoS 2 stays with its member", play: sharedQoS2Stays},
	{name: "shared, retained messages are not for groups", play: sharedNotRetained},
	{name: "shared, the last member leaves", play: sharedLastLeaves},
	{name: "shared, subscription identifier", play: sharedIdentifier, only: v5},
}

func share(group, filter string) string { return "$share/" + group + "/" + filter }

// expectEach waits until the members have all messages of a topic between them, and demands that none came twice. With RabbitMQ that is
// demanded of QoS 2 alone: it ends the AMQP session of all receivers of a node when one of them leaves its queue in the moment of its end, and what
// was not settled is delivered again, as after the loss of a connection.
func (s *stage) expectEach(topic string, count int, members ...*device) {
	s.Helper()
	rig.Eventually(s, fmt.Sprintf("the members have %d messages", count), func() error {
		all, twice := map[string]int{}, false
		for _, m := range members {
			for _, got := range m.messages.soFar() {
				if got.Topic == topic {
					all[got.Payload]++
					twice = twice || all[got.Payload] > 1 && (got.QoS == 2 || s.backend.Name != rabbitMQ)
				}
			}
		}
		if twice {
			s.Fatalf("messages came more than once: %v", all)
		}
		if len(all) < count {
			return fmt.Errorf("they have %d", len(all))
		}
		return nil
	})
}

// Each message goes to one member of the group, whichever node that is on, and each member gets some.
func sharedEachOnce(s *stage) {
	const count = 40
	pub := s.connect(s.first)
	for qos := range byte(3) {
		topic := s.name(fmt.Sprint(qos))
		members := []*device{s.connect(s.first), s.connect(s.second)}
		for _, m := range members {
			m.sub(share("g", topic), qos)
		}
		for i := range count {
			pub.send(topic, fmt.Sprint(i), max(qos, 1))
		}
		s.expectEach(topic, count, members...)
		for i, m := range members {
			got := m.messages.soFar()
			if len(got) == 0 {
				s.Errorf("QoS %d: member %d got none of %d messages", qos, i+1, count)
			}
			for _, g := range got {
				if g.QoS != qos {
					s.Errorf("QoS %d: %q came at QoS %d", qos, g.Payload, g.QoS)
					break
				}
			}
		}
	}
}

// Each group gets each message, and so does a subscriber of its own; a device that is both gets both copies.
func sharedGroups(s *stage) {
	const count = 10
	topic := s.name("a/x")
	pub := s.connect(s.second)
	one, other := s.connect(s.first), s.connect(s.second)
	one.sub(share("one", topic), 1)
	other.sub(share("other", s.name("+/x")), 1)
	both := s.connect(s.first)
	both.sub(share("third", s.name("#")), 1)
	both.sub(s.name("#"), 1)
	for i := range count {
		pub.send(topic, fmt.Sprint(i), 1)
	}
	s.expectEach(topic, count, one)
	s.expectEach(topic, count, other)
	both.messages.await(s, "two copies of each", func(all []message) bool { return len(all) >= 2*count })
}

// What a lost member had not acknowledged at QoS 1 goes to the other.
func sharedMemberLost(s *stage) {
	const count = 20
	topic := s.name("x")
	lost := s.connect(s.first, manual)
	stays := s.connect(s.second)
	lost.sub(share("g", topic), 1)
	stays.sub(share("g", topic), 1)
	pub := s.connect(s.second)
	for i := range count {
		pub.send(topic, fmt.Sprint(i), 1)
	}
	lost.publishes(false, 1)
	lost.wire.cut()
	s.expectEach(topic, count, stays)
}

// As long as a member has a session, messages wait for the group; who comes first, to whichever node, gets them.
func sharedAllAway(s *stage) {
	const count = 10
	topic := s.name("x")
	var ids []string
	for i, n := range []*rig.Node{s.first, s.second} {
		ids = append(ids, s.name(fmt.Sprint("member ", i)))
		m := s.connect(n, persistent(ids[i]))
		m.sub(share("g", topic), 1)
		m.end()
	}
	pub := s.connect(s.first)
	for i := range count {
		pub.send(topic, fmt.Sprint(i), 1)
	}
	back := s.connect(s.second, persistent(ids[0]))
	if !back.present {
		s.Error("the member's session is not present")
	}
	s.expectEach(topic, count, back)
}

// A QoS 2 delivery that has begun stays with its member, which goes on with it on the other node [MQTT-4.8.2-4, MQTT-4.8.2-5].
func sharedQoS2Stays(s *stage) {
	topic := s.name("x")
	id := s.name("member")
	member := s.connect(s.first, persistent(id), manual)
	member.sub(share("g", topic), 2)
	pub := s.connect(s.second)
	pub.send(topic, "begun", 2)
	begun := member.publishes(false, 1)[0]
	other := s.connect(s.second)
	other.sub(share("g", topic), 2)
	member.wire.cut()
	member.ends.next(s, "the end of the connection")
	pub.send(topic, "next", 2) // for either: the node may not have noticed yet that the member is lost
	member = s.connect(s.second, persistent(id))
	member.expectAgain(begun)
	pub.send(topic, "last", 2)
	s.expectAmong("next", member, other)
	s.expectAmong("last", member, other)
	for _, m := range other.messages.soFar() {
		if m.Payload == "begun" {
			s.Error("the other member got the message too")
		}
	}
}

// expectAmong waits until one of the members has a message.
func (s *stage) expectAmong(payload string, members ...*device) {
	s.Helper()
	rig.Eventually(s, fmt.Sprintf("a member has %q", payload), func() error {
		for _, m := range members {
			for _, got := range m.messages.soFar() {
				if got.Payload == payload {
					return nil
				}
			}
		}
		return errors.New("none has")
	})
}

// A shared subscription brings no retained messages (MQTT 5, 3.8.4); beside it others do.
func sharedNotRetained(s *stage) {
	topic := s.name("x")
	pub := s.connect(s.first)
	pub.retain(topic, "kept")
	member := s.connect(s.second)
	member.sub(share("g", topic), 1)
	pub.send(topic, "nothing before this", 1)
	member.expectText(topic, 1, "nothing before this")
	member.sub(topic, 1)
	member.expect(message{Topic: topic, Payload: "kept", QoS: 1, Retain: true})
}

// With the last member's subscription the group is over: what comes then waits for nobody, and a new group begins empty.
func sharedLastLeaves(s *stage) {
	topic := s.name("x")
	pub := s.connect(s.second)
	bus := rig.OpenBus(s, s.first)
	for _, leaves := range []func(*device) error{
		func(d *device) error { return d.unsubscribe(share("g", topic)) },
		func(d *device) error { return d.disconnect(leave{}) },
	} {
		members := []*device{s.connect(s.first), s.connect(s.second)}
		for _, m := range members {
			m.sub(share("g", topic), 1)
		}
		if err := leaves(members[0]); err != nil {
			s.Fatal(err)
		}
		pub.send(topic, "for who stays", 1)
		members[1].expectText(topic, 1, "for who stays")
		if err := leaves(members[1]); err != nil {
			s.Fatal(err)
		}
		bus.ExpectNobody(topic)
		pub.send(topic, "for nobody", 1)
	}
	again := s.connect(s.first)
	again.sub(share("g", topic), 1)
	pub.send(topic, "on", 1)
	again.expectText(topic, 1, "on")
}

// Each member's messages have the identifier that it gave.
func sharedIdentifier(s *stage) {
	const count = 20
	topic := s.name("x")
	members := []*device{s.connect(s.first), s.connect(s.second)}
	for i, m := range members {
		m.request(request{id: i + 1, filters: []filter{{Filter: share("g", topic), QoS: 1}}})
	}
	pub := s.connect(s.first)
	for i := range count {
		pub.send(topic, fmt.Sprint(i), 1)
	}
	s.expectEach(topic, count, members...)
	for i, m := range members {
		for _, p := range publishes(m.wire.seen.soFar(), false) {
			if ids := p.Properties.SubscriptionIDs; len(ids) != 1 || ids[0] != uint32(i+1) {
				s.Errorf("member %d got %q with the identifiers %v", i+1, p.Payload, ids)
			}
		}
	}
}
