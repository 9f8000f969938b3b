package rules_test

import (
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"sluice/mapping"
	"sluice/mapping/rules"
	"sluice/mqtt/packet"
)

func compile(t *testing.T, list ...rules.Rule) *rules.Table {
	t.Helper()
	table, err := rules.Compile(list, mapping.RabbitMQ)
	if err != nil {
		t.Fatal(err)
	}
	return table
}

func address(t testing.TB, to string) mapping.Address {
	t.Helper()
	a, ok := mapping.RabbitMQ.ParseAddress(to)
	if !ok {
		t.Fatalf("%q is no address", to)
	}
	return a
}

func TestRoute(t *testing.T) {
	table := compile(t,
		rules.Rule{Name: "telemetry", Topic: "plant/{site}/line/{line}/{kind}", QoS: []int{1, 2}, Exchange: "telemetry", Key: new("{site}.{line}.{kind}"),
			Subject: new("{kind} of {site}"), ContentType: "application/json", ContentEncoding: "gzip", TTL: time.Minute, TTLMax: time.Hour, Priority: new(7),
			GroupID: "{site}-{line}", PartitionKey: "{line}", Properties: map[string]string{"site": "{site}", "unit": "°C", "both": "{site}/{line}"}, RequireRoute: true},
		rules.Rule{Name: "acme", Topic: "plant/#", Tenants: []string{"acme"}, Principals: []string{"meter-*", "boss"}, Queue: "q.acme"},
		rules.Rule{Name: "logs", Topic: "logs/{level}/{path...}", Queue: "logs.{level}", Subject: new("{path}")},
		rules.Rule{Name: "any", Topic: "plant/+/line/#"},
		rules.Rule{Name: "status", Topic: "$status/{x}", Exchange: "st a", Key: new("")},
		rules.Rule{Name: "braces", Topic: "{{a}}/{x}", Key: new("}}{x}.{{")},
		rules.Rule{Name: "rest", Topic: "{all...}", Principals: []string{"*"}, Exchange: "rest", Key: new("r.{all}")},
	)
	for _, c := range []struct {
		name string
		in   rules.Message
		want string // rule
		out  mapping.Route
	}{
		{"all results", rules.Message{Topic: "plant/h.1/line/7/temp", QoS: 1}, "telemetry", mapping.Route{
			To: "/exchanges/telemetry/h%252E1.7.temp", Subject: "temp of h.1", ContentType: "application/json", ContentEncoding: "gzip",
			TTL: time.Minute, TTLMax: time.Hour, Priority: 7, GroupID: "h.1-7", PartitionKey: "7",
			Properties: []mapping.Property{{Name: "both", Value: "h.1/7"}, {Name: "site", Value: "h.1"}, {Name: "unit", Value: "°C"}}}},
		{"another QoS, and the next that matches", rules.Message{Topic: "plant/h/line/7/temp"}, "any", mapping.Route{To: "/exchanges/amq.topic/plant.h.line.7.temp", Subject: "plant/h/line/7/temp", Priority: 4}},
		{"tenant and principal", rules.Message{Topic: "plant", Tenant: "acme", Principal: "meter-1"}, "acme", mapping.Route{To: "/queues/q.acme", Subject: "plant", Priority: 4}},
		{"another principal", rules.Message{Topic: "plant", Tenant: "acme", Principal: "thermo"}, "rest", mapping.Route{To: "/exchanges/rest/r.plant", Subject: "plant", Priority: 4}},
		{"exact principal", rules.Message{Topic: "plant/x", Tenant: "acme", Principal: "boss"}, "acme", mapping.Route{To: "/queues/q.acme", Subject: "plant/x", Priority: 4}},
		{"a rest", rules.Message{Topic: "logs/warn/a/b c"}, "logs", mapping.Route{To: "/queues/logs.warn", Subject: "a/b c", Priority: 4}},
		{"a rest is one level at least", rules.Message{Topic: "logs/warn"}, "rest", mapping.Route{To: "/exchanges/rest/r.logs.warn", Subject: "logs/warn", Priority: 4}},
		{"a rest that is one empty level", rules.Message{Topic: "logs/warn/"}, "logs", mapping.Route{To: "/queues/logs.warn", Priority: 4}},
		{"# is no level, too", rules.Message{Topic: "plant//line"}, "any", mapping.Route{To: "/exchanges/amq.topic/plant..line", Subject: "plant//line", Priority: 4}},
		{"$ by its name", rules.Message{Topic: "$status/1"}, "status", mapping.Route{To: "/exchanges/st%20a/", Subject: "$status/1", Priority: 4}},
		{"$ by no wildcard", rules.Message{Topic: "$other/1"}, "", mapping.Route{}},
		{"braces", rules.Message{Topic: "{a}/x"}, "braces", mapping.Route{To: "/exchanges/amq.topic/%7Dx.%7B", Subject: "{a}/x", Priority: 4}},
	} {
		t.Run(c.name, func(t *testing.T) {
			var out mapping.Route
			m, ok := table.Route(c.in, &out)
			if ok != (c.want != "") || m.Name != c.want {
				t.Fatalf("rule %+v, %v; want %q", m, ok, c.want)
			}
			if len(out.Properties) == 0 {
				out.Properties = nil
			}
			if diff := cmp.Diff(c.out, out); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
			if wantQueue := strings.HasPrefix(out.To, "/queues/"); m.Outcome.TargetsQueue != wantQueue || m.Outcome.RequireRoute != (c.want == "telemetry") {
				t.Errorf("outcomes %+v", m.Outcome)
			}
			if ok && !table.Sends(c.in.Topic, c.in.QoS, mapping.Publisher{Tenant: c.in.Tenant, Principal: c.in.Principal}, address(t, out.To)) {
				t.Errorf("it does not know what it sends to %s", out.To)
			}
		})
	}
	if table.Sends("plant/h/line/7/temp", 1, mapping.Publisher{}, mapping.Address{Exchange: "telemetry", Key: "h.7.hum"}) {
		t.Error("it takes another address for its own")
	}
}

func TestNoRules(t *testing.T) {
	for _, table := range []*rules.Table{nil, compile(t)} {
		if _, ok := table.Route(rules.Message{Topic: "a"}, &mapping.Route{}); ok || table.Len() != 0 || table.Warnings() != nil {
			t.Error("there is a rule")
		}
		if _, ok := table.Topic(mapping.Address{Exchange: "amq.topic", Key: "a"}, "a"); ok || table.Sends("a", 0, mapping.Publisher{}, mapping.Address{}) {
			t.Error("there is a way down")
		}
	}
}

func TestWayDown(t *testing.T) {
	table := compile(t,
		rules.Rule{Name: "telemetry", Topic: "plant/{site}/line/{line}/{kind}", Exchange: "telemetry", Key: new("{site}.{line}.{kind}")},
		rules.Rule{Name: "commands", Direction: rules.Down, Exchange: "commands", Key: new("dev-{device}.{what...}"), Topic: "c/{device}/{what}"},
		rules.Rule{Name: "by subject", Direction: rules.Down, Exchange: "commands", Subject: new("to/{device}"), Topic: "c/{device}/any"},
		rules.Rule{Name: "queue", Direction: rules.Down, Queue: "in.{tenant}", Subject: new("{a}/{b}"), Topic: "q/{tenant}/{b}/{a}"},
		rules.Rule{Name: "anywhere", Direction: rules.Down, Subject: new("urn:x/{rest...}"), Topic: "x/{rest...}"},
		rules.Rule{Name: "state", Topic: "state/{id}/#", Queue: "state"},
		rules.Rule{Name: "in words", Topic: "w/{a}/{b}", Exchange: "w", Key: new("{a}"), Subject: new("b={b}")},
		rules.Rule{Name: "same", Topic: "same/+/x", Exchange: "same"},
		rules.Rule{Name: "pair", Topic: "pair/{a}/{b}", Exchange: "pair", Key: new("{a}-{b}")},
	)
	if w := table.Warnings(); len(w) != 0 {
		t.Errorf("warnings: %v", w)
	}
	at := func(exchange, key string) mapping.Address { return mapping.Address{Exchange: exchange, Key: key} }
	for _, c := range []struct {
		name, want string
		at         mapping.Address
		subject    string
	}{
		{"telemetry", "plant/a.b/line/7/temp", at("telemetry", "a%2Eb.7.temp"), "whatever"},
		{"an escape that we do not make", "", at("telemetry", "a%2eb.7.temp"), ""},
		{"a word too few", "", at("telemetry", "a.b"), ""},
		{"a word too many", "", at("telemetry", "a.b.c.d"), ""},
		{"another exchange", "", at("t", "a.b.c"), ""},
		{"part of a word, and a rest", "c/7/on/now", at("commands", "dev-7.on.now"), ""},
		{"a wildcard of topics", "", at("commands", "dev-7.+"), ""},
		{"a slash in a key", "", at("commands", "dev-7/x.on"), ""},
		{"subject", "c/8/any", at("commands", "x"), "to/8"},
		{"queue", "q/acme/2/1", mapping.Address{Queue: "in.acme"}, "1/2"},
		{"queue, and no such subject", "", mapping.Address{Queue: "in.acme"}, "1"},
		{"subject at any address", "x/1/2", mapping.Address{}, "urn:x/1/2"},
		{"subject at any queue", "x/1/", mapping.Address{Queue: "q"}, "urn:x/1/"},
		{"subject that is the topic", "state/7/a/b", mapping.Address{Queue: "state"}, "state/7/a/b"},
		{"subject that is no topic of the rule", "", mapping.Address{Queue: "state"}, "status/7/a/b"},
		{"key and subject", "w/1/2", at("w", "1"), "b=2"},
		{"the key of the topic", "same/1/x", at("same", "same.1.x"), ""},
		{"a key that cannot be taken apart, and the subject", "pair/1/2", at("pair", "1-2"), "pair/1/2"},
		{"a key that is not the subject's", "", at("pair", "1-3"), "pair/1/2"},
		{"the key of no topic of the rule", "", at("same", "same.1.y"), ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			if got, ok := table.Topic(c.at, c.subject); got != c.want || ok != (c.want != "") {
				t.Errorf("got %q, %v; want %q", got, ok, c.want)
			}
		})
	}
}

// Rules that do not come back, and rules that nothing reaches, are told of.
func TestWarnings(t *testing.T) {
	first := rules.Rule{Topic: "a/{x}", Exchange: "e", Key: new("k.{x}")}
	for _, c := range []struct {
		name string
		list []rules.Rule
		want string // empty: none
	}{
		{"a level is lost", []rules.Rule{{Topic: "a/{x}/{y}", Key: new("{x}"), Subject: new("")}}, "{y} is in neither address nor subject"},
		{"nothing parts two levels", []rules.Rule{{Topic: "a/{x}/{y}", Key: new("{x}-{y}"), Subject: new("s")}}, "no . parts {y} from what is before it"},
		{"nothing parts two levels, but the subject is the topic", []rules.Rule{{Topic: "a/{x}/{y}", Key: new("{x}-{y}")}}, ""},
		{"nothing parts two levels, but the subject does", []rules.Rule{{Topic: "a/{x}/{y}", Key: new("{x}-{y}"), Subject: new("{y}/{x}")}}, ""},
		{"a rest in the middle", []rules.Rule{{Topic: "a/{x}/{r...}", Key: new("{r}.{x}"), Subject: new("")}}, "{r} may have any number of levels"},
		{"a rest behind a level", []rules.Rule{{Topic: "a/{x}/{r...}", Key: new("{x}{r}"), Subject: new("{r}")}}, "{x} cannot be read from address and subject: {r} may have"},
		{"levels without names", []rules.Rule{{Topic: "a/+", Key: new("k"), Subject: new("s")}}, "the levels that + and # stand for"},
		{"levels without names in a subject that is the topic", []rules.Rule{{Topic: "a/+", Key: new("k")}}, ""},
		{"up is said", []rules.Rule{{Topic: "a/+", Key: new("k"), Subject: new("s"), Direction: rules.Up}}, ""},
		{"the same addresses", []rules.Rule{first, {Topic: "b/{x}", Exchange: "e", Key: new("l.{x}")}, {Topic: "c/{x}", Exchange: "e", Key: new("k.{x}")}}, "rule 3: it works one way only, from devices to the bus: rule 1 owns addresses"},
		{"the same queue, told apart by subject", []rules.Rule{{Topic: "a/{x}", Queue: "q"}, {Topic: "b/{x}", Queue: "q"}}, ""},
		{"an address that a rule for the way down has", []rules.Rule{{Topic: "z/{x}", Exchange: "e", Key: new("k.{x}"), Direction: rules.Down}, first}, "rule 2: it works one way only"},
		{"shadowed", []rules.Rule{{Topic: "a/#"}, {Topic: "a/b", Key: new("ab")}}, "rule 2: topic \"a/b\": no message reaches this rule: rule 1"},
		{"not shadowed, as the first asks for more", []rules.Rule{{Topic: "a/#", QoS: []int{1}, Exchange: "x"}, {Topic: "a/b"}}, ""},
		{"not shadowed, as wildcards do not match $", []rules.Rule{{Topic: "#", Exchange: "x"}, {Topic: "$a/b"}}, ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			var text []string
			for _, w := range compile(t, c.list...).Warnings() {
				text = append(text, w.Error())
			}
			got := strings.Join(text, "\n")
			if (got != "") != (c.want != "") || !strings.Contains(got, c.want) {
				t.Errorf("got %q, want %q", got, c.want)
			}
		})
	}
}

// Each fault names the rule, the key, the value and the mend.
func TestFaults(t *testing.T) {
	long := strings.Repeat("x", 300)
	for _, c := range []struct {
		name string
		rule rules.Rule
		want []string
	}{
		{"no topic", rules.Rule{Name: "n"}, []string{"rule 1 (n): topic:", "missing", "plant/{site}/#"}},
		{"not closed", rules.Rule{Topic: "ä/{site/x"}, []string{"rule 1: topic \"ä/{site/x\", at character 3:", "not closed", "{name}"}},
		{"closes nothing", rules.Rule{Topic: "a}/b"}, []string{"at character 2", "}}"}},
		{"no name", rules.Rule{Topic: "a/{}"}, []string{"at character 3", "no name"}},
		{"bad name", rules.Rule{Topic: "a/{1x}"}, []string{"{1x}", "begin it with a letter"}},
		{"long name", rules.Rule{Topic: "{" + long + "}"}, []string{"64 bytes"}},
		{"part of a level", rules.Rule{Topic: "a/dev-{id}"}, []string{"at character 7", "a whole level"}},
		{"text behind", rules.Rule{Topic: "a/{id}x"}, []string{"a whole level"}},
		{"twice", rules.Rule{Topic: "{a}/{a}"}, []string{"at character 5", "{a} occurs twice"}},
		{"rest in the middle", rules.Rule{Topic: "{a...}/b"}, []string{"not at the end"}},
		{"# in the middle", rules.Rule{Topic: "a/#/b"}, []string{"at character 3", "# is not at the end"}},
		{"wildcard in a level", rules.Rule{Topic: "a/b+"}, []string{"stand alone"}},
		{"many variables", rules.Rule{Topic: "{a}/{b}/{c}/{d}/{e}/{f}/{g}/{h}/{i}/{j}/{k}/{l}/{m}/{n}/{o}/{p}/{q}"}, []string{"more than 16"}},
		{"many levels", rules.Rule{Topic: strings.Repeat("/", 64)}, []string{"more than 64 levels"}},
		{"long", rules.Rule{Topic: strings.Repeat("x", 5000)}, []string{"4096"}},
		{"no UTF-8", rules.Rule{Topic: "a\xff"}, []string{"UTF-8"}},
		{"null character", rules.Rule{Topic: "a\x00"}, []string{"U+0000"}},
		{"unknown variable", rules.Rule{Topic: "a/{x}", Key: new("k.{y}")}, []string{"key \"k.{y}\", at character 3", "{y} names nothing", "use {x}"}},
		{"unknown variable, and there is none", rules.Rule{Topic: "a", Subject: new("{y}")}, []string{"subject", "there are none"}},
		{"two addresses", rules.Rule{Topic: "a", Exchange: "e", Queue: "q", Key: new("k")}, []string{"leave out queue or exchange", "leave out queue or key"}},
		{"variable in an exchange", rules.Rule{Topic: "{a}", Exchange: "e-{a}"}, []string{"exchange \"e-{a}\", at character 3", "key"}},
		{"queue without a name", rules.Rule{Topic: "{a}", Queue: "{a}"}, []string{"queue \"{a}\"", "q.{a}"}},
		{"long queue", rules.Rule{Topic: "{a}", Queue: long}, []string{"255 bytes"}},
		{"QoS", rules.Rule{Topic: "a", QoS: []int{1, 3}}, []string{"qos \"3\"", "0, 1, 2"}},
		{"principal", rules.Rule{Topic: "a", Principals: []string{"a*b"}}, []string{"principal \"a*b\"", "one * at the end"}},
		{"tenant", rules.Rule{Topic: "a", Tenants: []string{""}}, []string{"tenant"}},
		{"content type", rules.Rule{Topic: "a", ContentType: "Größe"}, []string{"content_type \"Größe\", at character 3", "ASCII"}},
		{"ttl", rules.Rule{Topic: "a", TTL: time.Microsecond}, []string{"ttl \"1µs\"", "30s"}},
		{"ttl beyond its bound", rules.Rule{Topic: "a", TTL: time.Hour, TTLMax: time.Minute}, []string{"ttl \"1h0m0s\"", "1m0s"}},
		{"priority", rules.Rule{Topic: "a", Priority: new(256)}, []string{"priority \"256\"", "0 to 255"}},
		{"reserved property", rules.Rule{Topic: "a", Properties: map[string]string{"sluice-x": "1"}}, []string{"properties.sluice-x", "reserved"}},
		{"property without name", rules.Rule{Topic: "a", Properties: map[string]string{"": "1"}}, []string{"properties", "no name"}},
		{"property of an unknown variable", rules.Rule{Topic: "a", Properties: map[string]string{"p": "{q}"}}, []string{"properties.p \"{q}\"", "names nothing"}},
		{"require_route", rules.Rule{Topic: "a", Queue: "q", RequireRoute: true}, []string{"require_route", "leave it out"}},
		{"on_error", rules.Rule{Topic: "a", OnError: "ignore"}, []string{"on_error \"ignore\"", "close, report, quarantine"}},
		{"direction", rules.Rule{Topic: "a", Direction: "sideways"}, []string{"direction \"sideways\"", "up, down, both"}},
		{"name", rules.Rule{Name: "a\nb", Topic: "a"}, []string{"name", "control characters"}},
		{"both ways, and it is not", rules.Rule{Topic: "a/{x}", Key: new("k"), Subject: new("s"), Direction: rules.Both}, []string{"direction \"both\"", "{x} is in neither"}},
		{"down without condition", rules.Rule{Topic: "a", Direction: rules.Down}, []string{"neither exchange nor queue nor subject"}},
		{"down with a key alone", rules.Rule{Topic: "a", Key: new("k"), Subject: new("s"), Direction: rules.Down}, []string{"key \"k\"", "amq.topic"}},
		{"down with two addresses", rules.Rule{Topic: "a", Exchange: "e", Queue: "q", Direction: rules.Down}, []string{"leave out queue or exchange"}},
		{"down, unclear", rules.Rule{Topic: "{a}/{b}", Exchange: "e", Key: new("{a}-{b}"), Direction: rules.Down}, []string{"key \"{a}-{b}\"", "cannot be taken apart", "put . between"}},
		{"down, twice", rules.Rule{Topic: "{a}", Exchange: "e", Key: new("{a}"), Subject: new("{a}"), Direction: rules.Down}, []string{"subject \"{a}\"", "occurs twice"}},
		{"down, unknown variable", rules.Rule{Topic: "{b}", Exchange: "e", Key: new("{a}"), Direction: rules.Down}, []string{"topic \"{b}\"", "use {a}"}},
		{"down, a wildcard", rules.Rule{Topic: "x/#", Exchange: "e", Direction: rules.Down}, []string{"topic \"x/#\"", "result"}},
		{"down, no topic", rules.Rule{Exchange: "e", Direction: rules.Down}, []string{"topic", "commands/{device}"}},
		{"down with a result", rules.Rule{Topic: "x", Exchange: "e", GroupID: "g", QoS: []int{1}, Direction: rules.Down}, []string{"group_id", "qos", "leave it out"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			table, err := rules.Compile([]rules.Rule{c.rule}, mapping.RabbitMQ)
			var faults rules.Faults
			if !errors.As(err, &faults) || table != nil {
				t.Fatalf("table %v, error %v", table, err)
			}
			for _, f := range faults {
				if f.Rule != 1 || f.Mend == "" || f.Problem == "" {
					t.Errorf("%+v", f)
				}
			}
			for _, w := range c.want {
				if !strings.Contains(err.Error(), w) {
					t.Errorf("%q does not say %q", err, w)
				}
			}
		})
	}
	if _, err := rules.Compile([]rules.Rule{{Topic: "a"}, {}, {Topic: "{"}}, mapping.RabbitMQ); err == nil || strings.Count(err.Error(), "\n") != 1 ||
		!strings.Contains(err.Error(), "rule 2") || !strings.Contains(err.Error(), "rule 3") {
		t.Errorf("two faults: %v", err)
	}
	if _, err := rules.Compile(make([]rules.Rule, rules.MaxRules+1), mapping.RabbitMQ); err == nil {
		t.Error("any number of rules")
	}
}

var _ mapping.Resolver = (*rules.Table)(nil)

// A message that a rule sent comes back under its own topic, also where the rule is not reversible: the annotation says it, and the rules
// know that they sent it there.
func TestOwnMessagesComeBack(t *testing.T) {
	table := compile(t, rules.Rule{Topic: "a/{x}/#", QoS: []int{1}, Principals: []string{"p"}, Exchange: "e", Key: new("k"), Subject: new("s"), Direction: rules.Up})
	p := &packet.Publish{Topic: "a/1/b", QoS: 1}
	var route mapping.Route
	if _, ok := table.Route(rules.Message{Topic: p.Topic, QoS: p.QoS, Principal: "p"}, &route); !ok {
		t.Fatal("no rule")
	}
	m, _ := mapping.Uplink(mapping.UplinkMessage{Publish: p, From: mapping.NewProvenance("", "p", "c", "n"), MessageID: "1", Route: &route})
	m.Annotations["x-exchange"], m.Annotations["x-routing-key"] = "e", "k"
	d, losses, err := mapping.Downlink(m, mapping.DownlinkOptions{Rules: table})
	if err != nil || d.Publish.Topic != "a/1/b" || len(losses) != 0 {
		t.Errorf("%q, %v, %v", d.Publish.Topic, losses, err)
	}
	// Copied to another key, the annotation is stale: the key decides, as without rules.
	m.Annotations["x-routing-key"] = "other"
	d, losses, err = mapping.Downlink(m, mapping.DownlinkOptions{Rules: table})
	if err != nil || d.Publish.Topic != "other" || len(losses) != 1 || losses[0].Reason != mapping.ReasonStale {
		t.Errorf("%q, %v, %v", d.Publish.Topic, losses, err)
	}
}
