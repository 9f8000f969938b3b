package conformance

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// sample is a module with one package of tests and one library for tests.
var sample = map[string]string{
	"thing/thing_test.go": `package thing
import ("testing"; "sample/lib")
func TestGood(t *testing.T) { t.Run("a case", func(t *testing.T) {}) }
func TestLazy(t *testing.T) { helper(t) }
func TestLibrary(t *testing.T) { lib.Run(t) }
func TestShort(t *testing.T) { if testing.Short() { return } }
func TestDeep(t *testing.T) { t.Run("x", func(t *testing.T) { indirect(t) }) }
func TestPassed(t *testing.T) { call(t, helper) }
func TestInLibrary(t *testing.T) { lib.Need(t) }
func call(t *testing.T, f func(*testing.T)) { f(t) }
func indirect(t *testing.T) { helper(t) }
func helper(t *testing.T) { t.Skip("not today") }
func Testify(t *testing.T) {}
func TestOther(n int) {}
func TestMain(m *testing.M) {}
type suite struct{}
func (suite) TestMethod(t *testing.T) {}
`,
	"thing/rare_test.go":        "//go:build rare\n\npackage thing\nimport \"testing\"\nfunc TestRare(t *testing.T) {}\n",
	"thing/testdata/script.txt": "",
	"lib/lib.go": `package lib
import "testing"
func Run(t *testing.T) { t.Run("a promise", func(*testing.T) {}) }
func Need(t testing.TB) { if tb := t; tb != nil { tb.SkipNow() } }
`,
	"plain/plain.go": "package plain\nvar Text = \"no case\"\n",
}

func sampleTests(t *testing.T) *Tests {
	t.Helper()
	root := t.TempDir()
	for name, text := range sample {
		path := filepath.Join(root, name)
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	return NewTests(root, "sample")
}

func TestProofsAreFoundAndDoubted(t *testing.T) {
	tests := sampleTests(t)
	for _, c := range []struct {
		proof Proof
		says  string // empty is good
	}{
		{Proof{"thing", "TestGood", nil}, ""},
		{Proof{"thing", "TestGood", []string{"a case", "script"}}, ""},
		{Proof{"thing", "TestLibrary", []string{"a promise"}}, ""},
		{Proof{"thing", "TestGood", []string{"another case"}}, `has no case "another case"`},
		{Proof{"thing", "TestGood", []string{"no case"}}, `has no case`},
		{Proof{"thing", "TestGone", nil}, "has no test TestGone"},
		{Proof{"thing", "helper", nil}, "has no test helper"},
		{Proof{"thing", "Testify", nil}, "has no test Testify"},
		{Proof{"thing", "TestOther", nil}, "has no test"},
		{Proof{"thing", "TestMain", nil}, "has no test"},
		{Proof{"thing", "TestMethod", nil}, "has no test"},
		{Proof{"thing", "TestLazy", nil}, "may be skipped, by helper"},
		{Proof{"thing", "TestDeep", nil}, "may be skipped, by helper"},
		{Proof{"thing", "TestPassed", nil}, "may be skipped, by helper"},
		{Proof{"thing", "TestShort", nil}, "may be skipped, by TestShort"},
		{Proof{"thing", "TestInLibrary", nil}, "may be skipped, by Need"},
		{Proof{"thing", "TestRare", nil}, "build constraint"},
		{Proof{"plain", "TestGood", nil}, "has no tests"},
		{Proof{"nowhere", "TestGood", nil}, "no package nowhere"},
	} {
		err := tests.Check(c.proof)
		if (err == nil) != (c.says == "") || err != nil && !strings.Contains(err.Error(), c.says) {
			t.Errorf("%+v: %v, want %q", c.proof, err, c.says)
		}
	}
}

func TestCheckFindsWhatIsWrong(t *testing.T) {
	table, err := Parse("table", strings.NewReader(strings.Join([]string{
		"# a comment",
		"1.1.1-1 proven", "\ttest thing TestGood: a case",
		"1.1.1-2 a device's", "\tclient it sends it",
		"1.1.1-3 unanswered",
		"1.1.1-4 pending", "\tpending a feature", "\ttest thing TestGood",
		"1.1.1-5 badly proven", "\ttest thing TestGone", "\ttest thing TestLazy",
		"1.1.1-7 not in the standard", "\texempt no such thing",
	}, "\n")), nil)
	if err != nil {
		t.Fatal(err)
	}
	numbers := []string{"1.1.1-1", "1.1.1-2", "1.1.1-3", "1.1.1-4", "1.1.1-5", "1.1.1-6"}
	for strict, want := range map[bool][]string{
		false: {"1.1.1-6 is missing", "1.1.1-3: has neither", "TestGone", "TestLazy", "1.1.1-7: the standard has no"},
		true:  {"1.1.1-6 is missing", "1.1.1-3: has neither", "1.1.1-4: is pending: a feature", "TestGone", "TestLazy", "1.1.1-7: the standard has no"},
	} {
		got := Check(table, numbers, sampleTests(t), strict)
		if len(got) != len(want) {
			t.Fatalf("strict %t: %q, want %q", strict, got, want)
		}
		for i := range want {
			if !strings.Contains(got[i], want[i]) {
				t.Errorf("strict %t: %q, want %q", strict, got[i], want[i])
			}
		}
	}
}

func TestTablesThatMakeNoSense(t *testing.T) {
	other := &Table{Name: "other", Statements: []Statement{
		{Number: "1.1.1-1", State: Proven, Proofs: []Proof{{"thing", "TestGood", nil}}}, {Number: "1.1.1-2", State: Client, Reason: "x"},
	}}
	good, err := Parse("table", strings.NewReader("2.2.2-1 same\n\tas 1.1.1-1\n\ttest more TestMore\n"), other)
	if err != nil || good.Statements[0].State != Proven || len(good.Statements[0].Proofs) != 2 {
		t.Errorf("%+v, %v", good, err)
	}
	for text, says := range map[string]string{
		"x":                                  "no number",
		"1.1.1-1":                            "says nothing",
		"1.1.1-1 a\n1.1.1-1 b":               "there twice",
		"\ttest thing TestGood":              "before the first",
		"1.1.1-1 a\n\tproof thing":           "no word",
		"1.1.1-1 a\n\tclient":                "lacks its reason",
		"1.1.1-1 a\n\ttest thing":            "is not PACKAGE TEST",
		"1.1.1-1 a\n\ttest thing TestA case": "is not PACKAGE TEST",
		"1.1.1-1 a\n\tclient x\n\texempt y":  "two states",
		"1.1.1-1 a\n\tas 1.1.1-2":            "has no proof",
		"1.1.1-1 a\n\tas 1.1.1-3":            "has no proof",
	} {
		if _, err := Parse("table", strings.NewReader(text), other); err == nil || !strings.Contains(err.Error(), says) {
			t.Errorf("%q: %v, want %q", text, err, says)
		}
	}
	for _, text := range []string{"1.1.1", "1.1.1-1\n1.1.1-1"} {
		if _, err := ParseNumbers("list", strings.NewReader(text)); err == nil {
			t.Errorf("%q passes for a list", text)
		}
	}
}

func TestMentionsOfEachVersion(t *testing.T) {
	v5, v311 := []string{"3.1.2-22"}, []string{"3.1.2-24", "3.8.3-4"}
	// Put together, so that this file mentions nothing itself.
	say := func(s string) string { return strings.ReplaceAll(s, "@", "MQ"+"TT-") }
	text := say("[@3.1.2-22], [3.1.1 @3.1.2-24], [3.1.1 @3-8.3-4],\n[3.1.1 @3.1.2-22] [@3.1.2-24]\n[@9.9.9-9]")
	wrong, count := mentionsIn("f.go", text, v5, v311)
	want := []string{"f.go:2: MQTT 3.1.1 has no statement 3.1.2-22",
		"f.go:2: MQTT 5.0 has no statement 3.1.2-24; 3.1.1 has: is its version missing before it?", "f.go:3: MQTT 5.0 has no statement 9.9.9-9"}
	if count != 6 || !slices.Equal(wrong, want) {
		t.Errorf("%d mentions, %q; want 6, %q", count, wrong, want)
	}
}

func TestDocumentCountsAndEscapes(t *testing.T) {
	page := Document(&Table{Name: "5.0", Statements: []Statement{
		{Number: "3.1.2-1", Text: "a|b", State: Proven, Proofs: []Proof{{"thing", "TestGood", []string{"x_1", "y"}}}},
		{Number: "3.1.4-1", Text: "c", State: Client, Reason: "d"},
		{Number: "4.9.0-1", Text: "e", State: Exempt, Reason: "f"},
		{Number: "4.9.0-2", Text: "g", State: Pending, Reason: "h"},
	}})
	for _, want := range []string{
		"| MQTT 5.0 | 4 | 1 | 1 | 1 | 1 |", "### 3.1 CONNECT\n", "| 3.1.2-1 | a\\|b | `thing` TestGood: x\\_1; y |\n| 3.1.4-1 | c | *a device's*: d |",
		"### 4.9 Flow control\n", "| *does not apply*: f |", "| *pending*: h |",
	} {
		if !strings.Contains(page, want) {
			t.Errorf("%q is missing in:\n%s", want, page)
		}
	}
	if strings.Count(page, "### ") != 2 {
		t.Errorf("%d sections, want 2:\n%s", strings.Count(page, "### "), page)
	}
}
