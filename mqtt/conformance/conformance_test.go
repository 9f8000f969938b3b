package conformance

import (
	"flag"
	"os"
	"path/filepath"
	"testing"

	"github.com/google/go-cmp/cmp"
)

var rewrite = flag.Bool("rewrite", false, "write docs/conformance.md anew instead of comparing with it")

const (
	root     = "../.."
	module   = "sluice"
	document = "docs/conformance.md"
)

// load reads the tables and the lists of numbers of both versions.
func load(t *testing.T) (tables []*Table, numbers [][]string) {
	t.Helper()
	var last *Table
	for _, version := range []string{"5.0", "3.1.1"} {
		list, err := os.Open("ids-" + version + ".txt")
		if err != nil {
			t.Fatal(err)
		}
		defer list.Close()
		n, err := ParseNumbers(list.Name(), list)
		if err != nil {
			t.Fatal(err)
		}
		file, err := os.Open("statements-" + version + ".txt")
		if err != nil {
			t.Fatal(err)
		}
		defer file.Close()
		table, err := Parse(version, file, last)
		if err != nil {
			t.Fatal(err)
		}
		last, tables, numbers = table, append(tables, table), append(numbers, n)
	}
	return tables, numbers
}

// The standards have 251 and 141 statements: the lists cannot shrink unseen.
func TestNumbersAreComplete(t *testing.T) {
	_, numbers := load(t)
	if len(numbers[0]) != 251 || len(numbers[1]) != 141 {
		t.Errorf("%d and %d numbers, want 251 and 141", len(numbers[0]), len(numbers[1]))
	}
}

// Every statement of both versions is answered, by tests that exist and run, or by a reason.
func TestStatementsAreAnswered(t *testing.T) {
	tables, numbers := load(t)
	tests := NewTests(root, module)
	for i, table := range tables {
		for _, wrong := range Check(table, numbers[i], tests, true) {
			t.Error(wrong)
		}
	}
}

// A statement that the code, the tests or the documents mention exists, in the version they mention.
func TestMentionsExist(t *testing.T) {
	_, numbers := load(t)
	wrong, count, err := Mentions(root, numbers[0], numbers[1])
	if err != nil {
		t.Fatal(err)
	}
	if count < 500 {
		t.Errorf("only %d mentions were found: the search looks in the wrong place", count)
	}
	for _, w := range wrong {
		t.Error(w)
	}
}

// docs/conformance.md says what the tables say. Run with -rewrite it is written.
func TestDocument(t *testing.T) {
	tables, _ := load(t)
	want := Document(tables...)
	path := filepath.Join(root, document)
	if *rewrite {
		if err := os.WriteFile(path, []byte(want), 0o644); err != nil {
			t.Fatal(err)
		}
		return
	}
	got, err := os.ReadFile(path)
	if err != nil {
		t.Fatalf("%v (make docs writes it)", err)
	}
	if diff := cmp.Diff(want, string(got)); diff != "" {
		t.Errorf("%s is out of date; run make docs (-want +got):\n%.3000s", document, diff)
	}
}
