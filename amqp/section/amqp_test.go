package section

import (
	"testing"
	"time"

	"github.com/Azure/go-amqp"
	"github.com/google/go-cmp/cmp"

	"sluice/amqp/message"
)

// Another implementation of the encoding has to read what we write, and we what it writes.

func TestGoAMQPReadsWhatWeWrite(t *testing.T) {
	sequence := uint32(7)
	when := time.UnixMilli(1_700_000_000_123).UTC()
	m := &message.Message{
		Header:      message.Header{Durable: true, Priority: 4, TTL: 90 * time.Second, FirstAcquirer: true, DeliveryCount: 3},
		Annotations: map[string]any{"x-exchange": "amq.topic", "x-opt-sym": message.Symbol("s"), "x-opt-n": int64(-1)},
		Properties: message.Properties{
			MessageID: "id-1", UserID: []byte("guest"), To: "/exchanges/amq.topic/a.b", Subject: "a.b", ReplyTo: "/queues/r",
			CorrelationID: message.UUID{1, 2, 3}, ContentType: "text/plain", ContentEncoding: "gzip", AbsoluteExpiry: when,
			CreationTime: when, GroupID: "g", GroupSequence: &sequence, ReplyToGroupID: "rg",
		},
		ApplicationProperties: map[string]any{"bool": true, "ubyte": uint8(1), "ushort": uint16(2), "uint": uint32(0), "uint8": uint32(200),
			"uint32": uint32(70000), "ulong": uint64(1 << 40), "byte": int8(-1), "short": int16(-300), "int": int32(-5), "int32": int32(1 << 20),
			"long": int64(1 << 40), "float": float32(1.5), "double": 2.25, "time": when, "uuid": message.UUID{9}, "bin": []byte{0, 1},
			"null": nil, "text": "höhe"},
		Data: [][]byte{[]byte("hello"), {}},
	}
	encoded, err := EncodeMessage(m)
	if err != nil {
		t.Fatal(err)
	}
	var got amqp.Message
	if err := got.UnmarshalBinary(encoded); err != nil {
		t.Fatalf("go-amqp refuses our message: %v", err)
	}
	text := func(s string) *string { return &s }
	want := amqp.Message{
		Header:      &amqp.MessageHeader{Durable: true, Priority: 4, TTL: 90 * time.Second, FirstAcquirer: true, DeliveryCount: 3},
		Annotations: amqp.Annotations{"x-exchange": "amq.topic", "x-opt-sym": "s", "x-opt-n": int64(-1)},
		Properties: &amqp.MessageProperties{
			MessageID: "id-1", UserID: []byte("guest"), To: text("/exchanges/amq.topic/a.b"), Subject: text("a.b"), ReplyTo: text("/queues/r"),
			CorrelationID: amqp.UUID{1, 2, 3}, ContentType: text("text/plain"), ContentEncoding: text("gzip"), AbsoluteExpiryTime: &when,
			CreationTime: &when, GroupID: text("g"), GroupSequence: &sequence, ReplyToGroupID: text("rg"),
		},
		ApplicationProperties: map[string]any{},
		Data:                  [][]byte{[]byte("hello"), {}},
	}
	for k, v := range m.ApplicationProperties {
		if u, ok := v.(message.UUID); ok {
			v = amqp.UUID(u)
		}
		want.ApplicationProperties[k] = v
	}
	if diff := cmp.Diff(want.Header, got.Header); diff != "" {
		t.Errorf("header: %s", diff)
	}
	if diff := cmp.Diff(want.Annotations, got.Annotations); diff != "" {
		t.Errorf("annotations: %s", diff)
	}
	if diff := cmp.Diff(want.Properties, got.Properties); diff != "" {
		t.Errorf("properties: %s", diff)
	}
	if diff := cmp.Diff(want.ApplicationProperties, got.ApplicationProperties); diff != "" {
		t.Errorf("application properties: %s", diff)
	}
	if diff := cmp.Diff(want.Data, got.Data); diff != "" {
		t.Errorf("data: %s", diff)
	}
	back, err := DecodeMessage(encoded)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(m, back); diff != "" {
		t.Errorf("our own way back: %s", diff)
	}
}
