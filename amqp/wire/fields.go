package wire

import (
	"errors"
	"time"

	"sluice/amqp/message"
)

// Fields reads the fields of a composite type [AMQP 1.4] one after the other. The first error sticks: every later call gives zero values,
// and End returns it. Fields that a peer cut off at the end are absent.
type Fields struct {
	r    Reader
	left int
	name string
	err  error
}

// Composite reads the list behind a descriptor; name is that of the composite type, for errors.
func (r *Reader) Composite(name string) Fields {
	f := Fields{name: name}
	c, err := r.code()
	if err == nil && codes[c].kind != KindList {
		r.pos--
		err = r.err("a list of fields is expected, not a %v", codes[c].kind)
	}
	if err == nil {
		f.r, f.left, err = r.compound(c)
	}
	f.fail("", err)
	return f
}

// Mapping reads a map as a composite type of keys and values in turn; name is for errors.
func (r *Reader) Mapping(name string) Fields {
	f := Fields{name: name}
	c, err := r.code()
	if err == nil && codes[c].kind != KindMap {
		r.pos--
		err = r.err("a map is expected, not a %v", codes[c].kind)
	}
	if err == nil {
		f.r, f.left, err = r.compound(c)
	}
	f.fail("", err)
	return f
}

// Err gives the first error.
func (f *Fields) Err() error { return f.err }

// End checks that no fields or bytes are left.
func (f *Fields) End() error {
	if f.err == nil && f.left > 0 {
		f.fail("", f.r.err("%d fields more than the standard defines", f.left))
	}
	if f.err == nil {
		f.fail("", f.r.end())
	}
	return f.err
}

// fail keeps the first error and names composite and field in it.
func (f *Fields) fail(field string, err error) {
	if err == nil || f.err != nil {
		return
	}
	what := f.name
	if field != "" {
		what += "." + field
	}
	var e *Error
	if errors.As(err, &e) && e.What == "" {
		e.What = what
	}
	f.err = err
}

// Fail records that a field's value is not allowed.
func (f *Fields) Fail(field, condition, reason string) {
	f.fail(field, &Error{Condition: condition, Reason: reason, Offset: f.r.pos})
}

// next reads the constructor of the next field; present is false for null, for a field that was cut off, and after an error.
func (f *Fields) next(field string, allowed Kind) (c Code, present bool) {
	if f.err != nil || f.left == 0 {
		return 0, false
	}
	f.left--
	c, err := f.r.code()
	if err != nil {
		f.fail(field, err)
		return 0, false
	}
	if c == CodeNull {
		return c, false
	}
	if codes[c].kind&allowed == 0 {
		f.r.pos--
		f.fail(field, f.r.err("%v expected, not %v", allowed, codes[c].kind))
		return 0, false
	}
	return c, true
}

// Missing records that a mandatory field is absent.
func (f *Fields) Missing(field string) {
	f.fail(field, f.r.err("a mandatory field is absent"))
}

func (f *Fields) unsigned(field string, kind Kind) (v uint64, present bool) {
	c, present := f.next(field, kind)
	if !present {
		return 0, false
	}
	v, err := f.r.unsigned(c)
	f.fail(field, err)
	return v, true
}

// Bool reads a boolean that is def when absent.
func (f *Fields) Bool(field string, def bool) bool {
	c, present := f.next(field, KindBoolean)
	if !present {
		return def
	}
	v, err := f.r.boolean(c)
	f.fail(field, err)
	return v
}

// MustBool reads a mandatory boolean.
func (f *Fields) MustBool(field string) bool {
	c, present := f.next(field, KindBoolean)
	if !present {
		f.Missing(field)
		return false
	}
	v, err := f.r.boolean(c)
	f.fail(field, err)
	return v
}

// Ubyte reads a ubyte.
func (f *Fields) Ubyte(field string) Opt[uint8] {
	v, ok := f.unsigned(field, KindUbyte)
	return Opt[uint8]{Value: uint8(v), Set: ok}
}

// Ushort reads a ushort.
func (f *Fields) Ushort(field string) Opt[uint16] {
	v, ok := f.unsigned(field, KindUshort)
	return Opt[uint16]{Value: uint16(v), Set: ok}
}

// Uint reads a uint.
func (f *Fields) Uint(field string) Opt[uint32] {
	v, ok := f.unsigned(field, KindUint)
	return Opt[uint32]{Value: uint32(v), Set: ok}
}

// MustUint reads a mandatory uint.
func (f *Fields) MustUint(field string) uint32 {
	v, ok := f.unsigned(field, KindUint)
	if !ok {
		f.Missing(field)
	}
	return uint32(v)
}

// Ulong reads a ulong.
func (f *Fields) Ulong(field string) Opt[uint64] {
	v, ok := f.unsigned(field, KindUlong)
	return Opt[uint64]{Value: v, Set: ok}
}

// Timestamp reads a timestamp; the zero time when absent.
func (f *Fields) Timestamp(field string) time.Time {
	c, present := f.next(field, KindTimestamp)
	if !present {
		return time.Time{}
	}
	v, err := f.r.timestamp(c)
	f.fail(field, err)
	return v
}

// String reads a string.
func (f *Fields) String(field string) Opt[string] {
	c, present := f.next(field, KindString)
	if !present {
		return Opt[string]{}
	}
	b, err := f.r.text(c)
	f.fail(field, err)
	return Some(string(b))
}

// Text reads a string or a symbol, where peers mix them up; empty when absent.
func (f *Fields) Text(field string) string {
	c, present := f.next(field, KindString|KindSymbol)
	if !present {
		return ""
	}
	b, err := f.r.either(c)
	f.fail(field, err)
	return string(b)
}

// Symbol reads a symbol; empty when absent.
func (f *Fields) Symbol(field string) message.Symbol {
	s, _ := f.OptSymbol(field)
	return s
}

// OptSymbol reads a symbol, and tells an empty one from an absent one.
func (f *Fields) OptSymbol(field string) (s message.Symbol, present bool) {
	c, present := f.next(field, KindSymbol)
	if !present {
		return "", false
	}
	b, err := f.r.symbol(c)
	f.fail(field, err)
	return message.Symbol(b), true
}

// Binary reads a binary as a view of the input: nil when absent, and never nil when present.
func (f *Fields) Binary(field string) []byte {
	c, present := f.next(field, KindBinary)
	if !present {
		return nil
	}
	b, err := f.r.variable(c)
	f.fail(field, err)
	return b
}

// Map reads a map: nil when absent, and never nil when present.
func (f *Fields) Map(field string) Map {
	c, present := f.next(field, KindMap)
	if !present {
		return nil
	}
	m, err := f.r.mapValue(c)
	f.fail(field, err)
	return m
}

// Value reads a value of one of the allowed kinds; nil when absent.
func (f *Fields) Value(field string, allowed Kind) any {
	c, present := f.next(field, allowed)
	if !present {
		return nil
	}
	v, err := f.r.valueOf(c)
	f.fail(field, err)
	return v
}

// Check moves behind a field and checks it without taking memory; present is false when it is absent.
func (f *Fields) Check(field string, allowed Kind) (present bool) {
	c, present := f.next(field, allowed)
	if present {
		f.fail(field, f.r.skip(c))
	}
	return present
}

// Symbols reads a multiple field of symbols, which a peer may send as one symbol or as an array [AMQP 1.4]; nil when absent or empty.
func (f *Fields) Symbols(field string, limit int) []message.Symbol {
	c, present := f.next(field, KindSymbol|KindArray)
	if !present {
		return nil
	}
	if codes[c].kind == KindSymbol {
		b, err := f.r.symbol(c)
		f.fail(field, err)
		return []message.Symbol{message.Symbol(b)}
	}
	list, err := f.r.symbolArray(c, limit)
	f.fail(field, err)
	return list
}

func (r *Reader) symbolArray(c Code, limit int) ([]message.Symbol, error) {
	inner, head, err := r.array(c)
	if err != nil {
		return nil, err
	}
	if head.count == 0 {
		return nil, inner.end()
	}
	if head.described || codes[head.code].kind != KindSymbol {
		return nil, inner.err("an array of symbol is expected, not of %v", codes[head.code].kind)
	}
	if head.count > limit {
		return nil, inner.err("%d symbols are over the limit of %d", head.count, limit)
	}
	list := make([]message.Symbol, head.count)
	for i := range list {
		b, err := inner.symbol(head.code)
		if err != nil {
			return nil, err
		}
		list[i] = message.Symbol(b)
	}
	return list, inner.end()
}

// Described starts a field that is a described value and gives its descriptor. The value has to be read next, by Composite or Skipped.
func (f *Fields) Described(field string) (descriptor uint64, present bool) {
	start := f.r
	if _, present = f.next(field, KindDescribed); !present {
		return 0, false
	}
	left := start
	d, err := left.Descriptor()
	f.r = left
	f.fail(field, err)
	return d, f.err == nil
}

// Composite reads the list behind the descriptor that Described read, and moves behind it.
func (f *Fields) Composite(name string) Fields {
	if f.err != nil {
		return Fields{name: name, err: f.err}
	}
	f.r.depth++
	sub := f.r.Composite(name)
	f.r.depth--
	return sub
}

// Sub tells the parent how a nested composite ended, so that its error sticks here too, under the names of both.
func (f *Fields) Sub(err error) {
	if f.err != nil || err == nil {
		return
	}
	var e *Error
	if errors.As(err, &e) {
		nested := *e
		nested.What = f.name + "." + e.What
		err = &nested
	}
	f.err = err
}

// Pairs starts a field that is a map and is read entry by entry: each key and value is a field of what it returns.
func (f *Fields) Pairs(field string) (entries Fields, present bool) {
	c, present := f.next(field, KindMap)
	if !present {
		return Fields{}, false
	}
	inner, count, err := f.r.compound(c)
	f.fail(field, err)
	return Fields{r: inner, left: count, name: field}, f.err == nil
}

// EndLenient is End that checks and leaves out fields beyond those that the standard defines.
func (f *Fields) EndLenient() error {
	for f.left > 0 && f.err == nil {
		f.Check("", KindAny)
	}
	return f.End()
}

// Left is how many fields are left.
func (f *Fields) Left() int { return f.left }
