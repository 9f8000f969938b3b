package client

import (
	"testing"
	"time"

	"sluice/amqp/message"
	"sluice/amqp/section"
)

// BenchmarkDecodeMessage decodes a message as devices' own come from the bus.
func BenchmarkDecodeMessage(b *testing.B) {
	raw, err := section.EncodeMessage(&message.Message{
		Header: message.Header{Durable: true, Priority: message.DefaultPriority},
		Properties: message.Properties{
			MessageID: "01K3ZC-1-17", To: "/exchanges/amq.topic/devices.17.telemetry", Subject: "devices/17/telemetry", CreationTime: time.UnixMilli(1_700_000_000_000),
		},
		Annotations: map[string]any{"x-exchange": "amq.topic", "x-routing-key": "devices.17.telemetry"},
		ApplicationProperties: map[string]any{
			"x-opt-mqtt-topic": "devices/17/telemetry", "x-opt-mqtt-qos": uint8(1), "x-opt-sluice-tenant": "default", "x-opt-sluice-principal": "anonymous",
			"x-opt-sluice-client": "device-17", "x-opt-sluice-node": "node-1", "x-opt-sluice-time": time.UnixMilli(1_700_000_000_000),
		},
		Data: [][]byte{make([]byte, 128)},
	})
	if err != nil {
		b.Fatal(err)
	}
	b.ReportAllocs()
	for b.Loop() {
		if _, err := decodeMessage(raw); err != nil {
			b.Fatal(err)
		}
	}
}
