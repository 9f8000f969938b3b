package section

import (
	"bytes"
	"encoding/hex"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"sluice/amqp/message"
	"sluice/amqp/wire"
)

func unhex(t testing.TB, s string) []byte {
	t.Helper()
	b, err := hex.DecodeString(strings.ReplaceAll(s, " ", ""))
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// The sections of a full message, built by hand. The bare part has long forms on purpose: we would write it shorter.
const (
	hexHeader       = "005370 c00905 41 5009 5264 41 5203"
	hexDelivery     = "005371 c10702 a30164 a10178"
	hexAnnotations  = "005372 c10502 a3016b 41"
	hexProperties   = "005373 d0000000 08 00000001 a102 6964"
	hexApplication  = "005374 d1000000 0b 00000002 b100000001 6b 42"
	hexData         = "005375 b000000003 010203"
	hexSequence     = "005376 c00302 41 42"
	hexValue        = "005377 800000000000000001"
	hexFooter       = "005378 c10602 a30166 5201"
	hexLongHeader   = "0080 0000000000000070 c00201 41 "
	hexSymbolHeader = "00a3 10 616d71703a6865616465723a6c697374 45"
)

func TestParse(t *testing.T) {
	all := strings.Join([]string{hexHeader, hexDelivery, hexAnnotations, hexProperties, hexApplication, hexData, hexData, hexFooter}, "")
	payload := unhex(t, all)
	got, err := Parse(payload)
	if err != nil {
		t.Fatal(err)
	}
	want := Sections{
		Header:                Header{Durable: true, Priority: 9, TTL: wire.Some(uint32(100)), FirstAcquirer: true, DeliveryCount: 3},
		HasHeader:             true,
		DeliveryAnnotations:   unhex(t, hexDelivery),
		MessageAnnotations:    unhex(t, hexAnnotations),
		Bare:                  unhex(t, hexProperties+hexApplication+hexData+hexData),
		Properties:            unhex(t, hexProperties),
		ApplicationProperties: unhex(t, hexApplication),
		Body:                  unhex(t, hexData+hexData),
		Footer:                unhex(t, hexFooter),
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Fatal(diff)
	}
	if out := got.Append(nil); !bytes.Equal(out, payload) {
		t.Errorf("put together again:\n%x, want\n%x", out, payload)
	}
	annotations, err := got.MessageAnnotationMap()
	if diff := cmp.Diff(wire.Map{{Key: message.Symbol("k"), Value: true}}, annotations); diff != "" || err != nil {
		t.Errorf("%v, %s", err, diff)
	}
	application, err := got.ApplicationPropertyMap()
	if diff := cmp.Diff(wire.Map{{Key: "k", Value: false}}, application); diff != "" || err != nil {
		t.Errorf("%v, %s", err, diff)
	}
	properties, err := got.PropertiesValue()
	if diff := cmp.Diff(message.Properties{MessageID: "id"}, properties); diff != "" || err != nil {
		t.Errorf("%v, %s", err, diff)
	}
}

func TestParseVariants(t *testing.T) {
	for _, tt := range []struct {
		name, hex string
		header    Header
		body      string
	}{
		{name: "nothing", hex: "", header: DefaultHeader()},
		{name: "body alone", hex: hexValue, header: DefaultHeader(), body: hexValue},
		{name: "sequences", hex: hexSequence + hexSequence, header: DefaultHeader(), body: hexSequence + hexSequence},
		{name: "descriptor in full", hex: hexLongHeader + hexData, header: Header{Durable: true, Priority: 4}, body: hexData},
		{name: "symbolic descriptor", hex: hexSymbolHeader + hexData, header: DefaultHeader(), body: hexData},
		{name: "null annotations", hex: "00537240" + hexData, header: DefaultHeader(), body: hexData},
		{name: "annotation with a ulong key", hex: "005372 c10402 5301 41", header: DefaultHeader(), body: ""},
	} {
		t.Run(tt.name, func(t *testing.T) {
			s, err := Parse(unhex(t, tt.hex))
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(tt.header, s.Header); diff != "" {
				t.Error(diff)
			}
			if !bytes.Equal(s.Body, unhex(t, tt.body)) {
				t.Errorf("body %x", s.Body)
			}
		})
	}
}

func TestMalformedMessages(t *testing.T) {
	for _, tt := range []struct{ name, hex, what string }{
		{"header twice", hexHeader + hexHeader, "header"},
		{"properties twice", hexProperties + hexProperties, "properties"},
		{"value twice", hexValue + hexValue, "amqp-value"},
		{"header behind properties", hexProperties + hexHeader, "header"},
		{"data behind footer", hexFooter + hexData, "data"},
		{"data and value", hexData + hexValue, "amqp-value"},
		{"data and sequence", hexData + hexSequence, "amqp-sequence"},
		{"value and data", hexValue + hexData, "data"},
		{"data that is a string", "005375 a10161", "data"},
		{"data that is null", "005375 40", "data"},
		{"sequence that is a map", "005376 c10100", "amqp-sequence"},
		{"header that is a map", "005370 c10100", "header"},
		{"header with a wrong type", "005370 c00401 600001", "header.durable"},
		{"header with 6 fields", "005370 c00706 404040404040", "header"},
		{"annotations in a list", "005372 45", "message-annotations"},
		{"annotation with a string key", "005372 c10502 a1016b 41", "message-annotations.key"},
		{"annotation with a binary key", "005372 c10502 a0016b 41", "message-annotations.key"},
		{"annotation with a list as key", "005372 c10302 45 41", "message-annotations.key"},
		{"annotation with a null key", "005372 c10302 40 41", "message-annotations.key"},
		{"delivery-annotation with a map as key", "005371 c10502 c10100 41", "delivery-annotations.key"},
		{"footer with a described key", "005378 c10702 00 5301 a10161 41", "footer.key"},
		{"application property with a symbol key", "005374 c10502 a3016b 41", "application-properties.key"},
		{"message-id that is a uint", "005373 c00302 5201 40", "properties.message-id"},
		{"subject that is a symbol", "005373 c00704 40 40 40 a30173", "properties.subject"},
		{"14 properties", "005373 c00f0e 40404040404040404040404040 40", "properties"},
		{"described key inside an annotation", "005372 c10c02 a3016b c10602 00 5301 45 41", "message-annotations.value"},
		{"described key inside a value", "005377 c10602 00 5301 45 41", ""},
		{"list as key inside a sequence", "005376 c00601 c10302 45 41", ""},
		{"no section", "005379 45", ""},
		{"a performative", "005310 45", ""},
		{"not described", "45", ""},
		{"rubbish behind the body", hexData + "ff", ""},
	} {
		t.Run(tt.name, func(t *testing.T) {
			in := unhex(t, tt.hex)
			_, err := Parse(in)
			var werr *wire.Error
			if !errors.As(err, &werr) {
				t.Fatalf("%v: want a *wire.Error", err)
			}
			if werr.What != tt.what || werr.Condition != wire.CondDecodeError || werr.Offset < 0 || werr.Offset > len(in) {
				t.Errorf("%v at %d, want it of %q", err, werr.Offset, tt.what)
			}
			if m, err := DecodeMessage(in); err == nil {
				t.Errorf("DecodeMessage gives %+v", m)
			}
		})
	}
}

// A message cut anywhere but between sections is refused.
func TestEveryShorterPrefixIsAnError(t *testing.T) {
	whole := map[int]bool{0: true}
	var in []byte
	for _, s := range []string{hexHeader, hexDelivery, hexAnnotations, hexProperties, hexApplication, hexSequence, hexFooter} {
		in = append(in, unhex(t, s)...)
		whole[len(in)] = true
	}
	for n := range in {
		_, err := Parse(in[:n:n])
		if whole[n] != (err == nil) {
			t.Errorf("the first %d bytes: %v", n, err)
		}
	}
}

func TestReplacingKeepsTheBareMessage(t *testing.T) {
	bare := hexProperties + hexApplication + hexData
	s, err := Parse(unhex(t, hexDelivery+hexAnnotations+bare+hexFooter))
	if err != nil {
		t.Fatal(err)
	}
	s.HasHeader, s.Header.DeliveryCount, s.DeliveryAnnotations = true, 2, nil
	if err := s.SetMessageAnnotations(wire.Map{{Key: message.Symbol("x-q"), Value: uint32(0)}, {Key: uint64(1), Value: nil}}); err != nil {
		t.Fatal(err)
	}
	want := unhex(t, "005370 c00705 40404040 5202"+"005372 c10a04 a303782d71 43 5301 40"+bare+hexFooter)
	if got := s.Append(nil); !bytes.Equal(got, want) {
		t.Errorf("%x, want\n%x", got, want)
	}
	for _, bad := range []wire.Map{{{Key: "text", Value: 1}}, {{Key: []byte("k")}}, {{Key: message.Symbol("k"), Value: message.Opaque{}}}} {
		before := bytes.Clone(s.MessageAnnotations)
		if err := s.SetMessageAnnotations(bad); err == nil || !bytes.Equal(before, s.MessageAnnotations) {
			t.Errorf("%v: %v", bad, err)
		}
	}
	if err := s.SetMessageAnnotations(nil); err != nil || s.MessageAnnotations != nil {
		t.Errorf("%v, %x", err, s.MessageAnnotations)
	}
}

func TestParseTakesNoMemory(t *testing.T) {
	in := unhex(t, hexHeader+hexAnnotations+hexProperties+hexApplication+hexData)
	if n := testing.AllocsPerRun(100, func() {
		if _, err := Parse(in); err != nil {
			t.Fatal(err)
		}
	}); n != 0 {
		t.Errorf("%v allocations", n)
	}
}

func TestDecodeMessageAliasesNothing(t *testing.T) {
	in := unhex(t, "005373 c00602 40 a0020102"+"005375 a002 0304")
	m, err := DecodeMessage(in)
	if err != nil {
		t.Fatal(err)
	}
	clear(in)
	if diff := cmp.Diff([][]byte{{3, 4}}, m.Data); diff != "" || !bytes.Equal(m.Properties.UserID, []byte{1, 2}) {
		t.Errorf("%s, %x", diff, m.Properties.UserID)
	}
}

func TestDecodeMessageValues(t *testing.T) {
	body, err := wire.AppendValue(unhex(t, "005377"), wire.Map{
		{Key: "array", Value: wire.Array{Type: wire.CodeSymbol32, Elements: []any{message.Symbol("a"), message.Symbol("b")}}},
		{Key: message.Symbol("described array"), Value: wire.Array{Type: wire.CodeUint, Described: true, Descriptor: uint64(1), Elements: []any{uint32(2)}}},
		{Key: "char", Value: wire.Char('x')},
		{Key: "decimals", Value: []any{wire.Decimal32{}, wire.Decimal64{}, wire.Decimal128{}}},
		{Key: "odd map", Value: wire.Map{{Key: uint32(1), Value: nil}}},
		{Key: "double", Value: wire.Map{{Key: "a"}, {Key: "a"}}},
		{Key: "map", Value: wire.Map{{Key: "a", Value: message.Described{Descriptor: "d", Value: wire.Map{}}}}},
	})
	if err != nil {
		t.Fatal(err)
	}
	m, err := DecodeMessage(body)
	if err != nil {
		t.Fatal(err)
	}
	odd := message.Opaque{Type: "map with keys that are not unique strings or symbols"}
	want := map[string]any{
		"array":           []any{message.Symbol("a"), message.Symbol("b")},
		"described array": []any{message.Described{Descriptor: uint64(1), Value: uint32(2)}},
		"char":            message.Opaque{Type: "char"},
		"decimals":        []any{message.Opaque{Type: "decimal32"}, message.Opaque{Type: "decimal64"}, message.Opaque{Type: "decimal128"}},
		"odd map":         odd,
		"double":          odd,
		"map":             map[string]any{"a": message.Described{Descriptor: "d", Value: map[string]any{}}},
	}
	if diff := cmp.Diff(any(want), m.Value); diff != "" || !m.HasValue {
		t.Error(diff)
	}
}

func TestEncodeMessageRefuses(t *testing.T) {
	for name, m := range map[string]*message.Message{
		"two bodies":              {Data: [][]byte{{1}}, HasValue: true},
		"a negative ttl":          {Header: message.Header{TTL: -time.Second}},
		"a ttl over the limit":    {Header: message.Header{TTL: message.MaxTTL + time.Millisecond}},
		"a message-id of int":     {Properties: message.Properties{MessageID: 1}},
		"an address not UTF-8":    {Properties: message.Properties{To: "\xff"}},
		"an opaque value":         {HasValue: true, Value: message.Opaque{Type: "x"}},
		"an opaque in a list":     {Sequence: [][]any{{message.Opaque{Type: "x"}}}},
		"an opaque annotation":    {Annotations: map[string]any{"a": message.Opaque{}}},
		"an annotation not ASCII": {Annotations: map[string]any{"ö": 1}},
		"an opaque property":      {ApplicationProperties: map[string]any{"a": message.Opaque{}}},
	} {
		out, err := EncodeMessage(m)
		var werr *wire.Error
		if !errors.As(err, &werr) || out != nil {
			t.Errorf("%s: %x, %v", name, out, err)
		}
	}
}
