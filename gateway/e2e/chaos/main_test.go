package chaos

import (
	"fmt"
	"os"
	"syscall"
	"testing"

	"sluice/gateway/e2e/rig"
)

func TestMain(m *testing.M) {
	if err := raiseOpenFiles(); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	rig.Main(m)
}

// raiseOpenFiles lifts the soft limit of open files as far as it is needed.
func raiseOpenFiles() error {
	var l syscall.Rlimit
	if err := syscall.Getrlimit(syscall.RLIMIT_NOFILE, &l); err != nil {
		return fmt.Errorf("reading the limit of open files: %w", err)
	}
	if l.Cur >= openFiles {
		return nil
	}
	if l.Max < openFiles {
		return fmt.Errorf("the hard limit of open files is %d; this test needs %d: raise it (ulimit -Hn)", l.Max, openFiles)
	}
	l.Cur = openFiles
	if err := syscall.Setrlimit(syscall.RLIMIT_NOFILE, &l); err != nil {
		return fmt.Errorf("raising the limit of open files to %d: %w", openFiles, err)
	}
	return nil
}
