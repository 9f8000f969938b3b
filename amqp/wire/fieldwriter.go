package wire

import (
	"errors"
	"math"
	"time"
	"unicode/utf8"

	"sluice/amqp/message"
)

// FieldWriter appends a composite type, field by field. Absent fields become null, and are cut off where nothing follows them [AMQP 1.4].
// The first error sticks and Finish returns it. The zero FieldWriter is not ready: use NewFieldWriter.
type FieldWriter struct {
	buf   []byte
	mark  int
	count int
	nulls int // absent fields, not written unless another field follows
	name  string
	err   error
}

// NewFieldWriter starts a composite behind dst; name is that of the composite type, for errors.
func NewFieldWriter(dst []byte, descriptor uint64, name string) FieldWriter {
	dst, mark := openCompound(AppendDescriptor(dst, descriptor))
	return FieldWriter{buf: dst, mark: mark, name: name}
}

// Finish writes the list's head and gives dst with the composite appended, or the first error.
func (w *FieldWriter) Finish() ([]byte, error) {
	if w.err != nil {
		return nil, w.err
	}
	if w.count == 0 {
		return append(w.buf[:w.mark], byte(CodeList0)), nil
	}
	return closeCompound(w.buf, w.mark, w.count, CodeList8, CodeList32), nil
}

// Null leaves a field absent.
func (w *FieldWriter) Null() { w.nulls++ }

// present makes room for a field: the absent ones before it become nulls.
func (w *FieldWriter) present() {
	w.count += w.nulls + 1
	for ; w.nulls > 0; w.nulls-- {
		w.buf = AppendNull(w.buf)
	}
}

// Fail records that a field of ours cannot be written.
func (w *FieldWriter) Fail(field, reason string) {
	if w.err == nil {
		w.err = &Error{Condition: CondInvalidField, What: w.name + "." + field, Reason: reason, Offset: -1}
	}
}

func (w *FieldWriter) fail(field string, err error) {
	if err == nil || w.err != nil {
		return
	}
	var e *Error
	if errors.As(err, &e) && e.What == "" {
		e.What = w.name + "." + field
	}
	w.err = err
}

// Bool writes v, absent when it is def.
func (w *FieldWriter) Bool(v, def bool) {
	if v == def {
		w.Null()
		return
	}
	w.MustBool(v)
}

// MustBool writes v.
func (w *FieldWriter) MustBool(v bool) {
	w.present()
	w.buf = AppendBool(w.buf, v)
}

// Ubyte writes v, absent when it is def.
func (w *FieldWriter) Ubyte(v, def uint8) {
	w.OptUbyte(Opt[uint8]{Value: v, Set: v != def})
}

// OptUbyte writes v if set.
func (w *FieldWriter) OptUbyte(v Opt[uint8]) {
	if !v.Set {
		w.Null()
		return
	}
	w.present()
	w.buf = AppendUbyte(w.buf, v.Value)
}

// OptUshort writes v if set.
func (w *FieldWriter) OptUshort(v Opt[uint16]) {
	if !v.Set {
		w.Null()
		return
	}
	w.present()
	w.buf = AppendUshort(w.buf, v.Value)
}

// Uint writes v, absent when it is def.
func (w *FieldWriter) Uint(v, def uint32) {
	w.OptUint(Opt[uint32]{Value: v, Set: v != def})
}

// MustUint writes v.
func (w *FieldWriter) MustUint(v uint32) {
	w.present()
	w.buf = AppendUint(w.buf, v)
}

// OptUint writes v if set.
func (w *FieldWriter) OptUint(v Opt[uint32]) {
	if !v.Set {
		w.Null()
		return
	}
	w.MustUint(v.Value)
}

// MustUlong writes v.
func (w *FieldWriter) MustUlong(v uint64) {
	w.present()
	w.buf = AppendUlong(w.buf, v)
}

// Ulong writes v, absent when it is def.
func (w *FieldWriter) Ulong(v, def uint64) {
	if v == def {
		w.Null()
		return
	}
	w.MustUlong(v)
}

// Timestamp writes v, absent when it is the zero time.
func (w *FieldWriter) Timestamp(v time.Time) {
	if v.IsZero() {
		w.Null()
		return
	}
	w.present()
	w.buf = AppendTimestamp(w.buf, v)
}

// String writes v, absent when empty.
func (w *FieldWriter) String(field, v string) {
	w.OptString(field, Opt[string]{Value: v, Set: v != ""})
}

// OptString writes v if set.
func (w *FieldWriter) OptString(field string, v Opt[string]) {
	if !v.Set {
		w.Null()
		return
	}
	if !utf8.ValidString(v.Value) {
		w.Fail(field, "the string is not UTF-8")
		return
	}
	w.present()
	w.buf = AppendString(w.buf, v.Value)
}

// Symbol writes v, absent when empty.
func (w *FieldWriter) Symbol(field string, v message.Symbol) {
	if v == "" {
		w.Null()
		return
	}
	w.MustSymbol(field, v)
}

// MustSymbol writes v, which may be empty.
func (w *FieldWriter) MustSymbol(field string, v message.Symbol) {
	w.fail(field, checkSymbol(v))
	w.present()
	w.buf = AppendSymbol(w.buf, v)
}

// Symbols writes a multiple field as an array, absent when empty.
func (w *FieldWriter) Symbols(field string, list []message.Symbol, limit int) {
	if len(list) == 0 {
		w.Null()
		return
	}
	if len(list) > limit {
		w.Fail(field, "too many symbols")
		return
	}
	w.present()
	long := false
	for _, s := range list {
		w.fail(field, checkSymbol(s))
		long = long || len(s) > math.MaxUint8
	}
	code := CodeSymbol8
	if long {
		code = CodeSymbol32
	}
	buf, mark := openCompound(w.buf)
	buf = append(buf, byte(code))
	for _, s := range list {
		buf = append(appendBodyLength(buf, code, len(s)), s...)
	}
	w.buf = closeCompound(buf, mark, len(list), CodeArray8, CodeArray32)
}

// Binary writes v, absent when nil; an empty v that is not nil is an empty binary.
func (w *FieldWriter) Binary(v []byte) {
	if v == nil {
		w.Null()
		return
	}
	w.present()
	w.buf = AppendBinary(w.buf, v)
}

// Map writes m, absent when nil.
func (w *FieldWriter) Map(field string, m Map) {
	if m == nil {
		w.Null()
		return
	}
	w.present()
	out, err := appendMap(w.buf, m, 1)
	w.fail(field, err)
	w.buf = out
}

// Value writes any value, absent when nil.
func (w *FieldWriter) Value(field string, v any) {
	if v == nil {
		w.Null()
		return
	}
	w.present()
	out, err := appendValue(w.buf, v, 1)
	w.fail(field, err)
	w.buf = out
}

// Append writes a field that add appends, such as a nested composite.
func (w *FieldWriter) Append(add func(dst []byte) ([]byte, error)) {
	w.present()
	out, err := add(w.buf)
	if err != nil {
		w.fail("", err)
		return
	}
	w.buf = out
}

// AppendMap writes a map of n entries; add appends the i-th entry's key and value.
func (w *FieldWriter) AppendMap(n int, add func(dst []byte, i int) ([]byte, error)) {
	w.present()
	buf, mark := openCompound(w.buf)
	for i := range n {
		out, err := add(buf, i)
		if err != nil {
			w.fail("", err)
			return
		}
		buf = out
	}
	w.buf = closeCompound(buf, mark, 2*n, CodeMap8, CodeMap32)
}

// Empty writes a composite without fields.
func (w *FieldWriter) Empty(descriptor uint64) {
	w.present()
	w.buf = append(AppendDescriptor(w.buf, descriptor), byte(CodeList0))
}
