package section

import (
	"testing"
	"time"

	"github.com/Azure/go-amqp"
	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"sluice/amqp/message"
)

// genPlain draws a value that both go-amqp and we have a Go type for. Symbols are left out: go-amqp gives them back as strings.
func genPlain() *rapid.Generator[any] {
	return rapid.OneOf(rapid.Just[any](nil), rapid.Bool().AsAny(), rapid.Uint8().AsAny(), rapid.Uint16().AsAny(), rapid.Uint32().AsAny(),
		rapid.Uint64().AsAny(), rapid.Int8().AsAny(), rapid.Int16().AsAny(), rapid.Int32().AsAny(), rapid.Int64().AsAny(),
		rapid.Float32().AsAny(), rapid.Float64().AsAny(), rapid.String().AsAny(), rapid.SliceOfN(rapid.Byte(), 1, 300).AsAny(),
		genTime().AsAny(), genUUID().AsAny())
}

func genTime() *rapid.Generator[time.Time] {
	return rapid.Map(rapid.Int64Range(-1<<45, 1<<45), func(ms int64) time.Time { return time.UnixMilli(ms).UTC() })
}

func genUUID() *rapid.Generator[message.UUID] {
	return rapid.Map(rapid.SliceOfN(rapid.Byte(), 16, 16), func(b []byte) message.UUID { return message.UUID(b) })
}

// genText draws no empty string: message.Message has an empty one for an absent one.
func genText() *rapid.Generator[string] { return rapid.StringN(1, 40, -1) }

func genPlainMap(key *rapid.Generator[string]) *rapid.Generator[map[string]any] {
	return rapid.Map(rapid.MapOfN(key, genPlain(), 0, 5), func(m map[string]any) map[string]any {
		if len(m) == 0 {
			return nil
		}
		return m
	})
}

func genMessage() *rapid.Generator[*message.Message] {
	id := rapid.OneOf(rapid.Just[any](nil), rapid.String().AsAny(), rapid.Uint64().AsAny(), genUUID().AsAny(),
		rapid.SliceOfN(rapid.Byte(), 1, 40).AsAny())
	symbol := rapid.StringMatching(`[!-~]{1,40}`)
	return rapid.Custom(func(t *rapid.T) *message.Message {
		m := &message.Message{
			Header: message.Header{Durable: rapid.Bool().Draw(t, "durable"), Priority: rapid.Uint8().Draw(t, "priority"),
				TTL:           time.Duration(rapid.Uint32().Draw(t, "ttl")) * time.Millisecond,
				FirstAcquirer: rapid.Bool().Draw(t, "first"), DeliveryCount: rapid.Uint32().Draw(t, "count")},
			Annotations: genPlainMap(symbol).Draw(t, "annotations"),
			Properties: message.Properties{MessageID: id.Draw(t, "id"), CorrelationID: id.Draw(t, "correlation"), To: genText().Draw(t, "to"),
				Subject: genText().Draw(t, "subject"), ReplyTo: genText().Draw(t, "reply"), ContentType: symbol.Draw(t, "type"),
				ContentEncoding: symbol.Draw(t, "encoding"), AbsoluteExpiry: genTime().Draw(t, "expiry"), CreationTime: genTime().Draw(t, "created"),
				GroupID: genText().Draw(t, "group"), ReplyToGroupID: genText().Draw(t, "reply group"),
				UserID: rapid.SliceOfN(rapid.Byte(), 1, 20).Draw(t, "user")},
			ApplicationProperties: genPlainMap(genText()).Draw(t, "properties"),
		}
		if rapid.Bool().Draw(t, "sequence") {
			n := rapid.Uint32().Draw(t, "number")
			m.Properties.GroupSequence = &n
		}
		switch rapid.IntRange(0, 2).Draw(t, "body") {
		case 0:
			m.Data = rapid.SliceOfN(rapid.SliceOfN(rapid.Byte(), 1, 400), 1, 3).Draw(t, "data")
		case 1:
			m.Value, m.HasValue = genPlain().Draw(t, "value"), true
			if m.Value == nil { // go-amqp cannot say "a null value": its nil is no body
				m.Value = true
			}
		case 2:
			m.Sequence = rapid.SliceOfN(rapid.SliceOfN(genPlain(), 1, 4), 1, 3).Draw(t, "sequences")
		}
		return m
	})
}

// theirs turns a value of ours into go-amqp's.
func theirs(v any) any {
	switch v := v.(type) {
	case message.UUID:
		return amqp.UUID(v)
	case []any:
		out := make([]any, len(v))
		for i := range v {
			out[i] = theirs(v[i])
		}
		return out
	}
	return v
}

func toGoAMQP(m *message.Message) *amqp.Message {
	p := m.Properties
	out := &amqp.Message{
		Header: &amqp.MessageHeader{Durable: m.Header.Durable, Priority: m.Header.Priority, TTL: m.Header.TTL,
			FirstAcquirer: m.Header.FirstAcquirer, DeliveryCount: m.Header.DeliveryCount},
		Properties: &amqp.MessageProperties{MessageID: theirs(p.MessageID), UserID: p.UserID, To: &p.To, Subject: &p.Subject, ReplyTo: &p.ReplyTo,
			CorrelationID: theirs(p.CorrelationID), ContentType: &p.ContentType, ContentEncoding: &p.ContentEncoding,
			AbsoluteExpiryTime: &p.AbsoluteExpiry, CreationTime: &p.CreationTime, GroupID: &p.GroupID, GroupSequence: p.GroupSequence,
			ReplyToGroupID: &p.ReplyToGroupID},
		Data:  m.Data,
		Value: theirs(m.Value),
	}
	for _, list := range m.Sequence {
		out.Sequence = append(out.Sequence, theirs(list).([]any))
	}
	if m.Annotations != nil {
		out.Annotations = amqp.Annotations{}
	}
	for k, v := range m.Annotations {
		out.Annotations[k] = theirs(v)
	}
	if m.ApplicationProperties != nil {
		out.ApplicationProperties = map[string]any{}
	}
	for k, v := range m.ApplicationProperties {
		out.ApplicationProperties[k] = theirs(v)
	}
	return out
}

// parts are what two messages of go-amqp are compared by: its struct has fields that are not exported.
func parts(m *amqp.Message) []any {
	return []any{m.Header, m.DeliveryAnnotations, m.Annotations, m.Properties, m.ApplicationProperties, m.Data, m.Value, m.Sequence, m.Footer}
}

func TestAgreesWithGoAMQP(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		m := genMessage().Draw(t, "message")
		peer := toGoAMQP(m)

		ours, err := EncodeMessage(m)
		if err != nil {
			t.Fatal(err)
		}
		var got amqp.Message
		if err := got.UnmarshalBinary(ours); err != nil {
			t.Fatalf("go-amqp refuses %x: %v", ours, err)
		}
		if diff := cmp.Diff(parts(peer), parts(&got), cmp.Comparer(equalFloat32), cmp.Comparer(equalFloat64)); diff != "" {
			t.Fatalf("we write, go-amqp reads: %s", diff)
		}

		written, err := peer.MarshalBinary()
		if err != nil {
			t.Fatal(err)
		}
		for name, encoded := range map[string][]byte{"ours": ours, "go-amqp's": written} {
			back, err := DecodeMessage(encoded)
			if err != nil {
				t.Fatalf("we refuse %s %x: %v", name, encoded, err)
			}
			if diff := cmp.Diff(m, back, cmp.Comparer(equalFloat32), cmp.Comparer(equalFloat64)); diff != "" {
				t.Fatalf("%s, read by us: %s", name, diff)
			}
			sections, err := Parse(encoded)
			if err != nil {
				t.Fatal(err)
			}
			if again := sections.Append(nil); len(again) > len(encoded) {
				t.Fatalf("%s grew from %x to %x", name, encoded, again)
			}
		}
	})
}

func equalFloat32(a, b float32) bool { return a == b || a != a && b != b }
func equalFloat64(a, b float64) bool { return a == b || a != a && b != b }
