package mapping_test

import (
	"strings"
	"testing"

	"pgregory.net/rapid"

	"sluice/mapping"
	"sluice/mqtt/topic"
)

func TestKeysAndPatterns(t *testing.T) {
	for _, c := range []struct{ topic, key string }{
		{"plant/7/line/4", "plant.7.line.4"},
		{"/a//b/", ".a..b."},
		{"a b/ü/\U0001F980", "a b.ü.\U0001F980"},
		{"v1.2/a*b/*/50%", "v1%2E2.a%2Ab.%2A.50%25"},
		{"100%2E", "100%252E"},
		{"$SYS/x", "$SYS.x"},
	} {
		if got := mapping.RabbitMQ.Key(c.topic); got != c.key {
			t.Errorf("Key(%q) = %q, want %q", c.topic, got, c.key)
		}
		if got := mapping.RabbitMQ.Topic(c.key); got != c.topic {
			t.Errorf("Topic(%q) = %q, want %q", c.key, got, c.topic)
		}
		if got := mapping.RabbitMQ.Pattern(c.topic); got != c.key {
			t.Errorf("Pattern(%q) = %q, want %q: a filter without wildcards is a name", c.topic, got, c.key)
		}
	}
	for _, c := range []struct{ filter, pattern string }{
		{"#", "#"},
		{"+", "*"},
		{"/", "."},
		{"+/", "*."},
		{"a/+/#", "a.*.#"},
		{"*/a.b/+", "%2A.a%2Eb.*"},
	} {
		if got := mapping.RabbitMQ.Pattern(c.filter); got != c.pattern {
			t.Errorf("Pattern(%q) = %q, want %q", c.filter, got, c.pattern)
		}
	}
}

// Keys that did not come from Key keep what is no escape of ours.
func TestForeignKeys(t *testing.T) {
	for _, c := range []struct{ key, topic string }{
		{"50%", "50%"},
		{"%2", "%2"},
		{"%2e", "%2e"},
		{"%41", "%41"},
		{"a*b.#c", "a*b/#c"},
		{"a/b", "a/b"},
		{"", ""},
		{"%%2E", "%."},
	} {
		if got := mapping.RabbitMQ.Topic(c.key); got != c.topic {
			t.Errorf("Topic(%q) = %q, want %q", c.key, got, c.topic)
		}
	}
}

func TestAddresses(t *testing.T) {
	for _, c := range []struct {
		wire string
		want mapping.Address
	}{
		{"/exchanges/amq.topic/a.b", mapping.Address{Exchange: "amq.topic", Key: "a.b"}},
		{"/exchanges/amq.topic/a%20b.%2F%25", mapping.Address{Exchange: "amq.topic", Key: "a b./%"}},
		{"/exchanges/x/", mapping.Address{Exchange: "x"}},
		{"/queues/my%2Fqueue~1", mapping.Address{Queue: "my/queue~1"}},
		{"/queues/%C3%BC", mapping.Address{Queue: "ü"}},
	} {
		got, ok := mapping.RabbitMQ.ParseAddress(c.wire)
		if !ok || got != c.want {
			t.Errorf("ParseAddress(%q) = %+v, %v; want %+v", c.wire, got, ok, c.want)
		}
		if wire := mapping.RabbitMQ.Format(c.want); wire != c.wire {
			t.Errorf("%+v.String() = %q, want %q", c.want, wire, c.wire)
		}
	}
	if a, ok := mapping.RabbitMQ.ParseAddress("/exchanges/x"); !ok || a != (mapping.Address{Exchange: "x"}) {
		t.Errorf("an exchange without a key: %+v, %v", a, ok)
	}
	for _, wire := range []string{
		"", "a/b", "/queues/", "/queues", "/queues/a/b", "/exchanges/", "/exchanges//k", "/exchanges/x/a/b", "/exchanges/x/%4",
		"/exchanges/%zz/k", "/queues/%", "/topic/a", "/queues/a%2Fb/c",
	} {
		if a, ok := mapping.RabbitMQ.ParseAddress(wire); ok {
			t.Errorf("ParseAddress(%q) = %+v, want none", wire, a)
		}
	}
}

// arbitraryName is any valid topic name, with the awkward characters common.
func arbitraryName() *rapid.Generator[string] {
	awkward := rapid.SampledFrom([]rune("ab/.*%$ 25EA3é\U0001F980"))
	char := rapid.OneOf(awkward, awkward, rapid.Rune())
	return rapid.Map(rapid.SliceOfN(char, 1, 300), func(runes []rune) string {
		name := strings.Map(func(r rune) rune {
			if r == 0 || r == '+' || r == '#' {
				return -1
			}
			return r
		}, string(runes))
		if name == "" {
			return "/"
		}
		return name
	})
}

func TestEveryTopicComesBack(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		name := arbitraryName().Draw(t, "name")
		if err := topic.ValidateName(name); err != nil {
			t.Fatalf("generated %q: %v", name, err)
		}
		key := mapping.RabbitMQ.Key(name)
		if got := mapping.RabbitMQ.Topic(key); got != name {
			t.Fatalf("%q -> %q -> %q", name, key, got)
		}
		if strings.ContainsAny(key, "*#/") || strings.Count(key, ".") != strings.Count(name, "/") {
			t.Fatalf("key %q of %q has other levels or a wildcard", key, name)
		}
		to := mapping.RabbitMQ.To(mapping.RabbitMQ.Exchange(), key)
		if a, ok := mapping.RabbitMQ.ParseAddress(to); !ok || a.Exchange != mapping.RabbitMQ.Exchange() || a.Key != key {
			t.Fatalf("address %q of key %q parses as %+v", to, key, a)
		}
	})
}

// bindingMatches is the matching rule of an AMQP 0-9-1 topic exchange: words between dots, * is one word, # any number of them.
func bindingMatches(pattern, key string) bool {
	var match func(p, k []string) bool
	match = func(p, k []string) bool {
		switch {
		case len(p) == 0:
			return len(k) == 0
		case p[0] == "#":
			return match(p[1:], k) || len(k) > 0 && match(p, k[1:])
		case len(k) == 0:
			return false
		}
		return (p[0] == "*" || p[0] == k[0]) && match(p[1:], k[1:])
	}
	return match(strings.Split(pattern, "."), strings.Split(key, "."))
}

func TestBusMatchesWhatMQTTMatches(t *testing.T) {
	level := rapid.SampledFrom([]string{"a", "b", "*", "a.b", "%2A", "", "."})
	wild := rapid.SampledFrom([]string{"a", "b", "*", "a.b", "%2A", "", ".", "+", "+", "+"})
	rapid.Check(t, func(t *rapid.T) {
		name := strings.Join(rapid.SliceOfN(level, 1, 4).Draw(t, "name"), "/")
		levels := rapid.SliceOfN(wild, 1, 4).Draw(t, "filter")
		if rapid.Bool().Draw(t, "hash") {
			levels[len(levels)-1] = "#"
		}
		filter := strings.Join(levels, "/")
		if name == "" || filter == "" {
			return // not valid in MQTT
		}
		want := topic.Match(filter, name)
		if got := bindingMatches(mapping.RabbitMQ.Pattern(filter), mapping.RabbitMQ.Key(name)); got != want {
			t.Fatalf("filter %q, name %q: MQTT %v; pattern %q, key %q: AMQP %v",
				filter, name, want, mapping.RabbitMQ.Pattern(filter), mapping.RabbitMQ.Key(name), got)
		}
	})
}

// The one place where the bus delivers more than MQTT wants: the gateway matches again.
func TestBusIgnoresDollarRule(t *testing.T) {
	if !bindingMatches(mapping.RabbitMQ.Pattern("#"), mapping.RabbitMQ.Key("$SYS/x")) || topic.Match("#", "$SYS/x") {
		t.Error("the $ rule holds on the bus, or not in MQTT")
	}
}

func FuzzAddress(f *testing.F) {
	for _, seed := range []string{"/exchanges/amq.topic/a%2Eb", "/queues/q", "/exchanges/x", "a/b", "%2E.%25"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, s string) {
		for _, d := range []mapping.Dialect{mapping.RabbitMQ, mapping.Artemis("x.y")} {
			if a, ok := d.ParseAddress(s); ok {
				if again, ok := d.ParseAddress(d.Format(a)); !ok || again != a {
					t.Errorf("%q parses as %+v, which comes back as %+v", s, a, again)
				}
			}
			if got := d.Topic(d.Key(s)); got != s {
				t.Errorf("%+v: %q comes back as %q", d, s, got)
			}
		}
		if got := mapping.RabbitMQ.Topic(mapping.RabbitMQ.Key(s)); got != s {
			t.Errorf("%q comes back as %q", s, got)
		}
	})
}
