package suite

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// Two benchmarks on the same ports would take each other's services away.
func TestOneBenchmarkAtATime(t *testing.T) {
	t.Parallel()
	file := filepath.Join(t.TempDir(), "bench.lock")
	first, err := lockServices(file)
	if err != nil {
		t.Fatal(err)
	}
	if second, err := lockServices(file); err == nil || !strings.Contains(err.Error(), fmt.Sprintf("(process %d)", os.Getpid())) {
		t.Errorf("%v, %v: the second is to be refused, and told who has it", second, err)
	}
	if err := first.Close(); err != nil {
		t.Fatal(err)
	}
	third, err := lockServices(file)
	if err != nil {
		t.Fatal("the first has ended: ", err)
	}
	if err := third.Close(); err != nil {
		t.Error(err)
	}
	if _, err := lockServices(filepath.Join(file, "none")); err == nil {
		t.Error("a lock where no file can be")
	}
}
