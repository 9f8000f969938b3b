package mapping_test

import (
	"maps"
	"math"
	"strings"
	"testing"

	"sluice/amqp/message"
	"sluice/mapping"
)

func identityOf(t *testing.T, m *message.Message) string {
	t.Helper()
	d, _, err := mapping.Downlink(m, mapping.DownlinkOptions{Now: noon})
	if err != nil {
		t.Fatal(err)
	}
	return d.Identity
}

// Two deliveries of one message differ in header and annotations only [AMQP 3.2]; anything else makes another message.
func TestIdentityWithoutMessageID(t *testing.T) {
	base := func(change func(*message.Message)) *message.Message {
		return backend(func(m *message.Message) {
			m.Properties = message.Properties{UserID: []byte("u"), Subject: "s", CreationTime: noon}
			m.ApplicationProperties = map[string]any{"a": "1", "b": 0.5, "nan": math.NaN()}
			m.Data = [][]byte{[]byte("ab"), []byte("c")}
			if change != nil {
				change(m)
			}
		})
	}
	first := identityOf(t, base(nil))
	again := identityOf(t, base(func(m *message.Message) {
		m.Header.DeliveryCount, m.Header.FirstAcquirer = 3, true
		m.Annotations["x-delivery-count"] = int64(1)
	}))
	if first != again {
		t.Errorf("a redelivery changed the identity from %q to %q", first, again)
	}
	seen := map[string]string{first: "the message"}
	for name, change := range map[string]func(*message.Message){
		"payload":      func(m *message.Message) { m.Data = [][]byte{[]byte("ab"), []byte("d")} },
		"sections":     func(m *message.Message) { m.Data = [][]byte{[]byte("a"), []byte("bc")} },
		"subject":      func(m *message.Message) { m.Properties.Subject = "s2" },
		"to":           func(m *message.Message) { m.Properties.To, m.Properties.Subject = "s", "" },
		"correlation":  func(m *message.Message) { m.Properties.CorrelationID = uint64(1) },
		"type":         func(m *message.Message) { m.Properties.CorrelationID = "1" },
		"app property": func(m *message.Message) { m.ApplicationProperties["a"] = "2" },
		"app type":     func(m *message.Message) { m.ApplicationProperties["a"] = int32(1) },
		"app absent":   func(m *message.Message) { delete(m.ApplicationProperties, "a") },
		"group":        func(m *message.Message) { n := uint32(0); m.Properties.GroupSequence = &n },
		"time":         func(m *message.Message) { m.Properties.CreationTime = noon.Add(1e6) },
		"value body":   func(m *message.Message) { m.Data, m.HasValue, m.Value = nil, true, "abc" },
	} {
		id := identityOf(t, base(change))
		if other, ok := seen[id]; ok {
			t.Errorf("%s and %s have the same identity", name, other)
		}
		seen[id] = name
	}
}

func TestIdentityOfMessageIDs(t *testing.T) {
	seen := map[string]any{}
	for _, id := range []any{"7", uint64(7), []byte("7"), "u:7", "", someUUID, strings.Repeat("a", 1000), strings.Repeat("a", 1001)} {
		m := backend(func(m *message.Message) { m.Properties.MessageID = id })
		first := identityOf(t, m)
		m.Annotations = maps.Clone(m.Annotations)
		m.Annotations["x-delivery-count"] = int64(4)
		m.Header.Durable = true
		if again := identityOf(t, m); again != first {
			t.Errorf("id %v: a redelivery changed the identity from %q to %q", id, first, again)
		}
		if other, ok := seen[first]; ok {
			t.Errorf("ids %v and %v have the same identity %q", id, other, first)
		}
		if len(first) > 130 {
			t.Errorf("identity of %d bytes", len(first))
		}
		seen[first] = id
	}
	d, _, err := mapping.Downlink(backend(nil), mapping.DownlinkOptions{Now: noon, SkipIdentity: true})
	if err != nil || d.Identity != "" {
		t.Errorf("identity %q although it was not wanted, %v", d.Identity, err)
	}
}

// Nesting as deep as a peer likes must not cost more than a bounded stack.
func TestIdentityOfDeepBody(t *testing.T) {
	var deep any = "x"
	for range 100_000 {
		deep = []any{deep}
	}
	m := backend(func(m *message.Message) {
		m.Properties.MessageID = nil
		m.ApplicationProperties = map[string]any{"deep": deep}
	})
	if id := identityOf(t, m); !strings.HasPrefix(id, "h:") {
		t.Errorf("identity %q", id)
	}
}

// TestIdentityStays: the store keeps identities, and nodes of another version compare them.
func TestIdentityStays(t *testing.T) {
	sequence := uint32(7)
	full := backend(func(m *message.Message) {
		m.Properties = message.Properties{UserID: []byte("u"), To: "/queues/q", Subject: "s", ReplyTo: "/queues/r", CorrelationID: someUUID, ContentType: "text/plain",
			ContentEncoding: "gzip", AbsoluteExpiry: noon, CreationTime: noon.Add(-1e9), GroupID: "g", GroupSequence: &sequence, ReplyToGroupID: "rg"}
		m.ApplicationProperties = map[string]any{
			"string": "a b", "nil": nil, "bool": true, "u8": uint8(200), "u16": uint16(1), "u32": uint32(2), "u64": uint64(math.MaxUint64), "i8": int8(-1),
			"i16": int16(-2), "i32": int32(-3), "i64": int64(math.MinInt64), "f32": float32(0.25), "f64": 0.5, "symbol": message.Symbol("sym"), "uuid": someUUID, "time": noon,
			"bytes": []byte("xyz"), "list": []any{"a", uint8(1)}, "map": map[string]any{"k": false}, "described": message.Described{Descriptor: uint64(1), Value: "d"},
		}
		m.Data = [][]byte{[]byte("ab"), []byte("c")}
	})
	plain := backend(func(m *message.Message) { m.Properties, m.ApplicationProperties = message.Properties{}, nil })
	long := backend(func(m *message.Message) { m.Properties.MessageID = strings.Repeat("a", 1000) })
	for name, c := range map[string]struct {
		m    *message.Message
		want string
	}{
		"full":  {full, "h:ffe2aa142064f42a9b9b268f981aae23"},
		"plain": {plain, "h:9262f0ddc4e854352073ab03753c7b37"},
		"long":  {long, "i:4d87b63d5a2f6c39ca432984fa8b648f"},
	} {
		if got := mapping.Identity(c.m); got != c.want {
			t.Errorf("%s: %q, want %q", name, got, c.want)
		}
	}
}

func BenchmarkIdentityWithoutMessageID(b *testing.B) {
	m := backend(func(m *message.Message) {
		m.Properties = message.Properties{To: "/exchanges/amq.topic/plant.7.line.4", ContentType: "application/json", CreationTime: noon}
		m.ApplicationProperties = map[string]any{"a": "1", "b": int32(2)}
	})
	b.ReportAllocs()
	for b.Loop() {
		mapping.Identity(m)
	}
}
