package topic

import (
	"strings"
	"sync"
	"sync/atomic"
)

// Trie maps topic filters to sets of subscribers and finds all subscribers of a topic name. It is safe for concurrent use. Its
// zero value is empty and ready.
//
// Match takes no lock: nodes never change once they are reachable, and a writer puts its new root in place in one step. So each Match
// sees the trie as it was at one moment, and a storm of subscriptions does not slow down the fan-out. Writers wait for each
// other.
//
// Filters must be valid and without a "$share/" prefix. An invalid one does no harm, but what it matches is not defined.
type Trie[T comparable] struct {
	writers sync.Mutex
	root    atomic.Pointer[node[T]]
	filters atomic.Int64
}

// set holds the subscribers of one filter.
type set[T comparable] = dict[T, struct{}]

// node stands for the levels of a filter up to here. It is never changed.
type node[T comparable] struct {
	kids        *dict[string, *node[T]] // by literal level
	plus        *node[T]                // the level +
	exact, hash *set[T]                 // the filter that ends here; the one that ends with # behind here
	deep        *dict[string, *set[T]]  // the rest of filters with more than maxDepth levels
}

func (n *node[T]) empty() bool {
	return n.kids == nil && n.plus == nil && n.exact == nil && n.hash == nil && n.deep == nil
}

// Add makes v a subscriber of filter. first is true when the filter had none before: now the bus has to be asked for it.
// Adding a subscriber again changes nothing.
func (t *Trie[T]) Add(filter string, v T) (first bool) {
	t.writers.Lock()
	defer t.writers.Unlock()
	e := edit[T]{value: v, add: true}
	t.root.Store(e.apply(t.root.Load(), strings.Clone(filter), 0))
	if e.edge {
		t.filters.Add(1)
	}
	return e.edge
}

// Remove ends v's subscription of filter. last is true when v was its only subscriber: the bus need not deliver it any more.
// Removing what is not there changes nothing.
func (t *Trie[T]) Remove(filter string, v T) (last bool) {
	t.writers.Lock()
	defer t.writers.Unlock()
	e := edit[T]{value: v}
	t.root.Store(e.apply(t.root.Load(), filter, 0))
	if e.edge {
		t.filters.Add(-1)
	}
	return e.edge
}

// Len is the number of distinct filters.
func (t *Trie[T]) Len() int { return int(t.filters.Load()) }

// edit is one change on its way down the trie. edge tells afterwards whether the filter got its first or lost its last
// subscriber.
type edit[T comparable] struct {
	value T
	add   bool
	edge  bool
}

// apply returns a copy of n in which filter, the levels from n on, has changed. nil stands for an empty node.
func (e *edit[T]) apply(n *node[T], filter string, depth int) *node[T] {
	var changed node[T]
	if n != nil {
		changed = *n
	}
	level, rest, more := strings.Cut(filter, "/")
	switch {
	case filter == "#":
		changed.hash = e.change(changed.hash)
	case depth == maxDepth:
		subscribers, _ := changed.deep.get(filter)
		if subscribers = e.change(subscribers); subscribers != nil {
			changed.deep = changed.deep.put(filter, subscribers)
		} else {
			changed.deep = changed.deep.del(filter)
		}
	case level == "+":
		changed.plus = e.descend(changed.plus, rest, more, depth)
	default:
		old, _ := changed.kids.get(level)
		if kid := e.descend(old, rest, more, depth); kid != nil {
			changed.kids = changed.kids.put(level, kid)
		} else {
			changed.kids = changed.kids.del(level)
		}
	}
	if changed.empty() {
		return nil
	}
	return &changed
}

// descend changes the node behind a level: rest are the levels after it, if there are more.
func (e *edit[T]) descend(n *node[T], rest string, more bool, depth int) *node[T] {
	if more {
		return e.apply(n, rest, depth+1)
	}
	var changed node[T]
	if n != nil {
		changed = *n
	}
	changed.exact = e.change(changed.exact)
	if changed.empty() {
		return nil
	}
	return &changed
}

// change adds the value to a filter's subscribers or takes it out.
func (e *edit[T]) change(s *set[T]) *set[T] {
	if e.add {
		e.edge = s == nil
		return s.put(e.value, struct{}{})
	}
	less := s.del(e.value)
	e.edge = s != nil && less == nil
	return less
}

// Match appends the subscribers of all filters that match name to dst and returns it. Each subscriber is appended once, however many
// of its filters match; their order is not defined. It does not allocate while dst has room and at most sixteen distinct filters match.
func (t *Trie[T]) Match(dst []T, name string) []T {
	root := t.root.Load()
	if root == nil {
		return dst
	}
	var found matches[T]
	found.walk(root, name, 0)
	return found.appendTo(dst)
}

// matches collects the subscriber sets of the filters that match a name. It is handed down by pointer, not returned as a growing
// slice, so that it can stay on the stack.
type matches[T comparable] struct {
	count int
	first [stackSets]*set[T]
	more  []*set[T]
}

func (m *matches[T]) add(s *set[T]) {
	if s == nil {
		return
	}
	if m.count < stackSets {
		m.first[m.count] = s
	} else {
		m.more = append(m.more, s)
	}
	m.count++
}

// walk collects the filters that match name, the levels from n on.
func (m *matches[T]) walk(n *node[T], name string, depth int) {
	wild := depth > 0 || !hidden(name)
	if wild {
		m.add(n.hash)
	}
	if depth == maxDepth {
		m.walkDeep(n.deep, name)
		return
	}
	level, rest, more := strings.Cut(name, "/")
	if kid, ok := n.kids.get(level); ok {
		m.walkBehind(kid, rest, more, depth)
	}
	if n.plus != nil && wild {
		m.walkBehind(n.plus, rest, more, depth)
	}
}

// walkBehind goes on with the node behind a level that matched.
func (m *matches[T]) walkBehind(n *node[T], rest string, more bool, depth int) {
	if more {
		m.walk(n, rest, depth+1)
		return
	}
	m.add(n.exact)
	m.add(n.hash) // "sport/#" also matches "sport" (MQTT 5, 4.7.1.2)
}

// walkDeep compares the filters beyond maxDepth one by one.
func (m *matches[T]) walkDeep(deep *dict[string, *set[T]], name string) {
	if deep == nil {
		return
	}
	for i := range deep.bucket {
		if matchLevels(deep.bucket[i].key, name) {
			m.add(deep.bucket[i].value)
		}
	}
	if deep.branch != nil {
		for _, part := range deep.branch {
			m.walkDeep(part, name)
		}
	}
}

// appendTo appends each subscriber once.
func (m *matches[T]) appendTo(dst []T) []T {
	if m.count > stackSets {
		return appendUnion(dst, m.first[:], m.more)
	}
	for i, s := range m.first[:m.count] {
		dst = appendNew(dst, s, m.first[:i])
	}
	return dst
}

// appendNew appends the elements of s that are in none of the sets before it. It walks the dict itself, as walkDeep does: a
// closure would move what it captures to the heap.
func appendNew[T comparable](dst []T, s *set[T], before []*set[T]) []T {
	if s == nil {
		return dst
	}
	for i := range s.bucket {
		if v := s.bucket[i].key; !inAny(v, before) {
			dst = append(dst, v)
		}
	}
	if s.branch != nil {
		for _, part := range s.branch {
			dst = appendNew(dst, part, before)
		}
	}
	return dst
}

func inAny[T comparable](v T, sets []*set[T]) bool {
	for _, s := range sets {
		if _, ok := s.get(v); ok {
			return true
		}
	}
	return false
}

// appendUnion keeps the work linear where many filters match: one map instead of comparing each set with those before it.
func appendUnion[T comparable](dst []T, parts ...[]*set[T]) []T {
	seen := make(map[T]struct{})
	for _, sets := range parts {
		for _, s := range sets {
			s.each(func(v T, _ struct{}) {
				if _, ok := seen[v]; !ok {
					seen[v] = struct{}{}
					dst = append(dst, v)
				}
			})
		}
	}
	return dst
}
