package permit

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"sluice/gateway/access"
	"sluice/mqtt/packet"
)

// The oracle knows nothing of regions: it tries every topic name over a small alphabet. One level of it, z, is in no filter, and names may be longer than
// filters, so that whatever two decisions can differ in shows in one of the names.

// drawn is a rule as the oracle sees it.
type drawn struct {
	allow, publish, subscribe bool
	forMe                     bool
	filters                   []string
	qosMax                    int
	retain, will, shared      bool
}

func (d *drawn) yaml(i int) string {
	var b strings.Builder
	effect := map[bool]string{true: "allow", false: "deny"}[d.allow]
	fmt.Fprintf(&b, "  - %s: r%d\n", effect, i)
	if !d.forMe {
		b.WriteString("    who: {groups: [others]}\n")
	}
	var do []string
	if d.publish {
		do = append(do, "publish")
	}
	if d.subscribe {
		do = append(do, "subscribe")
	}
	fmt.Fprintf(&b, "    do: [%s]\n", strings.Join(do, ", "))
	b.WriteString("    topics:\n")
	for _, f := range d.filters {
		fmt.Fprintf(&b, "      - %q\n", f)
	}
	if !d.allow {
		return b.String()
	}
	fmt.Fprintf(&b, "    qos_max: %d\n", d.qosMax)
	if d.publish {
		fmt.Fprintf(&b, "    retain: %t\n    will: %t\n", d.retain, d.will)
	}
	if d.subscribe {
		fmt.Fprintf(&b, "    shared: %t\n", d.shared)
	}
	return b.String()
}

var (
	drawLevel  = rapid.SampledFrom([]string{"a", "b", "", "+"})
	drawFilter = rapid.Custom(func(t *rapid.T) string {
		n := rapid.IntRange(1, 3).Draw(t, "levels")
		levels := make([]string, n)
		for i := range levels {
			levels[i] = drawLevel.Draw(t, "level")
		}
		if rapid.IntRange(0, 5).Draw(t, "system") == 0 {
			levels[0] = "$x"
		}
		if rapid.Bool().Draw(t, "open") {
			levels[n-1] = "#"
		}
		if f := strings.Join(levels, "/"); f != "" {
			return f
		}
		return "a"
	})
	drawRule = rapid.Custom(func(t *rapid.T) drawn {
		d := drawn{
			allow: rapid.Bool().Draw(t, "allow"), publish: rapid.Bool().Draw(t, "publish"), forMe: rapid.IntRange(0, 4).Draw(t, "me") > 0,
			filters: rapid.SliceOfN(drawFilter, 1, 3).Draw(t, "filters"), qosMax: rapid.IntRange(0, 2).Draw(t, "qos"),
			retain: rapid.Bool().Draw(t, "retain"), will: rapid.Bool().Draw(t, "will"), shared: rapid.Bool().Draw(t, "shared"),
		}
		d.subscribe = !d.publish || rapid.Bool().Draw(t, "subscribe")
		return d
	})
)

// allNames are the names of up to four levels.
var allNames = func() (names []string) {
	level := []string{"a", "b", "z", ""}
	names = append([]string{"$x", "$y"}, level...)
	last := names
	for range 3 {
		var longer []string
		for _, n := range last {
			for _, l := range level {
				longer = append(longer, n+"/"+l)
			}
		}
		names, last = append(names, longer...), longer
	}
	return slices.DeleteFunc(names, func(n string) bool { return n == "" })
}()

// naiveMatch is the definition of MQTT 5, 4.7, word by word.
func naiveMatch(filter, name string) bool {
	f, n := strings.Split(filter, "/"), strings.Split(name, "/")
	if strings.HasPrefix(name, "$") && (f[0] == "+" || f[0] == "#") {
		return false
	}
	for i, level := range f {
		if level == "#" {
			return len(n) >= i
		}
		if i >= len(n) || level != "+" && level != n[i] {
			return false
		}
	}
	return len(f) == len(n)
}

// decides gives the first rule for a name, nil for none.
func decides(rules []drawn, publish bool, name string) *drawn {
	for i := range rules {
		d := &rules[i]
		if !d.forMe || publish && !d.publish || !publish && !d.subscribe {
			continue
		}
		if slices.ContainsFunc(d.filters, func(f string) bool { return naiveMatch(f, name) }) {
			return d
		}
	}
	return nil
}

func TestDecisionsAgreeWithOracle(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		rules := rapid.SliceOfN(drawRule, 0, 6).Draw(t, "rules")
		var file strings.Builder
		file.WriteString("rules:\n")
		for i := range rules {
			file.WriteString(rules[i].yaml(i))
		}
		if len(rules) == 0 {
			file.Reset()
			file.WriteString("rules: []\n")
		}
		p, err := Parse([]byte(file.String()))
		if err != nil {
			t.Fatalf("%v\n%s", err, file.String())
		}
		v := p.For(Device{Principal: access.Anonymous(), ClientID: "c"})
		checkNames(t, v, rules)
		for range 8 {
			filter := drawFilter.Draw(t, "filter")
			checkFilter(t, v, rules, filter)
			checkShared(t, v, rules, filter)
		}
	})
}

func checkNames(t *rapid.T, v *View, rules []drawn) {
	m := Message{QoS: packet.QoS(rapid.IntRange(0, 2).Draw(t, "q")), Retain: rapid.Bool().Draw(t, "retained"), Will: rapid.Bool().Draw(t, "as will")}
	for _, name := range allNames {
		m.Topic = name
		d := decides(rules, true, name)
		want := d != nil && d.allow && int(m.QoS) <= d.qosMax && (!m.Retain || d.retain) && (!m.Will || d.will)
		if got := v.Publish(m); got.Allowed() != want {
			t.Fatalf("Publish(%+v) = %+v, the oracle says %t", m, got, want)
		}
		d = decides(rules, false, name)
		most, rule, ok := v.Deliver(name)
		if want := d != nil && d.allow; ok != want || ok && int(most) != d.qosMax {
			t.Fatalf("Deliver(%q) = %d, %t by %s, the oracle says %t", name, most, ok, rule, want)
		}
	}
}

// heard gives whether some and all names of a filter may be heard, and the highest QoS.
func heard(rules []drawn, filter string) (some, all, shared bool, most, least int) {
	all, shared, least = true, true, 2
	for _, name := range allNames {
		if !naiveMatch(filter, name) {
			continue
		}
		d := decides(rules, false, name)
		if d == nil || !d.allow {
			all = false
			continue
		}
		some, shared = true, shared && d.shared
		most, least = max(most, d.qosMax), min(least, d.qosMax)
	}
	return some, all, shared, most, least
}

// within reports whether each name of a filter is in some rule of allow.
func within(rules []drawn, filter string) bool {
	for _, name := range allNames {
		if naiveMatch(filter, name) && !slices.ContainsFunc(rules, func(d drawn) bool {
			return d.forMe && d.subscribe && d.allow && decides([]drawn{d}, false, name) != nil
		}) {
			return false
		}
	}
	return true
}

func checkFilter(t *rapid.T, v *View, rules []drawn, filter string) {
	some, _, _, most, _ := heard(rules, filter)
	want := some && within(rules, filter)
	got := v.Subscribe(filter)
	if got.Allowed() != want || want && int(got.QoSMax) != most {
		t.Fatalf("Subscribe(%q) = %+v, the oracle says %t, QoS %d", filter, got, want, most)
	}
	checkParts(t, v, filter)
}

func checkShared(t *rapid.T, v *View, rules []drawn, filter string) {
	some, all, shared, _, least := heard(rules, filter)
	got := v.Subscribe("$share/g/" + filter)
	if want := some && all && shared; got.Allowed() != want || want && int(got.QoSMax) != least {
		t.Fatalf("shared %q: %+v, the oracle says %t, QoS %d", filter, got, want, least)
	}
}

// checkParts: the parts that explain a subscription tell of each name what becomes of it.
func checkParts(t *rapid.T, v *View, filter string) {
	e, err := v.policy.Explain(Question{Principal: *v.device.Principal, ClientID: v.device.ClientID, Filter: filter})
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range allNames {
		if !naiveMatch(filter, name) {
			continue
		}
		_, rule, ok := v.Deliver(name)
		i := slices.IndexFunc(e.Parts, func(p Part) bool { return naiveMatch(p.Topics, name) })
		if i < 0 || e.Parts[i].Rule != rule || e.Parts[i].Allowed != ok {
			t.Fatalf("%q of %q is decided by %s (%t), the parts say %+v", name, filter, rule, ok, e.Parts)
		}
	}
}

// A device chooses its client identifier. Whatever it is, the device can do nothing that no client identifier without special characters could, beyond its
// own level.
func TestValuesNeverWiden(t *testing.T) {
	p := mustParse(t, `rules:
  - deny: secret
    do: [publish, subscribe]
    topics: ["d/{client_id}/secret", "{claim:root}/secret"]
  - allow: own
    do: [publish, subscribe]
    topics: ["d/{client_id}/#", "{claim:root}/x"]
`)
	rapid.Check(t, func(t *rapid.T) {
		value := rapid.StringOfN(rapid.RuneFrom([]rune("ab+#/$\x00")), 0, 6, -1)
		id, root := value.Draw(t, "id"), value.Draw(t, "root")
		who := access.Principal{Tenant: "t", Name: "p", Claims: map[string][]string{"root": {root}}}
		v := p.For(Device{Principal: &who, ClientID: id})
		for _, name := range []string{"d/a/x", "d/b/x", "d/a/secret", "d/b", "d", "a/x", "b/x", "$a/x", "$SYS/x", "x", "a/b/x", "d/a/b/x"} {
			levels := strings.Split(name, "/")
			want := len(levels) >= 2 && levels[0] == "d" && levels[1] == id && !(len(levels) == 3 && levels[2] == "secret") ||
				len(levels) == 2 && levels[0] == root && levels[1] == "x" && root[0] != '$'
			if got := v.Publish(Message{Topic: name}); got.Allowed() != want {
				t.Fatalf("client identifier %q, claim %q: Publish(%q) = %+v, want %t", id, root, name, got, want)
			}
		}
	})
}

func mustParse(t testing.TB, text string) *Policy {
	t.Helper()
	p, err := Parse([]byte(text))
	if err != nil {
		t.Fatal(err)
	}
	return p
}
