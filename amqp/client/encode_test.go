package client

import (
	"fmt"
	"testing"
	"time"

	goamqp "github.com/Azure/go-amqp"
	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"sluice/amqp/message"
)

// telemetry is what becomes of a device's QoS 1 PUBLISH without User Properties: most messages of a gateway are such.
func telemetry() *message.Message {
	return &message.Message{
		Header:     message.Header{Durable: true, Priority: message.DefaultPriority},
		Properties: message.Properties{MessageID: "aebagbafaydqqcik-17", To: "/exchanges/amq.topic/plant.7.temp", ContentType: "application/octet-stream"},
		Annotations: map[string]any{
			"x-opt-mqtt-topic": "plant/7/temp", "x-opt-mqtt-qos": uint8(1), "x-opt-sluice-tenant": "default", "x-opt-sluice-principal": "anonymous",
			"x-opt-sluice-client": "machine-12", "x-opt-sluice-node": "n1", "x-opt-sluice-time": time.UnixMilli(1_700_000_000_000),
		},
		Data: [][]byte{make([]byte, 100)},
	}
}

// TestEncodeLeavesNothingOfTheMessageBefore: memory is used again, meaning is not.
func TestEncodeLeavesNothingOfTheMessageBefore(t *testing.T) {
	many := &message.Message{Annotations: map[string]any{}, ApplicationProperties: map[string]any{}}
	for i := range 2 * annotationNames {
		many.Annotations[fmt.Sprintf("x-opt-%d", i)] = uint8(1)
		many.ApplicationProperties[fmt.Sprintf("p%d", i)] = uint8(1)
	}
	some := &message.Message{ApplicationProperties: map[string]any{"unit": "celsius"}, Annotations: map[string]any{"x-opt-mqtt-qos": uint8(0), "x-opt-other": true}}
	var e encoder
	for i, m := range []*message.Message{telemetry(), {HasValue: true}, some, many, telemetry(), {}, some} {
		encoded, err := e.encode(m)
		if err != nil {
			t.Fatal(err)
		}
		alone, err := new(encoder).encode(m)
		if err != nil {
			t.Fatal(err)
		}
		if d := cmp.Diff(alone, encoded, cmpopts.EquateEmpty(), cmpopts.IgnoreUnexported(goamqp.Message{})); d != "" {
			t.Errorf("message %d differs from itself encoded alone: %s", i, d)
		}
	}
	if len(e.names) > annotationNames || len(e.annotations) > keptEntries || len(e.application) > keptEntries {
		t.Errorf("%d names, %d and %d entries are kept", len(e.names), len(e.annotations), len(e.application))
	}
}

// TestEncodeAllocations: the message that the library keeps, and nothing else.
func TestEncodeAllocations(t *testing.T) {
	m := telemetry()
	var e encoder
	if n := testing.AllocsPerRun(100, func() {
		if _, err := e.encode(m); err != nil {
			t.Fatal(err)
		}
	}); n > 1 {
		t.Errorf("%v allocations for a message, 1 is expected", n)
	}
}

func BenchmarkEncodeMessage(b *testing.B) {
	m := telemetry()
	var e encoder
	b.ReportAllocs()
	for b.Loop() {
		if _, err := e.encode(m); err != nil {
			b.Fatal(err)
		}
	}
}
