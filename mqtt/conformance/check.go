package conformance

import (
	"fmt"
	"slices"
)

// Check holds a table against the complete list of its numbers and against the tests it names. It gives a sentence for each thing that is
// wrong. strict counts what is pending as wrong.
func Check(t *Table, numbers []string, tests *Tests, strict bool) []string {
	var wrong []string
	say := func(s *Statement, format string, args ...any) {
		wrong = append(wrong, fmt.Sprintf("%s:%d: %s: %s", t.Name, s.Line, s.Number, fmt.Sprintf(format, args...)))
	}
	for _, n := range numbers {
		if t.find(n) == nil {
			wrong = append(wrong, fmt.Sprintf("%s: %s is missing", t.Name, n))
		}
	}
	for i := range t.Statements {
		s := &t.Statements[i]
		if !slices.Contains(numbers, s.Number) {
			say(s, "the standard has no such statement")
		}
		switch {
		case s.State == Unanswered:
			say(s, "has neither a test nor a reason")
		case s.State == Pending && strict:
			say(s, "is pending: %s", s.Reason)
		}
		for _, p := range s.Proofs {
			if err := tests.Check(p); err != nil {
				say(s, "%v", err)
			}
		}
	}
	return wrong
}
