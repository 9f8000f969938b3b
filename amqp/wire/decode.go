package wire

import "sluice/amqp/message"

// Value reads one value of any type. Binaries in it are views of the input.
func (r *Reader) Value() (any, error) {
	c, err := r.code()
	if err != nil {
		return nil, err
	}
	return r.valueOf(c)
}

// valueOf reads the value behind the constructor c.
func (r *Reader) valueOf(c Code) (any, error) {
	switch codes[c].kind {
	case KindDescribed:
		return r.described()
	case KindList:
		return r.listValue(c)
	case KindMap:
		return box(r.mapValue(c))
	case KindArray:
		return r.arrayValue(c)
	}
	return r.scalar(c)
}

// described reads descriptor and value behind a described constructor.
func (r *Reader) described() (any, error) {
	if r.depth >= MaxDepth {
		return nil, r.err("values nest deeper than %d", MaxDepth)
	}
	r.depth++
	defer func() { r.depth-- }()
	descriptor, err := r.Value()
	if err != nil {
		return nil, err
	}
	value, err := r.Value()
	if err != nil {
		return nil, err
	}
	return message.Described{Descriptor: descriptor, Value: value}, nil
}

// emptyList is shared, so that a list of empty lists costs no more memory than its bytes justify.
var emptyList any = []any{}

func (r *Reader) listValue(c Code) (any, error) {
	inner, count, err := r.compound(c)
	if err != nil {
		return nil, err
	}
	if count == 0 {
		return emptyList, inner.end()
	}
	list := make([]any, 0, min(count, preallocate))
	for range count {
		v, err := inner.Value()
		if err != nil {
			return nil, err
		}
		list = append(list, v)
	}
	r.zero = inner.zero
	return list, inner.end()
}

func (r *Reader) mapValue(c Code) (Map, error) {
	inner, count, err := r.compound(c)
	if err != nil {
		return nil, err
	}
	m := make(Map, 0, min(count/2, preallocate))
	for range count / 2 {
		var p Pair
		if err = inner.checkKey(); err != nil {
			return nil, err
		}
		if p.Key, err = inner.Value(); err != nil {
			return nil, err
		}
		if p.Value, err = inner.Value(); err != nil {
			return nil, err
		}
		m = append(m, p)
	}
	r.zero = inner.zero
	return m, inner.end()
}

// TextMap reads a map as Value would, with values as convert gives them. Entries whose key is neither string nor symbol are left out. It is nil for null.
//
// A Map would box each key, of which a message has some ten.
func (r *Reader) TextMap(convert func(any) any) (map[string]any, error) {
	c, err := r.code()
	if err != nil || c == CodeNull {
		return nil, err
	}
	if codes[c].kind != KindMap {
		r.pos--
		return nil, r.err("a map is expected, not a %v", codes[c].kind)
	}
	inner, count, err := r.compound(c)
	if err != nil {
		return nil, err
	}
	m := make(map[string]any, min(count/2, preallocate))
	for range count / 2 {
		if err = inner.textEntry(m, convert); err != nil {
			return nil, err
		}
	}
	r.zero = inner.zero
	return m, inner.end()
}

// textEntry reads key and value into m.
func (r *Reader) textEntry(m map[string]any, convert func(any) any) error {
	if err := r.checkKey(); err != nil {
		return err
	}
	c, err := r.code()
	if err != nil {
		return err
	}
	if codes[c].kind&(KindString|KindSymbol) == 0 {
		if err := r.skip(c); err != nil {
			return err
		}
		return r.Skip()
	}
	key, err := r.either(c)
	if err != nil {
		return err
	}
	v, err := r.Value()
	if err != nil {
		return err
	}
	m[string(key)] = convert(v)
	return nil
}

func (r *Reader) arrayValue(c Code) (any, error) {
	inner, head, err := r.array(c)
	if err != nil {
		return nil, err
	}
	a := Array{Type: codes[head.code].full, Described: head.described,
		Elements: make([]any, 0, min(head.count, preallocate))}
	if head.described {
		if a.Descriptor, err = head.descriptor.Value(); err != nil {
			return nil, err
		}
	}
	for range head.count {
		v, err := inner.valueOf(head.code)
		if err != nil {
			return nil, err
		}
		a.Elements = append(a.Elements, v)
	}
	r.zero = inner.zero
	return a, inner.end()
}

// Skip moves behind one value and checks it as Value would, without taking memory.
func (r *Reader) Skip() error {
	c, err := r.code()
	if err != nil {
		return err
	}
	return r.skip(c)
}

func (r *Reader) skip(c Code) error {
	switch codes[c].kind {
	case KindDescribed:
		if r.depth >= MaxDepth {
			return r.err("values nest deeper than %d", MaxDepth)
		}
		r.depth++
		defer func() { r.depth-- }()
		if err := r.Skip(); err != nil {
			return err
		}
		return r.Skip()
	case KindList, KindMap:
		return r.skipCompound(c)
	case KindArray:
		return r.skipArray(c)
	case KindBoolean:
		_, err := r.boolean(c)
		return err
	case KindChar:
		_, err := r.char(c)
		return err
	case KindString:
		_, err := r.text(c)
		return err
	case KindSymbol:
		_, err := r.symbol(c)
		return err
	case KindBinary:
		_, err := r.variable(c)
		return err
	}
	_, err := r.fixed(c)
	return err
}

func (r *Reader) skipCompound(c Code) error {
	inner, count, err := r.compound(c)
	if err != nil {
		return err
	}
	for i := range count {
		if codes[c].kind == KindMap && i%2 == 0 {
			if err = inner.checkKey(); err != nil {
				return err
			}
		}
		if err = inner.Skip(); err != nil {
			return err
		}
	}
	r.zero = inner.zero
	return inner.end()
}

func (r *Reader) skipArray(c Code) error {
	inner, head, err := r.array(c)
	if err != nil {
		return err
	}
	for range head.count {
		if err = inner.skip(head.code); err != nil {
			return err
		}
	}
	r.zero = inner.zero
	return inner.end()
}
