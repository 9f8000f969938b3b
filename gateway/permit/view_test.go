package permit

import (
	"fmt"
	"strings"
	"testing"
	"unsafe"

	"sluice/gateway/access"
)

// A device publishes to the same topics again and again, and gets messages of the same topics.
func TestDecidingAgainAllocatesNothing(t *testing.T) {
	v := Own().For(Device{Principal: access.Anonymous(), ClientID: "thermometer-7"})
	m := Message{Topic: "devices/thermometer-7/temperature", QoS: 1}
	var allowed bool
	if n := testing.AllocsPerRun(1000, func() {
		d := v.Publish(m)
		_, _, ok := v.Deliver(m.Topic)
		allowed = d.Allowed() && ok
	}); n != 0 || !allowed {
		t.Errorf("%v allocations, allowed: %t", n, allowed)
	}
}

func TestRemembersNoMoreThanItsBound(t *testing.T) {
	v := Own().For(Device{Principal: access.Anonymous(), ClientID: "c"})
	for i := range 10 * cacheMax {
		name := fmt.Sprintf("devices/c/%d", i)
		if d := v.Publish(Message{Topic: name}); !d.Allowed() {
			t.Fatalf("%s: %+v", name, d)
		}
		if d := v.Subscribe(name); !d.Allowed() {
			t.Fatalf("%s: %+v", name, d)
		}
		v.Deliver(name)
	}
	if len(v.published) > cacheMax || len(v.heard) > cacheMax || len(v.subscribed) > cacheMax {
		t.Errorf("%d, %d and %d are remembered", len(v.published), len(v.heard), len(v.subscribed))
	}
}

// The name of a topic may share memory with the packet it came in, which is used again.
func TestRemembersNamesOfItsOwn(t *testing.T) {
	v := Own().For(Device{Principal: access.Anonymous(), ClientID: "c"})
	name := []byte("devices/c/x")
	v.Publish(Message{Topic: unsafeText(name)})
	copy(name, "devices/d/x")
	if d := v.Publish(Message{Topic: "devices/d/x"}); d.Allowed() {
		t.Errorf("%+v", d)
	}
}

func TestTooManyFiltersAllowNothing(t *testing.T) {
	var file strings.Builder
	file.WriteString("rules:\n")
	for i := range 12 {
		effect := "allow"
		if i == 11 {
			effect = "deny"
		}
		fmt.Fprintf(&file, "- %s: r%d\n  do: publish\n  topics: [", effect, i)
		for k := range topicsMax {
			fmt.Fprintf(&file, "t/%d/%d, ", i, k)
		}
		file.WriteString("]\n")
	}
	file.WriteString("- allow: rest\n  do: publish\n  topics: '#'\n")
	v := mustParse(t, file.String()).For(Device{Principal: access.Anonymous(), ClientID: "c"})
	for name, want := range map[string]bool{"t/0/0": true, "t/9/99": true, "t/10/0": false, "t/11/0": false, "other": false} {
		if d := v.Publish(Message{Topic: name}); d.Allowed() != want {
			t.Errorf("%s: %+v", name, d)
		}
	}
	if p := v.Problems(); len(p) != 1 || p[0].Rule != "r10" || !strings.Contains(p[0].Text, "more than 1000 filters") {
		t.Errorf("problems: %+v", p)
	}
}

func TestUnusableValuesAreTold(t *testing.T) {
	p := mustParse(t, `rules:
  - deny: d
    do: publish
    topics: "x/{client_id}/y"
  - allow: a
    do: publish
    topics: ["x/{client_id}/#", "s/{claim:site}", "own/{principal}"]
`)
	v := p.For(Device{Principal: &access.Principal{Tenant: "t", Name: "p"}, ClientID: "a/b"})
	want := []Problem{
		{"d", `topics "x/{client_id}/y": {client_id} is empty or contains +, #, / or a null character: "a/b"; it denies any value in that level`},
		{"a", `topics "x/{client_id}/#": {client_id} is empty or contains +, #, / or a null character: "a/b"; it allows nothing by that value`},
		{"a", `topics "s/{claim:site}": {claim:site} has no value; it allows nothing by that value`},
	}
	got := v.Problems()
	if fmt.Sprint(got) != fmt.Sprint(want) {
		t.Errorf("problems:\n%v\nwant\n%v", got, want)
	}
	if d := v.Publish(Message{Topic: "own/p"}); !d.Allowed() {
		t.Errorf("own/p: %+v", d)
	}
}

func TestOwnTopics(t *testing.T) {
	for _, c := range []struct {
		tenant, id, topic string
		want              bool
	}{
		{"default", "a", "devices/a/x", true},
		{"default", "a", "devices/a", true},
		{"default", "a", "devices/b/x", false},
		{"default", "devices", "devices/devices/a/x", true},
		{"devices", "a", "devices/devices/a/x", false},
		{"acme", "a", "devices/a/x", false},
		{"acme", "a", "tenants/acme/devices/a/x", true},
		{"acme", "a", "tenants/default/devices/a/x", false},
		{"acme", "a", "tenants/acme/devices/b/x", false},
		{"default", "a", "x", false},
		{"default", "a", "$SYS/x", false},
		{"default", "+", "devices/+/x", false},
	} {
		v := Own().For(Device{Principal: &access.Principal{Tenant: c.tenant, Name: "p"}, ClientID: c.id})
		d := v.Publish(Message{Topic: c.topic, QoS: 2, Retain: true, Will: true})
		_, _, ok := v.Deliver(c.topic)
		if d.Allowed() != c.want || ok != c.want {
			t.Errorf("%+v: %+v, delivered: %t", c, d, ok)
		}
	}
}

// hall is a policy of a hundred rules.
func hall(t testing.TB) *Policy {
	var file strings.Builder
	file.WriteString("rules:\n")
	for i := range 98 {
		fmt.Fprintf(&file, "- deny: d%d\n  do: [publish, subscribe]\n  topics: plant/%d/secret/#\n", i, i)
	}
	file.WriteString("- allow: own\n  do: [publish, subscribe]\n  topics: devices/{client_id}/#\n- allow: rest\n  do: subscribe\n  topics: '#'\n")
	return mustParse(t, file.String())
}

func BenchmarkPublishAgain(b *testing.B) {
	v := hall(b).For(Device{Principal: access.Anonymous(), ClientID: "c"})
	m := Message{Topic: "devices/c/temperature"}
	b.ReportAllocs()
	for b.Loop() {
		if d := v.Publish(m); !d.Allowed() {
			b.Fatal(d)
		}
	}
}

// A device's first message: its rules are compiled and compared.
func BenchmarkPublishFirst(b *testing.B) {
	p := hall(b)
	b.ReportAllocs()
	for b.Loop() {
		v := p.For(Device{Principal: access.Anonymous(), ClientID: "c"})
		if d := v.Publish(Message{Topic: "devices/c/temperature"}); !d.Allowed() {
			b.Fatal(d)
		}
	}
}

func BenchmarkSubscribeToAll(b *testing.B) {
	p := hall(b)
	b.ReportAllocs()
	for b.Loop() {
		v := p.For(Device{Principal: access.Anonymous(), ClientID: "c"})
		if d := v.Subscribe("#"); !d.Allowed() {
			b.Fatal(d)
		}
	}
}

// Many filters that overlap, none of which is granted.
func BenchmarkSubscribeInVain(b *testing.B) {
	var file strings.Builder
	file.WriteString("rules:\n- deny: d\n  do: subscribe\n  topics: ['+', '+/+/#']\n")
	for i := range 9 {
		fmt.Fprintf(&file, "- allow: r%d\n  do: subscribe\n  topics: [", i)
		for k := range topicsMax {
			fmt.Fprintf(&file, "'+/%d/%d/+/+/#', ", i, k)
		}
		file.WriteString("]\n")
	}
	p := mustParse(b, file.String())
	for b.Loop() {
		v := p.For(Device{Principal: access.Anonymous(), ClientID: "c"})
		if d := v.Subscribe("#"); d.Allowed() {
			b.Fatal(d)
		}
	}
}

func unsafeText(b []byte) string { return unsafe.String(&b[0], len(b)) }
