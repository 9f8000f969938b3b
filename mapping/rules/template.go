package rules

import (
	"strings"
	"unicode/utf8"
)

// flaw is a fault of a template, before it is known whose it is.
type flaw struct {
	at            int // byte
	problem, mend string
}

func (f *flaw) position(s string) int { return utf8.RuneCountInString(s[:f.at]) + 1 }

// variable is a named part of a topic.
type variable struct {
	name string
	rest bool // {name...}
}

// piece is a part of a template: literal text, or the variable with this number.
type piece struct {
	literal  string
	variable int // -1: literal
	at       int // where it begins
}

const noVariable = -1

// scan takes a template apart. Each variable that it meets is given to number, which says its number or what is wrong.
func scan(s string, number func(v variable) (int, *flaw)) ([]piece, *flaw) {
	if f := checkText(s); f != nil {
		return nil, f
	}
	var pieces []piece
	var literal []byte
	start := 0
	flush := func() {
		if len(literal) > 0 {
			pieces = append(pieces, piece{string(literal), noVariable, start})
		}
		literal = nil
	}
	for i := 0; i < len(s); {
		switch {
		case strings.HasPrefix(s[i:], "{{"), strings.HasPrefix(s[i:], "}}"):
			if len(literal) == 0 {
				start = i
			}
			literal = append(literal, s[i])
			i += 2
		case s[i] == '}':
			return nil, &flaw{i, "a } closes nothing", "write }} for a brace that means itself"}
		case s[i] == '{':
			flush()
			v, length, f := scanVariable(s, i)
			if f != nil {
				return nil, f
			}
			n, f := number(v)
			if f != nil {
				f.at = i
				return nil, f
			}
			pieces = append(pieces, piece{"", n, i})
			i += length
			start = i
		default:
			if len(literal) == 0 {
				start = i
			}
			literal = append(literal, s[i])
			i++
		}
	}
	flush()
	return pieces, nil
}

func checkText(s string) *flaw {
	switch {
	case len(s) > maxTemplate:
		return &flaw{0, "it is longer than 4096 bytes", "shorten it"}
	case !utf8.ValidString(s):
		return &flaw{0, "it is no UTF-8 text", "save the file as UTF-8"}
	}
	if i := strings.IndexByte(s, 0); i >= 0 {
		return &flaw{i, "it has the character U+0000, which no topic can have", "take it out"}
	}
	return nil
}

// scanVariable reads the variable whose brace is at i.
func scanVariable(s string, i int) (v variable, length int, f *flaw) {
	end := strings.IndexByte(s[i:], '}')
	if end < 0 {
		return v, 0, &flaw{i, "a { is not closed", "write {name}, or {{ for a brace that means itself"}
	}
	name := s[i+1 : i+end]
	v.name, v.rest = strings.CutSuffix(name, "...")
	switch {
	case v.name == "":
		return v, 0, &flaw{i, "a variable has no name", "write {name}"}
	case len(v.name) > maxVariableName:
		return v, 0, &flaw{i, "the name of a variable is longer than 64 bytes", "shorten it"}
	}
	for j, c := range []byte(v.name) {
		letter := 'a' <= c && c <= 'z' || 'A' <= c && c <= 'Z'
		if !letter && (j == 0 || !('0' <= c && c <= '9' || c == '_' || c == '-')) {
			return v, 0, &flaw{i, "{" + name + "} is no name of a variable", "begin it with a letter a to z or A to Z, and go on with letters, digits, _ and -"}
		}
	}
	return v, end + 1, nil
}

// parseTopic reads the topic template of a way up: a pattern, and the variables it names.
func parseTopic(s string) (*pattern, []variable, *flaw) {
	if s == "" {
		return nil, nil, &flaw{0, "it is missing", "write the topics that the rule is for, such as plant/{site}/#"}
	}
	if f := checkText(s); f != nil {
		return nil, nil, f
	}
	if strings.Count(s, "/") >= maxLevels {
		return nil, nil, &flaw{0, "it has more than 64 levels", "shorten it, with # or {name...} at the end"}
	}
	t := topicTemplate{pattern: &pattern{separator: '/'}}
	at := 0
	for level, more := s, true; more; at += len(level) + 1 {
		level, _, more = strings.Cut(s[at:], "/")
		if f := t.add(level, !more); f != nil {
			f.at += at
			return nil, nil, f
		}
	}
	return t.pattern, t.names, nil
}

// topicTemplate is a topic template that is being read.
type topicTemplate struct {
	pattern *pattern
	names   []variable
}

// add reads one level.
func (t *topicTemplate) add(level string, last bool) *flaw {
	s := segment{kind: literal, variable: noVariable}
	switch level {
	case "+":
		s.kind = one
	case "#":
		if s.kind = remainder; !last {
			return &flaw{0, "# is not at the end", "only the last level can stand for several; + stands for one"}
		}
	default:
		pieces, f := scan(level, t.declare)
		if f != nil {
			return f
		}
		if s, f = levelOf(pieces, t.names, last); f != nil {
			return f
		}
	}
	t.pattern.segments = append(t.pattern.segments, s)
	return nil
}

func (t *topicTemplate) declare(v variable) (int, *flaw) {
	for _, known := range t.names {
		if known.name == v.name {
			return 0, &flaw{0, "{" + v.name + "} occurs twice", "give each level a name of its own, or write + for one that needs none"}
		}
	}
	if len(t.names) == maxVariables {
		return 0, &flaw{0, "there are more than 16 variables", "write + for levels that need no name"}
	}
	t.names = append(t.names, v)
	return len(t.names) - 1, nil
}

// levelOf is the level that pieces make: literal text, or one variable alone.
func levelOf(pieces []piece, names []variable, last bool) (segment, *flaw) {
	s := segment{kind: literal, variable: noVariable}
	for _, p := range pieces {
		switch {
		case p.variable != noVariable && len(pieces) > 1:
			return s, &flaw{p.at, "{" + names[p.variable].name + "} is only a part of its level", "a variable is a whole level: put / before and behind it"}
		case p.variable != noVariable && names[p.variable].rest && !last:
			return s, &flaw{p.at, "{" + names[p.variable].name + "...} is not at the end", "only the last level can stand for several"}
		case p.variable != noVariable:
			s.kind, s.variable = one, p.variable
			if names[p.variable].rest {
				s.kind = rest
			}
		case strings.ContainsAny(p.literal, "+#"):
			return s, &flaw{p.at, "a wildcard is only a part of its level", "+ and # stand alone in a level; no topic can have these characters"}
		default:
			s.prefix = p.literal
		}
	}
	return s, nil
}
