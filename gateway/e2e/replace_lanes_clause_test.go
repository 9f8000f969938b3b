package e2e

import (
	"fmt"
	"testing"

	"sluice/gateway/e2e/rig"
	"sluice/mqtt/packet"
)

// changing is a device that asks for something else again and again while a publisher sends on topics of its own.
type changing struct {
	subscriptions []packet.Subscription // at first
	topics        []string              // in turn, below the test's prefix
	change        func(n int) packet.Packet
}

// run publishes at QoS 1 and has the device change with each third message, unanswered, so that publishing, binding and unbinding go on at the same
// time. Each message must come, and come once: what was replaced or removed had each time another subscription beside it or in its place that is for the
// message too. Copies of different QoS have no order.
func (c changing) run(t *testing.T, first, second *rig.Node, v packet.Version) {
	t.Helper()
	const messages, changes = 60, 20
	prefix := rig.Prefix(t) + "/"
	to, _ := rig.Dial(t, first, v)
	for _, s := range c.subscriptions {
		to.Subscribe(prefix+s.Filter, s.QoS)
	}
	from, _ := rig.Dial(t, second, v)
	var asked []string
	for i := range messages {
		id := packet.ID(i + 1)
		from.Send(&packet.Publish{Topic: prefix + c.topics[i%len(c.topics)], QoS: 1, ID: id, Payload: fmt.Append(nil, i)})
		if n := i / (messages / changes); i%(messages/changes) == 0 {
			p := c.change(n)
			switch p := p.(type) {
			case *packet.Subscribe:
				p.ID = to.NextID()
				p.Subscriptions[0].Filter = prefix + p.Subscriptions[0].Filter
				asked = append(asked, fmt.Sprintf("%d: QoS %d", i, p.Subscriptions[0].QoS))
			case *packet.Unsubscribe:
				p.ID = to.NextID()
				p.Filters[0] = prefix + p.Filters[0]
				asked = append(asked, fmt.Sprintf("%d: none", i))
			}
			to.Send(p)
		}
		from.ExpectAck(packet.PUBACK, id)
	}
	times := map[string]int{}
	var came []string
	// The end by each of both lanes, since they may be behind one another. Requests are answered in order, so nothing changes any more.
	to.Subscribe(prefix+"end/0", 0)
	to.Subscribe(prefix+"end/1", 1)
	from.Publish(prefix+"end/0", []byte("end"), 1)
	from.Publish(prefix+"end/1", []byte("end"), 1)
	for ends := 0; ends < 2; {
		m := to.Collect(1)[0]
		if string(m.Payload) == "end" {
			ends++
			continue
		}
		times[string(m.Payload)]++
		came = append(came, fmt.Sprintf("%s@%d", m.Payload, m.QoS))
	}
	for i := range messages {
		if n := times[fmt.Sprint(i)]; n != 1 {
			t.Errorf("message %d came %d times", i, n)
		}
	}
	for range changes {
		if ack, ok := to.Recv().(*packet.Suback); ok && ack.Reasons[0].Failed() {
			t.Errorf("SUBACK has %v", ack.Reasons)
		}
	}
	if t.Failed() {
		t.Logf("asked %v, came %v", asked, came)
	}
}

func resubscribe(filter string, qos packet.QoS) packet.Packet {
	return &packet.Subscribe{Subscriptions: []packet.Subscription{{Filter: filter, QoS: qos}}}
}

// Whatever QoS a subscription is replaced by, and had, each message comes once ([MQTT-3.8.4-4], [3.1.1 MQTT-3.8.4-3]).
func TestReplacingASubscriptionByAnyQoSLosesNothingAndDoublesNothing(t *testing.T) {
	each(t, func(before, after packet.QoS) changing {
		return changing{
			subscriptions: []packet.Subscription{{Filter: "t", QoS: before}},
			topics:        []string{"t"},
			change:        func(n int) packet.Packet { return resubscribe("t", []packet.QoS{after, before}[n%2]) },
		}
	})
}

// The same beside a subscription that overlaps and stays.
func TestReplacingBesideAnOverlappingSubscription(t *testing.T) {
	each(t, func(before, after packet.QoS) changing {
		return changing{
			subscriptions: []packet.Subscription{{Filter: "+/b", QoS: 1}, {Filter: "a/#", QoS: before}},
			topics:        []string{"a/b", "a/c", "x/b"},
			change:        func(n int) packet.Packet { return resubscribe("a/#", []packet.QoS{after, before}[n%2]) },
		}
	})
}

// A subscription that comes and goes beside one that overlaps it. The messages of both have the higher QoS while there are two.
func TestUnsubscribingBesideAnOverlappingSubscription(t *testing.T) {
	each(t, func(stays, goes packet.QoS) changing {
		return changing{
			subscriptions: []packet.Subscription{{Filter: "a/#", QoS: stays}, {Filter: "a/b", QoS: goes}},
			topics:        []string{"a/b", "a/c"},
			change: func(n int) packet.Packet {
				if n%2 == 0 {
					return &packet.Unsubscribe{Filters: []string{"a/b"}}
				}
				return resubscribe("a/b", goes)
			},
		}
	})
}

func each(t *testing.T, scenario func(a, b packet.QoS) changing) {
	rig.Each(t, func(t *testing.T, b rig.Backend) {
		first, second := rig.Pair(t, b)
		rig.Versions(t, func(t *testing.T, v packet.Version) {
			for x := range packet.QoS(3) {
				for y := range packet.QoS(3) {
					if x == y {
						continue
					}
					t.Run(fmt.Sprintf("QoS %d and %d", x, y), func(t *testing.T) { scenario(x, y).run(t, first, second, v) })
				}
			}
		})
	})
}
