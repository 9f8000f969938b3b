package gateway

import (
	"context"
	"testing"
	"time"

	"sluice/amqp/message"
	"sluice/mapping"
	"sluice/mqtt/mqtttest"
	"sluice/mqtt/packet"
)

// takeoverLimit: a takeover is over within a second.
const takeoverLimit = time.Second

// A new connection on the node that has the old one does not wait for a bus that swallows the old link's detach: the inbox has one
// receiver at a time, and the bus says who.
func TestTakeoverDoesNotWaitForTheBus(t *testing.T) {
	for _, v := range []packet.Version{packet.V311, packet.V5} {
		inBubble(t, func(b *bubble) {
			n := b.start("n", b.store)
			old, _ := n.connect("d", v)
			old.Subscribe("t", 1)
			b.send(n, "t", "before")
			if got := old.Collect(1)[0]; string(got.Payload) != "before" {
				b.t.Fatalf("got %q", got.Payload)
			}
			n.bus.blackHole()
			began := time.Now()
			next, connack := n.connect("d", v)
			if took := time.Since(began); took > takeoverLimit {
				b.t.Errorf("CONNACK came after %v", took)
			}
			if !connack.SessionPresent {
				b.t.Error("the session is not present")
			}
			if v == packet.V5 {
				if reason := mqtttest.Expect[*packet.Disconnect](old).Reason; reason != packet.SessionTakenOver {
					b.t.Errorf("the old connection gets %v", reason)
				}
			}
			old.ExpectClosed()
			// Once bus and node have noticed, each by the other's silence, it goes on.
			b.send(b.start("other", b.store), "t", "after")
			next.SetTimeout(2 * time.Minute)
			for {
				got := next.Collect(1)[0]
				if string(got.Payload) == "after" {
					break
				}
				if !got.Dup {
					b.t.Errorf("got %q again without DUP", got.Payload)
				}
			}
		})
	}
}

// send publishes over a node's connection to the bus, as a backend.
func (b *bubble) send(n *bubbleNode, topic, payload string) {
	b.t.Helper()
	ctx, cancel := context.WithTimeout(b.t.Context(), time.Minute)
	defer cancel()
	for {
		if o := offer(n, topic, payload); o.Kind == message.Accepted {
			return
		} else if o.Kind != message.Busy || !sleep(ctx, 10*time.Millisecond) {
			b.t.Fatalf("the bus did not take %q: %v %v", payload, o.Kind, o.Error)
		}
	}
}

// offer has the bus say whether it takes a message.
func offer(n *bubbleNode, topic, payload string) message.Outcome {
	outcome := make(chan message.Outcome, 1)
	n.opt.Bus.Publish(0, &message.Message{
		Header:      message.Header{Durable: true, Priority: message.DefaultPriority},
		Annotations: map[string]any{mapping.AnnotationQoS: uint8(2)},
		Properties:  message.Properties{To: mapping.RabbitMQ.ToTopic(topic), MessageID: payload},
		Data:        [][]byte{[]byte(payload)},
	}, false, func(o message.Outcome) { outcome <- o })
	return <-outcome
}
