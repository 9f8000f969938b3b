package conformance

import (
	"bufio"
	"fmt"
	"io"
	"regexp"
	"strings"
)

// State says how a statement is answered.
type State uint8

// The states. The zero State is a statement that nobody has answered.
const (
	Unanswered State = iota
	Proven           // by tests
	Client           // binds only a client
	Exempt           // binds a server, but not by what this one does
	Pending          // not there yet
)

// Statement is one numbered statement of a version of the standard.
type Statement struct {
	Number string // as "3.1.2-22"
	Text   string // what it asks, in our words
	State  State
	Reason string // of Client, Exempt and Pending
	Proofs []Proof
	Line   int // where it stands in its table
}

// Proof names a test.
type Proof struct {
	Package string // the folder below the module's root
	Test    string
	Cases   []string // names of subtests, rows or files in testdata; empty is the whole test
}

// Table is a parsed file of statements, in its order.
type Table struct {
	Name       string
	Statements []Statement
}

var numberPattern = regexp.MustCompile(`^\d+\.\d+\.\d+-\d+$`)

// Parse reads a table. same is the table that "as" refers to; nil refuses the word. Errors name the line.
func Parse(name string, r io.Reader, same *Table) (*Table, error) {
	t := &Table{Name: name}
	lines := bufio.NewScanner(r)
	for n := 1; lines.Scan(); n++ {
		line := strings.TrimRight(lines.Text(), " ")
		var err error
		switch {
		case line == "" || strings.HasPrefix(line, "#"):
		case strings.HasPrefix(line, "\t"):
			err = t.detail(strings.TrimPrefix(line, "\t"), same)
		default:
			err = t.begin(line, n)
		}
		if err != nil {
			return nil, fmt.Errorf("%s:%d: %w", name, n, err)
		}
	}
	return t, lines.Err()
}

func (t *Table) begin(line string, n int) error {
	number, text, _ := strings.Cut(line, " ")
	switch {
	case !numberPattern.MatchString(number):
		return fmt.Errorf("%q is no number of a statement", number)
	case text == "":
		return fmt.Errorf("%s says nothing of what is asked", number)
	case t.find(number) != nil:
		return fmt.Errorf("%s is there twice", number)
	}
	t.Statements = append(t.Statements, Statement{Number: number, Text: text, Line: n})
	return nil
}

// detail reads an indented line.
func (t *Table) detail(line string, same *Table) error {
	if len(t.Statements) == 0 {
		return fmt.Errorf("a proof stands before the first statement")
	}
	s := &t.Statements[len(t.Statements)-1]
	word, rest, _ := strings.Cut(line, " ")
	states := map[string]State{"client": Client, "exempt": Exempt, "pending": Pending}
	switch {
	case rest == "":
		return fmt.Errorf("%q lacks its reason or test", word)
	case word == "test":
		return s.addProof(rest)
	case word == "as":
		return s.sameAs(rest, same)
	case states[word] == Unanswered:
		return fmt.Errorf("%q is no word of a table; see doc.go", word)
	case s.Reason != "":
		return fmt.Errorf("%s has two states", s.Number)
	}
	s.State, s.Reason = states[word], rest
	return nil
}

func (s *Statement) addProof(text string) error {
	name, cases, hasCases := strings.Cut(text, ": ")
	pkg, test, ok := strings.Cut(name, " ")
	if !ok || strings.Contains(test, " ") {
		return fmt.Errorf("%q is not PACKAGE TEST[: CASE; CASE]", text)
	}
	p := Proof{Package: pkg, Test: test}
	if hasCases {
		p.Cases = strings.Split(cases, "; ")
	}
	s.Proofs = append(s.Proofs, p)
	if s.State == Unanswered {
		s.State = Proven
	}
	return nil
}

// sameAs takes over the proofs of a statement of another version.
func (s *Statement) sameAs(number string, same *Table) error {
	if same == nil {
		return fmt.Errorf("nothing to be the same as")
	}
	other := same.find(number)
	if other == nil || other.State != Proven {
		return fmt.Errorf("%s has no proof in %s", number, same.Name)
	}
	s.Proofs = append(s.Proofs, other.Proofs...)
	if s.State == Unanswered {
		s.State = Proven
	}
	return nil
}

func (t *Table) find(number string) *Statement {
	for i := range t.Statements {
		if t.Statements[i].Number == number {
			return &t.Statements[i]
		}
	}
	return nil
}

// ParseNumbers reads a list of numbers, one a line.
func ParseNumbers(name string, r io.Reader) ([]string, error) {
	var numbers []string
	seen := map[string]bool{}
	lines := bufio.NewScanner(r)
	for n := 1; lines.Scan(); n++ {
		line := strings.TrimSpace(lines.Text())
		if line == "" || strings.HasPrefix(line, "#") {
			continue
		}
		if !numberPattern.MatchString(line) || seen[line] {
			return nil, fmt.Errorf("%s:%d: %q is no number of a statement, or there twice", name, n, line)
		}
		seen[line] = true
		numbers = append(numbers, line)
	}
	return numbers, lines.Err()
}
