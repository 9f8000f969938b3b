package topic_test

import (
	"strings"
	"testing"

	"pgregory.net/rapid"

	"sluice/mqtt/topic"
)

func TestOverlap(t *testing.T) {
	for _, c := range []struct {
		a, b string
		want bool
	}{
		{"a/b", "a/b", true},
		{"a/b", "a/c", false},
		{"a/+", "+/b", true},
		{"a/+", "b/+", false},
		{"a/#", "a", true},
		{"a/#", "a/b/c", true},
		{"a/#", "b/#", false},
		{"a/b/#", "a/+/c", true},
		{"+", "a/b", false},
		{"+/#", "a", true},
		{"#", "$SYS/x", false},
		{"+/x", "$SYS/x", false},
		{"$SYS/#", "$SYS/+", true},
		{"#", "+", true},
		{"a/", "a", false},
		{"a/", "a/+", true},
	} {
		for _, f := range [][2]string{{c.a, c.b}, {c.b, c.a}} {
			if got := topic.Overlap(f[0], f[1]); got != c.want {
				t.Errorf("Overlap(%q, %q) = %v, want %v", f[0], f[1], got, c.want)
			}
		}
	}
}

// TestOverlapAgreesWithMatch: a name that both filters match is an overlap, and where there is one a name can be made that shows it.
func TestOverlapAgreesWithMatch(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		a, b, name := genFilter(t), genFilter(t), genName(t)
		overlap := topic.Overlap(a, b)
		if overlap != topic.Overlap(b, a) {
			t.Fatalf("Overlap(%q, %q) depends on their order", a, b)
		}
		if topic.Match(a, name) && topic.Match(b, name) && !overlap {
			t.Fatalf("%q matches %q and %q, which are said not to overlap", name, a, b)
		}
		if w := witness(a, b); overlap && !(topic.Match(a, w) && topic.Match(b, w)) {
			t.Fatalf("%q and %q are said to overlap, but %q does not match both", a, b, w)
		}
	})
}

// witness is a name that both filters match if any does: at each level the literal of either, behind the last what is left of the longer.
func witness(a, b string) string {
	la, lb := strings.Split(a, "/"), strings.Split(b, "/")
	var name []string
	for i := 0; i < max(len(la), len(lb)); i++ {
		level := "x"
		for _, l := range [][]string{la, lb} {
			if i < len(l) && l[i] != "+" && l[i] != "#" {
				level = l[i]
			}
		}
		ended := func(l []string) bool { return i >= len(l) || l[i] == "#" }
		if ended(la) && ended(lb) && len(name) > 0 {
			break // a # matches its parent level as well
		}
		name = append(name, level)
	}
	return strings.Join(name, "/")
}
