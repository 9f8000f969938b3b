package session

import (
	"flag"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

var rewrite = flag.Bool("rewrite", false, "write the traces of testdata/*.txt anew; commit the changes only if you understand them")

const traceMark = "----\n"

// TestScripts runs testdata/*.txt: the script, a line "----", the trace. Each runs twice, so that the order of a map cannot decide.
func TestScripts(t *testing.T) {
	files, err := filepath.Glob("testdata/*.txt")
	if err != nil || len(files) < 40 {
		t.Errorf("%d scripts found, 40 are wanted: %v", len(files), err)
	}
	for _, file := range files {
		t.Run(strings.TrimSuffix(filepath.Base(file), ".txt"), func(t *testing.T) {
			text, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			in, want, _ := strings.Cut(string(text), traceMark)
			got := runScript(t, in)
			if again := runScript(t, in); again != got {
				t.Fatalf("two runs differ:\n%s", cmp.Diff(got, again))
			}
			if *rewrite {
				if err := os.WriteFile(file, []byte(in+traceMark+got), 0o644); err != nil {
					t.Fatal(err)
				}
				return
			}
			if diff := cmp.Diff(want, got); diff != "" {
				t.Errorf("the trace is another one (-want +got):\n%s", diff)
			}
		})
	}
}
