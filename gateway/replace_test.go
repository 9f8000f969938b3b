package gateway

import (
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"sluice/amqp"
	"sluice/amqp/message"
	"sluice/mapping"
	"sluice/mqtt/mqtttest"
	"sluice/mqtt/packet"
)

// markers is a bus that answers the markers of the node lane as it is told, or takes them.
type markers struct {
	amqp.Bus
	sent   atomic.Int64
	answer func(n int64) (o message.Outcome, take bool)
}

// Publish implements amqp.Bus.
func (m *markers) Publish(shard uint32, msg *message.Message, settled bool, done func(message.Outcome)) {
	if mapping.MarkerName(msg) != "" {
		if o, take := m.answer(m.sent.Add(1)); !take {
			done(o)
			return
		}
	}
	m.Bus.Publish(shard, msg, settled, done)
}

// A subscription that changes from QoS 0 to 1 is confirmed when the node lane has brought all it had, which a marker shows.
func TestAMarkerComesOrIsSentAgain(t *testing.T) {
	accepted, released := message.Outcome{Kind: message.Accepted}, message.Outcome{Kind: message.Released}
	rejected := message.Outcome{Kind: message.Rejected, Error: &message.Error{Condition: "amqp:not-allowed"}}
	for _, c := range []struct {
		name   string
		answer func(n int64) (message.Outcome, bool)
		sent   int64
		least  time.Duration // until SUBACK
		reason packet.ReasonCode
	}{
		{"it comes", func(int64) (message.Outcome, bool) { return accepted, true }, 1, 0, packet.GrantedQoS1},
		{"it is lost", func(n int64) (message.Outcome, bool) { return accepted, n > 1 }, 2, markerWait, packet.GrantedQoS1},
		{"the inbox is being made again", func(n int64) (message.Outcome, bool) { return released, n > 2 }, 3, retryFirst, packet.GrantedQoS1},
		{"the bus refuses it", func(int64) (message.Outcome, bool) { return rejected, false }, 1, 0, packet.ImplementationSpecificError},
	} {
		t.Run(c.name, func(t *testing.T) {
			inBubble(t, func(b *bubble) {
				bus := &markers{answer: c.answer}
				b.inFront = func(real amqp.Bus) amqp.Bus {
					bus.Bus = real
					return bus
				}
				d, _ := b.start("n", b.store).connect("d", packet.V5)
				d.SetTimeout(time.Minute)
				synctest.Wait() // the node's links for publishing are up
				d.Subscribe("a", 0)
				if n := bus.sent.Load(); n != 0 {
					b.t.Errorf("%d markers for a new subscription", n)
				}
				began := time.Now()
				if reason := d.Subscribe("a", 1); reason != c.reason {
					b.t.Errorf("SUBACK has %v, want %v", reason, c.reason)
				}
				if took := time.Since(began); took < c.least || took > c.least+time.Second {
					b.t.Errorf("SUBACK after %v, want %v", took, c.least)
				}
				if n := bus.sent.Load(); n != c.sent {
					b.t.Errorf("%d markers, want %d", n, c.sent)
				}
			})
		})
	}
}

// A node lane that brings nothing within the grace ends the connection: the old subscription stays.
func TestNoMarkerWithinTheGrace(t *testing.T) {
	inBubble(t, func(b *bubble) {
		b.inFront = func(real amqp.Bus) amqp.Bus {
			return &markers{Bus: real, answer: func(int64) (message.Outcome, bool) { return message.Outcome{Kind: message.Accepted}, false }}
		}
		n := b.start("n", b.store)
		d, _ := n.connect("d", packet.V5)
		d.SetTimeout(time.Minute)
		d.Subscribe("a", 0)
		began := time.Now()
		d.Send(&packet.Subscribe{ID: d.NextID(), Subscriptions: []packet.Subscription{{Filter: "a", QoS: 1}}})
		if p := mqtttest.Expect[*packet.Disconnect](d); p.Reason != packet.ServerBusy || time.Since(began) < n.opt.Bridge.Grace {
			b.t.Errorf("DISCONNECT %v after %v", p.Reason, time.Since(began))
		}
		d.ExpectClosed()
		// The inbox is bound by now, against the record. That shows with the first message, which may come twice; then it is unbound.
		again, connack := n.connect("d", packet.V5)
		if !connack.SessionPresent {
			b.t.Fatal("the session is not present")
		}
		again.Subscribe("b", 0) // behind the node lane's return
		times := map[string]int{}
		for _, payload := range []string{"first", "second", "third"} {
			b.send(n, "a", payload)
			synctest.Wait()
		}
		b.send(n, "b", "end")
		for m := again.Collect(1)[0]; string(m.Payload) != "end"; m = again.Collect(1)[0] {
			times[string(m.Payload)]++
			if m.QoS != 0 {
				b.t.Errorf("got %s", mqtttest.Describe(m))
			}
		}
		if times["first"] == 0 || times["first"] > 2 || times["second"] != 1 || times["third"] != 1 {
			b.t.Errorf("the messages came as often as %v", times)
		}
	})
}

// What the inbox has from before a subscription was changed to QoS 0 comes although the connection is lost before: first what was begun, as it
// was begun.
func TestWhatTheInboxHadBeforeQoS0ComesOnTheNextConnection(t *testing.T) {
	inBubble(t, func(b *bubble) {
		n := b.start("n", b.store)
		c, err := n.devices.dial()
		if err != nil {
			b.t.Fatal(err)
		}
		d := mqtttest.New(b.t, c, packet.V5)
		d.Connect(mqtttest.Persistent("d", 3600), func(p *packet.Connect) { p.Properties.SetReceiveMaximum(1) })
		d.Subscribe("a", 1)
		for _, payload := range []string{"1", "2", "3"} {
			b.send(n, "a", payload)
		}
		if m := mqtttest.Expect[*packet.Publish](d); m.QoS != 1 || string(m.Payload) != "1" {
			b.t.Fatalf("got %s", mqtttest.Describe(m))
		}
		if reason := d.Subscribe("a", 0); reason != packet.Success {
			b.t.Fatalf("SUBACK has %v", reason)
		}
		d.Close()
		again, _ := n.connect("d", packet.V5)
		for i, m := range again.Collect(3) {
			first := i == 0
			if string(m.Payload) != []string{"1", "2", "3"}[i] || m.Dup != first || (m.QoS == 1) != first {
				b.t.Errorf("message %d: %s %q", i+1, mqtttest.Describe(m), m.Payload)
			}
		}
		synctest.Wait() // a resumed subscription of QoS 0 joins the node lane after CONNACK
		b.send(n, "a", "4")
		if m := again.Collect(1)[0]; m.QoS != 0 || string(m.Payload) != "4" {
			b.t.Errorf("got %s %q", mqtttest.Describe(m), m.Payload)
		}
	})
}
