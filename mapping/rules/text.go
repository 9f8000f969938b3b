package rules

import (
	"fmt"
	"strings"

	"sluice/mapping"
)

// text is a text with variables.
type text struct {
	pieces   []piece
	constant string // the text itself, where no piece is a variable
	fixed    bool
}

// parseText reads a text that uses the variables in names. The dots of {name...} may be left out: the topic says which variable is a rest.
func parseText(s string, names []variable) (*text, *flaw) {
	pieces, f := scan(s, func(v variable) (int, *flaw) {
		for i, known := range names {
			if known.name == v.name {
				return i, nil
			}
		}
		return 0, &flaw{0, "{" + v.name + "} names nothing", "use " + listNames(names)}
	})
	if f != nil {
		return nil, f
	}
	t := &text{pieces: pieces}
	switch {
	case len(pieces) == 0:
		t.fixed = true
	case len(pieces) == 1 && pieces[0].variable == noVariable:
		t.fixed, t.constant = true, pieces[0].literal
	}
	return t, nil
}

func listNames(names []variable) string {
	if len(names) == 0 {
		return "names that the other templates of the rule have; there are none now"
	}
	list := make([]string, len(names))
	for i, v := range names {
		list[i] = "{" + v.name + "}"
	}
	return strings.Join(list, ", ")
}

// string is the text with its values. A text that is one variable alone is the value itself.
func (t *text) string(v *values) string {
	if t.fixed {
		return t.constant
	}
	if len(t.pieces) == 1 {
		return v[t.pieces[0].variable]
	}
	var buf [scratch]byte
	return string(t.append(buf[:0], v))
}

func (t *text) append(dst []byte, v *values) []byte {
	for i := range t.pieces {
		if p := &t.pieces[i]; p.variable == noVariable {
			dst = append(dst, p.literal...)
		} else {
			dst = append(dst, v[p.variable]...)
		}
	}
	return dst
}

// appendKey is append for a routing key: values are escaped, what the rule says itself is not.
func (t *text) appendKey(dialect mapping.Dialect, dst []byte, v *values) []byte {
	for i := range t.pieces {
		if p := &t.pieces[i]; p.variable == noVariable {
			dst = append(dst, p.literal...)
		} else {
			dst = dialect.AppendKey(dst, v[p.variable])
		}
	}
	return dst
}

// reading is how a text is taken apart again.
type reading struct {
	pattern *pattern
	known   [maxVariables]bool // the variables whose values it gives
	unclear string             // why some variables cannot be told apart; the pattern is then wider than the text
}

// read makes the pattern of a text: the way back. keys is set for a routing key.
func (t *text) read(names []variable, separator byte, keys *mapping.Dialect) reading {
	r := reading{pattern: &pattern{separator: separator, keys: keys}}
	current := segment{variable: noVariable}
	for i, p := range t.pieces {
		if p.variable == noVariable {
			parts := strings.Split(p.literal, string(separator))
			for j, part := range parts {
				if j > 0 {
					r.pattern.segments = append(r.pattern.segments, current)
					current = segment{variable: noVariable}
				}
				if current.kind == literal {
					current.prefix += part
				} else {
					current.suffix += part
				}
			}
			continue
		}
		v := names[p.variable]
		if v.rest {
			alone := current.kind == literal && current.prefix == "" && i == len(t.pieces)-1
			if alone {
				current = segment{kind: rest, variable: p.variable}
				r.known[p.variable] = true
			} else {
				if current.variable != noVariable {
					r.known[current.variable] = false
				}
				current = segment{kind: rest, variable: noVariable}
				r.unclear = fmt.Sprintf("{%s} may have any number of levels and does not stand alone at the end", v.name)
			}
			break
		}
		if current.kind == literal {
			current.kind, current.variable = one, p.variable
			r.known[p.variable] = true
			continue
		}
		// Two variables in one segment: neither is known, whatever is between them.
		if current.variable != noVariable {
			r.known[current.variable] = false
		}
		r.unclear = fmt.Sprintf("no %c parts {%s} from what is before it", separator, v.name)
		current.variable, current.suffix = noVariable, ""
	}
	r.pattern.segments = append(r.pattern.segments, current)
	return r
}
