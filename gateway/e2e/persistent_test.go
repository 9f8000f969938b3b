package e2e

import (
	"fmt"
	"testing"

	"sluice/amqp/message"
	"sluice/gateway/e2e/rig"
	"sluice/mqtt/mqtttest"
	"sluice/mqtt/packet"
)

// backlog is how many messages wait for a device, or are on their way when its connection breaks.
const backlog = 100

func numbered(bus *rig.Bus, topic string, n int) (messages []*message.Message) {
	for i := range n {
		messages = append(messages, bus.Message(topic, fmt.Append(nil, i), 2))
	}
	return messages
}

// leave disconnects and waits until the node has taken note: what is sent to the device from then on waits for it.
func leave(d *mqtttest.Device) {
	d.Send(&packet.Disconnect{})
	d.ExpectClosed()
}

// forget ends the session of a client and waits until its queue is gone.
func forget(t *testing.T, n *rig.Node, bus *rig.Bus, v packet.Version, id, topic string) {
	t.Helper()
	d, connack := rig.Dial(t, n, v, rig.Clean(id))
	if connack.SessionPresent {
		t.Error("a session is present after a clean start [MQTT-3.1.2-4]")
	}
	d.Disconnect()
	bus.ExpectNobody(topic)
}

// What comes while the device is away waits on the bus, and is there on whichever node it comes back to: all of it, in order, once.
func TestMessagesWaitForTheDevice(t *testing.T) {
	rig.Each(t, func(t *testing.T, b rig.Backend) {
		first, second := rig.Pair(t, b)
		bus := rig.OpenBus(t, first)
		rig.Versions(t, func(t *testing.T, v packet.Version) {
			for qos := packet.QoS(1); qos <= 2; qos++ {
				id := rig.Prefix(t)
				topic := id + "/x"
				d, connack := rig.Dial(t, first, v, rig.Persistent(id))
				if connack.SessionPresent {
					t.Error("a session is present before there was any")
				}
				d.Subscribe(topic, qos)
				leave(d)
				bus.SendAll(numbered(bus, topic, backlog))
				d, connack = rig.Dial(t, second, v, rig.Persistent(id))
				if !connack.SessionPresent {
					t.Error("the session is not present on the other node")
				}
				// One more is the end: what came twice would come before it.
				bus.Send(bus.Message(topic, fmt.Append(nil, backlog), 2))
				for i, m := range d.Collect(backlog + 1) {
					// What the old link was given in its last moments may have DUP at QoS 1: nobody knows whether it was sent.
					if want := fmt.Sprint(i); string(m.Payload) != want || m.QoS != qos || m.Dup && qos == 2 {
						t.Fatalf("message %d is %q, QoS %d, DUP %t", i, m.Payload, m.QoS, m.Dup)
					}
				}
				d.Disconnect()
				forget(t, first, bus, v, id, topic)
			}
		})
	})
}

// A receiver is the session state of a device that receives, as it survives its connections (MQTT 5, 4.1).
type receiver struct {
	got   []string // handed to the application, in order
	seen  map[string]bool
	begun map[packet.ID]string // QoS 2: PUBREC sent, PUBREL awaited
}

// packetsMax ends a test in which the messages never end.
const packetsMax = 50 * backlog

// receive handles packets of d until it has handled limit of them or the application has got all.
func (r *receiver) receive(t *testing.T, d *mqtttest.Device, limit, all int) {
	t.Helper()
	for range limit {
		if len(r.got) >= all && len(r.begun) == 0 {
			return
		}
		switch p := d.Recv().(type) {
		case *packet.Publish:
			r.publish(t, d, p)
		case *packet.Ack:
			if p.Kind != packet.PUBREL {
				t.Fatalf("got %s", mqtttest.Describe(p))
			}
			delete(r.begun, p.ID)
			d.Send(&packet.Ack{Kind: packet.PUBCOMP, ID: p.ID})
		default:
			t.Fatalf("got %s", mqtttest.Describe(p))
		}
	}
}

func (r *receiver) publish(t *testing.T, d *mqtttest.Device, p *packet.Publish) {
	t.Helper()
	payload := string(p.Payload)
	if r.seen[payload] && !p.Dup {
		t.Errorf("%s came again without DUP [MQTT-3.3.1-1]", payload)
	}
	switch p.QoS {
	case 1:
		if !r.seen[payload] {
			r.got = append(r.got, payload)
		}
		d.Send(&packet.Ack{Kind: packet.PUBACK, ID: p.ID})
	case 2:
		before, again := r.begun[p.ID]
		if !again {
			// Also when the same message comes under another identifier: the device cannot know, and that is what must not happen.
			r.got = append(r.got, payload)
		} else if before != payload {
			t.Errorf("packet identifier %d is %s, and still in use for %s", p.ID, payload, before)
		}
		r.begun[p.ID] = payload
		d.Send(&packet.Ack{Kind: packet.PUBREC, ID: p.ID})
	default:
		t.Errorf("%s came at QoS %d", payload, p.QoS)
	}
	r.seen[payload] = true
}

// A device loses its connection again and again while messages come, and goes on with the other node.
func TestConnectionsBreakWhileMessagesCome(t *testing.T) {
	rig.Each(t, func(t *testing.T, b rig.Backend) {
		first, second := rig.Pair(t, b)
		bus := rig.OpenBus(t, first)
		rig.Versions(t, func(t *testing.T, v packet.Version) {
			for qos := packet.QoS(1); qos <= 2; qos++ {
				id := rig.Prefix(t)
				topic := id + "/x"
				d, _ := rig.Dial(t, first, v, rig.Persistent(id))
				d.Subscribe(topic, qos)
				bus.SendAll(numbered(bus, topic, backlog))
				r := &receiver{seen: map[string]bool{}, begun: map[packet.ID]string{}}
				nodes := []*rig.Node{second, first}
				for i, packets := range []int{1, 7, 31, 18, 3} {
					r.receive(t, d, packets, backlog)
					d.Close()
					var connack *packet.Connack
					if d, connack = rig.Dial(t, nodes[i%2], v, rig.Persistent(id)); !connack.SessionPresent {
						t.Fatalf("the session is not present after break %d", i+1)
					}
				}
				r.receive(t, d, packetsMax, backlog)
				bus.Send(bus.Message(topic, fmt.Append(nil, backlog), 2))
				r.receive(t, d, packetsMax, backlog+1)
				if len(r.got) != backlog+1 {
					t.Errorf("QoS %d: got %d messages, want %d: %v", qos, len(r.got), backlog+1, r.got)
				}
				for i, payload := range r.got {
					if payload != fmt.Sprint(i) {
						t.Errorf("QoS %d: message %d is %s: %v", qos, i, payload, r.got)
						break
					}
				}
				d.Disconnect()
				forget(t, first, bus, v, id, topic)
			}
		})
	})
}
