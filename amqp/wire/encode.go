package wire

import (
	"encoding/binary"
	"fmt"
	"maps"
	"math"
	"slices"
	"time"
	"unicode/utf8"

	"sluice/amqp/message"
)

// AppendValue appends v in its shortest form. The Go types it takes are listed in value.go; another one, a string that is not UTF-8, a
// symbol that is not ASCII, an array of mixed types, nesting over MaxDepth or more than MaxElements are an *Error, and dst comes back as
// it was.
func AppendValue(dst []byte, v any) ([]byte, error) {
	out, err := appendValue(dst, v, 0)
	if err != nil {
		return dst, err
	}
	if len(out)-len(dst) > MaxSize {
		return dst, encodeError("the value takes %d bytes, over the limit of %d", len(out)-len(dst), MaxSize)
	}
	return out, nil
}

// AppendMap appends m as AppendValue does; a nil Map is an empty map.
func AppendMap(dst []byte, m Map) ([]byte, error) { return AppendValue(dst, m) }

func encodeError(format string, args ...any) error {
	return &Error{Condition: CondInvalidField, Reason: fmt.Sprintf(format, args...), Offset: -1}
}

func appendValue(dst []byte, v any, depth int) ([]byte, error) {
	switch v := v.(type) {
	case nil:
		return AppendNull(dst), nil
	case bool:
		return AppendBool(dst, v), nil
	case uint8:
		return AppendUbyte(dst, v), nil
	case uint16:
		return AppendUshort(dst, v), nil
	case uint32:
		return AppendUint(dst, v), nil
	case uint64:
		return AppendUlong(dst, v), nil
	case int32:
		return AppendInt(dst, v), nil
	case int64:
		return AppendLong(dst, v), nil
	case []any:
		return appendList(dst, v, depth)
	case Map:
		return appendMap(dst, v, depth)
	case map[string]any:
		return appendMap(dst, StringMap(v), depth)
	case Array:
		return appendArray(dst, v, depth)
	case message.Described:
		return appendDescribed(dst, v, depth)
	}
	code, err := codeOf(v)
	if err != nil {
		return dst, err
	}
	return appendBody(append(dst, byte(code)), code, v, depth)
}

// codeOf picks the shortest code for the kinds that have no short integer form and hold no other values.
func codeOf(v any) (Code, error) {
	pick := func(n int, short, long Code) Code {
		if n <= math.MaxUint8 {
			return short
		}
		return long
	}
	switch v := v.(type) {
	case int8:
		return CodeByte, nil
	case int16:
		return CodeShort, nil
	case float32:
		return CodeFloat, nil
	case float64:
		return CodeDouble, nil
	case Decimal32:
		return CodeDecimal32, nil
	case Decimal64:
		return CodeDecimal64, nil
	case Decimal128:
		return CodeDecimal128, nil
	case Char:
		return CodeChar, nil
	case time.Time:
		return CodeTimestamp, nil
	case message.UUID:
		return CodeUUID, nil
	case []byte:
		return pick(len(v), CodeBinary8, CodeBinary32), nil
	case string:
		return pick(len(v), CodeString8, CodeString32), nil
	case message.Symbol:
		return pick(len(v), CodeSymbol8, CodeSymbol32), nil
	case message.Opaque:
		return 0, encodeError("a value of type %s is not known and cannot be sent on", v.Type)
	}
	return 0, encodeError("the Go type %T has no AMQP type", v)
}

// appendBody appends the bytes of v behind a constructor with the given code, as array elements need. The code is a full one, or the short
// one of a variable-width kind. A value of another kind is an error, for which value is handed on as it came: v as an interface would be allocated.
func appendBody(dst []byte, code Code, value any, depth int) ([]byte, error) {
	switch v := value.(type) {
	case nil:
		return dst, mismatch(code, CodeNull, value)
	case bool:
		if v {
			return append(dst, 1), mismatch(code, CodeBoolean, value)
		}
		return append(dst, 0), mismatch(code, CodeBoolean, value)
	case uint8:
		return append(dst, v), mismatch(code, CodeUbyte, value)
	case uint16:
		return binary.BigEndian.AppendUint16(dst, v), mismatch(code, CodeUshort, value)
	case uint32:
		return binary.BigEndian.AppendUint32(dst, v), mismatch(code, CodeUint, value)
	case uint64:
		return binary.BigEndian.AppendUint64(dst, v), mismatch(code, CodeUlong, value)
	case int8:
		return append(dst, byte(v)), mismatch(code, CodeByte, value)
	case int16:
		return binary.BigEndian.AppendUint16(dst, uint16(v)), mismatch(code, CodeShort, value)
	case int32:
		return binary.BigEndian.AppendUint32(dst, uint32(v)), mismatch(code, CodeInt, value)
	case int64:
		return binary.BigEndian.AppendUint64(dst, uint64(v)), mismatch(code, CodeLong, value)
	case float32:
		return binary.BigEndian.AppendUint32(dst, math.Float32bits(v)), mismatch(code, CodeFloat, value)
	case float64:
		return binary.BigEndian.AppendUint64(dst, math.Float64bits(v)), mismatch(code, CodeDouble, value)
	case time.Time:
		return binary.BigEndian.AppendUint64(dst, uint64(v.UnixMilli())), mismatch(code, CodeTimestamp, value)
	}
	return appendBlock(dst, code, value, depth)
}

// appendBlock is appendBody for the kinds that are copied as bytes, and for those that hold other values.
func appendBlock(dst []byte, code Code, value any, depth int) ([]byte, error) {
	switch v := value.(type) {
	case Decimal32:
		return append(dst, v[:]...), mismatch(code, CodeDecimal32, value)
	case Decimal64:
		return append(dst, v[:]...), mismatch(code, CodeDecimal64, value)
	case Decimal128:
		return append(dst, v[:]...), mismatch(code, CodeDecimal128, value)
	case message.UUID:
		return append(dst, v[:]...), mismatch(code, CodeUUID, value)
	case Char:
		if !utf8.ValidRune(rune(v)) {
			return dst, encodeError("%#x is not a Unicode scalar value", uint32(v))
		}
		return binary.BigEndian.AppendUint32(dst, uint32(v)), mismatch(code, CodeChar, value)
	case []byte:
		return append(appendBodyLength(dst, code, len(v)), v...), mismatch(code, CodeBinary32, value)
	case string:
		if !utf8.ValidString(v) {
			return dst, encodeError("a string of %d bytes is not UTF-8", len(v))
		}
		return append(appendBodyLength(dst, code, len(v)), v...), mismatch(code, CodeString32, value)
	case message.Symbol:
		if err := checkSymbol(v); err != nil {
			return dst, err
		}
		return append(appendBodyLength(dst, code, len(v)), v...), mismatch(code, CodeSymbol32, value)
	}
	return appendNested(dst, code, value, depth)
}

func checkSymbol(v message.Symbol) error {
	for i := range len(v) {
		if v[i] >= utf8.RuneSelf {
			return encodeError("the symbol %q is not ASCII", string(v))
		}
	}
	return nil
}

// mismatch is an error when a value of kind got does not fit the code.
func mismatch(code, got Code, v any) error {
	if codes[code].full == got {
		return nil
	}
	return encodeError("an array of %v holds a %T", codes[code].kind, v)
}

func appendBodyLength(dst []byte, code Code, n int) []byte {
	if code.class() == classVariable8 {
		return append(dst, byte(n))
	}
	return binary.BigEndian.AppendUint32(dst, uint32(n))
}

// AppendStringMap appends m with string keys, sorted, so that the same map always gives the same bytes. Errors are those of AppendValue.
func AppendStringMap(dst []byte, m map[string]any) ([]byte, error) {
	return appendSorted(dst, m, false)
}

// AppendSymbolMap is AppendStringMap with symbol keys.
func AppendSymbolMap(dst []byte, m map[string]any) ([]byte, error) { return appendSorted(dst, m, true) }

// sortedOnStack is how many keys are sorted without taking memory: more than the messages of the gateway have.
const sortedOnStack = 24

func appendSorted(dst []byte, m map[string]any, symbols bool) ([]byte, error) {
	if err := checkNesting(0, 2*len(m)); err != nil {
		return dst, err
	}
	var array [sortedOnStack]string
	keys := array[:0]
	for k := range m {
		keys = append(keys, k)
	}
	slices.Sort(keys)
	out, mark := openCompound(dst)
	for _, k := range keys {
		if err := checkName(k, symbols); err != nil {
			return dst, err
		}
		if symbols {
			out = AppendSymbol(out, message.Symbol(k))
		} else {
			out = AppendString(out, k)
		}
		var err error
		if out, err = appendValue(out, m[k], 1); err != nil {
			return dst, err
		}
	}
	return closeCompound(out, mark, 2*len(m), CodeMap8, CodeMap32), nil
}

func checkName(k string, symbol bool) error {
	if symbol {
		return checkSymbol(message.Symbol(k))
	}
	if !utf8.ValidString(k) {
		return encodeError("a key of %d bytes is not UTF-8", len(k))
	}
	return nil
}

// StringMap gives m with string keys, sorted, so that the same map always gives the same bytes.
func StringMap(m map[string]any) Map {
	out := make(Map, 0, len(m))
	for _, k := range slices.Sorted(maps.Keys(m)) {
		out = append(out, Pair{Key: k, Value: m[k]})
	}
	return out
}
