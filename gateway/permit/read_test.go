package permit

import (
	"strings"
	"testing"

	"sluice/gateway/access"
)

func TestFaultsNameLineKeyAndMend(t *testing.T) {
	for _, c := range []struct{ name, file, want string }{
		{"empty", "", "line 1: the file is empty; a policy that denies everything is: rules: []"},
		{"no YAML", "rules: [", "the file is no YAML: line 1: "},
		{"placeholder in a list", "rules:\n- allow: x\n  topics: [a/{tenant}/#]", "within [ ] texts with { or # need quotes"},
		{"a text", "hello", `line 1: begin the file with "rules:" and one rule behind each dash`},
		{"other keys", "rule: []", `line 1: the file: unknown key "rule"; there are rules`},
		{"no list", "rules: all", `line 1: rules: is no list; begin each rule with a dash`},
		{"second document", "rules: []\n---\nrules: []\n", "line 1: there is more behind the first document"},
		{"null", "rules:\n", "line 1: rules: is no list"},
		{"no map", "rules:\n- allow", "line 2: a rule is a map of keys"},
		{"no effect", "rules:\n- do: publish\n  topics: a", "line 2: the rule: there is neither allow nor deny"},
		{"two effects", "rules:\n- allow: x\n  deny: y\n  do: publish\n  topics: a", "there are allow and deny; make two rules of it"},
		{"no do", "rules:\n- allow: x\n  topics: a", `line 2: rule "x": do is missing; write "do: publish"`},
		{"no topics", "rules:\n- allow: x\n  do: publish", `rule "x": topics is missing; write topic filters like devices/{client_id}/#`},
		{"unknown key", "rules:\n- allow: x\n  do: publish\n  topic: a", `line 4: rule "x": unknown key "topic"; there are allow, deny, who, do, topics, qos_max, retain, will, shared`},
		{"twice", "rules:\n- allow: x\n  do: publish\n  topics: a\n  topics: b", `line 5: rule "x": topics is there already, in line 4`},
		{"bad name", "rules:\n- allow: My Rule\n  do: publish\n  topics: a", `line 2: rule "My Rule": allow: "My Rule" is no name of a rule; use up to 64 of a-z, 0-9, hyphen, underscore and dot`},
		{"taken name", "rules:\n- allow: x\n  do: publish\n  topics: a\n- deny: x\n  do: publish\n  topics: b", "line 5: rule \"x\": deny: the name x is that of the rule in line 2"},
		{"reserved name", "rules:\n- allow: none\n  do: publish\n  topics: a", "the name none is what stands for no rule; choose another one"},
		{"bad action", "rules:\n- allow: x\n  do: write\n  topics: a", `do: "write" is neither publish nor subscribe`},
		{"bad filter", "rules:\n- allow: x\n  do: publish\n  topics: [a, 'a/#/b']", `line 4: rule "x": topics: "a/#/b" is no topic filter: `},
		{"placeholder", "rules:\n- allow: x\n  do: publish\n  topics: a/{clientid}", `"a/{clientid}" has {clientid}; there are {client_id}, {principal}, {tenant} and {claim:NAME}`},
		{"open brace", "rules:\n- allow: x\n  do: publish\n  topics: a/{client_id", "has a { without }"},
		{"close brace", "rules:\n- allow: x\n  do: publish\n  topics: a/client_id}", "has a } without {"},
		{"empty claim", "rules:\n- allow: x\n  do: publish\n  topics: 'a/{claim:}'", "has {claim:}; there are"},
		{"share", "rules:\n- allow: x\n  do: subscribe\n  topics: $share/g/a", "begins with $share/; leave that and the name of the share out"},
		{"own topics", "rules:\n- allow: x\n  do: subscribe\n  topics: $sluice/#", "is a topic of the gateway itself"},
		{"restricted deny", "rules:\n- deny: x\n  do: publish\n  topics: a\n  retain: false", `rule "x": retain is for rules of allow; to forbid only that, make it "allow" with the restriction`},
		{"retain to hear", "rules:\n- allow: x\n  do: subscribe\n  topics: a\n  retain: false", "retain is about publishing, which do does not name"},
		{"shared to speak", "rules:\n- allow: x\n  do: publish\n  topics: a\n  shared: false", "shared is about subscribing, which do does not name"},
		{"bad qos", "rules:\n- allow: x\n  do: publish\n  topics: a\n  qos_max: 3", `line 5: rule "x": qos_max: "3" is none of 0, 1 and 2`},
		{"bad bool", "rules:\n- allow: x\n  do: publish\n  topics: a\n  retain: no", `retain: "no" is neither true nor false`},
		{"nobody", "rules:\n- allow: x\n  who: {}\n  do: publish\n  topics: a", `rule "x": who names nobody`},
		{"everybody as a list", "rules:\n- allow: x\n  who: [admin]\n  do: publish\n  topics: a", `rule "x": who names nobody`},
		{"empty list", "rules:\n- allow: x\n  who: {groups: []}\n  do: publish\n  topics: a", "who: groups: is an empty list"},
		{"star inside", "rules:\n- allow: x\n  who: {groups: ['a*b']}\n  do: publish\n  topics: a", `groups: "a*b" is no name; write it as it is, or its beginning with * behind`},
		{"unknown who", "rules:\n- allow: x\n  who: {group: a}\n  do: publish\n  topics: a", `rule "x": who: unknown key "group"; there are principals, groups, tenants, claims`},
		{"claims twice", "rules:\n- allow: x\n  who:\n    claims:\n      s: a\n      s: b\n  do: publish\n  topics: a", `line 6: rule "x": who: claims: s is there already, in line 5`},
		{"claims as a list", "rules:\n- allow: x\n  who: {claims: [a]}\n  do: publish\n  topics: a", "claims: is no map; write names with their values below it"},
		{"merge", "a: &a {do: publish}\nrules:\n- <<: *a\n  allow: x\n  topics: a", `unknown key "<<"`},
		{"too many rules", "rules: [" + strings.Repeat("a,", rulesMax+1) + "]", "rules: there are 501, at most 500 are possible"},
		{"too large", strings.Repeat("#", FileMax+1), "the file has more than 1048576 bytes"},
	} {
		t.Run(c.name, func(t *testing.T) {
			p, err := Parse([]byte(c.file))
			if err == nil || p != nil || !strings.Contains(err.Error(), c.want) {
				t.Errorf("error %v, want %s", err, c.want)
			}
		})
	}
}

func TestManyFaultsAreBounded(t *testing.T) {
	_, err := Parse([]byte("rules:" + strings.Repeat("\n- x", 400)))
	if faults, ok := err.(Faults); !ok || len(faults) != faultsMax+1 {
		t.Errorf("%d faults", len(faults))
	}
}

func TestWhoIsMeant(t *testing.T) {
	p := mustParse(t, `rules:
  - allow: both
    who: {tenants: [acme, umbrella], groups: staff}
    do: publish
    topics: staff
  - allow: named
    who: {principals: ["sensor-*", boss]}
    do: publish
    topics: named
  - allow: claimed
    who:
      claims:
        site: [hall-1, hall-2]
        level: "3"
    do: publish
    topics: claimed
`)
	for _, c := range []struct {
		who   access.Principal
		topic string
		want  bool
	}{
		{access.Principal{Tenant: "acme", Name: "a", Groups: []string{"x", "staff"}}, "staff", true},
		{access.Principal{Tenant: "other", Name: "a", Groups: []string{"staff"}}, "staff", false},
		{access.Principal{Tenant: "acme", Name: "a"}, "staff", false},
		{access.Principal{Tenant: "acme", Name: "sensor-7"}, "named", true},
		{access.Principal{Tenant: "acme", Name: "boss"}, "named", true},
		{access.Principal{Tenant: "acme", Name: "bosses"}, "named", false},
		{access.Principal{Tenant: "acme", Name: "a", Claims: map[string][]string{"site": {"hall-9", "hall-2"}, "level": {"3"}}}, "claimed", true},
		{access.Principal{Tenant: "acme", Name: "a", Claims: map[string][]string{"site": {"hall-2"}}}, "claimed", false},
	} {
		if got := p.For(Device{Principal: &c.who, ClientID: "c"}).Publish(Message{Topic: c.topic}); got.Allowed() != c.want {
			t.Errorf("%+v publishes to %s: %+v", c.who, c.topic, got)
		}
	}
}

// FuzzParse: no file makes the reader or a view of it fail, and what is read is what decides.
func FuzzParse(f *testing.F) {
	f.Add([]byte(OwnText), "c", "devices/c/x")
	f.Add([]byte("rules:\n- deny: d\n  who: {claims: {s: [a, 'b*']}}\n  do: [publish, subscribe]\n  topics: ['a/{claim:s}/+', '#']\n"), "", "a")
	f.Add([]byte("rules: &a\n- allow: x\n  do: publish\n  topics: *a\n"), "+", "#")
	f.Add([]byte("rules:\n- allow: x\n  do: subscribe\n  topics: 'a/{principal}{client_id}/#'\n  shared: false\n  qos_max: 1\n"), "/", "$share/g/a/+")
	f.Fuzz(func(t *testing.T, file []byte, id, name string) {
		p, err := Parse(file)
		if err != nil {
			return
		}
		who := access.Principal{Tenant: "t", Name: id + "p", Claims: map[string][]string{"s": {"a", name}}}
		v := p.For(Device{Principal: &who, ClientID: id})
		if d := v.Publish(Message{Topic: name}); d.Allowed() != (d.Rule != NoRule && d.Obstacle == Nothing) {
			t.Errorf("%+v", d)
		}
		e, err := p.Explain(Question{Principal: who, ClientID: id, Filter: name})
		if err == nil && e.Allowed != granted(v, name) {
			t.Errorf("%+v", e)
		}
	})
}

func granted(v *View, filter string) bool {

	d := v.Subscribe(filter)
	return d.Allowed()
}
