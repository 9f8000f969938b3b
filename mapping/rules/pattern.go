package rules

import (
	"strings"

	"sluice/mapping"
)

// values are what the variables of a rule stand for, by their numbers.
type values [maxVariables]string

// pattern says which topics, keys, queues or subjects match, and which parts of them are the values of variables.
type pattern struct {
	segments  []segment
	separator byte
	// keys is set where the segments are words of a routing key, in which values are escaped by this dialect.
	keys *mapping.Dialect
}

// segment is one level of a topic or word of a key.
type segment struct {
	kind           segmentKind
	prefix, suffix string // of literal and one: text around the variable; of literal the prefix is all
	variable       int    // noVariable: not kept
}

type segmentKind uint8

const (
	literal   segmentKind = iota
	one                   // one segment
	rest                  // one or more, at the end
	remainder             // zero or more, at the end
)

// match takes text apart into v. Without v it only says whether it matches.
func (p *pattern) match(text string, v *values) bool {
	more := true
	for i := range p.segments {
		s := &p.segments[i]
		if s.kind == remainder {
			return true
		}
		if !more {
			return false
		}
		if s.kind == rest {
			return p.capture(s, text, v)
		}
		var part string
		if at := strings.IndexByte(text, p.separator); at >= 0 {
			part, text = text[:at], text[at+1:]
		} else {
			part, text, more = text, "", false
		}
		if !s.accepts(part) || s.kind == one && !p.capture(s, part[len(s.prefix):len(part)-len(s.suffix)], v) {
			return false
		}
	}
	return !more
}

func (s *segment) accepts(part string) bool {
	if s.kind == literal {
		return part == s.prefix
	}
	return len(part) >= len(s.prefix)+len(s.suffix) && strings.HasPrefix(part, s.prefix) && strings.HasSuffix(part, s.suffix)
}

// capture keeps a value. In a key it must be written as Dialect.Key writes it: anything else is not of our making, and would not come back as
// the same key.
func (p *pattern) capture(s *segment, part string, v *values) bool {
	if s.variable == noVariable {
		return true
	}
	if p.keys != nil {
		value := p.keys.Topic(part)
		if p.keys.Key(value) != part {
			return false
		}
		part = value
	}
	if v != nil {
		v[s.variable] = part
	}
	return true
}

// ofKey is the pattern of the keys that the dialect gives the topics of p.
func (p *pattern) ofKey(dialect *mapping.Dialect) *pattern {
	k := &pattern{segments: make([]segment, len(p.segments)), separator: '.', keys: dialect}
	for i, s := range p.segments {
		s.prefix, s.suffix = dialect.Key(s.prefix), dialect.Key(s.suffix)
		k.segments[i] = s
	}
	return k
}

// overlaps reports whether some text may match both patterns. It errs on the side of yes. Both have the same separator.
func (p *pattern) overlaps(q *pattern) bool {
	for i := 0; ; i++ {
		pEnds, qEnds := i == len(p.segments), i == len(q.segments)
		switch {
		case pEnds && qEnds:
			return true
		case pEnds:
			return q.segments[i].kind == remainder
		case qEnds:
			return p.segments[i].kind == remainder
		}
		a, b := &p.segments[i], &q.segments[i]
		if a.kind >= rest || b.kind >= rest {
			return true
		}
		if !a.overlaps(b) {
			return false
		}
	}
}

func (s *segment) overlaps(t *segment) bool {
	switch {
	case s.kind == literal:
		return t.accepts(s.prefix)
	case t.kind == literal:
		return s.accepts(t.prefix)
	}
	return (strings.HasPrefix(s.prefix, t.prefix) || strings.HasPrefix(t.prefix, s.prefix)) &&
		(strings.HasSuffix(s.suffix, t.suffix) || strings.HasSuffix(t.suffix, s.suffix))
}

// covers reports whether p matches everything that q matches. It errs on the side of no.
func (p *pattern) covers(q *pattern) bool {
	for i := range p.segments {
		a := &p.segments[i]
		if a.kind == remainder {
			return true
		}
		if i == len(q.segments) {
			return false
		}
		b := &q.segments[i]
		switch {
		case a.kind == rest:
			return b.kind != remainder
		case b.kind >= rest, a.kind == literal && (b.kind != literal || a.prefix != b.prefix):
			return false
		case a.kind == one && (a.prefix != "" || a.suffix != ""):
			return false
		}
	}
	return len(p.segments) == len(q.segments)
}
