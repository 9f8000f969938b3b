package permit

import (
	"fmt"
	"strings"

	"sluice/gateway/access"
	"sluice/mqtt/topic"
)

// Device is whom decisions are about.
type Device struct {
	Principal *access.Principal
	ClientID  string
}

// template is a topic filter with placeholders in its levels.
type template struct {
	text   string
	levels [][]part // nil: the text has no placeholder
}

// part is text, or a placeholder.
type part struct {
	text  string
	value string // client_id, principal, tenant, or claim:NAME; empty: it is text
}

const (
	valueClientID  = "client_id"
	valuePrincipal = "principal"
	valueTenant    = "tenant"
	valueClaim     = "claim:"
)

// parseTemplate reads a template. The error says what would be right.
func parseTemplate(text string) (template, error) {
	t := template{text: text}
	if len(text) > textMax || strings.Count(text, "/") >= levelsMax {
		return t, fmt.Errorf("is longer than %d bytes or %d levels", textMax, levelsMax)
	}
	placeholders := false
	var sample []string
	for _, level := range strings.Split(text, "/") {
		parts, err := parseLevel(level)
		if err != nil {
			return t, err
		}
		var b strings.Builder
		for _, p := range parts {
			placeholders = placeholders || p.value != ""
			if b.WriteString(p.text); p.value != "" {
				b.WriteByte('x')
			}
		}
		t.levels, sample = append(t.levels, parts), append(sample, b.String())
	}
	if !placeholders {
		t.levels = nil
	}
	filter := strings.Join(sample, "/")
	if err := topic.ValidateFilter(filter); err != nil {
		return t, fmt.Errorf("is no topic filter: %w", err)
	}
	switch first, _, _ := strings.Cut(text, "/"); {
	case topic.IsShared(filter):
		return t, fmt.Errorf("begins with $share/; leave that and the name of the share out, and forbid shared subscriptions with shared: false")
	case first == "$sluice":
		return t, fmt.Errorf("is a topic of the gateway itself: $sluice/errors is always a device's own, and nobody publishes there; leave it out")
	}
	return t, nil
}

func parseLevel(level string) (parts []part, err error) {
	for rest := level; ; {
		text, behind, found := strings.Cut(rest, "{")
		if strings.Contains(text, "}") {
			return nil, fmt.Errorf("has a } without {")
		}
		if text != "" || !found {
			parts = append(parts, part{text: text})
		}
		if !found {
			return parts, nil
		}
		value, after, closed := strings.Cut(behind, "}")
		name, isClaim := strings.CutPrefix(value, valueClaim)
		switch {
		case !closed:
			return nil, fmt.Errorf("has a { without }; a placeholder may not contain a /")
		case isClaim && name != "" && !strings.Contains(name, "{"), value == valueClientID, value == valuePrincipal, value == valueTenant:
		default:
			return nil, fmt.Errorf("has {%s}; there are {client_id}, {principal}, {tenant} and {claim:NAME}", value)
		}
		parts = append(parts, part{value: value})
		rest = after
	}
}

// expand gives the filters of a template for a device: several where a claim has several values. A value that could change the shape of the filter is
// never put in. In a rule of allow it is passed over, and without another the rule does not apply. In one of deny the whole level becomes +, so that a
// device gets out of no rule by its name. problems say what was passed over.
func (t *template) expand(d *Device, allow bool) (filters, problems []string) {
	if t.levels == nil {
		return []string{t.text}, nil
	}
	filters = []string{""}
	for i, parts := range t.levels {
		choices, found := levelChoices(parts, d, i == 0 && allow)
		problems = append(problems, found...)
		if !allow && (len(found) > 0 || len(choices) == 0 || len(filters)*len(choices) > expandMax) {
			choices = []string{"+"}
		}
		if len(filters)*len(choices) > expandMax {
			problems = append(problems, fmt.Sprintf("has more than %d combinations of values", expandMax))
			return nil, problems
		}
		filters = extend(filters, choices, i > 0)
	}
	kept := filters[:0]
	for _, f := range filters {
		if topic.ValidateFilter(f) == nil { // a text that is too long
			kept = append(kept, f)
		} else {
			problems = append(problems, "becomes no valid topic filter")
		}
	}
	return kept, problems
}

func extend(filters, choices []string, separate bool) []string {
	out := make([]string, 0, len(filters)*len(choices))
	for _, f := range filters {
		if separate {
			f += "/"
		}
		for _, c := range choices {
			out = append(out, f+c)
		}
	}
	return out
}

// levelChoices gives the texts that a level can be. shy: none may begin with $, which would lead to topics that the rule's author did not think of.
func levelChoices(parts []part, d *Device, shy bool) (choices, problems []string) {
	choices = []string{""}
	for _, p := range parts {
		values := []string{p.text}
		if p.value != "" {
			var wrong []string
			if values, wrong = usable(d.values(p.value)); len(wrong) > 0 || len(values) == 0 {
				problems = append(problems, "{"+p.value+"} "+unusableText(wrong))
			}
		}
		if len(choices)*len(values) > expandMax {
			return nil, append(problems, "{"+p.value+"} has too many values")
		}
		choices = extend(choices, values, false)
	}
	if !shy || len(parts) == 0 || parts[0].value == "" {
		return choices, problems
	}
	kept := choices[:0]
	for _, c := range choices {
		if strings.HasPrefix(c, "$") {
			problems = append(problems, "{"+parts[0].value+"} begins with $")
			continue
		}
		kept = append(kept, c)
	}
	return kept, problems
}

// values are what a placeholder stands for.
func (d *Device) values(of string) []string {
	switch of {
	case valueClientID:
		return []string{d.ClientID}
	case valuePrincipal:
		return []string{d.Principal.Name}
	case valueTenant:
		return []string{d.Principal.Tenant}
	}
	return d.Principal.Claims[strings.TrimPrefix(of, valueClaim)]
}

// usable tells values that stay what they are as part of a level from those that do not.
func usable(values []string) (good, wrong []string) {
	for _, v := range values {
		if v == "" || strings.ContainsAny(v, "+#/\x00") {
			wrong = append(wrong, v)
		} else {
			good = append(good, v)
		}
	}
	return good, wrong
}

func unusableText(wrong []string) string {
	if len(wrong) == 0 {
		return "has no value"
	}
	return fmt.Sprintf("is empty or contains +, #, / or a null character: %.100q", wrong[0])
}
