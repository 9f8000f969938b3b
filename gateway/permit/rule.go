package permit

import (
	"slices"
	"strings"

	"sluice/gateway/access"
	"sluice/mqtt/packet"
)

// Policy is a list of rules. It is not changed once made.
type Policy struct {
	rules  []rule
	levels int // of the longest template
}

// Len is the number of rules.
func (p *Policy) Len() int { return len(p.rules) }

// Names are those of the rules, in their order. The last is that of the decision where no rule is for a topic.
func (p *Policy) Names() []string {
	names := make([]string, 0, len(p.rules)+1)
	for i := range p.rules {
		names = append(names, p.rules[i].name)
	}
	return append(names, NoRule)
}

// NoRule is named where no rule is for a topic. No rule may have this name.
const NoRule = "none"

// rule is one rule of a policy.
type rule struct {
	name      string
	line      int
	allow     bool
	who       who
	publish   bool
	subscribe bool
	topics    []template

	// Restrictions of allow.
	qosMax packet.QoS
	retain bool
	will   bool
	shared bool
}

// who says whom a rule is for: those who have one of the values of each list that is not empty. A value ends with * for all that begin with the rest.
type who struct {
	principals, groups, tenants []string
	claims                      []claim
}

type claim struct {
	name   string
	values []string
}

// includes reports whether the principal is one of those; why names the first list that says no.
func (w *who) includes(p *access.Principal) (ok bool, why string) {
	switch {
	case len(w.tenants) > 0 && !matchesAny(w.tenants, p.Tenant):
		return false, "tenants"
	case len(w.principals) > 0 && !matchesAny(w.principals, p.Name):
		return false, "principals"
	case len(w.groups) > 0 && !anyMatches(w.groups, p.Groups):
		return false, "groups"
	}
	for _, c := range w.claims {
		if !anyMatches(c.values, p.Claims[c.name]) {
			return false, "claims." + c.name
		}
	}
	return true, ""
}

func anyMatches(patterns, values []string) bool {
	return slices.ContainsFunc(values, func(v string) bool { return matchesAny(patterns, v) })
}

func matchesAny(patterns []string, value string) bool {
	return slices.ContainsFunc(patterns, func(p string) bool {
		start, begins := strings.CutSuffix(p, "*")
		return p == value || begins && strings.HasPrefix(value, start)
	})
}
