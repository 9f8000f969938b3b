package faults

import (
	"flag"
	"fmt"
	"os"
	"syscall"
	"testing"

	"sluice/gateway/e2e/rig"
)

// openFiles is what the load test needs: both ends of 2,000 connections are in this process.
const openFiles = 10_000

func TestMain(m *testing.M) {
	if err := raiseOpenFiles(); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	waitTogether()
	rig.Main(m)
}

// waitTogether lets more tests run at a time than there are cores, unless the command line says how many: most of them wait for an outage to
// end.
func waitTogether() {
	flag.Parse()
	set := false
	flag.Visit(func(f *flag.Flag) { set = set || f.Name == "test.parallel" })
	if !set {
		_ = flag.Set("test.parallel", "12")
	}
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
		return fmt.Errorf("the hard limit of open files is %d; these tests need %d: raise it (ulimit -Hn)", l.Max, openFiles)
	}
	l.Cur = openFiles
	if err := syscall.Setrlimit(syscall.RLIMIT_NOFILE, &l); err != nil {
		return fmt.Errorf("raising the limit of open files to %d: %w", openFiles, err)
	}
	return nil
}
