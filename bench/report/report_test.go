package report_test

import (
	"encoding/xml"
	"errors"
	"io"
	"io/fs"
	"math"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"sluice/bench/report"
)

func example() *report.Section {
	s := &report.Section{
		Name: "uplink", Title: "Uplink", Text: []string{"How."},
		Columns: []report.Column{{Key: "rate", Head: "msg/s"}, {Key: "p99", Head: "p99 ms", Part: "At half load"}, {Key: "none", Head: "never measured", Part: "Never"}},
		Targets: []report.Target{report.AtLeast("fast", "as fast as <the plugin>", 0.9, 1.02), report.AtMost("lean", "lean", 15, 16.4), report.AtLeast("new", "new", 2, 1)},
		Plots: []report.Plot{
			{File: "bars", Title: "Rate & more", XLabel: "devices", YLabel: "msg/s", X: []string{"1", "10"}, Series: []report.Series{{Name: "Sluice", Y: []float64{16_900, -1}}, {Name: "plugin", Y: []float64{16_000, 15_000}}}},
			{File: "lines", Title: "Flat", Lines: true, X: []string{"1"}, Series: []report.Series{{Name: "Sluice", Y: []float64{0}}}},
		},
	}
	for _, peer := range []string{"Sluice", "plugin"} {
		r := report.Row{Case: "QoS 1", Peer: peer}
		r.Set("rate", 16_912.4)
		r.Set("p99", math.NaN())
		s.Rows = append(s.Rows, r)
	}
	s.Rows[0].Set("p99", 1.234)
	return s
}

func TestSaveAndLoad(t *testing.T) {
	t.Parallel()
	folder := filepath.Join(t.TempDir(), "results")
	if _, err := report.Load(folder, "uplink"); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("nothing is saved, Load says %v", err)
	}
	want := example()
	if err := want.Save(folder); err != nil {
		t.Fatal(err)
	}
	got, err := report.Load(folder, "uplink")
	if err != nil {
		t.Fatal(err)
	}
	if d := cmp.Diff(want, got); d != "" {
		t.Error(d)
	}
	if err := os.WriteFile(filepath.Join(folder, "uplink.json"), []byte("{"), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := report.Load(folder, "uplink"); err == nil || errors.Is(err, fs.ErrNotExist) {
		t.Errorf("half a file is loaded: %v", err)
	}
}

func TestPage(t *testing.T) {
	t.Parallel()
	docs := t.TempDir()
	if err := os.MkdirAll(filepath.Join(docs, "performance"), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(docs, "performance", "uplink.notes.md"), []byte("It is short because.\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	reasons := "# Why\n\nNot a reason.\n\n## lean\n\nIt eats\ntoo | much.\n\n## fast\nIt is not.\n"
	if err := os.WriteFile(filepath.Join(docs, "performance", "short.notes.md"), []byte(reasons), 0o600); err != nil {
		t.Fatal(err)
	}
	if old, err := report.LoadPage(docs); old != nil || err != nil {
		t.Errorf("there is no page yet: %v, %v", old, err)
	}
	if err := report.WritePage(docs, "Intro.", []*report.Section{example()}); err != nil {
		t.Fatal(err)
	}
	if again, err := report.LoadPage(docs); err != nil || cmp.Diff([]*report.Section{example()}, again) != "" {
		t.Errorf("the sections of the page are %+v, %v", again, err)
	}
	content, err := os.ReadFile(filepath.Join(docs, "performance.md"))
	if err != nil {
		t.Fatal(err)
	}
	page := string(content)
	for _, want := range []string{
		"| as fast as <the plugin> | at least 0.90 | 1.02 | held |  |\n", `| lean | at most 15 | 16.4 | **short** | It eats too \| much. |`,
		"| new | at least 2 | 1 | **short** | not known yet |",
		"| case | | msg/s |\n", "| QoS 1 | Sluice | 16.9k |\n|  | plugin | 16.9k |\n", "At half load:\n\n| case | | p99 ms |\n|---|---|--:|\n| QoS 1 | Sluice | 1.23 |\n\n", "It is short because.", "](performance/bars.svg)",
	} {
		if !strings.Contains(page, want) {
			t.Errorf("the page lacks %q:\n%s", want, page)
		}
	}
	if strings.Contains(page, "never measured") || strings.Contains(page, "Never") {
		t.Error("the page has a column that no row fills")
	}
	if strings.Contains(page, "stolen") || strings.Contains(page, "failed") {
		t.Error("the page tells of spans that nobody looked at, or of a failure that there was not")
	}
	for _, name := range []string{"bars", "lines"} {
		checkXML(t, filepath.Join(docs, "performance", name+".svg"))
	}
}

// The page says how calm the machine was, where the worst case is, and of a run that failed, also if nothing is there of an earlier one.
func TestPageOfAnUneasyRun(t *testing.T) {
	t.Parallel()
	docs, results := t.TempDir(), t.TempDir()
	s := example()
	s.Setup.Spans, s.Setup.Again, s.Setup.Stolen = 40, 3, 0.0123
	s.Targets[1] = s.Targets[1].In("with 10 devices")
	if err := s.Save(results); err != nil {
		t.Fatal(err)
	}
	if err := report.SaveFailure(results, s.Name, "The run failed."); err != nil {
		t.Fatal(err)
	}
	var err error
	if s.Failed, err = report.LoadFailure(results, s.Name); err != nil {
		t.Fatal(err)
	}
	if err := report.WritePage(docs, "Intro.", []*report.Section{s, {Name: "new", Title: "Newcomer", Failed: "Nothing was found."}}); err != nil {
		t.Fatal(err)
	}
	content, err := os.ReadFile(filepath.Join(docs, "performance.md"))
	if err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{
		"| lean | at most 15 | 16.4 with 10 devices | **short** |", "at most 1.2 % of the cores' time stolen in each of 40 spans (3 measured again)",
		"\n**The run failed.**\n", "| Uplink | | | **failed** |", "## Newcomer\n", "\n**Nothing was found.**\n",
	} {
		if !strings.Contains(string(content), want) {
			t.Errorf("the page lacks %q:\n%s", want, content)
		}
	}
	s.Failed = ""
	if err := s.Save(results); err != nil {
		t.Fatal(err)
	}
	if failure, err := report.LoadFailure(results, s.Name); failure != "" || err != nil {
		t.Errorf("after a run that found something: %q, %v", failure, err)
	}
}

func checkXML(t *testing.T, file string) {
	t.Helper()
	f, err := os.Open(file)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = f.Close() }()
	shapes := 0
	for d := xml.NewDecoder(f); ; {
		token, err := d.Token()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			t.Fatalf("%s: %v", file, err)
		}
		if e, ok := token.(xml.StartElement); ok && (e.Name.Local == "rect" || e.Name.Local == "circle") {
			shapes++
			for _, a := range e.Attr {
				if strings.Contains(a.Value, "NaN") || strings.Contains(a.Value, "Inf") {
					t.Errorf("%s: %s is %s", file, a.Name.Local, a.Value)
				}
			}
		}
	}
	if shapes < 3 { // background, legend, and a figure
		t.Errorf("%s shows %d shapes", file, shapes)
	}
}
