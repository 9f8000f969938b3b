package config

import (
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"sluice/mapping"
	"sluice/mapping/rules"
)

const allKeys = `
rules:
  - name: telemetry
    direction: both
    topic: plant/{site}/line/{line}
    qos: [1, 2]
    principal: meter-*
    tenant: &who [acme]
    exchange: telemetry
    key: "{site}.{line}"
    subject: ""
    content_type: application/json
    content_encoding: gzip
    ttl: 30s
    ttl_max: 1h
    priority: 7
    group_id: "{site}"
    partition_key: "{line}"
    properties:
      siteName: "{site}"
      Version: 2
    require_route: true
    on_error: close
  - topic: a/#
    qos: 0
    queue: q
    tenant: *who
`

func TestRules(t *testing.T) {
	list, lines, faults := parseRules([]byte(allKeys))
	if len(faults) > 0 {
		t.Fatal(faults)
	}
	want := []rules.Rule{
		{Name: "telemetry", Direction: rules.Both, Topic: "plant/{site}/line/{line}", QoS: []int{1, 2}, Principals: []string{"meter-*"}, Tenants: []string{"acme"},
			Exchange: "telemetry", Key: new("{site}.{line}"), Subject: new(""), ContentType: "application/json", ContentEncoding: "gzip",
			TTL: 30 * time.Second, TTLMax: time.Hour, Priority: new(7), GroupID: "{site}", PartitionKey: "{line}",
			Properties: map[string]string{"siteName": "{site}", "Version": "2"}, RequireRoute: true, OnError: "close"},
		{Topic: "a/#", QoS: []int{0}, Queue: "q", Tenants: []string{"acme"}},
	}
	if diff := cmp.Diff(want, list); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	if diff := cmp.Diff([]int{3, 24}, lines); diff != "" {
		t.Errorf("lines (-want +got):\n%s", diff)
	}
	c := load(t, Source{File: file(t, allKeys+"mqtt:\n  window: 3\n")})
	var route mapping.Route
	if m, ok := c.Rules.Route(rules.Message{Topic: "plant/a/line/b", QoS: 1, Principal: "meter-1", Tenant: "acme"}, &route); !ok || m.Name != "telemetry" || c.Window != 3 {
		t.Errorf("the rule is not there: %+v", m)
	}
	if load(t, Source{}).Rules != nil || load(t, Source{File: file(t, "rules:\n")}).Rules != nil || load(t, Source{File: file(t, "rules: []\n")}).Rules != nil {
		t.Error("there are rules where none are written")
	}
}

// TestEveryKeyOfARuleIsTested: a key that nobody set above would be one that nobody has tried.
func TestEveryKeyOfARuleIsTested(t *testing.T) {
	for _, f := range ruleFields(&rules.Rule{}) {
		if !strings.Contains(allKeys, " "+f.name+":") {
			t.Errorf("%s is in no test", f.name)
		}
		if !strings.HasSuffix(f.doc, ".") || len(f.doc) < 12 {
			t.Errorf("%s: doc %q", f.name, f.doc)
		}
	}
}

// TestRuleFaults: each names the line, the rule, the key, the value and the mend.
func TestRuleFaults(t *testing.T) {
	for _, c := range []struct {
		name string
		rule string // what stands behind "rules:"
		want []string
	}{
		{"no list", "\n  a: 1\n", []string{"rules, line 2", "no list", "dash"}},
		{"no map", "\n  - a\n", []string{"rules, line 2: rule 1", "no map of keys"}},
		{"unknown key", "\n  - name: x\n    topic: a\n    subjekt: b\n", []string{"rules, line 4: rule 1 (x): subjekt", "did you mean subject?"}},
		{"unknown key like none", "\n  - topic: a\n    zzzzzzzzzz: b\n", []string{"zzzzzzzzzz", "there are name, direction, topic"}},
		{"text that is a map", "\n  - topic: a/{x}\n    group_id: {x}\n", []string{"line 3: rule 1: group_id", "in quotes if it begins with {"}},
		{"no value", "\n  - topic: a\n    subject:\n", []string{"line 3", "subject", "has no value"}},
		{"empty", "\n  - topic: a\n    queue: \"\"\n", []string{"queue", "is empty"}},
		{"qos", "\n  - topic: a\n    qos: high\n", []string{"qos \"high\"", "[1, 2]"}},
		{"ttl", "\n  - topic: a\n    ttl: 30\n", []string{"ttl \"30\"", "30s"}},
		{"priority", "\n  - topic: a\n    priority: urgent\n", []string{"priority \"urgent\"", "0 to 255"}},
		{"require_route", "\n  - topic: a\n    require_route: maybe\n", []string{"require_route \"maybe\"", "true nor false"}},
		{"properties", "\n  - topic: a\n    properties: x\n", []string{"properties \"x\"", "is no map"}},
		{"a property that is a list", "\n  - topic: a\n    properties:\n      p: [1]\n", []string{"properties", "has p, which is not a text"}},
		{"principal", "\n  - topic: a\n    principal: {a: b}\n", []string{"principal", "is not a text"}},
		{"a rule that does not compile", "\n  - topic: a\n  - name: x\n    topic: a/{b\n", []string{"rules, line 3: rule 2 (x): topic \"a/{b\", at character 3", "{name}"}},
		{"two faults", "\n  - topic: a\n    zz: 1\n  - topic: b\n    qos: x\n", []string{"rule 1: zz", "rule 2: qos"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			_, _, err := Load(Source{File: file(t, "rules:"+c.rule)})
			if err == nil {
				t.Fatal("accepted")
			}
			for _, w := range c.want {
				if !strings.Contains(err.Error(), w) {
					t.Errorf("%q does not say %q", err, w)
				}
			}
		})
	}
}

func TestRulesAreInTheFileOnly(t *testing.T) {
	if _, _, err := Load(Source{Set: []string{"rules=[]"}}); err == nil || !strings.Contains(err.Error(), "rules: rules are a list and cannot be set by --set") {
		t.Errorf("--set: %v", err)
	}
	_, warnings, err := Load(Source{Env: []string{"SLUICE_RULES=[]"}})
	if err != nil || len(warnings) != 1 || !strings.Contains(warnings[0], "in the file (--config) only") {
		t.Errorf("environment: %v, %v", warnings, err)
	}
}

func TestOneWayRulesAreWarnedOf(t *testing.T) {
	_, warnings, err := Load(Source{File: file(t, "rules:\n  - topic: a/{x}\n    key: k\n    subject: s\n")})
	if err != nil || len(warnings) != 1 || !strings.Contains(warnings[0], "rules, line 2: rule 1: it works one way only") {
		t.Errorf("warnings %v, error %v", warnings, err)
	}
}
