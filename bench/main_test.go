package main

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"sluice/bench/report"
)

// What was measured is on the page, with what was there before and with what failed: also what has never been measured.
func TestPageOfAFailedRun(t *testing.T) {
	t.Parallel()
	o := options{results: t.TempDir(), docs: t.TempDir()}
	before := func(name, title string) *report.Section {
		s := &report.Section{Name: name, Title: title, Columns: []report.Column{{Key: "rate", Head: "messages/s"}}, Rows: []report.Row{{Case: "usual", Peer: "Sluice"}}}
		s.Rows[0].Set("rate", 17)
		return s
	}
	if err := report.WritePage(o.docs, "Before.", []*report.Section{before("idle", "Idle of before"), before("growth", "Growth of before")}); err != nil {
		t.Fatal(err)
	}
	if err := before("uplink", "Uplink of now").Save(o.results); err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"idle", "nodes"} {
		if err := report.SaveFailure(o.results, name, "The run of "+name+" failed."); err != nil {
			t.Fatal(err)
		}
	}
	if err := writePage(o, []string{"uplink", "idle", "growth", "nodes"}); err != nil {
		t.Fatal(err)
	}
	content, err := os.ReadFile(filepath.Join(o.docs, "performance.md"))
	if err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{"## Uplink of now", "## Idle of before", "**The run of idle failed.**", "## Growth of before", "**The run of nodes failed.**"} {
		if !strings.Contains(string(content), want) {
			t.Errorf("the page lacks %q:\n%s", want, content)
		}
	}
	if err := writePage(options{results: t.TempDir(), docs: t.TempDir()}, nil); err == nil {
		t.Error("a page of nothing")
	}
}
