package client

import (
	"math"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"sluice/amqp/message"
	"sluice/amqp/wire"
)

// encodedSection encodes one section.
func encodedSection(t testing.TB, code uint64, v any) []byte {
	t.Helper()
	b, err := wire.AppendValue(nil, message.Described{Descriptor: code, Value: v})
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func TestEncodeThenDecodeIsTheSameMessage(t *testing.T) {
	sequence := uint32(7)
	when := time.UnixMilli(1700000000123).UTC()
	values := map[string]any{
		"null": nil, "bool": true, "u8": uint8(1), "u16": uint16(2), "u32": uint32(3), "u64": uint64(4), "i8": int8(-1), "i16": int16(-2),
		"i32": int32(-3), "i64": int64(-400), "f32": float32(1.5), "f64": 2.5, "string": "s", "symbol": message.Symbol("sym"),
		"binary": []byte{1, 2}, "uuid": message.UUID{1, 2, 3}, "time": when, "list": []any{"a", uint32(1), []any{}},
		"map": map[string]any{"k": "v", "n": map[string]any{}},
	}
	properties := message.Properties{MessageID: message.UUID{9}, UserID: []byte("u"), To: "/exchanges/amq.topic/a", Subject: "s",
		ReplyTo: "r", CorrelationID: []byte{1}, ContentType: "text/plain", ContentEncoding: "gzip", AbsoluteExpiry: when,
		CreationTime: when, GroupID: "g", GroupSequence: &sequence, ReplyToGroupID: "rg"}
	for name, m := range map[string]*message.Message{
		"all": {Header: message.Header{Durable: true, Priority: 9, TTL: 5 * time.Second, FirstAcquirer: true, DeliveryCount: 3},
			Annotations: values, Properties: properties, ApplicationProperties: values, Data: [][]byte{[]byte("a"), []byte("b")}},
		"lowest priority": {Data: [][]byte{{1}}},
		"value":           {Header: message.Header{Priority: 4}, Value: "text", HasValue: true},
		"null value":      {Header: message.Header{Priority: 4}, HasValue: true},
		"sequence":        {Header: message.Header{Priority: 4}, Sequence: [][]any{{"a", uint32(1)}, {}}},
		"empty data":      {Header: message.Header{Priority: 4}, Data: [][]byte{{}}},
		"id types":        {Header: message.Header{Priority: 4}, Properties: message.Properties{MessageID: uint64(5), CorrelationID: "c"}, Data: [][]byte{{1}}},
	} {
		encoded, err := new(encoder).encode(m)
		if err != nil {
			t.Fatal(err)
		}
		b, err := encoded.MarshalBinary()
		if err != nil {
			t.Fatal(err)
		}
		for _, fragments := range [][][]byte{{b}, {b[:3], b[3 : len(b)/2], b[len(b)/2:]}} {
			got, err := decodeMessage(unwrap(fragments))
			if err != nil {
				t.Errorf("%s: %v", name, err)
				continue
			}
			if d := cmp.Diff(m, got.message); d != "" {
				t.Errorf("%s: -sent +received\n%s", name, d)
			}
		}
	}
}

func TestEncodeClampsTTL(t *testing.T) {
	for ttl, want := range map[time.Duration]time.Duration{
		0: 0, -time.Second: 0, 1500 * time.Microsecond: time.Millisecond,
		60 * 24 * time.Hour: message.MaxTTL, math.MaxInt64: message.MaxTTL,
	} {
		m, err := new(encoder).encode(&message.Message{Header: message.Header{TTL: ttl}})
		if err != nil || m.Header.TTL != want {
			t.Errorf("ttl %v: %v, %v", ttl, m.Header.TTL, err)
		}
	}
}

func TestEncodeAlwaysHasABody(t *testing.T) {
	m, err := new(encoder).encode(&message.Message{})
	if err != nil || len(m.Data) != 1 {
		t.Errorf("%+v, %v", m, err)
	}
}

func TestDecodeIsLenientWhereTheMeaningIsClear(t *testing.T) {
	raw := encodedSection(t, sectionMessageAnnotations, wire.Map{
		{Key: []any{}, Value: "unhashable"}, {Key: uint64(1), Value: "number"}, {Key: message.Symbol("x-ok"), Value: wire.Char('c')},
		{Key: "x-map", Value: wire.Map{{Key: uint32(1), Value: "v"}}},
		{Key: message.Symbol("x-decimal"), Value: wire.Decimal64{}},
		{Key: message.Symbol("x-array"), Value: wire.Array{Type: wire.CodeUint, Elements: []any{uint32(1), uint32(2)}}},
		{Key: message.Symbol("x-described"), Value: message.Described{Descriptor: message.Symbol("d"), Value: wire.Char('c')}},
	})
	raw = append(raw, encodedSection(t, sectionData, []byte("body"))...)
	raw = append(raw, encodedSection(t, sectionFooter, wire.Map{{Key: []byte("k"), Value: "v"}})...)
	got, err := decodeMessage(raw)
	if err != nil {
		t.Fatal(err)
	}
	want := &message.Message{Header: message.Header{Priority: 4}, Data: [][]byte{[]byte("body")}, Annotations: map[string]any{
		"x-ok": message.Opaque{Type: "char"}, "x-map": message.Opaque{Type: "map with keys that are not text"},
		"x-decimal": message.Opaque{Type: "decimal"}, "x-array": []any{uint32(1), uint32(2)},
		"x-described": message.Described{Descriptor: message.Symbol("d"), Value: message.Opaque{Type: "char"}},
	}}
	if d := cmp.Diff(want, got.message); d != "" {
		t.Errorf("-want +got\n%s", d)
	}
}

// TestDecodeLenientLists: a string stands for a symbol and the other way round, what peers leave out or add at the end of a list is no error, and a map may be null.
func TestDecodeLenientLists(t *testing.T) {
	for name, tt := range map[string]struct {
		code  uint64
		value any
		want  message.Message
	}{
		"header cut off":            {sectionHeader, []any{true}, message.Message{Header: message.Header{Durable: true, Priority: 4}}},
		"header with more fields":   {sectionHeader, []any{nil, uint8(5), nil, nil, nil, "more", []any{}}, message.Message{Header: message.Header{Priority: 5}}},
		"empty header":              {sectionHeader, []any{}, message.Message{Header: message.Header{Priority: 4}}},
		"symbols for strings":       {sectionProperties, []any{nil, nil, message.Symbol("a"), message.Symbol("b")}, message.Message{Properties: message.Properties{To: "a", Subject: "b"}}},
		"a string for a symbol":     {sectionProperties, []any{nil, nil, nil, nil, nil, nil, "text/plain"}, message.Message{Properties: message.Properties{ContentType: "text/plain"}}},
		"no annotations":            {sectionMessageAnnotations, nil, message.Message{}},
		"no application properties": {sectionApplicationProperties, nil, message.Message{}},
		"a key twice": {sectionApplicationProperties, wire.Map{{Key: "k", Value: "first"}, {Key: message.Symbol("k"), Value: "last"}},
			message.Message{ApplicationProperties: map[string]any{"k": "last"}}},
	} {
		if tt.code != sectionHeader {
			tt.want.Header.Priority = message.DefaultPriority
		}
		got, err := decodeMessage(encodedSection(t, tt.code, tt.value))
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		if d := cmp.Diff(&tt.want, got.message); d != "" {
			t.Errorf("%s: -want +got\n%s", name, d)
		}
	}
}

func TestDecodeMalformed(t *testing.T) {
	for name, raw := range map[string][]byte{
		"no section":           {0x40},
		"unknown section":      encodedSection(t, 0x99, "x"),
		"cut short":            {0x00, 0x53, 0x75, 0xa0, 5, 1},
		"header is a map":      encodedSection(t, sectionHeader, wire.Map{}),
		"data is text":         encodedSection(t, sectionData, "x"),
		"message-id is a list": encodedSection(t, sectionProperties, []any{[]any{}}),
		"ttl is text":          encodedSection(t, sectionHeader, []any{nil, nil, "x"}),
		"to is a number":       encodedSection(t, sectionProperties, []any{nil, nil, uint32(1)}),
		"annotations are text": encodedSection(t, sectionMessageAnnotations, "x"),
		"header is null":       encodedSection(t, sectionHeader, nil),
		"bytes behind a list":  {0x00, 0x53, 0x70, 0xc0, 3, 1, 0x41, 0x41},
		"bytes behind a map":   {0x00, 0x53, 0x72, 0xc1, 6, 2, 0xa1, 1, 'k', 0x40, 0x40},
		"a key without value":  {0x00, 0x53, 0x72, 0xc1, 4, 1, 0xa1, 1, 'k'},
		"a key cut short":      {0x00, 0x53, 0x72, 0xc1, 4, 2, 0xa1, 9, 'k'},
		"a key that is no key": {0x00, 0x53, 0x72, 0xc1, 3, 2, 0x3f, 0x40},
		"no value behind one":  {0x00, 0x53, 0x72, 0xc1, 4, 2, 0x40, 0xa1, 9},
	} {
		if got, err := decodeMessage(raw); err == nil {
			t.Errorf("%s: %+v", name, got.message)
		}
	}
}

func TestRedelivered(t *testing.T) {
	for name, tt := range map[string]struct {
		raw        []byte
		want, told bool // without and with a bus that tells the first acquirer
	}{
		"no header":             {encodedSection(t, sectionData, []byte("x")), false, false},
		"header without field":  {encodedSection(t, sectionHeader, []any{true}), false, true},
		"first acquirer":        {encodedSection(t, sectionHeader, []any{true, nil, nil, true}), false, false},
		"not first acquirer":    {encodedSection(t, sectionHeader, []any{true, nil, nil, false}), false, true},
		"delivery-count":        {encodedSection(t, sectionHeader, []any{true, nil, nil, true, uint32(1)}), true, true},
		"x-delivery-count":      {encodedSection(t, sectionMessageAnnotations, wire.Map{{Key: message.Symbol("x-delivery-count"), Value: int64(1)}}), true, true},
		"x-acquired-count zero": {encodedSection(t, sectionMessageAnnotations, wire.Map{{Key: message.Symbol("x-acquired-count"), Value: uint64(0)}}), false, false},
	} {
		got, err := decodeMessage(tt.raw)
		if err != nil {
			t.Fatal(err)
		}
		if got.redelivered(false) != tt.want || got.redelivered(true) != tt.told {
			t.Errorf("%s: %v and %v", name, got.redelivered(false), got.redelivered(true))
		}
	}
}

func FuzzDecode(f *testing.F) {
	m, _ := new(encoder).encode(&message.Message{Properties: message.Properties{To: "x"}, Annotations: map[string]any{"a": uint8(1)}, Data: [][]byte{{1}}})
	b, _ := m.MarshalBinary()
	f.Add(b)
	f.Fuzz(func(t *testing.T, raw []byte) {
		got, err := decodeMessage(raw)
		if err != nil {
			return
		}
		// What was decoded can be sent again, save for what message calls Opaque or Described.
		if encoded, err := new(encoder).encode(got.message); err == nil {
			if _, err := encoded.MarshalBinary(); err != nil {
				t.Logf("cannot be marshalled: %v", err)
			}
		}
	})
}
