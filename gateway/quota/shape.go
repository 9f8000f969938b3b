package quota

import (
	"cmp"
	"fmt"
	"maps"
	"slices"
	"strings"

	"go.yaml.in/yaml/v3"
)

// level is what may stand somewhere in a file: keys and what is below each. Nil is a whole number. anyName stands for the name of a tenant or a principal.
type level map[string]level

const anyName = "*"

func fileLevel() level {
	session := numbers((&SomeSession{}).all(), nil)
	limits := (&SomeLimits{}).all()
	principal := numbers(limits, level{"session": session})
	tenant := numbers(limits, level{"principal": numbers(limits, nil), "session": session, "principals": {anyName: principal}})
	return level{"tenants": {anyName: tenant}}
}

func numbers(all []said, more level) level {
	l := maps.Clone(more)
	if l == nil {
		l = level{}
	}
	for _, s := range all {
		l[s.name] = nil
	}
	return l
}

// check tells, with its line, what a file says in the wrong place. The decoder would name our types instead.
func (l level) check(n *yaml.Node, where string) (faults []error) {
	if n.Kind == yaml.AliasNode {
		n = n.Alias
	}
	tag := n.ShortTag()
	switch {
	case tag == "!!null":
		return nil
	case l == nil && tag != "!!int" && tag != "!!float":
		return []error{fmt.Errorf("line %d: %s: %.100q is not a whole number", n.Line, where, n.Value)}
	case l == nil:
		return nil
	case n.Kind != yaml.MappingNode:
		return []error{fmt.Errorf("line %d: %s: keys belong below it, indented (%s)", n.Line, cmp.Or(where, "the file"), l.keys())}
	}
	for i := 0; i+1 < len(n.Content); i += 2 {
		name := n.Content[i].Value
		below, known := l[name]
		if !known {
			below, known = l[anyName]
		}
		if !known && n.Content[i].ShortTag() != "!!merge" {
			faults = append(faults, fmt.Errorf("line %d: %s: unknown key %.100q; there are %s", n.Content[i].Line, cmp.Or(where, "the file"), name, l.keys()))
			continue
		}
		if known {
			faults = append(faults, below.check(n.Content[i+1], strings.TrimPrefix(where+"."+name, "."))...)
		}
	}
	return faults
}

func (l level) keys() string {
	if _, named := l[anyName]; named {
		return "names"
	}
	return strings.Join(slices.Sorted(maps.Keys(l)), ", ")
}
