package wire

import (
	"encoding/binary"
	"fmt"
)

// Reader is a cursor over encoded values. The zero Reader is at the end of no bytes. A copy is an independent cursor.
type Reader struct {
	buf   []byte
	pos   int
	depth int // of nesting around the cursor
	zero  int // zero-width array elements seen: see MaxZeroWidth

	plainKeys bool
}

// NewReader gives a cursor at the start of b.
func NewReader(b []byte) Reader { return Reader{buf: b} }

// PlainKeys makes map keys that are lists, maps, arrays or described values an error, at any depth. The standard allows them, but no known
// peer sends them, and many readers cannot use them as keys: go-amqp 1.7.0 panics on a described list.
func (r *Reader) PlainKeys() { r.plainKeys = true }

// checkKey is called in front of each key of a map.
func (r *Reader) checkKey() error {
	if !r.plainKeys {
		return nil
	}
	c, err := r.PeekCode()
	if err == nil && codes[c].kind&(KindList|KindMap|KindArray|KindDescribed) != 0 {
		return r.err("a map has a %v as key: keys that hold other values are not supported", codes[c].kind)
	}
	return err
}

// Len is how many bytes are left.
func (r *Reader) Len() int { return len(r.buf) - r.pos }

// Offset is how many bytes were read.
func (r *Reader) Offset() int { return r.pos }

// Rest gives what is left, as a view, without moving.
func (r *Reader) Rest() []byte { return r.buf[r.pos:] }

// PeekCode gives the next constructor byte without moving.
func (r *Reader) PeekCode() (Code, error) {
	if r.pos >= len(r.buf) {
		return 0, r.errShort(1)
	}
	return Code(r.buf[r.pos]), nil
}

func (r *Reader) err(format string, args ...any) error {
	return &Error{Condition: CondDecodeError, Reason: fmt.Sprintf(format, args...), Offset: r.pos}
}

func (r *Reader) errShort(n int) error {
	return r.err("%d bytes expected, %d left", n, r.Len())
}

// code reads a constructor byte, which may be CodeDescribed.
func (r *Reader) code() (Code, error) {
	if r.pos >= len(r.buf) {
		return 0, r.errShort(1)
	}
	c := Code(r.buf[r.pos])
	if codes[c].kind == 0 {
		return 0, r.err("format code %#02x is not assigned", byte(c))
	}
	r.pos++
	return c, nil
}

func (r *Reader) take(n int) ([]byte, error) {
	if n > r.Len() {
		return nil, r.errShort(n)
	}
	b := r.buf[r.pos : r.pos+n : r.pos+n]
	r.pos += n
	return b, nil
}

func (r *Reader) uint8() (uint8, error) {
	if r.pos >= len(r.buf) {
		return 0, r.errShort(1)
	}
	r.pos++
	return r.buf[r.pos-1], nil
}

func (r *Reader) uint32() (uint32, error) {
	if r.Len() < 4 {
		return 0, r.errShort(4)
	}
	r.pos += 4
	return binary.BigEndian.Uint32(r.buf[r.pos-4:]), nil
}

// length reads a size or count of 1 or 4 bytes.
func (r *Reader) length(wide bool) (int, error) {
	if !wide {
		n, err := r.uint8()
		return int(n), err
	}
	n, err := r.uint32()
	if err == nil && n > MaxSize {
		return 0, r.err("length %d is over the limit of %d", n, MaxSize)
	}
	return int(n), err
}

// variable reads what follows the constructor of a binary, string or symbol.
func (r *Reader) variable(c Code) ([]byte, error) {
	n, err := r.length(c.class() == classVariable32)
	if err != nil {
		return nil, err
	}
	return r.take(n)
}

// compound reads size and count of a list, map or array, and gives a cursor over the elements while this one moves behind them. The
// count is not larger than the bytes justify, save for arrays, whose element width is not known yet: see arrayHead.
func (r *Reader) compound(c Code) (inner Reader, count int, err error) {
	if r.depth >= MaxDepth {
		return Reader{}, 0, r.err("values nest deeper than %d", MaxDepth)
	}
	if c == CodeList0 {
		return r.inside(r.pos), 0, nil
	}
	wide := c.class() == classCompound32 || c.class() == classArray32
	size, err := r.length(wide)
	if err != nil {
		return Reader{}, 0, err
	}
	if size > r.Len() {
		return Reader{}, 0, r.errShort(size)
	}
	end := r.pos + size
	inner = r.inside(end)
	if count, err = inner.length(wide); err != nil {
		return Reader{}, 0, err
	}
	if count > MaxElements {
		return Reader{}, 0, inner.err("%d elements are over the limit of %d", count, MaxElements)
	}
	if codes[c].kind != KindArray && count > inner.Len() {
		return Reader{}, 0, inner.err("%d elements cannot be in %d bytes", count, inner.Len())
	}
	if codes[c].kind == KindMap && count%2 != 0 {
		return Reader{}, 0, inner.err("a map has %d elements: a key lacks its value", count)
	}
	r.pos = end
	return inner, count, nil
}

// inside gives a cursor for what lies between here and end, one level deeper.
func (r *Reader) inside(end int) Reader {
	inner := *r
	inner.buf = r.buf[:end]
	inner.depth++
	return inner
}

// arrayHead is the constructor that all elements of an array share.
type arrayHead struct {
	code       Code
	described  bool
	descriptor Reader // at the descriptor, when described
	count      int
}

// array reads what follows an array's constructor; inner is at the first element's data.
func (r *Reader) array(c Code) (inner Reader, head arrayHead, err error) {
	inner, count, err := r.compound(c)
	if err != nil {
		return Reader{}, arrayHead{}, err
	}
	head.count = count
	if head.code, err = inner.code(); err != nil {
		return Reader{}, arrayHead{}, err
	}
	if head.code == CodeDescribed {
		head.described, head.descriptor = true, inner
		if err = inner.Skip(); err != nil {
			return Reader{}, arrayHead{}, err
		}
		if head.code, err = inner.code(); err != nil {
			return Reader{}, arrayHead{}, err
		}
		if head.code == CodeDescribed {
			return Reader{}, arrayHead{}, &Error{Condition: CondNotImplemented, Offset: inner.pos,
				Reason: "array elements with two descriptors are not supported"}
		}
	}
	if err = inner.checkCount(head); err != nil {
		return Reader{}, arrayHead{}, err
	}
	r.zero = inner.zero
	return inner, head, nil
}

// checkCount bounds an array's count by the bytes that are there, or by MaxZeroWidth where elements have none.
func (r *Reader) checkCount(head arrayHead) error {
	width := head.code.minWidth()
	if width > 0 {
		if head.count > r.Len()/width {
			return r.err("%d array elements cannot be in %d bytes", head.count, r.Len())
		}
		return nil
	}
	if r.zero += head.count; r.zero > MaxZeroWidth {
		return r.err("%d array elements without bytes are over the limit of %d", r.zero, MaxZeroWidth)
	}
	return nil
}

// end checks that a list, map or array used all the bytes that its size gave it.
func (r *Reader) end() error {
	if r.Len() > 0 {
		return r.err("%d bytes are left over behind the last element", r.Len())
	}
	return nil
}
