package session

import (
	"fmt"
	"slices"
	"testing"
	"time"

	"sluice/mqtt/packet"
)

// mortal is a device that dies of some messages: it never acknowledges them, and what is behind them neither.
type mortal struct {
	t     *testing.T
	state State
	queue []string // on the bus, oldest first
	fatal map[string]bool
	qos   packet.QoS
	// sent counts how often each message was sent, rejected are those that the machine gave up.
	sent     map[string]int
	rejected map[string]Settle
}

// live is one connection: the bus brings all there is, the device handles it until it dies.
func (d *mortal) live(poisonAfter uint8) {
	d.t.Helper()
	now := time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)
	m := New(&Config{ReceiveMaximum: 10, InboundQoS2Max: 10, OutboundWindow: 10, SessionExpiryMax: 3600, MaximumQoS: 2, SubscriptionsMax: 5, OrphanTime: time.Minute, PoisonAfter: poisonAfter}, Hooks{})
	var todo []Event
	dead := false
	handle := func(e Effect) {
		switch e := e.(type) {
		case Store:
			if e.ID != 0 {
				todo = append(todo, Stored{ID: e.ID})
			}
		case SendPacket:
			switch p := e.Packet.(type) {
			case *packet.Publish:
				name := string(p.Payload)
				d.sent[name]++
				if dead = dead || d.fatal[name]; dead {
					return
				}
				kind := packet.PUBACK
				if p.QoS == 2 {
					kind = packet.PUBREC
				}
				todo = append(todo, PacketReceived{Packet: &packet.Ack{Kind: kind, ID: p.ID}})
			case *packet.Ack:
				if p.Kind == packet.PUBREL && !dead {
					todo = append(todo, PacketReceived{Packet: &packet.Ack{Kind: packet.PUBCOMP, ID: p.ID}})
				}
			}
		case Settle:
			name := d.queue[e.Delivery-1]
			if e.Outcome == SettleRejected {
				d.rejected[name] = e
			}
			d.queue[e.Delivery-1] = ""
		}
	}
	step := func(ev Event) {
		todo = append(todo, ev)
		for len(todo) > 0 {
			next := todo[0]
			todo = todo[1:]
			for _, e := range m.Step(now, next, nil) {
				handle(e)
			}
		}
	}
	step(ConnectionOpened{})
	step(PacketReceived{Packet: &packet.Connect{Version: packet.V311, ClientID: "c", CleanStart: false}})
	step(SessionOpened{Present: true, State: d.state, MessageIDPrefix: "p"})
	step(LaneAttached{})
	for i, name := range d.queue {
		if name != "" {
			step(MessageArrived{Delivery: uint64(i + 1), Message: Message{
				Publish:  &packet.Publish{Topic: "t", QoS: d.qos, Payload: []byte(name)},
				Identity: name, Unique: true, Redelivered: d.sent[name] > 0,
			}})
		}
	}
	d.state = m.State()
	d.queue = slices.DeleteFunc(d.queue, func(name string) bool { return name == "" })
}

func newMortal(t *testing.T, qos packet.QoS, fatal ...string) *mortal {
	d := &mortal{t: t, qos: qos, fatal: map[string]bool{}, sent: map[string]int{}, rejected: map[string]Settle{}}
	d.state.Subscriptions = []Subscription{{Subscription: packet.Subscription{Filter: "t", QoS: 2}}}
	for _, name := range fatal {
		d.fatal[name] = true
	}
	return d
}

// The message that a device dies of is given up after as many connections as configured; those behind it are delivered.
func TestAPoisonousMessageIsGivenUpAndNoOther(t *testing.T) {
	for qos := packet.QoS(1); qos <= 2; qos++ {
		d := newMortal(t, qos, "poison")
		d.queue = []string{"before", "poison", "behind", "last"}
		const after = 4
		for i := range after {
			if d.live(after); len(d.rejected) > 0 {
				t.Fatalf("QoS %d: given up on connection %d: %v", qos, i+1, d.rejected)
			}
		}
		d.live(after)
		if e, ok := d.rejected["poison"]; !ok || len(d.rejected) != 1 || e.Why != Poisonous || d.sent["poison"] != after {
			t.Errorf("QoS %d: rejected %+v, poison sent %d times", qos, d.rejected, d.sent["poison"])
		}
		if len(d.queue) != 0 || d.sent["before"] != 1 {
			t.Errorf("QoS %d: still on the bus: %v, sent %v", qos, d.queue, d.sent)
		}
	}
}

func TestWithoutPoisonAfterItIsSentForEver(t *testing.T) {
	d := newMortal(t, 1, "poison")
	d.queue = []string{"poison", "behind"}
	for range 100 {
		d.live(0)
	}
	if len(d.rejected) != 0 || d.sent["poison"] != 100 {
		t.Errorf("rejected %v, sent %v", d.rejected, d.sent)
	}
}

// Two of them: the second is blamed only once the first is gone.
func TestPoisonBehindPoison(t *testing.T) {
	d := newMortal(t, 1, "a", "b")
	d.queue = []string{"a", "b", "good"}
	order := ""
	for range 20 {
		d.live(3)
		for _, name := range []string{"a", "b"} {
			if _, ok := d.rejected[name]; ok {
				order += name
				delete(d.rejected, name)
			}
		}
	}
	if order != "ab" || len(d.queue) != 0 || len(d.rejected) != 0 {
		t.Errorf("given up in the order %q, left %v, others given up: %v", order, d.queue, fmt.Sprint(d.rejected))
	}
}

// A lane that comes and goes on one connection says nothing about the device.
func TestTheBusComingAndGoingIsNoPoison(t *testing.T) {
	m := New(&Config{ReceiveMaximum: 10, InboundQoS2Max: 10, OutboundWindow: 10, SessionExpiryMax: 3600, MaximumQoS: 2, SubscriptionsMax: 5, OrphanTime: time.Minute, PoisonAfter: 2}, Hooks{})
	now := time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)
	state := State{
		Subscriptions: []Subscription{{Subscription: packet.Subscription{Filter: "t", QoS: 1}}},
		Outbound:      []Outbound{{ID: 1, Identity: "i", QoS: 1, Order: 1}},
	}
	published := 0
	for i, ev := range []Event{
		ConnectionOpened{}, PacketReceived{Packet: &packet.Connect{Version: packet.V311, ClientID: "c"}}, SessionOpened{Present: true, State: state, MessageIDPrefix: "p"},
		LaneAttached{}, LaneDetached{}, LaneAttached{}, LaneDetached{}, LaneAttached{}, LaneDetached{}, LaneAttached{},
	} {
		evs := []Event{ev}
		if _, up := ev.(LaneAttached); up {
			evs = append(evs, MessageArrived{Delivery: uint64(i + 1), Message: Message{
				Publish: &packet.Publish{Topic: "t", QoS: 1}, Identity: "i", Unique: true, Redelivered: true,
			}})
		}
		for _, ev := range evs {
			for _, e := range m.Step(now, ev, nil) {
				switch e := e.(type) {
				case SendPacket:
					if _, is := e.Packet.(*packet.Publish); is {
						published++
					}
				case Settle:
					t.Errorf("settled: %+v", e)
				}
			}
		}
	}
	if published != 1 || m.State().Outbound[0].Attempts != 1 {
		t.Errorf("sent %d times, %d attempts", published, m.State().Outbound[0].Attempts)
	}
}
