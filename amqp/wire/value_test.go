package wire

import (
	"bytes"
	"encoding/hex"
	"errors"
	"math"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	"pgregory.net/rapid"

	"sluice/amqp/message"
)

func unhex(t testing.TB, s string) []byte {
	t.Helper()
	b, err := hex.DecodeString(strings.ReplaceAll(s, " ", ""))
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// values are encodings with what they mean; again is how we write that value where it is not the same bytes.
var values = []struct {
	name, hex string
	value     any
	again     string
}{
	{name: "null", hex: "40", value: nil},
	{name: "true", hex: "41", value: true},
	{name: "false", hex: "42", value: false},
	{name: "true in a byte", hex: "5601", value: true, again: "41"},
	{name: "false in a byte", hex: "5600", value: false, again: "42"},
	{name: "ubyte", hex: "50ff", value: uint8(255)},
	{name: "ushort", hex: "600102", value: uint16(258)},
	{name: "uint0", hex: "43", value: uint32(0)},
	{name: "smalluint", hex: "52ff", value: uint32(255)},
	{name: "uint", hex: "7000000100", value: uint32(256)},
	{name: "uint 0 in full", hex: "7000000000", value: uint32(0), again: "43"},
	{name: "ulong0", hex: "44", value: uint64(0)},
	{name: "smallulong", hex: "53ff", value: uint64(255)},
	{name: "ulong", hex: "800000000000000100", value: uint64(256)},
	{name: "ulong 1 in full", hex: "800000000000000001", value: uint64(1), again: "5301"},
	{name: "byte", hex: "51ff", value: int8(-1)},
	{name: "short", hex: "61fffe", value: int16(-2)},
	{name: "smallint", hex: "5480", value: int32(-128)},
	{name: "int", hex: "71ffffff7f", value: int32(-129)},
	{name: "int 1 in full", hex: "7100000001", value: int32(1), again: "5401"},
	{name: "smalllong", hex: "557f", value: int64(127)},
	{name: "long", hex: "810000000000000080", value: int64(128)},
	{name: "long -1 in full", hex: "81ffffffffffffffff", value: int64(-1), again: "55ff"},
	{name: "float", hex: "723fc00000", value: float32(1.5)},
	{name: "double", hex: "82c002000000000000", value: -2.25},
	{name: "decimal32", hex: "7401020304", value: Decimal32{1, 2, 3, 4}},
	{name: "decimal64", hex: "840102030405060708", value: Decimal64{1, 2, 3, 4, 5, 6, 7, 8}},
	{name: "decimal128", hex: "9401020304050607080910111213141516",
		value: Decimal128{1, 2, 3, 4, 5, 6, 7, 8, 9, 16, 17, 18, 19, 20, 21, 22}},
	{name: "char", hex: "730001f600", value: Char('😀')},
	{name: "timestamp", hex: "83000001311af2a500", value: time.UnixMilli(0x1311af2a500).UTC()},
	{name: "timestamp before 1970", hex: "83ffffffffffffffff", value: time.UnixMilli(-1).UTC()},
	{name: "first timestamp", hex: "838000000000000000", value: time.UnixMilli(math.MinInt64).UTC()},
	{name: "uuid", hex: "980102030405060708090a0b0c0d0e0f10",
		value: message.UUID{1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16}},
	{name: "vbin8", hex: "a0020001", value: []byte{0, 1}},
	{name: "vbin32", hex: "b0000000020001", value: []byte{0, 1}, again: "a0020001"},
	// The standard's own example of a string [AMQP 1.2].
	{name: "str8", hex: "a11e48656c6c6f20476c6f72696f7573204d6573736167696e6720576f726c64", value: "Hello Glorious Messaging World"},
	{name: "str32", hex: "b10000000161", value: "a", again: "a10161"},
	{name: "sym8", hex: "a30161", value: message.Symbol("a")},
	{name: "sym32", hex: "b30000000161", value: message.Symbol("a"), again: "a30161"},
	{name: "list0", hex: "45", value: []any{}},
	{name: "list8 empty", hex: "c00100", value: []any{}, again: "45"},
	{name: "list8", hex: "c0040341 42 40", value: []any{true, false, nil}},
	{name: "list32", hex: "d0000000070000000341 42 40", value: []any{true, false, nil}, again: "c00403414240"},
	{name: "map8 empty", hex: "c10100", value: Map{}},
	{name: "map8 keeps order and doubles", hex: "c10904 a10162 43 a10161 44", value: Map{{Key: "b", Value: uint32(0)}, {Key: "a", Value: uint64(0)}}},
	{name: "map32", hex: "d1000000060000000241 42", value: Map{{Key: true, Value: false}}, again: "c103024142"},
	{name: "array8", hex: "e00402 50 0102", value: Array{Type: CodeUbyte, Elements: []any{uint8(1), uint8(2)}}},
	{name: "array32 of str8", hex: "f00000000700000001a1 0161", value: Array{Type: CodeString32, Elements: []any{"a"}}, again: "e00401a10161"},
	{name: "array of true", hex: "e0020241", value: Array{Type: CodeBoolean, Elements: []any{true, true}}, again: "e00402560101"},
	{name: "array of nothing", hex: "e0020040", value: Array{Type: CodeNull, Elements: []any{}}},
	{name: "array of described", hex: "e00702 00 5301 50 0102", value: Array{Type: CodeUbyte, Described: true, Descriptor: uint64(1),
		Elements: []any{uint8(1), uint8(2)}}},
	{name: "array of list0", hex: "e0020145", value: Array{Type: CodeList32, Elements: []any{[]any{}}}, again: "e00a01d00000000400000000"},
	// The standard's own example of a described value: a URL [AMQP 1.2].
	{name: "described", hex: "00a10355524c a11f687474703a2f2f6578616d706c652e6f72672f68656c6c6f2d776f726c6421",
		value: message.Described{Descriptor: "URL", Value: "http://example.org/hello-world!"}},
}

func TestValueTable(t *testing.T) {
	for _, tt := range values {
		t.Run(tt.name, func(t *testing.T) {
			in := unhex(t, tt.hex)
			r := NewReader(in)
			got, err := r.Value()
			if err != nil {
				t.Fatalf("Value: %v", err)
			}
			if diff := cmp.Diff(tt.value, got); diff != "" {
				t.Fatalf("value: %s", diff)
			}
			if r.Len() != 0 {
				t.Fatalf("%d bytes left", r.Len())
			}
			want := in
			if tt.again != "" {
				want = unhex(t, tt.again)
			}
			out, err := AppendValue([]byte{0xee}, tt.value)
			if err != nil {
				t.Fatalf("AppendValue: %v", err)
			}
			if !bytes.Equal(out[1:], want) || out[0] != 0xee {
				t.Errorf("encoded %x, want %x", out[1:], want)
			}
		})
	}
}

func TestEveryShorterPrefixIsAnError(t *testing.T) {
	for _, tt := range values {
		in := unhex(t, tt.hex)
		for n := range in {
			r, s := NewReader(in[:n:n]), NewReader(in[:n:n])
			var werr *Error
			if v, err := r.Value(); !errors.As(err, &werr) {
				t.Errorf("%s: the first %d of %d bytes gave %v, %v", tt.name, n, len(in), v, err)
			}
			if err := s.Skip(); !errors.As(err, &werr) {
				t.Errorf("%s: the first %d of %d bytes were skipped", tt.name, n, len(in))
			}
		}
	}
}

func TestMalformedValues(t *testing.T) {
	for _, tt := range []struct{ name, hex, reason string }{
		{"no bytes", "", "1 bytes expected"},
		{"unassigned code", "46", "format code 0x46"},
		{"unassigned code in a list", "c0020147", "format code 0x47"},
		{"boolean 2", "5602", "not 2"},
		{"char over the last code point", "7300110000", "not a Unicode scalar"},
		{"char in the surrogates", "730000d800", "not a Unicode scalar"},
		{"string not UTF-8", "a101ff", "not UTF-8"},
		{"symbol not ASCII", "a302c3b6", "not ASCII"},
		{"list with bytes left", "c003014140", "left over"},
		{"list count over its bytes", "c00202 41", "cannot be in"},
		{"list32 count over its bytes", "d0000000050fffffff41", "over the limit"},
		{"list size without a count", "c000", "expected"},
		{"map with a key alone", "c1020141", "lacks its value"},
		{"map with bytes left", "c10401414141", "lacks its value"},
		{"array count over its bytes", "e0040350 0102", "cannot be in"},
		{"array with bytes left", "e0040150 0102", "left over"},
		{"array of 2^20 nulls", "f0000000050010000040", "without bytes"},
		{"array with two descriptors", "e0080100 5301 00 5301 40", "two descriptors"},
		{"size over 2^31", "b0ffffffff", "over the limit"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			in := unhex(t, tt.hex)
			r, s := NewReader(in), NewReader(in)
			_, err := r.Value()
			var werr *Error
			if !errors.As(err, &werr) {
				t.Fatalf("Value: %v, want an *Error", err)
			}
			if !strings.Contains(werr.Reason, tt.reason) {
				t.Errorf("the reason is %q, want %q in it", werr.Reason, tt.reason)
			}
			if werr.Offset < 0 || werr.Offset > len(in) {
				t.Errorf("the offset %d is not in the input of %d bytes", werr.Offset, len(in))
			}
			if serr := s.Skip(); serr == nil {
				t.Error("Skip takes it")
			}
		})
	}
}

func TestPlainKeys(t *testing.T) {
	for _, tt := range []struct {
		name, hex string
		plain     bool
	}{
		{"scalars", "c10806 40 41 43 41 5041 41", true},
		{"list", "c10302 45 41", false},
		{"map", "c10502 c10100 41", false},
		{"array", "c10602 e0020040 41", false},
		{"described", "c10602 00 5301 45 41", false},
		{"described in a list in a value", "c11002 41 c00c01 00 5301 c10602 00 5301 45 41", false},
		{"described in an array of maps", "e00901c1 0602 00 5301 45 41", false},
	} {
		in := unhex(t, tt.hex)
		for _, read := range []func(r *Reader) error{(*Reader).Skip, func(r *Reader) error { _, err := r.Value(); return err }} {
			r := NewReader(in)
			if err := read(&r); err != nil {
				t.Errorf("%s: %v", tt.name, err)
			}
			r = NewReader(in)
			r.PlainKeys()
			if err := read(&r); (err == nil) != tt.plain {
				t.Errorf("%s with plain keys: %v", tt.name, err)
			}
		}
	}
}

func TestUnencodableValues(t *testing.T) {
	deep := any("x")
	for range MaxDepth + 1 {
		deep = []any{deep}
	}
	for _, tt := range []struct {
		name  string
		value any
	}{
		{"a Go int", 1},
		{"opaque", message.Opaque{Type: "x"}},
		{"nested opaque", Map{{Key: "k", Value: []any{message.Opaque{Type: "x"}}}}},
		{"not UTF-8", "\xff"},
		{"symbol not ASCII", message.Symbol("ö")},
		{"no character", Char(0xd800)},
		{"too deep", deep},
		{"array of two types", Array{Type: CodeUint, Elements: []any{uint32(1), uint64(1)}}},
		{"array without a type", Array{Elements: []any{uint32(1)}, Type: 0x46}},
		{"array of nulls that is too long", Array{Type: CodeNull, Elements: make([]any, MaxZeroWidth+1)}},
		{"array of described values", Array{Type: CodeUint, Elements: []any{message.Described{}}}},
	} {
		dst := []byte{1, 2, 3}
		out, err := AppendValue(dst, tt.value)
		var werr *Error
		if !errors.As(err, &werr) || werr.Offset != -1 {
			t.Errorf("%s: error %v", tt.name, err)
		}
		if !bytes.Equal(out, dst) {
			t.Errorf("%s: dst became %x", tt.name, out)
		}
	}
}

func TestDepthLimitIsTheSameBothWays(t *testing.T) {
	nested := any("x")
	for range MaxDepth {
		nested = []any{nested}
	}
	out, err := AppendValue(nil, nested)
	if err != nil {
		t.Fatalf("%d levels: %v", MaxDepth, err)
	}
	r := NewReader(out)
	if _, err := r.Value(); err != nil {
		t.Fatalf("%d levels: %v", MaxDepth, err)
	}
	tooDeep := append([]byte{byte(CodeList32), 0, 0, 0, byte(len(out) + 4), 0, 0, 0, 1}, out...)
	if len(out)+4 > math.MaxUint8 {
		t.Fatalf("the nested value has %d bytes, which the test's size byte cannot say", len(out))
	}
	for _, in := range [][]byte{tooDeep, bytes.Repeat([]byte{0x00}, 1<<16), append(bytes.Repeat([]byte{0x00, 0x40}, 1<<16), 0x40)} {
		r = NewReader(in)
		s := r
		if _, err := r.Value(); err == nil {
			t.Error("nesting over the limit is taken")
		}
		if err := s.Skip(); err == nil {
			t.Error("nesting over the limit is skipped")
		}
	}
}

// Nested lists can each claim all the bytes that follow as elements: the claims together must not take memory.
func TestClaimsTakeNoMemory(t *testing.T) {
	const size = 1 << 20
	in := []byte{}
	for range MaxDepth - 1 {
		rest := size - len(in)
		head := []byte{byte(CodeList32), 0, 0, 0, 0, 0, 0, 0, 0}
		for i, n := range []int{rest - 5, rest - 9} {
			head[1+4*i], head[2+4*i], head[3+4*i], head[4+4*i] = byte(n>>24), byte(n>>16), byte(n>>8), byte(n)
		}
		in = append(in, head...)
	}
	in = append(in, make([]byte, size-len(in))...)
	result := testing.Benchmark(func(b *testing.B) {
		b.ReportAllocs()
		for range b.N {
			r := NewReader(in)
			if _, err := r.Value(); err == nil {
				b.Fatal("taken")
			}
		}
	})
	if got := result.AllocedBytesPerOp(); got > 64<<10 {
		t.Errorf("%d bytes were taken for claims", got)
	}
}

func TestSkipTakesNoMemory(t *testing.T) {
	in := []byte{}
	for _, tt := range values {
		in = append(in, unhex(t, tt.hex)...)
	}
	if n := testing.AllocsPerRun(100, func() {
		r := NewReader(in)
		for r.Len() > 0 {
			if err := r.Skip(); err != nil {
				t.Fatal(err)
			}
		}
	}); n != 0 {
		t.Errorf("%v allocations", n)
	}
}

func TestRoundTrip(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		v := genValue(3).Draw(t, "value")
		out, err := AppendValue(nil, v)
		if err != nil {
			t.Fatalf("AppendValue: %v", err)
		}
		r, s := NewReader(out), NewReader(out)
		got, err := r.Value()
		if err != nil {
			t.Fatalf("Value of %x: %v", out, err)
		}
		if diff := cmp.Diff(v, got, cmpopts.EquateNaNs()); diff != "" {
			t.Fatalf("%x: %s", out, diff)
		}
		if err := s.Skip(); err != nil || s.Len() != 0 || r.Len() != 0 {
			t.Fatalf("Skip: %v, %d left, Value left %d", err, s.Len(), r.Len())
		}
	})
}

// TestTextMap: it has what Value has of entries whose keys are text, refuses what Value refuses, and moves as far.
func TestTextMap(t *testing.T) {
	same := func(v any) any { return v }
	rapid.Check(t, func(t *rapid.T) {
		m, want := Map{}, map[string]any{}
		for range rapid.IntRange(0, 5).Draw(t, "entries") {
			p := Pair{Key: rapid.OneOf(rapid.StringN(0, 3, -1).AsAny(), rapid.Just[any](message.Symbol("s")), genValue(1)).Draw(t, "key"), Value: genValue(2).Draw(t, "value")}
			m = append(m, p)
			switch k := p.Key.(type) {
			case string:
				want[k] = p.Value
			case message.Symbol:
				want[string(k)] = p.Value
			}
		}
		b, err := AppendMap(nil, m)
		if err != nil {
			t.Fatal(err)
		}
		r := NewReader(append(b, byte(CodeNull)))
		got, err := r.TextMap(same)
		if err != nil || !cmp.Equal(got, want, cmpopts.EquateNaNs()) || r.Len() != 1 {
			t.Fatalf("%v, %v; %d bytes left; want %v", got, err, r.Len(), want)
		}
		if got, err = r.TextMap(same); err != nil || got != nil || r.Len() != 0 {
			t.Fatalf("null: %v, %v", got, err)
		}
		b[rapid.IntRange(0, len(b)-1).Draw(t, "place")] = rapid.Byte().Draw(t, "byte")
		broken, value := NewReader(b), NewReader(b)
		_, err = broken.TextMap(same)
		v, other := value.Value()
		if _, is := v.(Map); other == nil && !is && v != nil {
			other = errors.New("no map")
		}
		if (err == nil) != (other == nil) || err == nil && broken.Len() != value.Len() {
			t.Fatalf("% x: %v, %d bytes left; as a value: %v, %d", b, err, broken.Len(), other, value.Len())
		}
	})
}

func TestLongForms(t *testing.T) {
	for _, n := range []int{254, 255, 256, 70_000} {
		list := make([]any, n)
		pairs := make(Map, n)
		elements := make([]any, n)
		for i := range n {
			list[i], pairs[i], elements[i] = true, Pair{Key: uint32(i), Value: nil}, strings.Repeat("x", i%300)
		}
		for _, v := range []any{list, pairs, Array{Type: CodeString32, Elements: elements}, strings.Repeat("a", n), make([]byte, n),
			message.Symbol(strings.Repeat("a", n))} {
			out, err := AppendValue(nil, v)
			if err != nil {
				t.Fatal(err)
			}
			r := NewReader(out)
			got, err := r.Value()
			if err != nil {
				t.Fatalf("%T of %d: %v", v, n, err)
			}
			if !reflect.DeepEqual(v, got) {
				t.Fatalf("%T of %d came back different", v, n)
			}
		}
	}
}

func TestMapHelpers(t *testing.T) {
	m := StringMap(map[string]any{"b": 1, "a": 2})
	if diff := cmp.Diff(Map{{Key: "a", Value: 2}, {Key: "b", Value: 1}}, m); diff != "" {
		t.Error(diff)
	}
	if v, ok := m.Get("b"); !ok || v != 1 {
		t.Errorf("Get: %v, %v", v, ok)
	}
	if v, ok := m.Get("c"); ok {
		t.Errorf("Get of an absent key: %v", v)
	}
	if v, ok := (Map{{Key: []byte("k"), Value: 1}, {Key: "k", Value: 2}}).Get("k"); !ok || v != 2 {
		t.Errorf("Get beside a binary key: %v, %v", v, ok)
	}
	if got := (Opt[int]{}).Or(3); got != 3 {
		t.Errorf("Or: %d", got)
	}
}

func FuzzValue(f *testing.F) {
	for _, tt := range values {
		f.Add(unhex(f, tt.hex))
	}
	f.Fuzz(func(t *testing.T, in []byte) {
		r, s := NewReader(in), NewReader(in)
		v, err := r.Value()
		skipped := s.Skip()
		if (err == nil) != (skipped == nil) || err == nil && r.Len() != s.Len() {
			t.Fatalf("Value says %v and leaves %d, Skip says %v and leaves %d", err, r.Len(), skipped, s.Len())
		}
		if err != nil {
			return
		}
		first, err := AppendValue(nil, v)
		if err != nil {
			t.Fatalf("cannot be written again: %v", err)
		}
		again := NewReader(first)
		v2, err := again.Value()
		if err != nil {
			t.Fatalf("what we wrote is refused: %v", err)
		}
		if diff := cmp.Diff(v, v2, cmpopts.EquateNaNs()); diff != "" {
			t.Fatal(diff)
		}
	})
}
