package permit

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"

	"go.yaml.in/yaml/v3"

	"sluice/mqtt/packet"
)

// Faults are all that is wrong with a policy file, one a line.
type Faults []string

func (f Faults) Error() string { return strings.Join(f, "\n") }

// Parse reads a policy file. The error is of type Faults.
func Parse(content []byte) (*Policy, error) {
	r := &reader{policy: &Policy{}, names: map[string]int{NoRule: 0}}
	r.document(content)
	if len(r.faults) > 0 {
		return nil, r.faults
	}
	return r.policy, nil
}

// reader reads a file. It goes on behind a fault, so that all are told at once.
type reader struct {
	policy *Policy
	names  map[string]int // of the rules so far, with their lines
	faults Faults
}

func (r *reader) fault(line int, format string, args ...any) {
	switch {
	case len(r.faults) < faultsMax:
		r.faults = append(r.faults, fmt.Sprintf("line %d: %s", line, fmt.Sprintf(format, args...)))
	case len(r.faults) == faultsMax:
		r.faults = append(r.faults, "there are more faults; these come first")
	}
}

func (r *reader) document(content []byte) {
	if len(content) > FileMax {
		r.fault(1, "the file has more than %d bytes; name the right one", FileMax)
		return
	}
	decoder := yaml.NewDecoder(bytes.NewReader(content))
	var root, more yaml.Node
	if err := decoder.Decode(&root); errors.Is(err, io.EOF) || err == nil && len(root.Content) == 0 {
		r.fault(1, "the file is empty; a policy that denies everything is: rules: []")
		return
	} else if err != nil {
		r.faults = append(r.faults, fmt.Sprintf("the file is no YAML: %s; within [ ] texts with { or # need quotes", strings.TrimPrefix(err.Error(), "yaml: ")))
		return
	}
	if err := decoder.Decode(&more); !errors.Is(err, io.EOF) {
		r.fault(root.Content[0].Line, "there is more behind the first document (---); write all rules into one list")
		return
	}
	top := plain(root.Content[0])
	if top.Kind != yaml.MappingNode {
		r.fault(top.Line, "begin the file with \"rules:\" and one rule behind each dash")
		return
	}
	var list *yaml.Node
	r.keys(top, "the file", []field{{"rules", func(n *yaml.Node) error { list = n; return nil }}})
	switch {
	case list == nil:
		r.fault(top.Line, "there are no rules; a policy that denies everything is: rules: []")
	case list.Kind != yaml.SequenceNode:
		r.fault(list.Line, "rules: is no list; begin each rule with a dash: \"- allow: own-topics\"")
	case len(list.Content) > rulesMax:
		r.fault(list.Line, "rules: there are %d, at most %d are possible; one rule can be for many with placeholders and groups", len(list.Content), rulesMax)
	default:
		for _, n := range list.Content {
			r.rule(plain(n))
		}
	}
}

// field is one key of a map. The error of set says what is wrong and what would be right.
type field struct {
	name string
	set  func(n *yaml.Node) error
}

// keys reads a map.
func (r *reader) keys(n *yaml.Node, label string, fields []field) {
	seen := map[string]int{}
	for i := 0; i+1 < len(n.Content); i += 2 {
		key, value := n.Content[i], plain(n.Content[i+1])
		at := slices.IndexFunc(fields, func(f field) bool { return f.name == key.Value })
		switch before := seen[key.Value]; {
		case at < 0:
			names := make([]string, len(fields))
			for i, f := range fields {
				names[i] = f.name
			}
			r.fault(key.Line, "%s: unknown key %.100q; there are %s", label, key.Value, strings.Join(names, ", "))
			continue
		case before > 0:
			r.fault(key.Line, "%s: %s is there already, in line %d; leave one of them out", label, key.Value, before)
			continue
		}
		seen[key.Value] = key.Line
		if err := fields[at].set(value); err != nil {
			r.fault(value.Line, "%s: %s: %v", label, key.Value, err)
		}
	}
}

func (r *reader) rule(n *yaml.Node) {
	if n.Kind != yaml.MappingNode {
		r.fault(n.Line, "a rule is a map of keys; write it like \"- allow: own-topics\" with further keys below")
		return
	}
	u := rule{line: n.Line, qosMax: 2, retain: true, will: true, shared: true}
	w := written{}
	label := "the rule"
	for i := 0; i+1 < len(n.Content); i += 2 {
		if k := n.Content[i].Value; k == "allow" || k == "deny" {
			label = fmt.Sprintf("rule %.100q", plain(n.Content[i+1]).Value)
		}
	}
	before := len(r.faults)
	r.keys(n, label, []field{
		{"allow", r.nameOf(&u, &w, true)},
		{"deny", r.nameOf(&u, &w, false)},
		{"who", func(n *yaml.Node) error { r.who(n, label, &u.who); return nil }},
		{"do", actions(&u)},
		{"topics", topics(&u)},
		{"qos_max", w.note("qos_max", qos(&u.qosMax))},
		{"retain", w.note("retain", yes(&u.retain))},
		{"will", w.note("will", yes(&u.will))},
		{"shared", w.note("shared", yes(&u.shared))},
	})
	if len(r.faults) == before {
		r.complete(&u, &w, label)
	}
	r.policy.rules = append(r.policy.rules, u)
	for _, t := range u.topics {
		r.policy.levels = max(r.policy.levels, strings.Count(t.text, "/")+1)
	}
}

// written is what a rule has of keys that exclude others.
type written struct {
	effects      int
	restrictions []string
}

func (w *written) note(name string, set func(*yaml.Node) error) func(*yaml.Node) error {
	return func(n *yaml.Node) error {
		w.restrictions = append(w.restrictions, name)
		return set(n)
	}
}

// complete looks at a rule as a whole.
func (r *reader) complete(u *rule, w *written, label string) {
	switch {
	case w.effects == 0:
		r.fault(u.line, "%s: there is neither allow nor deny; write \"allow: NAME\" or \"deny: NAME\"", label)
	case w.effects == 2:
		r.fault(u.line, "%s: there are allow and deny; make two rules of it", label)
	case !u.publish && !u.subscribe:
		r.fault(u.line, "%s: do is missing; write \"do: publish\", \"do: subscribe\" or \"do: [publish, subscribe]\"", label)
	case len(u.topics) == 0:
		r.fault(u.line, "%s: topics is missing; write topic filters like devices/{client_id}/#, or # with $SYS/# for all", label)
	case !u.allow && len(w.restrictions) > 0:
		r.fault(u.line, "%s: %s is for rules of allow; to forbid only that, make it \"allow\" with the restriction, before the rule that allows more", label, w.restrictions[0])
	}
	for _, name := range w.restrictions {
		switch {
		case (name == "retain" || name == "will") && !u.publish:
			r.fault(u.line, "%s: %s is about publishing, which do does not name; leave it out", label, name)
		case name == "shared" && !u.subscribe:
			r.fault(u.line, "%s: shared is about subscribing, which do does not name; leave it out", label)
		}
	}
}

func (r *reader) nameOf(u *rule, w *written, allow bool) func(*yaml.Node) error {
	return func(n *yaml.Node) error {
		w.effects++
		u.allow = allow
		name, err := text(n)
		wrong := strings.ContainsFunc(name, func(c rune) bool {
			return !(c >= 'a' && c <= 'z' || c >= '0' && c <= '9' || c == '-' || c == '_' || c == '.')
		})
		switch before, taken := r.names[name]; {
		case err != nil:
			return err
		case name == "" || len(name) > nameMax || wrong:
			return fmt.Errorf("%.100q is no name of a rule; use up to %d of a-z, 0-9, hyphen, underscore and dot", name, nameMax)
		case taken && before == 0:
			return fmt.Errorf("the name %s is what stands for no rule; choose another one", NoRule)
		case taken:
			return fmt.Errorf("the name %s is that of the rule in line %d; metrics and sluice explain tell rules apart by their names, so choose another one", name, before)
		}
		r.names[name], u.name = n.Line, name
		return nil
	}
}

func (r *reader) who(n *yaml.Node, label string, w *who) {
	if n.Kind != yaml.MappingNode || len(n.Content) == 0 {
		r.fault(n.Line, "%s: who names nobody; write lists below it (principals, groups, tenants, claims), or leave it out for everybody", label)
		return
	}
	label += ": who"
	r.keys(n, label, []field{
		{"principals", names(&w.principals)},
		{"groups", names(&w.groups)},
		{"tenants", names(&w.tenants)},
		{"claims", func(n *yaml.Node) error { return r.claims(n, label, w) }},
	})
}

func (r *reader) claims(n *yaml.Node, label string, w *who) error {
	if n.Kind != yaml.MappingNode || len(n.Content) == 0 {
		return fmt.Errorf("is no map; write names with their values below it, like site: hall-1")
	}
	if len(n.Content) > 2*namesMax {
		return fmt.Errorf("has more than %d names", namesMax)
	}
	var fields []field
	for i := 0; i < len(n.Content); i += 2 {
		name := n.Content[i].Value
		if slices.ContainsFunc(fields, func(f field) bool { return f.name == name }) {
			continue // keys tells it
		}
		fields = append(fields, field{name, func(n *yaml.Node) error {
			c := claim{name: name}
			err := names(&c.values)(n)
			w.claims = append(w.claims, c)
			return err
		}})
	}
	r.keys(n, label+": claims", fields)
	return nil
}

func actions(u *rule) func(*yaml.Node) error {
	return func(n *yaml.Node) error {
		list, err := texts(n)
		if err != nil {
			return err
		}
		for _, s := range list {
			switch s {
			case "publish":
				u.publish = true
			case "subscribe":
				u.subscribe = true
			default:
				return fmt.Errorf("%.100q is neither publish nor subscribe", s)
			}
		}
		return nil
	}
}

func topics(u *rule) func(*yaml.Node) error {
	return func(n *yaml.Node) error {
		list, err := texts(n)
		if err != nil {
			return err
		}
		if len(list) > topicsMax {
			return fmt.Errorf("there are more than %d; make several rules of it, or use wildcards", topicsMax)
		}
		for _, s := range list {
			t, err := parseTemplate(s)
			if err != nil {
				return fmt.Errorf("%.100q %w", s, err)
			}
			u.topics = append(u.topics, t)
		}
		return nil
	}
}

func names(dst *[]string) func(*yaml.Node) error {
	return func(n *yaml.Node) error {
		list, err := texts(n)
		if err != nil {
			return err
		}
		if len(list) > namesMax {
			return fmt.Errorf("there are more than %d; put them into a group", namesMax)
		}
		for _, s := range list {
			if star := strings.IndexByte(s, '*'); s == "" || len(s) > textMax || star >= 0 && star != len(s)-1 {
				return fmt.Errorf("%.100q is no name; write it as it is, or its beginning with * behind", s)
			}
		}
		*dst = list
		return nil
	}
}

func qos(dst *packet.QoS) func(*yaml.Node) error {
	return func(n *yaml.Node) error {
		s, err := text(n)
		if err == nil && s != "0" && s != "1" && s != "2" {
			err = fmt.Errorf("%.100q is none of 0, 1 and 2", s)
		}
		if err == nil {
			*dst = packet.QoS(s[0] - '0')
		}
		return err
	}
}

func yes(dst *bool) func(*yaml.Node) error {
	return func(n *yaml.Node) error {
		s, err := text(n)
		if err == nil && s != "true" && s != "false" {
			err = fmt.Errorf("%.100q is neither true nor false", s)
		}
		*dst = s == "true"
		return err
	}
}

// texts reads a text or a list of texts, which is not empty.
func texts(n *yaml.Node) (list []string, err error) {
	if n.Kind != yaml.SequenceNode {
		s, err := text(n)
		return []string{s}, err
	}
	for _, e := range n.Content {
		s, err := text(plain(e))
		if err != nil {
			return nil, err
		}
		list = append(list, s)
	}
	if len(list) == 0 {
		return nil, fmt.Errorf("is an empty list; write at least one, or leave the key out")
	}
	return list, nil
}

func text(n *yaml.Node) (string, error) {
	if n.Kind != yaml.ScalarNode || n.Tag == "!!null" {
		return "", fmt.Errorf("is not a text; write one value behind the colon, in quotes if it begins with {, # or *")
	}
	return n.Value, nil
}

// plain follows an alias.
func plain(n *yaml.Node) *yaml.Node {
	for n.Kind == yaml.AliasNode {
		n = n.Alias
	}
	return n
}
