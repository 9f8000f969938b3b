package clientid

import (
	"fmt"
	"strings"
)

// Templates allow what one of them matches; none allow everything.
type Templates []Template

// ParseAll reads a list of templates.
func ParseAll(texts []string) (Templates, error) {
	if len(texts) > TemplatesMax {
		return nil, fmt.Errorf("there are %d templates; at most %d are allowed", len(texts), TemplatesMax)
	}
	var all Templates
	for _, text := range texts {
		t, err := Parse(text)
		if err != nil {
			return nil, err
		}
		all = append(all, t)
	}
	return all, nil
}

// Allow reports whether the owner may use the client identifier.
func (ts Templates) Allow(o Owner, id string) bool {
	for _, t := range ts {
		if t.Matches(o, id) {
			return true
		}
	}
	return len(ts) == 0
}

// Assign makes a client identifier for a device that has none [MQTT-3.1.3-6]: one that the templates allow when the device brings it again, and as hard to
// guess as the random text in it. It is false when no template has a place for random text.
func (ts Templates) Assign(o Owner, random string) (id string, ok bool) {
	for _, t := range ts {
		if id, ok := t.assign(o, random); ok {
			return id, true
		}
	}
	return "", false
}

// shown is how many templates String names.
const shown = 3

// String names them for a person.
func (ts Templates) String() string {
	var names []string
	for _, t := range ts[:min(len(ts), shown)] {
		names = append(names, t.text)
	}
	s := strings.Join(names, " or ")
	if len(ts) > shown {
		s += fmt.Sprintf(" (and %d more)", len(ts)-shown)
	}
	return s
}
