package session

import (
	"bytes"
	"testing"
	"time"

	"pgregory.net/rapid"

	"sluice/mqtt/packet"
)

// subscriber draws a device with one or two subscriptions of QoS 0. Two calls of what it returns make the same one.
func subscriber(t *rapid.T) func() *Machine {
	c := &packet.Connect{Version: rapid.SampledFrom([]packet.Version{packet.V311, packet.V5}).Draw(t, "version"), ClientID: "c", CleanStart: true}
	sub := &packet.Subscribe{ID: 1, Subscriptions: []packet.Subscription{{Filter: "t/+"}}}
	if rapid.Bool().Draw(t, "second") {
		sub.Subscriptions = append(sub.Subscriptions, packet.Subscription{Filter: "#"})
	}
	if c.Version == packet.V5 {
		if rapid.Bool().Draw(t, "alias") {
			c.Properties.SetTopicAliasMaximum(1)
		}
		if rapid.Bool().Draw(t, "identifier") {
			sub.Properties.SubscriptionIDs = []uint32{7}
		}
		if rapid.Bool().Draw(t, "limit") {
			c.Properties.SetMaximumPacketSize(rapid.Uint32Range(20, 60).Draw(t, "Maximum Packet Size"))
		}
		for i := range sub.Subscriptions {
			sub.Subscriptions[i].RetainAsPublished = rapid.Bool().Draw(t, "Retain As Published")
			sub.Subscriptions[i].NoLocal = rapid.Bool().Draw(t, "No Local")
		}
	}
	return func() *Machine {
		cfg := testConfig()
		m := New(&cfg, Hooks{})
		for _, ev := range []Event{
			ConnectionOpened{}, PacketReceived{Packet: c}, SessionOpened{MessageIDPrefix: "0123456789-"}, PacketReceived{Packet: sub},
			Subscribed{ID: 1, Reasons: make([]packet.ReasonCode, len(sub.Subscriptions))},
		} {
			m.Step(scriptStart, ev, nil)
		}
		return m
	}
}

func drawMessage(t *rapid.T) Message {
	p := &packet.Publish{
		QoS: packet.QoS(rapid.IntRange(0, 2).Draw(t, "QoS")), Retain: rapid.Bool().Draw(t, "RETAIN"),
		Topic: rapid.SampledFrom([]string{"t/1", "t/2", "other"}).Draw(t, "topic"), Payload: rapid.SliceOfN(rapid.Byte(), 0, 40).Draw(t, "payload"),
	}
	if rapid.Bool().Draw(t, "content type") {
		p.Properties.SetContentType("text")
	}
	if rapid.Bool().Draw(t, "user property") {
		p.Properties.AddUser("k", "v")
	}
	msg := Message{Publish: p, FromSelf: rapid.Bool().Draw(t, "own")}
	if rapid.Bool().Draw(t, "expires") {
		msg.Expires = scriptStart.Add(time.Duration(rapid.IntRange(0, 5000).Draw(t, "life in ms")) * time.Millisecond)
		p.Properties.SetMessageExpiry(rapid.Uint32Range(1, 6).Draw(t, "life as it says"))
	}
	return msg
}

// sentOver is what the effects put on the wire.
func sentOver(t *rapid.T, m *Machine, effects []Effect) (wire []byte) {
	for _, e := range effects {
		if s, ok := e.(SendPacket); ok {
			var err error
			if wire, err = packet.Append(wire, s.Packet, m.Version()); err != nil {
				t.Fatal(err)
			}
		}
	}
	return wire
}

// Whether a message of the node lane was prepared for all devices is not to be seen by any of them, and nothing of it is changed for one.
func TestADeviceIsSentTheSameWhetherItIsPreparedOrNot(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		device := subscriber(t)
		shared, alone := device(), device()
		for range rapid.IntRange(1, 4).Draw(t, "messages") {
			now := scriptStart.Add(time.Duration(rapid.IntRange(0, 3000).Draw(t, "ms")) * time.Millisecond)
			msg := drawMessage(t)
			want := sentOver(t, alone, alone.Step(now, MessageArrived{Message: msg}, nil))
			msg.Prepared = Prepare(msg.Publish)
			before := [][]byte{encoded(t, msg, packet.V311), encoded(t, msg, packet.V5)}
			if got := sentOver(t, shared, shared.Step(now, MessageArrived{Message: msg}, nil)); !bytes.Equal(got, want) {
				t.Fatalf("of %+v is sent\n%x, each for itself\n%x", msg, got, want)
			}
			if !bytes.Equal(before[0], encoded(t, msg, packet.V311)) || !bytes.Equal(before[1], encoded(t, msg, packet.V5)) {
				t.Fatalf("%+v was changed", msg)
			}
		}
	})
}

func encoded(t *rapid.T, msg Message, v packet.Version) []byte {
	b, err := packet.Append(nil, msg.Prepared, v)
	if err != nil {
		t.Fatal(err)
	}
	return b
}
