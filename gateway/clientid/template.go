package clientid

import (
	"errors"
	"fmt"
	"strings"
	"unicode/utf8"
)

// Owner is whose client identifiers they are.
type Owner struct{ Tenant, Principal string }

// Template is a pattern of client identifiers: text, {principal}, {tenant}, and * for any text, also none.
type Template struct {
	text  string
	parts []part
}

// part is what stands in a template: some text, or what is named.
type part struct {
	kind kind
	text string // of literal
}

type kind byte

const (
	literal kind = iota
	principal
	tenant
	wildcard
)

var variables = map[string]kind{"{principal}": principal, "{tenant}": tenant}

// Parse reads a template. The error says what is wrong and what would be right.
func Parse(text string) (Template, error) {
	switch {
	case text == "":
		return Template{}, errors.New("a template is empty; write * for any client identifier")
	case len(text) > TemplateMax:
		return Template{}, fmt.Errorf("a template has %d bytes; at most %d are allowed", len(text), TemplateMax)
	case !utf8.ValidString(text) || strings.ContainsFunc(text, func(r rune) bool { return r < ' ' || r == 0x7F }):
		return Template{}, fmt.Errorf("%q has a control character, or is not UTF-8", text)
	}
	t := Template{text: text}
	for rest := text; rest != ""; {
		at := strings.IndexAny(rest, "{}*")
		if at < 0 {
			at = len(rest)
		}
		if at > 0 {
			t.parts = append(t.parts, part{literal, rest[:at]})
			rest = rest[at:]
			continue
		}
		if rest[0] == '*' {
			t.parts, rest = append(t.parts, part{kind: wildcard}), rest[1:]
			continue
		}
		end := strings.IndexByte(rest, '}') + 1
		k, known := variables[rest[:end]]
		if !known {
			return Template{}, fmt.Errorf("%q has a brace that is no {principal} or {tenant}", text)
		}
		t.parts, rest = append(t.parts, part{kind: k}), rest[end:]
	}
	return t, nil
}

// String is the template as it was written.
func (t Template) String() string { return t.text }

// pieces are the texts between the wildcards, for one owner: one more than there are wildcards.
func (t Template) pieces(o Owner) []string {
	var out []string
	var b strings.Builder
	for _, p := range t.parts {
		switch p.kind {
		case literal:
			b.WriteString(p.text)
		case principal:
			b.WriteString(o.Principal)
		case tenant:
			b.WriteString(o.Tenant)
		case wildcard:
			out = append(out, b.String())
			b.Reset()
		}
	}
	return append(out, b.String())
}

// Matches reports whether the owner may use the client identifier by this template.
func (t Template) Matches(o Owner, id string) bool {
	pieces := t.pieces(o)
	first, last := pieces[0], pieces[len(pieces)-1]
	if len(pieces) == 1 {
		return id == first
	}
	rest, ok := strings.CutPrefix(id, first)
	if ok {
		rest, ok = strings.CutSuffix(rest, last)
	}
	if !ok {
		return false
	}
	// The leftmost place of each is as good as any: it leaves the most to those behind.
	for _, p := range pieces[1 : len(pieces)-1] {
		at := strings.Index(rest, p)
		if at < 0 {
			return false
		}
		rest = rest[at+len(p):]
	}
	return true
}

// assign puts random text in the place of the first wildcard.
func (t Template) assign(o Owner, random string) (id string, ok bool) {
	pieces := t.pieces(o)
	if len(pieces) == 1 {
		return "", false
	}
	id = pieces[0] + random + strings.Join(pieces[1:], "")
	return id, len(id) <= assignedMax
}
