package clientid_test

import (
	"path"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"sluice/gateway/clientid"
)

var owner = clientid.Owner{Tenant: "plant", Principal: "alice"}

func TestAllow(t *testing.T) {
	for _, c := range []struct {
		templates string
		id        string
		want      bool
	}{
		{"", "anything", true},
		{"{principal}", "alice", true},
		{"{principal}", "alicia", false},
		{"{principal}", "alice2", false},
		{"{principal}-*", "alice-1", true},
		{"{principal}-*", "alice-", true},
		{"{principal}-*", "alice", false},
		{"{principal}-*", "mallory-alice-1", false},
		{"{tenant}.*", "plant.7", true},
		{"{tenant}.*", "plants.7", false},
		{"{tenant}.{principal}.*", "plant.alice.7", true},
		{"*-{principal}", "7-alice", true},
		{"*-{principal}", "7-alice-", false},
		{"a*b*c", "abc", true},
		{"a*b*c", "aXbYc", true},
		{"a*b*c", "ac", false},
		{"a*b*c", "acb", false},
		{"a*a", "a", false}, // beginning and end must not overlap
		{"a*ab*b", "aab", false},
		{"**", "", true},
		{"{principal} gateway-*", "alice", true},
		{"{principal} gateway-*", "gateway-2", true},
		{"{principal} gateway-*", "gate", false},
	} {
		ts, err := clientid.ParseAll(strings.Fields(c.templates))
		if err != nil {
			t.Fatalf("%q: %v", c.templates, err)
		}
		if got := ts.Allow(owner, c.id); got != c.want {
			t.Errorf("%q allows %q: %v", c.templates, c.id, got)
		}
	}
}

// What a name has in it is text, also when it looks like a template: else who may choose his name could choose what it matches.
func TestNamesAreText(t *testing.T) {
	ts, err := clientid.ParseAll([]string{"{principal}-1"})
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"*", "{tenant}", "{principal}", "a*b"} {
		o := clientid.Owner{Tenant: "x", Principal: name}
		if !ts.Allow(o, name+"-1") || ts.Allow(o, "x-1") || ts.Allow(o, "aXb-1") {
			t.Errorf("the name %q is not taken as it is", name)
		}
	}
}

func TestParseRefuses(t *testing.T) {
	for text, word := range map[string]string{
		"": "empty", "{client}": "brace", "a{": "brace", "a}": "brace", "{principal": "brace", "{{principal}}": "brace",
		strings.Repeat("x", clientid.TemplateMax+1): "257 bytes", "a\x00": "control", "\xff": "UTF-8",
	} {
		if _, err := clientid.Parse(text); err == nil || !strings.Contains(err.Error(), word) {
			t.Errorf("%q: %v, want a word of %q", text, err, word)
		}
	}
	if _, err := clientid.ParseAll(make([]string, clientid.TemplatesMax+1)); err == nil || !strings.Contains(err.Error(), "at most 64") {
		t.Errorf("many: %v", err)
	}
}

func TestAssign(t *testing.T) {
	for templates, want := range map[string]string{
		"":                          "",
		"{principal}-*":             "alice-RANDOM",
		"{principal} {tenant}.*.x*": "plant.RANDOM.x",
		"*":                         "RANDOM",
		"{principal}":               "",
		strings.Repeat("x", clientid.TemplateMax-1) + "*": "", // there is no room
	} {
		ts, err := clientid.ParseAll(strings.Fields(templates))
		if err != nil {
			t.Fatal(err)
		}
		id, ok := ts.Assign(owner, "RANDOM")
		if id != want || ok != (want != "") || ok && !ts.Allow(owner, id) {
			t.Errorf("%q: %q, %v; want %q, and that it is allowed", templates, id, ok, want)
		}
	}
}

func TestString(t *testing.T) {
	ts, err := clientid.ParseAll([]string{"a", "b*", "c", "d", "e"})
	if err != nil || ts.String() != "a or b* or c (and 2 more)" || ts[:2].String() != "a or b*" {
		t.Errorf("%q, %v", ts, err)
	}
}

// With wildcards alone a template says the same as path.Match, which goes about it by trying.
func TestMatchesAsAnother(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		text := rapid.StringMatching(`[ab*]{1,8}`).Draw(t, "template")
		id := rapid.StringMatching(`[ab]{0,10}`).Draw(t, "id")
		tmpl, err := clientid.Parse(text)
		if err != nil {
			t.Fatal(err)
		}
		want, err := path.Match(text, id)
		if err != nil {
			t.Fatal(err)
		}
		if got := tmpl.Matches(owner, id); got != want {
			t.Fatalf("%q matches %q: %v", text, id, got)
		}
	})
}

// A template made of anything is refused or matches without harm, and what it assigns it allows.
func FuzzTemplate(f *testing.F) {
	f.Add("{principal}-*", "alice-1", "alice")
	f.Add("*{tenant}*", "{}", "*")
	f.Fuzz(func(t *testing.T, text, id, name string) {
		ts, err := clientid.ParseAll([]string{text})
		if err != nil {
			return
		}
		o := clientid.Owner{Tenant: name, Principal: id}
		ts.Allow(o, id)
		if made, ok := ts.Assign(o, "r"); ok && !ts.Allow(o, made) {
			t.Errorf("%q assigns %q and does not allow it", text, made)
		}
	})
}
