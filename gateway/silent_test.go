package gateway

import (
	"fmt"
	"runtime/debug"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"sluice/amqp"
	"sluice/amqp/message"
	"sluice/mqtt/mqtttest"
	"sluice/mqtt/packet"
)

// whoPublishes notes on which goroutine a message was handed to the bus.
type whoPublishes struct {
	amqp.Bus
	stacks chan string
}

func (w *whoPublishes) Publish(shard uint32, m *message.Message, settled bool, done func(message.Outcome)) {
	w.stacks <- string(debug.Stack())
	w.Bus.Publish(shard, m, settled, done)
}

// The goroutine that reads from a silent device must not take the stack that handling needs.
func TestASilentDevicesPacketIsHandledAside(t *testing.T) {
	inBubble(t, func(b *bubble) {
		w := &whoPublishes{stacks: make(chan string, 1)}
		b.inFront = func(bus amqp.Bus) amqp.Bus {
			w.Bus = bus
			return w
		}
		n := b.start("n", b.store)
		d, _ := n.connect("dev", packet.V5)
		reads := func() bool {
			synctest.Wait() // whoever handled the last packet is done
			d.Publish("a/b", nil, 1)
			return strings.Contains(<-w.stacks, "(*device).read(")
		}
		time.Sleep((silentBeats + 1) * beatPause)
		if reads() {
			t.Error("after a silence the reader handles the packet")
		}
		if !reads() {
			t.Error("the next packet is not handled by the reader")
		}
	})
}

// What a device sends after a silence is handled by a goroutine of its own: in order all the same, and with what follows.
func TestOrderAfterASilence(t *testing.T) {
	inBubble(t, func(b *bubble) {
		n := b.start("n", b.store)
		d, _ := n.connect("dev", packet.V5)
		d.Subscribe("a/#", 1)
		got, id := 0, packet.ID(0)
		for range 5 {
			time.Sleep(time.Minute) // no keep-alive; virtual time
			for range 8 {
				id++
				d.Send(&packet.Publish{Topic: "a/b", QoS: 1, ID: id, Payload: fmt.Append(nil, id)})
			}
			for acks, want := id-8, got+8; acks < id || got < want; {
				switch p := d.Recv().(type) {
				case *packet.Ack:
					if acks++; p.ID != acks {
						t.Fatalf("PUBACK of %d, want %d", p.ID, acks)
					}
				case *packet.Publish:
					if got++; string(p.Payload) != fmt.Sprint(got) {
						t.Fatalf("message %s, want %d", p.Payload, got)
					}
					d.Send(&packet.Ack{Kind: packet.PUBACK, ID: p.ID})
				default:
					t.Fatal(mqtttest.Describe(p))
				}
			}
		}
	})
}
