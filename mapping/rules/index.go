package rules

import "strings"

// index finds the patterns that may match a text: a tree of segments, so that a thousand rules cost little more than one. Numbers are
// those of rules or entries, added in ascending order; the least one wins.
type index struct {
	separator byte
	root      node
}

type node struct {
	first     int // the least number here or below
	literal   map[string]*node
	one       *node
	here      []int // patterns that end here
	rest      []int // patterns with one or more segments of any kind behind
	remainder []int // patterns with zero or more
}

func newIndex(separator byte) *index { return &index{separator: separator, root: node{first: -1}} }

// add adds a pattern with a number greater than all before.
func (x *index) add(p *pattern, number int) {
	n := &x.root
	for i := range p.segments {
		n.touch(number)
		switch s := &p.segments[i]; s.kind {
		case rest:
			n.rest = append(n.rest, number)
			return
		case remainder:
			n.remainder = append(n.remainder, number)
			return
		case one:
			if n.one == nil {
				n.one = &node{first: number}
			}
			n = n.one
		default:
			next := n.literal[s.prefix]
			if next == nil {
				if n.literal == nil {
					n.literal = make(map[string]*node)
				}
				next = &node{first: number}
				n.literal[s.prefix] = next
			}
			n = next
		}
	}
	n.touch(number)
	n.here = append(n.here, number)
}

func (n *node) touch(number int) {
	if n.first < 0 {
		n.first = number
	}
}

// finder looks for the least number that an index offers and that is accepted: rules on the way up, entries on the way down.
type finder struct {
	table *Table
	up    *Message // nil: down
	down  *arrived
	best  int // the least accepted so far
}

// accept looks at what the index cannot know.
func (f *finder) accept(number int) bool {
	if f.up != nil {
		return f.table.rules[number].when.holds(f.up)
	}
	return f.table.entries[number].accepts(f.down)
}

// look searches an index. With names, what begins with '$' does not match a variable or wildcard in its first level [MQTT-4.7.2-1].
func (f *finder) look(x *index, text string, names bool) {
	if x == nil || x.root.first < 0 {
		return
	}
	if names && strings.HasPrefix(text, "$") {
		part, left, more := cut(text, x.separator)
		if next := x.root.literal[part]; next != nil {
			f.walk(next, left, more, x.separator)
		}
		return
	}
	f.walk(&x.root, text, true, x.separator)
}

// walk goes down the tree. It leaves out what cannot beat the best, and visits each node at most once, whatever the text.
func (f *finder) walk(n *node, text string, more bool, separator byte) {
	if n.first < 0 || n.first >= f.best {
		return
	}
	f.offer(n.remainder)
	if !more {
		f.offer(n.here)
		return
	}
	f.offer(n.rest)
	part, left, further := cut(text, separator)
	if next := n.literal[part]; next != nil {
		f.walk(next, left, further, separator)
	}
	if n.one != nil {
		f.walk(n.one, left, further, separator)
	}
}

func (f *finder) offer(numbers []int) {
	for _, number := range numbers {
		if number >= f.best {
			return
		}
		if f.accept(number) {
			f.best = number
			return
		}
	}
}

func cut(s string, separator byte) (part, left string, more bool) {
	if i := strings.IndexByte(s, separator); i >= 0 {
		return s[:i], s[i+1:], true
	}
	return s, "", false
}
