package main

import (
	"os"
	"path/filepath"
	"testing"
)

// Each defect still fits the source: who changes a text that one replaces hears of it here, and not when the canary is run the next time.
func TestDefectsFitTheSource(t *testing.T) {
	root, err := moduleRoot()
	if err != nil {
		t.Fatal(err)
	}
	names := map[string]bool{}
	for _, d := range defects {
		if names[d.name] {
			t.Errorf("there are two defects %q", d.name)
		}
		names[d.name] = true
		overlay, err := d.plant(root, filepath.Join(t.TempDir(), "planted"))
		if err != nil {
			t.Errorf("%s: %v", d.name, err)
			continue
		}
		if _, err := os.Stat(overlay); err != nil {
			t.Errorf("%s: %v", d.name, err)
		}
	}
}
