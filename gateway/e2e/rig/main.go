package rig

import (
	"os"
	"testing"

	"go.uber.org/goleak"
)

// Main runs the tests of a package and fails it when a goroutine is left. Then it calls cleanup and exits.
func Main(m *testing.M, cleanup ...func()) {
	goleak.VerifyTestMain(m, goleak.Cleanup(func(code int) {
		for _, f := range cleanup {
			f()
		}
		os.Exit(code)
	}))
}
