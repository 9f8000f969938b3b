package wire

import (
	"encoding/binary"
	"math"
	"time"
	"unicode/utf8"

	"sluice/amqp/message"
)

// fixed reads the 1 to 16 bytes of a fixed-width value; none for the zero-width ones.
func (r *Reader) fixed(c Code) ([]byte, error) {
	width := c.minWidth()
	if width > r.Len() {
		return nil, r.errShort(width)
	}
	return r.take(width)
}

func (r *Reader) boolean(c Code) (bool, error) {
	switch c {
	case CodeTrue:
		return true, nil
	case CodeFalse:
		return false, nil
	}
	b, err := r.uint8()
	if err == nil && b > 1 {
		r.pos--
		return false, r.err("a boolean is 0 or 1, not %d", b)
	}
	return b == 1, err
}

// unsigned reads ubyte, ushort, uint and ulong in all their widths.
func (r *Reader) unsigned(c Code) (uint64, error) {
	b, err := r.fixed(c)
	if err != nil {
		return 0, err
	}
	switch len(b) {
	case 1:
		return uint64(b[0]), nil
	case 2:
		return uint64(binary.BigEndian.Uint16(b)), nil
	case 4:
		return uint64(binary.BigEndian.Uint32(b)), nil
	case 8:
		return binary.BigEndian.Uint64(b), nil
	}
	return 0, nil
}

// signed reads byte, short, int, long and timestamp in all their widths.
func (r *Reader) signed(c Code) (int64, error) {
	u, err := r.unsigned(c)
	switch c.class() {
	case classOne:
		return int64(int8(u)), err
	case classTwo:
		return int64(int16(u)), err
	case classFour:
		return int64(int32(u)), err
	}
	return int64(u), err
}

func (r *Reader) timestamp(c Code) (time.Time, error) {
	ms, err := r.signed(c)
	return time.UnixMilli(ms).UTC(), err
}

func (r *Reader) char(c Code) (Char, error) {
	u, err := r.unsigned(c)
	if err != nil {
		return 0, err
	}
	if u > utf8.MaxRune || !utf8.ValidRune(rune(u)) {
		r.pos -= 4
		return 0, r.err("%#x is not a Unicode scalar value", u)
	}
	return Char(u), nil
}

// text reads a string's bytes and refuses what is not UTF-8 [AMQP 1.6.20].
func (r *Reader) text(c Code) ([]byte, error) {
	b, err := r.variable(c)
	if err != nil {
		return nil, err
	}
	if !utf8.Valid(b) {
		r.pos -= len(b)
		return nil, r.err("a string of %d bytes is not UTF-8", len(b))
	}
	return b, nil
}

// symbol reads a symbol's bytes and refuses what is not ASCII [AMQP 1.6.21].
func (r *Reader) symbol(c Code) ([]byte, error) {
	b, err := r.variable(c)
	if err != nil {
		return nil, err
	}
	for i, x := range b {
		if x >= utf8.RuneSelf {
			r.pos -= len(b) - i
			return nil, r.err("a symbol has the byte %#02x, which is not ASCII", x)
		}
	}
	return b, nil
}

// either reads the bytes of a string or a symbol.
func (r *Reader) either(c Code) ([]byte, error) {
	if codes[c].kind == KindSymbol {
		return r.symbol(c)
	}
	return r.text(c)
}

// scalar reads a value that holds no other values, as the Go type of its kind.
func (r *Reader) scalar(c Code) (any, error) {
	switch codes[c].kind {
	case KindNull:
		return nil, nil
	case KindBoolean:
		return box(r.boolean(c))
	case KindUbyte, KindUshort, KindUint, KindUlong:
		u, err := r.unsigned(c)
		return boxUnsigned(c, u, err)
	case KindByte, KindShort, KindInt, KindLong:
		i, err := r.signed(c)
		return boxSigned(c, i, err)
	case KindFloat:
		u, err := r.unsigned(c)
		return box(math.Float32frombits(uint32(u)), err)
	case KindDouble:
		u, err := r.unsigned(c)
		return box(math.Float64frombits(u), err)
	case KindChar:
		return box(r.char(c))
	case KindTimestamp:
		return box(r.timestamp(c))
	case KindBinary:
		return box(r.variable(c))
	case KindString:
		b, err := r.text(c)
		return box(string(b), err)
	case KindSymbol:
		b, err := r.symbol(c)
		return box(message.Symbol(b), err)
	}
	return r.block(c)
}

// block reads the kinds that are carried as bytes: decimals and uuid.
func (r *Reader) block(c Code) (any, error) {
	b, err := r.fixed(c)
	if err != nil {
		return nil, err
	}
	switch c {
	case CodeDecimal32:
		return Decimal32(b), nil
	case CodeDecimal64:
		return Decimal64(b), nil
	case CodeDecimal128:
		return Decimal128(b), nil
	case CodeUUID:
		return message.UUID(b), nil
	}
	return nil, r.err("format code %#02x is not a value", byte(c))
}

func box[T any](v T, err error) (any, error) {
	if err != nil {
		return nil, err
	}
	return v, nil
}

func boxUnsigned(c Code, u uint64, err error) (any, error) {
	switch codes[c].kind {
	case KindUbyte:
		return box(uint8(u), err)
	case KindUshort:
		return box(uint16(u), err)
	case KindUint:
		return box(uint32(u), err)
	}
	return box(u, err)
}

func boxSigned(c Code, i int64, err error) (any, error) {
	switch codes[c].kind {
	case KindByte:
		return box(int8(i), err)
	case KindShort:
		return box(int16(i), err)
	case KindInt:
		return box(int32(i), err)
	}
	return box(i, err)
}
