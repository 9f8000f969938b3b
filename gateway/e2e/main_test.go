package e2e

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"sync"
	"testing"

	"sluice/gateway/e2e/rig"
)

func TestMain(m *testing.M) {
	rig.Main(m, func() {
		if built {
			_ = os.RemoveAll(filepath.Dir(must(binary())))
		}
	})
}

// built tells TestMain that there is something to remove.
var built bool

// binary builds the command, once, and returns its path. A test run without the command's tests does not pay for it.
var binary = sync.OnceValues(func() (string, error) {
	dir, err := os.MkdirTemp("", "sluice-e2e-")
	if err != nil {
		return "", err
	}
	built = true
	path := filepath.Join(dir, "sluice")
	if out, err := exec.Command("go", "build", "-o", path, "sluice/cmd/sluice").CombinedOutput(); err != nil {
		return path, errors.Join(fmt.Errorf("building the command: %s", out), err)
	}
	return path, nil
})

func must[T any](v T, _ error) T { return v }

// sluice runs the command.
func sluice(t *testing.T, args ...string) *rig.Process {
	t.Helper()
	path, err := binary()
	if err != nil {
		t.Fatal(err)
	}
	return rig.Run(t, path, args...)
}
