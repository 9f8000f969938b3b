package permit

import (
	"fmt"
	"slices"
	"strings"

	"sluice/gateway/access"
	"sluice/mqtt/packet"
	"sluice/mqtt/topic"
)

// Question asks what a policy makes of a message, or of a subscription.
type Question struct {
	Principal access.Principal
	ClientID  string

	Topic  string // of a message; or
	Filter string // of a subscription
	QoS    int
	Retain bool
	Will   bool
}

// Explanation is a decision and how it came about. The names in JSON are a contract.
type Explanation struct {
	Allowed bool        `json:"allowed"`
	Rule    string      `json:"rule"`             // that decides; none: no rule is for it
	Filter  string      `json:"filter,omitempty"` // of that rule, for the device
	Why     string      `json:"why"`
	QoS     *packet.QoS `json:"granted_qos,omitempty"` // of a subscription
	Rules   []Step      `json:"rules"`
	// Parts say which rules decide about the topics that a filter matches.
	Parts    []Part    `json:"parts,omitempty"`
	Problems []Problem `json:"problems,omitempty"`

	question Question
}

// Step says what became of one rule.
type Step struct {
	Rule string `json:"rule"`
	Line int    `json:"line"`
	Says string `json:"says"`
}

// Part is some of the topics of a filter.
type Part struct {
	Topics  string `json:"topics"`
	Rule    string `json:"rule"`
	Allowed bool   `json:"allowed"`
	QoSMax  *int   `json:"qos_max,omitempty"`
}

// Explain answers a question. The error says what is wrong with it.
func (p *Policy) Explain(q Question) (Explanation, error) {
	if err := q.check(); err != nil {
		return Explanation{}, err
	}
	v := p.For(Device{Principal: &q.Principal, ClientID: q.ClientID})
	e := Explanation{Problems: v.Problems(), question: q}
	if q.Filter != "" {
		e.decided(v.Subscribe(q.Filter))
		if e.Allowed {
			d := v.Subscribe(q.Filter)
			granted := d.Grant(packet.QoS(q.QoS))
			e.QoS = &granted
		}
		e.Rules = v.steps(q.Filter, "", false, &v.hearing)
		e.Parts = v.parts(q.Filter)
		return e, nil
	}
	e.decided(v.Publish(Message{Topic: q.Topic, QoS: packet.QoS(q.QoS), Retain: q.Retain, Will: q.Will}))
	e.Rules = v.steps(q.Topic, e.Rule, true, &v.publishing)
	return e, nil
}

func (q *Question) check() error {
	switch {
	case (q.Topic == "") == (q.Filter == ""):
		return fmt.Errorf("ask for the topic of a message, or for the topic filter of a subscription")
	case q.QoS < 0 || q.QoS > 2:
		return fmt.Errorf("the QoS %d is none of 0, 1 and 2", q.QoS)
	case q.Filter != "" && (q.Retain || q.Will):
		return fmt.Errorf("a subscription is neither retained nor a Will; leave that out, or ask for a topic")
	case q.Principal.Name == "" || q.Principal.Tenant == "":
		return fmt.Errorf("the principal and its tenant need a name")
	case q.Filter != "":
		return invalid("topic filter", q.Filter, topic.ValidateFilter(q.Filter))
	}
	return invalid("topic", q.Topic, topic.ValidateName(q.Topic))
}

func invalid(what, text string, err error) error {
	if err == nil {
		return nil
	}
	return fmt.Errorf("the %s %q: %w", what, text, err)
}

func (e *Explanation) decided(d Decision) {
	e.Allowed, e.Rule, e.Filter, e.Why = d.Allowed(), d.Rule, d.Filter, d.Obstacle.String()
}

// steps says of each rule up to the one that decides why it does not.
func (v *View) steps(about, decides string, publish bool, entries *entries) (steps []Step) {
	_, filter, shared := topic.Shared(about)
	if !shared {
		filter = about
	}
	for i := range v.policy.rules {
		r := &v.policy.rules[i]
		s := Step{Rule: r.name, Line: r.line, Says: v.says(r, filter, publish, entries)}
		steps = append(steps, s)
		if r.name == decides {
			break
		}
	}
	return steps
}

func (v *View) says(r *rule, about string, publish bool, entries *entries) string {
	effect := "denies"
	if r.allow {
		effect = "allows"
	}
	switch ok, why := r.who.includes(v.device.Principal); {
	case publish && !r.publish:
		return "is not about publishing"
	case !publish && !r.subscribe:
		return "is not about subscribing"
	case !ok:
		return "is not for this device: " + why
	}
	var filters, meets []string
	for _, e := range entries.list {
		if e.rule == r {
			filters = append(filters, e.filter)
			if topic.Overlap(e.filter, about) {
				meets = append(meets, e.filter)
			}
		}
	}
	switch {
	case len(filters) == 0:
		return "does not apply to this device, see below"
	case len(meets) == 0:
		return "is for other topics: " + strings.Join(filters, ", ")
	}
	return effect + " " + strings.Join(slices.Compact(meets), ", ") + r.restrictions()
}

func (r *rule) restrictions() string {
	var b strings.Builder
	if r.qosMax < 2 {
		fmt.Fprintf(&b, ", qos_max: %d", r.qosMax)
	}
	for _, f := range []struct {
		name    string
		allowed bool
	}{{"retain", r.retain}, {"will", r.will}, {"shared", r.shared}} {
		if !f.allowed {
			fmt.Fprintf(&b, ", %s: false", f.name)
		}
	}
	return b.String()
}

// parts are the topics of a filter by the rule that decides about them, as far as one does.
func (v *View) parts(filter string) (parts []Part) {
	if _, plain, shared := topic.Shared(filter); shared {
		filter = plain
	}
	v.deciding(filter, func(e *entry) bool {
		both, _ := common(filter, e.filter)
		p := Part{Topics: both, Rule: e.rule.name, Allowed: e.rule.allow}
		if p.Allowed {
			most := int(e.rule.qosMax)
			p.QoSMax = &most
		}
		parts = append(parts, p)
		return true
	})
	if reaches(filter, v.hearing.list, v.policy.levels) {
		parts = append(parts, Part{Topics: filter, Rule: NoRule})
	}
	return parts
}

// Text is the explanation for people.
func (e *Explanation) Text() string {
	var b strings.Builder
	q := &e.question
	fmt.Fprintf(&b, "device    principal %s, tenant %s, client identifier %q\n", q.Principal.Name, q.Principal.Tenant, q.ClientID)
	if q.Filter != "" {
		fmt.Fprintf(&b, "wants to  subscribe to %s, QoS %d\n", q.Filter, q.QoS)
	} else {
		fmt.Fprintf(&b, "wants to  publish to %s, QoS %d%s%s\n", q.Topic, q.QoS, said(q.Retain, ", retained"), said(q.Will, ", as its Will"))
	}
	verdict := "denied"
	if e.Allowed {
		verdict = "allowed"
	}
	switch {
	case e.Rule == NoRule:
		fmt.Fprintf(&b, "decision  %s: %s\n", verdict, e.Why)
	case e.Allowed:
		fmt.Fprintf(&b, "decision  %s by rule %s (%s)", verdict, e.Rule, e.Filter)
		if e.QoS != nil {
			fmt.Fprintf(&b, ", granted QoS %d", *e.QoS)
		}
		b.WriteByte('\n')
	default:
		fmt.Fprintf(&b, "decision  %s by rule %s (%s): %s\n", verdict, e.Rule, e.Filter, e.Why)
	}
	if len(e.Rules) > 0 {
		b.WriteString("rules\n")
	}
	for _, s := range e.Rules {
		fmt.Fprintf(&b, "  %s (line %d) %s\n", s.Rule, s.Line, s.Says)
	}
	if len(e.Parts) > 0 {
		b.WriteString("messages, the first that matches counts\n")
	}
	for _, p := range e.Parts {
		switch {
		case p.Allowed:
			fmt.Fprintf(&b, "  %s: come up to QoS %d, by rule %s\n", p.Topics, *p.QoSMax, p.Rule)
		case p.Rule == NoRule:
			fmt.Fprintf(&b, "  all others: do not come, no rule allows them\n")
		default:
			fmt.Fprintf(&b, "  %s: do not come, by rule %s\n", p.Topics, p.Rule)
		}
	}
	for _, p := range e.Problems {
		fmt.Fprintf(&b, "problem   rule %s: %s\n", p.Rule, p.Text)
	}
	return b.String()
}

func said(yes bool, text string) string {
	if yes {
		return text
	}
	return ""
}

// Everything answers a question where there is no policy. The error says what is wrong with the question.
func Everything(q Question) (Explanation, error) {
	if err := q.check(); err != nil {
		return Explanation{}, err
	}
	e := Explanation{Allowed: true, Rule: NoRule, Why: "everything is allowed: access.default is all, and there is no access.policy", question: q}
	if q.Filter != "" {
		granted := packet.QoS(q.QoS)
		e.QoS = &granted
	}
	return e, nil
}

// ParseClaims reads claims that are written as name=value; a name may come again.
func ParseClaims(list []string) (map[string][]string, error) {
	claims := map[string][]string{}
	for _, s := range list {
		name, value, ok := strings.Cut(s, "=")
		if !ok || name == "" {
			return nil, fmt.Errorf("%q is no claim; write it as name=value", s)
		}
		claims[name] = append(claims[name], value)
	}
	return claims, nil
}
