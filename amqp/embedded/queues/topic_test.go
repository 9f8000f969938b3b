package queues

import (
	"strings"
	"testing"

	"pgregory.net/rapid"
)

func TestTopicMatch(t *testing.T) {
	for _, c := range []struct {
		pattern, key string
		want         bool
	}{
		{"", "", true}, {"", "a", false}, {"a", "a", true}, {"a", "b", false}, {"a", "a.b", false}, {"a.b", "a", false},
		{"*", "a", true}, {"*", "", false}, {"*", "a.b", false}, {"*.b", "a.b", true}, {"a.*", "a.", true}, {"a.*", "a", false},
		{"#", "", true}, {"#", "a", true}, {"#", "a.b.c", true}, {"a.#", "a", true}, {"a.#", "a.b.c", true}, {"a.#", "b", false},
		{"#.c", "c", true}, {"#.c", "a.b.c", true}, {"#.c", "c.d", false}, {"a.#.c", "a.c", true}, {"a.#.c", "a.b.b.c", true},
		{"#.#", "", true}, {"#.*.#", "", false}, {"#.*.#", "a", true}, {"*.#", "a.b", true}, {"*.#", "", false},
		{"a..b", "a..b", true}, {"a.*.b", "a..b", true}, {"a.b", "a..b", false}, {".", ".", true}, {"*.*", ".", true},
		{"a", "*", false}, {"*", "*", true}, {"*", "#", true}, {"a.b", "a.*", false}, {"#", "*.#", true}, {"ä.*", "ä.ö", true},
	} {
		if got := matches(c.pattern, c.key); got != c.want {
			t.Errorf("%q matches %q: %v, want %v", c.pattern, c.key, got, c.want)
		}
	}
}

func matches(pattern, key string) bool {
	var tree topicTree
	q := &queue{}
	tree.add(pattern, q)
	found := false
	tree.match(key, func(*queue) { found = true })
	return found
}

// naive is the definition, word by word.
func naive(pattern, key []string) bool {
	switch {
	case len(pattern) == 0:
		return len(key) == 0
	case pattern[0] == "#":
		return naive(pattern[1:], key) || len(key) > 0 && naive(pattern, key[1:])
	case len(key) == 0:
		return false
	}
	return (pattern[0] == "*" || pattern[0] == key[0]) && naive(pattern[1:], key[1:])
}

func TestTopicTreeAgainstDefinition(t *testing.T) {
	word := rapid.SampledFrom([]string{"a", "b", "", "*", "#"})
	rapid.Check(t, func(t *rapid.T) {
		var tree topicTree
		bound := map[string]*queue{}
		for _, p := range rapid.SliceOfN(rapid.SliceOfN(word, 0, 5), 1, 10).Draw(t, "patterns") {
			pattern := strings.Join(p, ".")
			if bound[pattern] == nil {
				bound[pattern] = &queue{name: pattern}
				tree.add(pattern, bound[pattern])
			}
		}
		key := strings.Join(rapid.SliceOfN(rapid.SampledFrom([]string{"a", "b", ""}), 0, 5).Draw(t, "key"), ".")
		found := map[*queue]bool{}
		tree.match(key, func(q *queue) { found[q] = true })
		for pattern, q := range bound {
			if want := naive(words(pattern), words(key)); found[q] != want {
				t.Fatalf("%q matches %q: %v, want %v", pattern, key, found[q], want)
			}
			tree.remove(pattern, q)
		}
		if len(tree.root.words) != 0 || len(tree.root.ends) != 0 {
			t.Fatal("the tree keeps nodes without bindings")
		}
	})
}
