package wire

import (
	"encoding/binary"
	"math"
	"time"

	"sluice/amqp/message"
)

// AppendNull appends a null.
func AppendNull(dst []byte) []byte { return append(dst, byte(CodeNull)) }

// AppendBool appends a boolean in its one-byte form.
func AppendBool(dst []byte, v bool) []byte {
	if v {
		return append(dst, byte(CodeTrue))
	}
	return append(dst, byte(CodeFalse))
}

// AppendUbyte appends a ubyte.
func AppendUbyte(dst []byte, v uint8) []byte { return append(dst, byte(CodeUbyte), v) }

// AppendUshort appends a ushort.
func AppendUshort(dst []byte, v uint16) []byte {
	return append(dst, byte(CodeUshort), byte(v>>8), byte(v))
}

// AppendUint appends a uint in its shortest form.
func AppendUint(dst []byte, v uint32) []byte {
	switch {
	case v == 0:
		return append(dst, byte(CodeUint0))
	case v <= math.MaxUint8:
		return append(dst, byte(CodeSmallUint), byte(v))
	}
	return binary.BigEndian.AppendUint32(append(dst, byte(CodeUint)), v)
}

// AppendUlong appends a ulong in its shortest form.
func AppendUlong(dst []byte, v uint64) []byte {
	switch {
	case v == 0:
		return append(dst, byte(CodeUlong0))
	case v <= math.MaxUint8:
		return append(dst, byte(CodeSmallUlong), byte(v))
	}
	return binary.BigEndian.AppendUint64(append(dst, byte(CodeUlong)), v)
}

// AppendInt appends an int in its shortest form.
func AppendInt(dst []byte, v int32) []byte {
	if v == int32(int8(v)) {
		return append(dst, byte(CodeSmallInt), byte(v))
	}
	return binary.BigEndian.AppendUint32(append(dst, byte(CodeInt)), uint32(v))
}

// AppendLong appends a long in its shortest form.
func AppendLong(dst []byte, v int64) []byte {
	if v == int64(int8(v)) {
		return append(dst, byte(CodeSmallLong), byte(v))
	}
	return binary.BigEndian.AppendUint64(append(dst, byte(CodeLong)), uint64(v))
}

// AppendTimestamp appends a timestamp; what is finer than a millisecond is cut off.
func AppendTimestamp(dst []byte, v time.Time) []byte {
	return binary.BigEndian.AppendUint64(append(dst, byte(CodeTimestamp)), uint64(v.UnixMilli()))
}

// AppendBinary appends a binary; nil is an empty one, not null.
func AppendBinary(dst, v []byte) []byte {
	return append(appendLength(dst, CodeBinary8, CodeBinary32, len(v)), v...)
}

// AppendString appends a string, which must be UTF-8: AppendValue checks, this does not.
func AppendString(dst []byte, v string) []byte {
	return append(appendLength(dst, CodeString8, CodeString32, len(v)), v...)
}

// AppendSymbol appends a symbol, which must be ASCII: AppendValue checks, this does not.
func AppendSymbol(dst []byte, v message.Symbol) []byte {
	return append(appendLength(dst, CodeSymbol8, CodeSymbol32, len(v)), v...)
}

func appendLength(dst []byte, short, long Code, n int) []byte {
	if n <= math.MaxUint8 {
		return append(dst, byte(short), byte(n))
	}
	return binary.BigEndian.AppendUint32(append(dst, byte(long)), uint32(n))
}

// AppendDescriptor appends the constructor of a described type with a numeric descriptor; the value is to follow.
func AppendDescriptor(dst []byte, descriptor uint64) []byte {
	return AppendUlong(append(dst, byte(CodeDescribed)), descriptor)
}

// The bytes that a compound value needs in front of its elements: constructor, size and count.
const (
	compoundHead8  = 3
	compoundHead32 = 9
)

// openCompound leaves room for the short head of a list, map or array. Elements follow, then closeCompound with the mark.
func openCompound(dst []byte) (out []byte, mark int) {
	return append(dst, 0, 0, 0), len(dst)
}

// closeCompound writes the head, and makes room for the long one when size or count need it.
func closeCompound(dst []byte, mark, count int, short, long Code) []byte {
	size := len(dst) - mark - compoundHead8
	if size+1 <= math.MaxUint8 && count <= math.MaxUint8 {
		dst[mark], dst[mark+1], dst[mark+2] = byte(short), byte(size+1), byte(count)
		return dst
	}
	dst = append(dst, make([]byte, compoundHead32-compoundHead8)...)
	copy(dst[mark+compoundHead32:], dst[mark+compoundHead8:])
	dst[mark] = byte(long)
	binary.BigEndian.PutUint32(dst[mark+1:], uint32(size+4))
	binary.BigEndian.PutUint32(dst[mark+5:], uint32(count))
	return dst
}
