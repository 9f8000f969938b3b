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
