package rules_test

import (
	"fmt"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"sluice/mapping"
	"sluice/mapping/rules"
	"sluice/mqtt/packet"
	"sluice/mqtt/topic"
)

// A filter is bound to what it can mean on each exchange, and to no more where the key has all levels.
func TestBindings(t *testing.T) {
	table := compile(t,
		rules.Rule{Topic: "plant/{site}/line/{line}/{kind}", Exchange: "plant", Key: new("{site}.{line}.{kind}")},
		rules.Rule{Topic: "alarm/{site}/#", Exchange: "alarms"},
		rules.Rule{Topic: "meter/{id}/{what}", Exchange: "meters", Key: new("{id}")},
		rules.Rule{Topic: "deep/{rest...}", Exchange: "deep", Key: new("all.{rest}")},
		rules.Rule{Topic: "renamed/{x}", Key: new("other.{x}")},
		rules.Rule{Topic: "queue/{x}", Queue: "q.{x}"},
		rules.Rule{Topic: "up/{x}", Exchange: "up", Direction: rules.Up},
		rules.Rule{Topic: "$own/{x}", Exchange: "own", Key: new("{x}.x")},
		rules.Rule{Topic: "site/{x}/{y}", Exchange: "pairs", Key: new("{x}-{y}"), Subject: new("{x}/{y}")},
		rules.Rule{Direction: rules.Down, Exchange: "legacy", Key: new("dev-{device}.{command}"), Topic: "commands/{device}/{command}"},
		rules.Rule{Direction: rules.Down, Exchange: "named", Subject: new("to/{device}"), Topic: "named/n-{device}"},
		rules.Rule{Direction: rules.Down, Exchange: "tree", Key: new("{first}.{more...}"), Topic: "tree/{more}/of/{first}"},
	)
	for filter, want := range map[string][]string{
		"none/#":                 {"amq.topic none.#"},
		"plant/hall/line/7/temp": {"amq.topic plant.hall.line.7.temp", "plant hall.7.temp"},
		"plant/+/line/7/+":       {"amq.topic plant.*.line.7.*", "plant *.7.*"},
		"plant/a.b/#":            {"amq.topic plant.a%2Eb.#", "plant a%2Eb.*.*"},
		"plant/a/b/#":            {"amq.topic plant.a.b.#"},
		"plant/a/line/1":         {"amq.topic plant.a.line.1"},
		"plant/a/line/1/t/#":     {"amq.topic plant.a.line.1.t.#", "plant a.1.t"},
		"alarm/+/fire":           {"amq.topic alarm.*.fire", "alarms alarm.*.fire"},
		"alarm/#":                {"amq.topic alarm.#", "alarms alarm.*.#"},
		"alarm/x":                {"amq.topic alarm.x", "alarms alarm.x"},
		"meter/7/volts":          {"amq.topic meter.7.volts", "meters 7"},
		"meter/+/volts":          {"amq.topic meter.*.volts", "meters *", "meters "},
		"deep/a/+/c":             {"amq.topic deep.a.*.c", "deep all.a.*.c"},
		"deep/a/#":               {"amq.topic deep.a.#", "deep all.a.#"},
		"deep/#":                 {"amq.topic deep.#", "deep all.*.#"},
		"renamed/7":              {"amq.topic renamed.7", "amq.topic other.7"},
		"queue/7":                {"amq.topic queue.7"},
		"up/7":                   {"amq.topic up.7"},
		"$own/7":                 {"amq.topic $own.7", "own 7.x"},
		"site/a/b":               {"amq.topic site.a.b", "pairs *", "pairs "},
		"commands/7/+":           {"amq.topic commands.7.*", "legacy dev-7.*"},
		"commands/+/on":          {"amq.topic commands.*.on", "legacy *.on"},
		"commands/#":             {"amq.topic commands.#", "legacy *.*"},
		"named/n-7":              {"amq.topic named.n-7", "named #"},
		"named/x-7":              {"amq.topic named.x-7"},
		"tree/a/b/of/c":          {"amq.topic tree.a.b.of.c", "tree *.*.#"},
		"#":                      {"amq.topic #", "plant *.*.*", "alarms alarm.*.#", "meters *", "meters ", "deep all.*.#", "pairs *", "pairs ", "legacy *.*", "named #", "tree *.*.#"},
		"+/hall":                 {"amq.topic *.hall", "alarms alarm.hall", "deep all.hall", "amq.topic other.hall", "tree *.*.#"},
	} {
		var got []string
		for _, b := range table.Bindings(mapping.RabbitMQ, filter) {
			got = append(got, b.Exchange+" "+b.Pattern)
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("%s (-want +got):\n%s", filter, diff)
		}
	}
}

// A filter that meets many rules of one exchange is bound to all of it.
func TestBindingsAreBounded(t *testing.T) {
	var list []rules.Rule
	for i := range 300 {
		list = append(list, rules.Rule{Topic: fmt.Sprintf("t%d/{x}", i), Exchange: "e", Key: new(fmt.Sprintf("k%d.{x}", i))},
			rules.Rule{Topic: fmt.Sprintf("u%d/{x}", i), Key: new(fmt.Sprintf("k%d.{x}", i))})
	}
	want := []rules.Binding{{Exchange: "amq.topic", Pattern: "#"}, {Exchange: "e", Pattern: "#", Rule: rules.Match{Number: 1, Elsewhere: true}}}
	if diff := cmp.Diff(want, compile(t, list...).Bindings(mapping.RabbitMQ, "#")); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

// Without rules there is the one binding that there always was, on every kind of bus.
func TestBindingsWithoutRules(t *testing.T) {
	var none *rules.Table
	for _, c := range []struct {
		dialect mapping.Dialect
		want    rules.Binding
	}{
		{mapping.RabbitMQ, rules.Binding{Exchange: "amq.topic", Pattern: "a.*"}},
		{mapping.Artemis("mqtt"), rules.Binding{Exchange: "mqtt", Pattern: "a.*"}},
	} {
		if diff := cmp.Diff([]rules.Binding{c.want}, none.Bindings(c.dialect, "a/+")); diff != "" {
			t.Errorf("(-want +got):\n%s", diff)
		}
	}
}

// Matches is RabbitMQ's and the embedded bus's way of matching keys; gateway/e2e compares bindings with what both do.
func TestBindingMatches(t *testing.T) {
	for _, c := range []struct {
		pattern, key string
		want         bool
	}{
		{"#", "", true}, {"#", "a.b", true}, {"a.#", "a", true}, {"a.#", "a.b.c", true}, {"a.#.c", "a.c", true}, {"a.#.c", "a.b.b.c", true},
		{"a.#.c", "a.b", false}, {"*", "", false}, {"*", "a", true}, {"*.*", "a.", true}, {"", "", true}, {"", "a", false}, {"a.*", "a", false}, {"a", "a.b", false},
	} {
		b := rules.Binding{Exchange: "e", Pattern: c.pattern}
		if got := b.Matches(mapping.Address{Exchange: "e", Key: c.key}); got != c.want {
			t.Errorf("%q on %q: %t", c.pattern, c.key, got)
		}
	}
	b := rules.Binding{Exchange: "e", Pattern: "#"}
	if b.Matches(mapping.Address{Exchange: "f"}) || b.Matches(mapping.Address{Queue: "e"}) {
		t.Error("another exchange, or a queue")
	}
}

// genFilter draws a filter that often matches a topic.
func genFilter(t *rapid.T, name string) string {
	levels := strings.Split(name, "/")
	for i := range levels {
		switch rapid.IntRange(0, 9).Draw(t, "filter level") {
		case 0, 1, 2, 3:
			levels[i] = "+"
		case 4:
			return strings.Join(append(levels[:i:i], "#"), "/")
		case 5:
			levels[i] = level().Draw(t, "other level")
		}
	}
	if f := strings.Join(levels, "/"); topic.ValidateFilter(f) == nil {
		return f
	}
	return "#"
}

// Whatever a rule that works both ways, or down, gives a topic: a subscription with a filter that matches this topic is bound to where it came.
func TestSubscriptionsReachWhatRulesSend(t *testing.T) {
	heard, byRule := 0, 0
	rapid.Check(t, func(t *rapid.T) {
		var list []rules.Rule
		for range rapid.IntRange(1, 4).Draw(t, "rules") {
			r, _ := genRule(t)
			list = append(list, r)
		}
		table, err := rules.Compile(list, mapping.RabbitMQ)
		if err != nil {
			t.Fatal(err)
		}
		for range 20 {
			name := genName(t)
			at, subject := sentOrDrawn(t, table, name)
			if at.Queue != "" {
				continue
			}
			came, _, found := table.Resolve(at, subject)
			if !found {
				continue
			}
			filter := genFilter(t, came)
			if !topic.Match(filter, came) {
				continue
			}
			heard++
			bindings := table.Bindings(mapping.RabbitMQ, filter)
			if !reached(bindings, at) && !namesNoExchange(table, at, subject, list) {
				t.Fatalf("%q came by %v and is %q; %q is bound to %v", name, at, came, filter, bindings)
			}
			if !reached(bindings[:1], at) {
				byRule++
			}
		}
	})
	if heard == 0 || byRule == 0 {
		t.Errorf("%d messages were for a subscription, %d of them by a rule's binding: this test is blind", heard, byRule)
	}
}

// sentOrDrawn is where a topic goes, or any place that rules may know.
func sentOrDrawn(t *rapid.T, table *rules.Table, name string) (mapping.Address, string) {
	var route mapping.Route
	if _, ok := table.Route(rules.Message{Topic: name, QoS: packet.QoS(rapid.IntRange(0, 1).Draw(t, "message qos"))}, &route); ok {
		at, _ := mapping.RabbitMQ.ParseAddress(route.To)
		return at, route.Subject
	}
	exchange := rapid.SampledFrom([]string{"e", mapping.RabbitMQ.Exchange()}).Draw(t, "exchange")
	return mapping.Address{Exchange: exchange, Key: mapping.RabbitMQ.Key(name)}, name
}

func reached(bindings []rules.Binding, at mapping.Address) bool {
	for _, b := range bindings {
		if b.Matches(at) {
			return true
		}
	}
	return false
}

// namesNoExchange reports whether the rule that gave the topic is one for the way down that knows no exchange.
func namesNoExchange(table *rules.Table, at mapping.Address, subject string, list []rules.Rule) bool {
	_, m, _ := table.Resolve(at, subject)
	r := list[m.Number-1]
	return r.Direction == rules.Down && r.Exchange == ""
}

// What no subscription gets is told, with the reason.
func TestUnheard(t *testing.T) {
	table := compile(t,
		rules.Rule{Topic: "q/{x}", Queue: "q.{x}"},
		rules.Rule{Topic: "up/{x}", Exchange: "e", Direction: rules.Up},
		rules.Rule{Topic: "same/#", ContentType: "text/csv", Direction: rules.Up},
		rules.Rule{Topic: "lost/{x}/+", Exchange: "e", Key: new("{x}"), Subject: new("{x}")},
		rules.Rule{Topic: "both/{x}", Exchange: "e"},
		rules.Rule{Direction: rules.Down, Subject: new("s/{x}"), Topic: "down/{x}"},
		rules.Rule{Direction: rules.Down, Exchange: "e", Key: new("{x}"), Topic: "well/{x}"},
	)
	for filter, want := range map[string]string{
		"none/#": "", "same/x": "", "both/#": "", "well/+": "",
		"q/7":       "1 it sends to a queue",
		"up/#":      "2 it works one way only, from devices to the bus: direction is up",
		"lost/+/+":  "4 it works one way only, from devices to the bus: the levels",
		"down/+":    "6 it names no exchange",
		"down/7/no": "",
	} {
		list := table.Unheard(filter)
		got := ""
		if len(list) > 0 {
			got = list[0].Rule.String() + " " + list[0].Why
		}
		if len(list) > 1 || (want == "") != (got == "") || !strings.HasPrefix(got, want) {
			t.Errorf("%s: %v, want %q", filter, list, want)
		}
	}
	if n := len(table.Unheard("#")); n != 4 {
		t.Errorf("#: %d rules, want 4", n)
	}
}

// Targets are what has to be there on the bus.
func TestTargets(t *testing.T) {
	table := compile(t,
		rules.Rule{Name: "first", Topic: "a", Exchange: "e"},
		rules.Rule{Topic: "b/{x}", Exchange: "e", Key: new("k.{x}")},
		rules.Rule{Topic: "c", Queue: "q"},
		rules.Rule{Topic: "d/{x}", Queue: "q.{x}"},
		rules.Rule{Topic: "e", Key: new("other")},
		rules.Rule{Direction: rules.Down, Exchange: "f", Topic: "f"},
		rules.Rule{Direction: rules.Down, Queue: "only.read", Topic: "g"},
	)
	var got []string
	for _, target := range table.Targets() {
		got = append(got, target.String())
	}
	want := []string{`the exchange "e" of rule 1 (first), 2`, `the queue "q" of rule 3`, `the exchange "f" of rule 6`}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	if (*rules.Table)(nil).Targets() != nil {
		t.Error("no rules name no targets")
	}
}
