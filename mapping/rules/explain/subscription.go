package explain

import (
	"errors"
	"fmt"
	"strings"

	"sluice/mapping"
	"sluice/mapping/rules"
	"sluice/mqtt/topic"
)

// Subscription is what the bus is asked for when a device subscribes.
type Subscription struct {
	Direction string  `json:"direction"` // "subscribe"
	Question  string  `json:"question"`
	Bindings  []Bound `json:"bindings"`
	// Unheard are rules whose topics the filter can match and whose messages the subscription does not get.
	Unheard []Unheard `json:"unheard"`
}

// Bound is a binding of the inbox that serves a subscription.
type Bound struct {
	Exchange string `json:"exchange"`
	Pattern  string `json:"pattern"`
	Rule     string `json:"rule,omitempty"` // that asks for it: number, and name in parentheses; empty: the default
}

// Unheard is a rule that a subscription hears nothing of.
type Unheard struct {
	Rule string `json:"rule"` // as in Bound
	Why  string `json:"why"`
}

// Subscribe explains a subscription with the filter of the question. The error says what is wrong with it.
func Subscribe(dialect mapping.Dialect, table *rules.Table, q Question) (Subscription, error) {
	if q.Topic != "" || q.Address != "" || q.Subject != "" {
		return Subscription{}, errors.New("a filter is about a subscription; topic, address and subject are about a message: give one or the other")
	}
	if err := topic.ValidateFilter(q.Filter); err != nil {
		return Subscription{}, fmt.Errorf("the filter %q: %w", q.Filter, err)
	}
	filter := q.Filter
	if _, plain, shared := topic.Shared(filter); shared {
		filter = plain
	}
	s := Subscription{Direction: "subscribe", Question: "a device subscribes to " + q.Filter, Bindings: []Bound{}, Unheard: []Unheard{}}
	for _, b := range table.Bindings(dialect, filter) {
		bound := Bound{Exchange: b.Exchange, Pattern: b.Pattern}
		if b.Rule.Number > 0 {
			bound.Rule = b.Rule.String()
		}
		s.Bindings = append(s.Bindings, bound)
	}
	for _, u := range table.Unheard(filter) {
		s.Unheard = append(s.Unheard, Unheard{u.Rule.String(), u.Why})
	}
	return s, nil
}

// Text is the explanation for people.
func (s *Subscription) Text() string {
	var b strings.Builder
	fmt.Fprintf(&b, "%s\n\nits messages come from, under keys that match\n", s.Question)
	fields := make([]Field, len(s.Bindings))
	for i, bound := range s.Bindings {
		fields[i] = Field{Name: bound.Exchange, Value: fmt.Sprintf("%q", bound.Pattern)}
		if bound.Rule != "" {
			fields[i].Value += ", by rule " + bound.Rule
		}
	}
	writeFields(&b, "  ", fields)
	b.WriteString("what comes is matched again, by its topic\n\nwhat it does not get\n")
	if len(s.Unheard) == 0 {
		b.WriteString("  nothing of what rules send under these topics\n")
	}
	for _, u := range s.Unheard {
		fmt.Fprintf(&b, "  rule %s: %s\n", u.Rule, u.Why)
	}
	return b.String()
}
