package faults

import (
	"bytes"
	"fmt"
	"slices"
	"testing"

	"sluice/amqp/message"
	"sluice/gateway/e2e/rig"
	"sluice/mapping"
	"sluice/mqtt/mqtttest"
	"sluice/mqtt/packet"
)

// numbered gives n messages for a topic whose payloads begin with their number.
func numbered(topic string, qos uint8, n, size int) []*message.Message {
	all := make([]*message.Message, n)
	for i := range all {
		payload := bytes.Repeat([]byte{'x'}, size)
		copy(payload, fmt.Sprintf("%06d ", i))
		all[i] = rig.Message(mapping.RabbitMQ, topic, payload, qos)
	}
	return all
}

// sendAll sends messages and waits until the bus has accepted all.
func (b *backend) sendAll(messages []*message.Message) {
	b.t.Helper()
	b.flood(messages, message.Accepted)
}

// flood sends messages and waits until each has one of the outcomes.
func (b *backend) flood(messages []*message.Message, allowed ...message.OutcomeKind) {
	b.t.Helper()
	outcomes := make(chan message.Outcome, len(messages))
	for _, m := range messages {
		b.client.Publish(0, m, false, func(o message.Outcome) { outcomes <- o })
	}
	ctx := rig.Context(b.t)
	for i := range messages {
		select {
		case o := <-outcomes:
			if !slices.Contains(allowed, o.Kind) {
				b.t.Fatalf("message %d: %v (%v)", i, o.Kind, o.Error)
			}
		case <-ctx.Done():
			b.t.Fatalf("%d of %d messages were answered", i, len(messages))
		}
	}
}

// A device that subscribes to a flood at QoS 0 and reads nothing loses messages, counted, costs no memory, and is disconnected in the end.
// Others do not notice.
func TestNeverReadsQoS0(t *testing.T) {
	const count, size = 3000, 16 << 10
	b := startBus(t)
	n := b.node(t, "mqtt.write_timeout=6s")
	app := openBackend(t, b.url())
	prefix := rig.Prefix(t)
	slow, _ := dialSlow(t, n.TCP, packet.V5)
	slow.Connect(rig.Clean(prefix + "-slow"))
	slow.Subscribe(prefix+"/flood", 0)
	other := connect(t, n.TCP, deviceOptions{name: prefix + "-other", v: packet.V5})
	if r, err := other.subscribe(prefix+"/other", 1); err != nil || r.Failed() {
		t.Fatal(r, err)
	}
	go other.keepPinging()
	before := heap()
	for i := range 10 {
		// Released: the device is gone already, and nobody else wants it.
		app.flood(numbered(prefix+"/flood", 0, count/10, size), message.Accepted, message.Released)
		app.sendAll(numbered(fmt.Sprintf("%s/other", prefix), 1, 1, 100+i))
	}
	rig.Eventually(t, "deliveries are dropped", func() error {
		if metric(t, n.Node, "sluice_deliveries_dropped_total") == 0 {
			return fmt.Errorf("none yet")
		}
		return nil
	})
	expectGrowth(t, before, 24*mib)
	rig.Eventually(t, "the other device has its messages", func() error {
		if got := len(other.messages()); got != 10 {
			return fmt.Errorf("%d of 10", got)
		}
		return nil
	})
	expectConnections(t, n, 1)
	other.expectAlive(t)
}

// expectConnections waits until the node has so many.
func expectConnections(t *testing.T, n *rig.Node, want float64) {
	t.Helper()
	rig.Eventually(t, fmt.Sprintf("the node has %v connections", want), func() error {
		if got := metric(t, n.Node, "sluice_connections"); got != want {
			return fmt.Errorf("%v", got)
		}
		return nil
	})
}

// A device that has a backlog at QoS 1 and reads nothing gets its window and no more; the rest stays on the bus. In the end it is
// disconnected, and everything is there for its next connection.
func TestNeverReadsQoS1(t *testing.T) {
	const count, size, window = 40, 1 << 20, 20
	b := startBus(t)
	n := b.node(t, "mqtt.write_timeout=6s", fmt.Sprintf("mqtt.window=%d", window))
	app := openBackend(t, b.url())
	name := rig.Prefix(t)
	slow, _ := dialSlow(t, n.TCP, packet.V5)
	slow.Connect(rig.Persistent(name))
	slow.Subscribe(name, 1)
	app.sendAll(numbered(name, 1, count, size))
	connected := func() bool { return metric(t, n.Node, "sluice_connections") > 0 }
	rig.Eventually(t, "the device is disconnected and its messages are back", func() error {
		gone := !connected()
		q := b.inbox(t, name)
		if q.Unsettled > window {
			t.Fatalf("%d messages are under way to a device with a window of %d", q.Unsettled, window)
		}
		if !gone || q.Unsettled > 0 || q.Ready != count {
			return fmt.Errorf("connected %t, %d under way, %d waiting", !gone, q.Unsettled, q.Ready)
		}
		return nil
	})
	again, connack := rig.Dial(t, n, packet.V5, rig.Persistent(name))
	if !connack.SessionPresent {
		t.Error("the session is gone")
	}
	begun := 0
	for i, p := range again.Collect(count) {
		if p.Dup {
			begun++
		}
		if want := fmt.Sprintf("%06d ", i); string(p.Payload[:len(want)]) != want {
			t.Fatalf("message %d is %q", i, p.Payload[:len(want)])
		}
	}
	if begun == 0 || begun > window {
		t.Errorf("%d messages had been sent before, want some, and no more than the window of %d", begun, window)
	}
}

// A device that publishes and reads nothing is not read from any more once its answers pile up, and is disconnected in the end.
func TestNeverReadsItsAcknowledgements(t *testing.T) {
	const size = 16 << 10
	b := startBus(t)
	n := b.node(t, "mqtt.write_timeout=6s")
	app := openBackend(t, b.url())
	prefix := rig.Prefix(t)
	other, _ := rig.Dial(t, n, packet.V311, rig.Clean(prefix+"-other"))
	before := heap()
	slow, conn := dialSlow(t, n.TCP, packet.V311)
	slow.Connect(rig.Clean(prefix + "-slow"))
	slow.Subscribe(prefix+"/flood", 0)
	app.flood(numbered(prefix+"/flood", 0, 1000, size), message.Accepted, message.Released) // fills the way to the device, so that acknowledgements stay behind it
	b0 := b.Stats().Received
	var written int
	for id := packet.ID(1); ; id = id%60_000 + 1 {
		raw, err := packet.Append(nil, &packet.Publish{ID: id, QoS: 1, Topic: prefix + "/up", Payload: make([]byte, size)}, packet.V311)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := conn.Write(raw); err != nil {
			break // the node has closed the connection: what we wait for
		}
		if written++; written > 100_000 {
			t.Fatal("the node reads on although nobody reads its answers")
		}
	}
	t.Logf("%d messages were written, %d reached the bus", written, b.Stats().Received-b0)
	expectGrowth(t, before, 24*mib)
	expectConnections(t, n, 1)
	if r := other.Publish(prefix+"/other", []byte("still served"), 1); r != packet.Success {
		t.Errorf("another device was answered with %v", r)
	}
}

// A slow consumer holds its messages on the bus, not in the node: one is under way to a device with a Receive Maximum of one, and the node's
// memory does not know how many wait.
func TestSlowConsumer(t *testing.T) {
	const count, size = 500, 16 << 10
	b := startBus(t)
	n := b.node(t)
	app := openBackend(t, b.url())
	name := rig.Prefix(t)
	first, _ := rig.Dial(t, n, packet.V5, rig.Persistent(name))
	first.Subscribe(name, 1)
	first.Disconnect()
	expectConnections(t, n, 0)
	app.sendAll(numbered(name, 1, count, size))
	before := heap() // with the backlog, which is in the broker
	d, _ := rig.Dial(t, n, packet.V5, rig.Persistent(name), func(c *packet.Connect) { c.Properties.SetReceiveMaximum(1) })
	for i := range 50 {
		p := mqtttest.Expect[*packet.Publish](d)
		if want := fmt.Sprintf("%06d ", i); string(p.Payload[:len(want)]) != want {
			t.Fatalf("message %d is %q", i, p.Payload[:len(want)])
		}
		for range 3 { // the device takes its time, and is served meanwhile
			d.Send(&packet.Pingreq{})
			mqtttest.Expect[*packet.Pingresp](d) // and not the next message
		}
		if q := b.inbox(t, name); q.Unsettled > 1 || q.Ready+q.Unsettled < count-i-1 {
			t.Fatalf("after %d messages %d are under way and %d wait on the bus", i, q.Unsettled, q.Ready)
		}
		if i == 25 {
			expectGrowth(t, before, 2*mib)
		}
		d.Send(&packet.Ack{Kind: packet.PUBACK, ID: p.ID})
	}
}
