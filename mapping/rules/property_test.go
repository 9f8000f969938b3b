package rules_test

import (
	"fmt"
	"regexp"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"sluice/mapping"
	"sluice/mapping/rules"
	"sluice/mqtt/packet"
	"sluice/mqtt/topic"
)

// level draws a level of a topic: few texts, so that rules collide and awkward ones are common.
func level() *rapid.Generator[string] {
	return rapid.SampledFrom([]string{"a", "b", "a", "b", "", "a.b", ".", "%2E", "%", "a-b", "ü x", "{", "*", "$s"})
}

func genName(t *rapid.T) string {
	levels := rapid.SliceOfN(level(), 1, 5).Draw(t, "levels")
	if name := strings.Join(levels, "/"); name != "" {
		return name
	}
	return "/"
}

func escape(s string) string { return strings.NewReplacer("{", "{{", "}", "}}").Replace(s) }

// genTopic draws a topic template, its variables, and the same as a regular expression: an independent reading of what it matches.
func genTopic(t *rapid.T) (template string, names []string, re *regexp.Regexp) {
	var parts []string
	expression := strings.Builder{}
	n := rapid.IntRange(1, 4).Draw(t, "parts")
	for i := range n {
		slash := "/"
		if i == 0 {
			slash = ""
		}
		last := i == n-1
		name := string(rune('p' + i))
		kind := rapid.IntRange(0, 9).Draw(t, "kind")
		wild := `[^/]*`
		if i == 0 {
			wild = `(?:[^$/][^/]*)?`
		}
		switch {
		case kind < 4:
			l := level().Draw(t, "level")
			parts = append(parts, escape(l))
			expression.WriteString(slash + regexp.QuoteMeta(l))
		case kind < 7:
			parts, names = append(parts, "{"+name+"}"), append(names, name)
			expression.WriteString(slash + wild)
		case kind < 8 || !last:
			parts = append(parts, "+")
			expression.WriteString(slash + wild)
		case kind < 9:
			parts, names = append(parts, "{"+name+"...}"), append(names, name)
			expression.WriteString(slash + wild + `(?:/[^/]*)*`)
		default:
			parts = append(parts, "#")
			if i == 0 {
				expression.WriteString(wild + `(?:/[^/]*)*`)
			} else {
				expression.WriteString(`(?:/[^/]*)*`)
			}
		}
	}
	template = strings.Join(parts, "/")
	if template == "" {
		template = "a"
		expression.WriteString("a")
	}
	return template, names, regexp.MustCompile(`(?s)\A` + expression.String() + `\z`)
}

func genText(t *rapid.T, names []string, label string) string {
	var b strings.Builder
	for range rapid.IntRange(0, 4).Draw(t, label) {
		if len(names) > 0 && rapid.Bool().Draw(t, "variable") {
			b.WriteString("{" + rapid.SampledFrom(names).Draw(t, "name") + "}")
		} else {
			b.WriteString(rapid.SampledFrom([]string{"a", "b", ".", "/", "-", "%", "{{", "}}"}).Draw(t, "text"))
		}
	}
	return b.String()
}

// nothing matches no text.
var nothing = regexp.MustCompile(`[^\s\S]`)

// genDown draws a rule for the way down, which takes addresses and subjects that others use as well.
func genDown(t *rapid.T) rules.Rule {
	r := rules.Rule{Direction: rules.Down, Topic: "down/{x}"}
	one := rapid.SampledFrom([]string{"{x}", "a.{x}", "{x}.b", "a{x}.{y...}", "b-{x}"})
	switch rapid.IntRange(0, 3).Draw(t, "by") {
	case 0:
		r.Queue = "q" + rapid.SampledFrom([]string{"{x}", "a/{x}", "{x}/b"}).Draw(t, "queue")
	case 1:
		r.Subject = new(rapid.SampledFrom([]string{"{x}", "a/{x}", "{x}/b/{y...}"}).Draw(t, "subject"))
	case 2:
		r.Exchange, r.Subject, r.Topic = "e", new("a"), "down"
	default:
		r.Exchange, r.Key = mapping.RabbitMQ.Exchange(), new(one.Draw(t, "key"))
	}
	return r
}

func genRule(t *rapid.T) (rules.Rule, *regexp.Regexp) {
	if rapid.IntRange(0, 5).Draw(t, "down?") == 0 {
		return genDown(t), nothing
	}
	template, names, re := genTopic(t)
	r := rules.Rule{Topic: template}
	switch rapid.IntRange(0, 4).Draw(t, "address") {
	case 0:
		r.Queue = "q" + genText(t, names, "queue")
	case 1:
		r.Exchange = "e"
	default:
		r.Key = new(genText(t, names, "key"))
	}
	if rapid.Bool().Draw(t, "subject?") {
		r.Subject = new(genText(t, names, "subject"))
	}
	if rapid.IntRange(0, 3).Draw(t, "qos?") == 0 {
		r.QoS = []int{1}
	}
	return r, re
}

// The first rule whose topic and conditions match is found, and what it sends comes back as the same topic, without any annotation, where the
// rule says that it is reversible.
func TestUpAndDownAgain(t *testing.T) {
	back, reversible := 0, 0
	rapid.Check(t, func(t *rapid.T) {
		var list []rules.Rule
		var expressions []*regexp.Regexp
		for range rapid.IntRange(1, 4).Draw(t, "rules") {
			r, re := genRule(t)
			list, expressions = append(list, r), append(expressions, re)
		}
		table, err := rules.Compile(list, mapping.RabbitMQ)
		if err != nil {
			t.Fatal(err)
		}
		for range 20 {
			name := genName(t)
			qos := packet.QoS(rapid.IntRange(0, 1).Draw(t, "message qos"))
			want := 0
			for i, re := range expressions {
				if want == 0 && re.MatchString(name) && (len(list[i].QoS) == 0 || qos == 1) {
					want = i + 1
				}
			}
			var route mapping.Route
			m, ok := table.Route(rules.Message{Topic: name, QoS: qos}, &route)
			if ok != (want > 0) || m.Number != want {
				t.Fatalf("%q: rule %d, want %d", name, m.Number, want)
			}
			if !ok {
				continue
			}
			at, valid := mapping.RabbitMQ.ParseAddress(route.To)
			if !valid {
				t.Fatalf("%q goes to %q, which is no address", name, route.To)
			}
			got, by, found := table.Resolve(at, route.Subject)
			if found && topic.ValidateName(got) != nil {
				t.Fatalf("%q is no topic name", got)
			}
			back++
			if table.OneWay(m.Number) != "" {
				continue
			}
			reversible++
			if !found || got != name || by.Number != m.Number {
				t.Fatalf("%q goes to %q with subject %q and comes back as %q by rule %d", name, route.To, route.Subject, got, by.Number)
			}
		}
	})
	if reversible == 0 || reversible < back/4 {
		t.Errorf("only %d of %d messages met a reversible rule: this test is blind", reversible, back)
	}
}

// Whatever comes by whatever address, a topic that is found is valid.
func TestWayDownGivesTopics(t *testing.T) {
	found := 0
	rapid.Check(t, func(t *rapid.T) {
		var list []rules.Rule
		for i, key := range []string{"a.{x}.b", "a-{x}.{y...}", "{x}.b"} {
			list = append(list, rules.Rule{Direction: rules.Down, Exchange: "e", Key: &key, Topic: fmt.Sprint(i, "{x}")})
		}
		table, err := rules.Compile(list, mapping.RabbitMQ)
		if err != nil {
			t.Fatal(err)
		}
		for range 20 {
			x := strings.Join(rapid.SliceOfN(rapid.SampledFrom([]string{".", "a", "b", "/", "+", "#", "%2E", "%23", "\x00", "-", "%"}), 0, 3).Draw(t, "x"), "")
			key := rapid.SampledFrom([]string{"a.", "a-", ""}).Draw(t, "before") + x + rapid.SampledFrom([]string{".b", ".c.d", ""}).Draw(t, "behind")
			if name, ok := table.Topic(mapping.Address{Exchange: "e", Key: key}, ""); ok {
				found++
				if err := topic.ValidateName(name); err != nil {
					t.Fatalf("key %q gives topic %q: %v", key, name, err)
				}
			}
		}
	})
	if found == 0 {
		t.Error("nothing was found: this test is blind")
	}
}

// FuzzTemplate: no text breaks the parsers, and a rule that compiles keeps its word.
func FuzzTemplate(f *testing.F) {
	f.Add("plant/{site}/line/{line}/{rest...}", "{site}.{rest}", "{line}", "plant/a/line/b/c")
	f.Add("{{a}}/+/#", "k", "", "{a}/b")
	f.Add("{a}/{b}", "{a}-{b}", "{b}/{a}", "x/y")
	f.Fuzz(func(t *testing.T, template, key, subject, name string) {
		table, err := rules.Compile([]rules.Rule{{Topic: template, Key: &key, Subject: &subject}}, mapping.RabbitMQ)
		if err != nil {
			if err.Error() == "" {
				t.Error("an error without words")
			}
			return
		}
		if topic.ValidateName(name) != nil {
			return
		}
		var route mapping.Route
		m, ok := table.Route(rules.Message{Topic: name}, &route)
		if !ok {
			return
		}
		at, valid := mapping.RabbitMQ.ParseAddress(route.To)
		if !valid {
			t.Fatalf("%q is no address", route.To)
		}
		if got, found := table.Topic(at, route.Subject); table.OneWay(m.Number) == "" && (!found || got != name) {
			t.Errorf("%q goes to %q with subject %q and comes back as %q", name, route.To, route.Subject, got)
		}
		_, _ = rules.Compile([]rules.Rule{{Direction: rules.Down, Exchange: "e", Key: &key, Subject: &subject, Topic: template}}, mapping.RabbitMQ)
	})
}
