package suite

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"syscall"
)

// lockFile is what a bench with services of its own holds locked. All of this machine have the same ports.
func lockFile() string {
	return filepath.Join(os.TempDir(), fmt.Sprintf("sluice-bench-%d.lock", portOffset))
}

// lockServices keeps others from starting the same services, until the file is closed or this process ends. The file stays: who removed it would take it from
// under somebody who has it open already.
func lockServices(file string) (*os.File, error) {
	f, err := os.OpenFile(file, os.O_RDWR|os.O_CREATE, 0o666)
	if err != nil {
		return nil, fmt.Errorf("the lock of the benchmark's services: %w", err)
	}
	if err := syscall.Flock(int(f.Fd()), syscall.LOCK_EX|syscall.LOCK_NB); err != nil {
		holder, _ := os.ReadFile(file)
		_ = f.Close()
		if errors.Is(err, syscall.EWOULDBLOCK) {
			return nil, fmt.Errorf("another benchmark (process %s) has the services of this machine: wait until it ends, or measure on services that are there already (go run ./bench -shared)",
				strings.TrimSpace(string(holder)))
		}
		return nil, fmt.Errorf("locking %s: %w", file, err)
	}
	if err = f.Truncate(0); err == nil {
		_, err = fmt.Fprintln(f, os.Getpid())
	}
	if err != nil {
		return nil, errors.Join(err, f.Close())
	}
	return f, nil
}
