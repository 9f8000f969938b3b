package topic_test

import (
	"strings"
	"testing"

	"pgregory.net/rapid"

	"sluice/mqtt/topic"
)

func TestSpan(t *testing.T) {
	for _, c := range []struct{ filter, from, to string }{
		{"a/b", "a/b", "a/b\x00"},
		{"#", "", ""},
		{"+", "", ""},
		{"+/b", "", ""},
		{"/#", "", "0"},
		{"/+", "/", "0"},
		{"a/#", "a", "a0"},
		{"a/b/+/c", "a/b/", "a/b0"},
		{"$SYS/#", "$SYS", "$SYS0"},
	} {
		if from, to := topic.Span(c.filter); from != c.from || to != c.to {
			t.Errorf("%q: from %q to %q, want %q and %q", c.filter, from, to, c.from, c.to)
		}
	}
}

func TestSpanHoldsEveryMatch(t *testing.T) {
	level := rapid.SampledFrom([]string{"", "a", "ab", "b", "a-", "a.", "a0", "$x", "é"})
	rapid.Check(t, func(t *rapid.T) {
		name := rapid.SliceOfN(level, 1, 4).Draw(t, "name")
		filter := append([]string(nil), name...)
		for i := range filter {
			if rapid.Bool().Draw(t, "plus") {
				filter[i] = "+"
			}
		}
		if cut := rapid.IntRange(0, len(filter)).Draw(t, "cut"); rapid.Bool().Draw(t, "hash") {
			filter = append(filter[:cut:cut], "#")
		}
		n, f := strings.Join(name, "/"), strings.Join(filter, "/")
		if n == "" || !topic.Match(f, n) {
			return // the $ rule, or no name
		}
		if from, to := topic.Span(f); n < from || to != "" && n >= to {
			t.Errorf("%q matches %q, which is not within %q to %q", f, n, from, to)
		}
	})
}
