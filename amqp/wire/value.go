package wire

import "sluice/amqp/message"

// The Go types of AMQP values, as Reader.Value returns them and AppendValue takes them:
//
//	null nil, boolean bool, ubyte uint8, ushort uint16, uint uint32, ulong uint64, byte int8, short int16, int int32, long int64,
//	float float32, double float64, decimal32/64/128 Decimal32/64/128, char Char, timestamp time.Time (milliseconds, UTC),
//	uuid message.UUID, binary []byte, string string, symbol message.Symbol, list []any, map Map, array Array,
//	described type message.Described.
//
// AppendValue also takes map[string]any (a map with string keys, in sorted order).

// Char is a Unicode code point; its own type, because rune is int32, which is AMQP's int.
type Char rune

// Decimal32 is an IEEE 754-2008 decimal32, as its bytes on the wire; we carry decimals and never compute with them.
type Decimal32 [4]byte

// Decimal64 is an IEEE 754-2008 decimal64, as its bytes on the wire.
type Decimal64 [8]byte

// Decimal128 is an IEEE 754-2008 decimal128, as its bytes on the wire.
type Decimal128 [16]byte

// Array is an AMQP array [AMQP 1.6.24]: elements of one type.
type Array struct {
	// Type is a format code of the element type, in any width: CodeUint0 and CodeUint mean the same.
	Type Code
	// Descriptor applies to every element when Described is set; Elements then hold the values without it.
	Descriptor any
	Described  bool
	Elements   []any
}

// Pair is one entry of a Map.
type Pair struct {
	Key, Value any
}

// Map is an AMQP map [AMQP 1.6.23] as it was sent: in order, with keys of any type. A nil Map is null where a field is optional.
type Map []Pair

// Get gives the value of the first entry whose key is the symbol or string key.
func (m Map) Get(key string) (value any, ok bool) {
	for _, p := range m {
		if k, isText := text(p.Key); isText && k == key {
			return p.Value, true
		}
	}
	return nil, false
}

func text(key any) (string, bool) {
	switch k := key.(type) {
	case string:
		return k, true
	case message.Symbol:
		return string(k), true
	}
	return "", false
}

// Opt is a field that may be absent and has no default. The zero Opt is absent.
type Opt[T any] struct {
	Value T
	Set   bool
}

// Some is a present Opt.
func Some[T any](v T) Opt[T] { return Opt[T]{Value: v, Set: true} }

// Or gives the value, or def when absent.
func (o Opt[T]) Or(def T) T {
	if o.Set {
		return o.Value
	}
	return def
}
