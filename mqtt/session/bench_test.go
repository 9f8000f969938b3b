package session

import (
	"testing"

	"sluice/mqtt/packet"
)

// opened returns a machine with a session that ends with its connection.
func opened(tb testing.TB, cfg Config) *Machine {
	m := New(&cfg, Hooks{})
	for _, ev := range []Event{
		ConnectionOpened{}, PacketReceived{Packet: &packet.Connect{Version: packet.V5, ClientID: "c", CleanStart: true}}, SessionOpened{MessageIDPrefix: "0123456789-"},
		LaneAttached{}, PacketReceived{Packet: &packet.Subscribe{ID: 1, Subscriptions: []packet.Subscription{{Filter: "devices/+/commands", QoS: 1}, {Filter: "all", QoS: 0}}}},
		Subscribed{ID: 1, Reasons: make([]packet.ReasonCode, 2)},
	} {
		m.Step(scriptStart, ev, nil)
	}
	if m.phase != phaseOpen || len(m.subs.list) != 2 {
		tb.Fatalf("phase %d, %d subscriptions", m.phase, len(m.subs.list))
	}
	return m
}

// tokenOf finds the token to answer; it fails when nothing was published.
func tokenOf(tb testing.TB, effects []Effect) uint64 {
	for _, e := range effects {
		if p, ok := e.(Publish); ok {
			return p.Token
		}
	}
	tb.Fatal("no Publish")
	return 0
}

func BenchmarkUplink(b *testing.B) {
	for _, qos := range []packet.QoS{0, 1, 2} {
		b.Run("qos="+string('0'+rune(qos)), func(b *testing.B) {
			m := opened(b, testConfig())
			p := packet.Publish{QoS: qos, Topic: "devices/17/telemetry", Payload: make([]byte, 20)}
			if qos > 0 {
				p.ID = 1
			}
			received, released := Event(PacketReceived{Packet: &p}), Event(PacketReceived{Packet: &packet.Ack{Kind: packet.PUBREL, ID: 1}})
			var out []Effect
			b.ReportAllocs()
			for b.Loop() {
				out = m.Step(scriptStart, received, out[:0])
				out = m.Step(scriptStart, PublishAnswered{Token: tokenOf(b, out)}, out[:0])
				if qos == 2 {
					out = m.Step(scriptStart, released, out[:0])
				}
			}
		})
	}
}

func BenchmarkDownlink(b *testing.B) {
	for _, qos := range []packet.QoS{0, 1} {
		b.Run("qos="+string('0'+rune(qos)), func(b *testing.B) {
			m := opened(b, testConfig())
			arrived := MessageArrived{Delivery: 1, Message: Message{Publish: &packet.Publish{QoS: 1, Topic: "devices/17/commands", Payload: make([]byte, 20)}, Identity: "m1"}}
			if qos == 0 {
				arrived = MessageArrived{Message: Message{Publish: &packet.Publish{Topic: "all", Payload: make([]byte, 20)}}}
			}
			ack := &packet.Ack{Kind: packet.PUBACK}
			acked := Event(PacketReceived{Packet: ack})
			ev := Event(arrived)
			var out []Effect
			b.ReportAllocs()
			for b.Loop() {
				out = m.Step(scriptStart, ev, out[:0])
				sent := out[0].(SendPacket).Packet.(*packet.Publish)
				if qos > 0 {
					ack.ID = sent.ID
					out = m.Step(scriptStart, acked, out[:0])
				}
			}
		})
	}
}

// TestAllocations holds the telemetry path to what it needs: the message-id, and an effect for each thing to do.
func TestAllocations(t *testing.T) {
	m := opened(t, testConfig())
	received := Event(PacketReceived{Packet: &packet.Publish{QoS: 1, ID: 1, Topic: "devices/17/telemetry"}})
	var out []Effect
	got := testing.AllocsPerRun(1000, func() {
		out = m.Step(scriptStart, received, out[:0])
		out = m.Step(scriptStart, PublishAnswered{Token: tokenOf(t, out)}, out[:0])
	})
	if got > 4 {
		t.Errorf("%v allocations for a QoS 1 PUBLISH and its PUBACK, 4 are expected at most", got)
	}
}
