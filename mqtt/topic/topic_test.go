package topic_test

import (
	"errors"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"sluice/mqtt/topic"
)

var long = strings.Repeat("x", topic.MaxLength)

func TestValidateName(t *testing.T) {
	for _, c := range []struct {
		name string
		want error
	}{
		{"a", nil},
		{"/", nil},
		{"//", nil},
		{"/finance", nil},
		{"ACCOUNTS", nil},
		{"Accounts payable", nil},
		{"$SYS/monitor", nil},
		{"é/ü/\U0001F980", nil},
		{"a.b*c%d", nil},
		{long, nil},
		{strings.Repeat("/", topic.MaxLength), nil},
		{"", topic.ErrEmpty},
		{long + "x", topic.ErrTooLong},
		{"a\x00b", topic.ErrNUL},
		{"a\xffb", topic.ErrUTF8},
		{"\xed\xa0\x80", topic.ErrUTF8}, // a surrogate half
		{"a/+", topic.ErrWildcard},
		{"a/b+", topic.ErrWildcard},
		{"#", topic.ErrWildcard},
		{"a#", topic.ErrWildcard},
	} {
		if got := topic.ValidateName(c.name); !errors.Is(got, c.want) {
			t.Errorf("ValidateName(%.40q) = %v, want %v", c.name, got, c.want)
		}
	}
}

func TestValidateFilter(t *testing.T) {
	for _, c := range []struct {
		filter string
		want   error
	}{
		{"#", nil},
		{"+", nil},
		{"/", nil},
		{"/+", nil},
		{"+/+", nil},
		{"sport/tennis/player1/#", nil},
		{"+/tennis/#", nil},
		{"sport/+/player1", nil},
		{"$SYS/#", nil},
		{long, nil},
		{"$share", nil},      // an ordinary filter
		{"$shared/a/#", nil}, // as well
		{"$share/g/a", nil},
		{"$share/g/#", nil},
		{"$share/g//", nil},
		{"$share/g/+/x", nil},
		{"", topic.ErrEmpty},
		{long + "x", topic.ErrTooLong},
		{"\x00", topic.ErrNUL},
		{"a/\xc3", topic.ErrUTF8},
		{"sport/tennis#", topic.ErrHash},
		{"sport/tennis/#/ranking", topic.ErrHash},
		{"#/", topic.ErrHash},
		{"##", topic.ErrHash},
		{"sport+", topic.ErrPlus},
		{"a/+b/c", topic.ErrPlus},
		{"++", topic.ErrPlus},
		{"$share/", topic.ErrShareName},
		{"$share//a", topic.ErrShareName},
		{"$share/g+/a", topic.ErrShareName},
		{"$share/#/a", topic.ErrShareName},
		{"$share/g", topic.ErrShareRest},
		{"$share/g/", topic.ErrShareRest},
		{"$share/g/a#", topic.ErrHash},
		{"$share/g/a+", topic.ErrPlus},
	} {
		got := topic.ValidateFilter(c.filter)
		if !errors.Is(got, c.want) {
			t.Errorf("ValidateFilter(%.40q) = %v, want %v", c.filter, got, c.want)
		}
		if _, _, ok := topic.Shared(c.filter); ok != (got == nil && topic.IsShared(c.filter)) {
			t.Errorf("Shared(%.40q) ok = %v, which disagrees with ValidateFilter: %v", c.filter, ok, got)
		}
	}
}

func TestShared(t *testing.T) {
	for _, c := range []struct {
		filter, group, rest string
		ok                  bool
	}{
		{"$share/g/a/b", "g", "a/b", true},
		{"$share/g//", "g", "/", true},
		{"$share/g/#", "g", "#", true},
		{"$share/g/$SYS/x", "g", "$SYS/x", true},
		{"$share/g", "", "", false},
		{"$share/g/a#", "", "", false},
		{"$share/+/a", "", "", false},
		{"a/$share/g/b", "", "", false},
	} {
		group, rest, ok := topic.Shared(c.filter)
		if group != c.group || rest != c.rest || ok != c.ok {
			t.Errorf("Shared(%q) = %q, %q, %v; want %q, %q, %v", c.filter, group, rest, ok, c.group, c.rest, c.ok)
		}
	}
}

// The examples are those of MQTT 5, section 4.7.
func TestMatch(t *testing.T) {
	for _, c := range []struct {
		filter, name string
		want         bool
	}{
		{"sport/tennis/player1/#", "sport/tennis/player1", true},
		{"sport/tennis/player1/#", "sport/tennis/player1/ranking", true},
		{"sport/tennis/player1/#", "sport/tennis/player1/score/wimbledon", true},
		{"sport/tennis/player1/#", "sport/tennis/player2", false},
		{"sport/#", "sport", true},
		{"sport/#", "sports", false},
		{"#", "a/b/c", true},
		{"#", "/", true},
		{"sport/tennis/+", "sport/tennis/player1", true},
		{"sport/tennis/+", "sport/tennis/player1/ranking", false},
		{"sport/+", "sport", false},
		{"sport/+", "sport/", true},
		{"sport/+/#", "sport", false},
		{"sport/+/#", "sport/x", true},
		{"+/+", "/finance", true},
		{"/+", "/finance", true},
		{"+", "/finance", false},
		{"+", "finance", true},
		{"#", "$SYS/monitor/Clients", false},
		{"+/monitor/Clients", "$SYS/monitor/Clients", false},
		{"+", "$SYS", false},
		{"$SYS/#", "$SYS/monitor/Clients", true},
		{"$SYS/#", "$SYS", true},
		{"$SYS/monitor/+", "$SYS/monitor/Clients", true},
		{"a/#", "a/$b", true}, // $ counts in the first level only
		{"ACCOUNTS", "Accounts", false},
		{"a", "a/", false},
		{"a/", "a", false},
	} {
		if got := topic.Match(c.filter, c.name); got != c.want {
			t.Errorf("Match(%q, %q) = %v, want %v", c.filter, c.name, got, c.want)
		}
	}
}

// naiveMatch says the rules of MQTT 5, 4.7.1 and 4.7.2 in the plainest way, by recursion over split levels.
func naiveMatch(filter, name string) bool {
	filters, names := strings.Split(filter, "/"), strings.Split(name, "/")
	if strings.HasPrefix(name, "$") && (filters[0] == "#" || filters[0] == "+") {
		return false
	}
	var match func(f, n []string) bool
	match = func(f, n []string) bool {
		if len(f) == 1 && f[0] == "#" {
			return true
		}
		if len(f) == 0 || len(n) == 0 {
			return len(f) == len(n)
		}
		return (f[0] == "+" || f[0] == n[0]) && match(f[1:], n[1:])
	}
	return match(filters, names)
}

// Few distinct levels, so that filters and names often meet.
var (
	genLevel     = rapid.SampledFrom([]string{"", "a", "b", "c", "$s", "ä"})
	genWildLevel = rapid.SampledFrom([]string{"", "a", "b", "c", "$s", "ä", "+", "+", "+"})
)

func genName(t *rapid.T) string {
	levels := rapid.SliceOfN(genLevel, 1, 5).Draw(t, "name")
	if len(levels) == 1 && levels[0] == "" {
		return "a"
	}
	return strings.Join(levels, "/")
}

func genFilter(t *rapid.T) string {
	levels := rapid.SliceOfN(genWildLevel, 1, 5).Draw(t, "filter")
	if rapid.Bool().Draw(t, "hash") {
		levels[len(levels)-1] = "#"
	}
	if len(levels) == 1 && levels[0] == "" {
		return "+"
	}
	return strings.Join(levels, "/")
}

func TestMatchAgreesWithNaiveTwin(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		filter, name := genFilter(t), genName(t)
		if err := topic.ValidateFilter(filter); err != nil {
			t.Fatalf("generated filter %q: %v", filter, err)
		}
		if got, want := topic.Match(filter, name), naiveMatch(filter, name); got != want {
			t.Fatalf("Match(%q, %q) = %v, the naive twin says %v", filter, name, got, want)
		}
	})
}

func TestNoAllocation(t *testing.T) {
	var sink bool
	if n := testing.AllocsPerRun(100, func() {
		sink = topic.Match("plant/+/line/+/#", "plant/7/line/4/temperature") && topic.ValidateName("plant/7/line/4") == nil &&
			topic.ValidateFilter("$share/g/plant/+/#") == nil
		_, _, ok := topic.Shared("$share/g/plant/+/#")
		sink = sink && ok
	}); n != 0 || !sink {
		t.Errorf("%v allocations, all true: %v", n, sink)
	}
}

// FuzzTopic holds the functions against each other on arbitrary bytes.
func FuzzTopic(f *testing.F) {
	for _, seed := range [][2]string{{"a/+/#", "a/b"}, {"$share/g/a", "a"}, {"#", "$SYS"}, {"/", "/"}, {"a\x00", "\xff"}, {"+/+", "/"}} {
		f.Add(seed[0], seed[1])
	}
	f.Fuzz(func(t *testing.T, filter, name string) {
		filterErr, nameErr := topic.ValidateFilter(filter), topic.ValidateName(name)
		if nameErr == nil && !topic.IsShared(name) && topic.ValidateFilter(name) != nil {
			t.Errorf("name %q is no filter", name)
		}
		matched := topic.Match(filter, name) // must not fail on anything
		if filterErr != nil || nameErr != nil || topic.IsShared(filter) {
			return
		}
		if want := naiveMatch(filter, name); matched != want {
			t.Errorf("Match(%q, %q) = %v, the naive twin says %v", filter, name, matched, want)
		}
		var trie topic.Trie[int]
		trie.Add(filter, 1)
		if found := len(trie.Match(nil, name)) == 1; found != matched {
			t.Errorf("Trie with %q finds it for %q: %v; Match says %v", filter, name, found, matched)
		}
		if !trie.Remove(filter, 1) || trie.Len() != 0 {
			t.Errorf("Trie keeps %q", filter)
		}
	})
}

func BenchmarkMatch(b *testing.B) {
	b.ReportAllocs()
	for b.Loop() {
		topic.Match("plant/+/line/+/#", "plant/7/line/4/temperature")
	}
}
