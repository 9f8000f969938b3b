package wire

import (
	"encoding/binary"
	"math"

	"sluice/amqp/message"
)

func checkNesting(depth, count int) error {
	if depth >= MaxDepth {
		return encodeError("values nest deeper than %d", MaxDepth)
	}
	if count > MaxElements {
		return encodeError("%d elements are over the limit of %d", count, MaxElements)
	}
	return nil
}

func appendList(dst []byte, list []any, depth int) ([]byte, error) {
	if err := checkNesting(depth, len(list)); err != nil {
		return dst, err
	}
	if len(list) == 0 {
		return append(dst, byte(CodeList0)), nil
	}
	out, mark := openCompound(dst)
	out, err := appendListElements(out, list, depth)
	if err != nil {
		return dst, err
	}
	return closeCompound(out, mark, len(list), CodeList8, CodeList32), nil
}

func appendListElements(dst []byte, list []any, depth int) ([]byte, error) {
	err := checkNesting(depth, len(list))
	for i := 0; i < len(list) && err == nil; i++ {
		dst, err = appendValue(dst, list[i], depth+1)
	}
	return dst, err
}

func appendMap(dst []byte, m Map, depth int) ([]byte, error) {
	out, mark := openCompound(dst)
	out, err := appendMapElements(out, m, depth)
	if err != nil {
		return dst, err
	}
	return closeCompound(out, mark, 2*len(m), CodeMap8, CodeMap32), nil
}

func appendMapElements(dst []byte, m Map, depth int) ([]byte, error) {
	err := checkNesting(depth, 2*len(m))
	for i := 0; i < len(m) && err == nil; i++ {
		if dst, err = appendValue(dst, m[i].Key, depth+1); err == nil {
			dst, err = appendValue(dst, m[i].Value, depth+1)
		}
	}
	return dst, err
}

func appendDescribed(dst []byte, d message.Described, depth int) ([]byte, error) {
	if err := checkNesting(depth, 2); err != nil {
		return dst, err
	}
	out, err := appendValue(append(dst, byte(CodeDescribed)), d.Descriptor, depth+1)
	if err != nil {
		return dst, err
	}
	return appendValue(out, d.Value, depth+1)
}

func appendArray(dst []byte, a Array, depth int) ([]byte, error) {
	out, mark := openCompound(dst)
	out, err := appendArrayElements(out, a, depth)
	if err != nil {
		return dst, err
	}
	return closeCompound(out, mark, len(a.Elements), CodeArray8, CodeArray32), nil
}

// appendArrayElements appends what follows an array's count: the constructor that all elements share, then their bytes.
func appendArrayElements(dst []byte, a Array, depth int) ([]byte, error) {
	if err := checkNesting(depth, len(a.Elements)); err != nil {
		return dst, err
	}
	if k := a.Type.Kind(); k == 0 || k == KindDescribed {
		return dst, encodeError("%#02x is not a type that array elements can have", byte(a.Type))
	}
	if a.Type == CodeNull && len(a.Elements) > MaxZeroWidth {
		return dst, encodeError("%d nulls in an array are over the limit of %d", len(a.Elements), MaxZeroWidth)
	}
	var err error
	if a.Described {
		if dst, err = appendValue(append(dst, byte(CodeDescribed)), a.Descriptor, depth+1); err != nil {
			return dst, err
		}
	}
	code := elementCode(a)
	dst = append(dst, byte(code))
	for i := 0; i < len(a.Elements) && err == nil; i++ {
		dst, err = appendBody(dst, code, a.Elements[i], depth+1)
	}
	return dst, err
}

// elementCode picks the code that can carry every element: the short one of binary, string and symbol when all are short.
func elementCode(a Array) Code {
	full := codes[a.Type].full
	if full.class() != classVariable32 {
		return full
	}
	for _, e := range a.Elements {
		n := 0
		switch e := e.(type) {
		case []byte:
			n = len(e)
		case string:
			n = len(e)
		case message.Symbol:
			n = len(e)
		}
		if n > math.MaxUint8 {
			return full
		}
	}
	return full - (CodeBinary32 - CodeBinary8)
}

// appendNested is appendBody for list, map and array, in their long form without the constructor.
func appendNested(dst []byte, code Code, v any, depth int) ([]byte, error) {
	mark := len(dst)
	out := append(dst, make([]byte, compoundHead32-1)...)
	var count int
	var err error
	switch v := v.(type) {
	case []any:
		count = len(v)
		if err = mismatch(code, CodeList32, v); err == nil {
			out, err = appendListElements(out, v, depth)
		}
	case Map:
		count = 2 * len(v)
		if err = mismatch(code, CodeMap32, v); err == nil {
			out, err = appendMapElements(out, v, depth)
		}
	case Array:
		count = len(v.Elements)
		if err = mismatch(code, CodeArray32, v); err == nil {
			out, err = appendArrayElements(out, v, depth)
		}
	default:
		err = encodeError("an array of %v holds a %T", codes[code].kind, v)
	}
	if err != nil {
		return dst, err
	}
	binary.BigEndian.PutUint32(out[mark:], uint32(len(out)-mark-4))
	binary.BigEndian.PutUint32(out[mark+4:], uint32(count))
	return out, nil
}
