package session

import (
	"testing"
	"time"

	"sluice/mqtt/packet"
)

// A message of the node lane that the device gets as it is goes out as the packet that all devices share; one that has to be changed for it does not, and
// the shared packet stays as it was.
func TestTheNodeLanesPacketIsSharedUnlessItHasToBeChanged(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name   string
		msg    Message
		filter packet.Subscription
		shared bool
	}{
		{"as it is", Message{Publish: &packet.Publish{Topic: "t"}}, packet.Subscription{Filter: "t"}, true},
		{"QoS 1", Message{Publish: &packet.Publish{Topic: "t", QoS: 1}}, packet.Subscription{Filter: "t"}, true},
		{"retain flag goes", Message{Publish: &packet.Publish{Topic: "t", Retain: true}}, packet.Subscription{Filter: "t"}, true},
		{"retain flag stays", Message{Publish: &packet.Publish{Topic: "t", Retain: true}}, packet.Subscription{Filter: "t", RetainAsPublished: true}, false},
		{"expires", Message{Publish: &packet.Publish{Topic: "t"}, Expires: scriptStart.Add(time.Hour)}, packet.Subscription{Filter: "t"}, false},
		{"expires, as it says", lasting(3600, scriptStart.Add(time.Hour)), packet.Subscription{Filter: "t"}, true},
		{"expires sooner than it says by now", lasting(3600, scriptStart.Add(time.Hour-time.Second)), packet.Subscription{Filter: "t"}, false},
		{"says that it expires, and does not", lasting(3600, time.Time{}), packet.Subscription{Filter: "t"}, false},
	} {
		m := opened(t, testConfig())
		m.Step(scriptStart, PacketReceived{Packet: &packet.Subscribe{ID: 2, Subscriptions: []packet.Subscription{c.filter}}}, nil)
		m.Step(scriptStart, Subscribed{ID: 2, Reasons: []packet.ReasonCode{0}}, nil)
		before := *c.msg.Publish
		c.msg.Prepared = Prepare(c.msg.Publish)
		out := m.Step(scriptStart, MessageArrived{Message: c.msg}, nil)
		if len(out) == 0 {
			t.Fatalf("%s: nothing is sent", c.name)
		}
		sent, ok := out[0].(SendPacket)
		if !ok {
			t.Fatalf("%s: %T", c.name, out[0])
		}
		p, own := sent.Packet.(*packet.Publish)
		if !own {
			p = sent.Packet.(*packet.Prepared).Publish()
		}
		if own == c.shared || p.QoS != 0 || p.Retain != (before.Retain && c.filter.RetainAsPublished) {
			t.Errorf("%s: sent %+v", c.name, p)
		}
		if after := *c.msg.Publish; after.QoS != before.QoS || after.Retain != before.Retain || after.Properties.Set != before.Properties.Set || after.Topic != before.Topic {
			t.Errorf("%s: the shared packet became %+v", c.name, after)
		}
	}
}

// lasting is a message that says how many seconds it has, and when they are over.
func lasting(seconds uint32, expires time.Time) Message {
	p := &packet.Publish{Topic: "t"}
	p.Properties.SetMessageExpiry(seconds)
	return Message{Publish: p, Expires: expires}
}
