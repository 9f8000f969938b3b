package e2e

import (
	"fmt"
	"testing"
	"time"

	goamqp "github.com/Azure/go-amqp"
	"github.com/google/go-cmp/cmp"

	"sluice/gateway/e2e/rig"
	"sluice/mqtt/mqtttest"
	"sluice/mqtt/packet"
)

// oddBody is a message as no gateway writes it, and what a device gets of it.
type oddBody struct {
	name    string
	message goamqp.Message
	refused bool // the device gets nothing: it has no form as a payload
	payload string
	text    bool // Payload Format 1
}

func oddBodies() []oddBody {
	value := func(name string, v any, payload string) oddBody {
		return oddBody{name: "value " + name, message: goamqp.Message{Value: v}, payload: payload, text: true}
	}
	uuid := goamqp.UUID{0x01, 0x23, 0x45, 0x67, 0x89, 0xab, 0xcd, 0xef, 0x01, 0x23, 0x45, 0x67, 0x89, 0xab, 0xcd, 0xef}
	data := func(sections ...string) (m goamqp.Message) {
		for _, s := range sections {
			m.Data = append(m.Data, []byte(s))
		}
		return m
	}
	return []oddBody{
		{name: "one data section", message: data("x"), payload: "x"},
		{name: "an empty data section", message: data("")},
		{name: "three data sections", message: data("a", "", "bc"), payload: "abc"},
		{name: "value null", message: goamqp.Message{Value: goamqp.Null{}}},
		{name: "value binary", message: goamqp.Message{Value: []byte{0, 0xff}}, payload: "\x00\xff"},
		value("string", "grün", "grün"), value("symbol", goamqp.Symbol("s"), "s"), value("boolean", true, "true"),
		value("ubyte", uint8(255), "255"), value("ushort", uint16(65535), "65535"), value("uint", uint32(7), "7"), value("ulong", uint64(1<<63), "9223372036854775808"),
		value("byte", int8(-128), "-128"), value("short", int16(-2), "-2"), value("int", int32(-3), "-3"), value("long", int64(-1<<63), "-9223372036854775808"),
		value("float", float32(0.5), "0.5"), value("double", 1e300, "1e+300"), value("uuid", uuid, "01234567-89ab-cdef-0123-456789abcdef"),
		value("timestamp", time.Date(2026, 1, 2, 3, 4, 5, 678e6, time.UTC), "2026-01-02T03:04:05.678Z"),
		{name: "value list", message: goamqp.Message{Value: []any{"a", int32(1)}}, refused: true},
		{name: "value map", message: goamqp.Message{Value: map[string]any{"a": int32(1)}}, refused: true},
		{name: "value array", message: goamqp.Message{Value: []int32{1, 2}}, refused: true},
		{name: "sequence", message: goamqp.Message{Sequence: [][]any{{"a", int32(1)}}}, refused: true},
		{name: "two sequences", message: goamqp.Message{Sequence: [][]any{{"a"}, {}}}, refused: true},
		{name: "delivery-annotations", message: goamqp.Message{Data: [][]byte{[]byte("x")}, DeliveryAnnotations: goamqp.Annotations{"x-hop": int32(1)}}, payload: "x"},
		{name: "a footer", message: goamqp.Message{Data: [][]byte{[]byte("x")}, Footer: goamqp.Annotations{"x-sum": []byte{1, 2}}}, payload: "x"},
	}
}

// producer is an AMQP client that is not ours, on one address.
func producer(t *testing.T, n *rig.Node, address string) *goamqp.Sender {
	t.Helper()
	ctx := rig.Context(t)
	conn, err := goamqp.Dial(ctx, n.BusURL, nil)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := conn.Close(); err != nil {
			t.Errorf("closing the producer: %v", err)
		}
	})
	session, err := conn.NewSession(ctx, nil)
	if err != nil {
		t.Fatal(err)
	}
	sender, err := session.NewSender(ctx, address, nil)
	if err != nil {
		t.Fatal(err)
	}
	return sender
}

// Each body has one result: a payload, or it is rejected for good. Nothing of it comes again, nor does anything behind it have to wait.
func TestOddBodies(t *testing.T) {
	rig.Each(t, func(t *testing.T, b rig.Backend) {
		n := rig.Start(t, b)
		bus := rig.OpenBus(t, n)
		for qos := range packet.QoS(3) {
			t.Run(fmt.Sprintf("QoS %d", qos), func(t *testing.T) { takeOddBodies(t, n, bus, qos) })
		}
	})
}

func takeOddBodies(t *testing.T, n *rig.Node, bus *rig.Bus, qos packet.QoS) {
	id := rig.Prefix(t)
	d, _ := rig.Dial(t, n, packet.V5, rig.Persistent(id))
	if granted := d.Subscribe(id+"/#", qos); granted != packet.ReasonCode(qos) {
		t.Fatalf("SUBACK %v", granted)
	}
	send := producer(t, n, n.Address(id+"/odd"))
	type seen struct {
		Payload string
		Text    bool
	}
	var names []string
	var want []seen
	for i, body := range oddBodies() {
		m := body.message
		m.Header = &goamqp.MessageHeader{Durable: true, Priority: 4}
		m.Annotations = goamqp.Annotations{"x-opt-mqtt-qos": byte(qos)}
		m.Properties = &goamqp.MessageProperties{MessageID: uint64(i + 1)}
		if err := send.Send(rig.Context(t), &m, nil); err != nil {
			t.Fatalf("%s: the bus does not take it: %v", body.name, err)
		}
		if !body.refused {
			names, want = append(names, body.name), append(want, seen{body.payload, body.text})
		}
	}
	for i, p := range d.Collect(len(want)) {
		got := seen{string(p.Payload), p.Properties.Has(packet.PropPayloadFormat) && p.Properties.PayloadFormat == 1}
		if diff := cmp.Diff(want[i], got); diff != "" {
			t.Errorf("%s (-want +got):\n%s", names[i], diff)
		}
	}
	if qos == 0 {
		return // there is no queue of the session's own
	}
	d.Publish(id+"-elsewhere", nil, 1) // the settlements have the time that this takes
	expectDrained(t, n, bus, d, id, byte(qos))
}

// expectDrained demands that nothing is left in the queue of a session: when it comes back, the first message is the next one. At QoS 1 the settlement of
// what was acknowledged just before the end may be lost with the connection, and the message come again, flagged; but not for ever, and nothing else.
func expectDrained(t *testing.T, n *rig.Node, bus *rig.Bus, d *mqtttest.Device, id string, qos byte) {
	t.Helper()
	const attempts = 5
	for i := range attempts {
		d.Disconnect()
		var connack *packet.Connack
		if d, connack = rig.Dial(t, n, packet.V5, rig.Persistent(id)); !connack.SessionPresent {
			t.Fatal("the session is gone")
		}
		last := fmt.Sprintf("%s/last/%d", id, i)
		bus.Send(bus.Message(last, []byte("last"), qos))
		again := 0
		for p := d.Collect(1)[0]; p.Topic != last; p = d.Collect(1)[0] {
			if again++; qos == 2 || !p.Dup {
				t.Fatalf("something was left in the queue: %+v", p)
			}
		}
		if again == 0 {
			return
		}
		d.Publish(id+"-elsewhere", nil, 1) // the settlements have the time that this takes
	}
	t.Errorf("messages come again after each of %d connections", attempts)
}
