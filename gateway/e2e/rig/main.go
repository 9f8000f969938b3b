package rig

import (
	"testing"

	"go.uber.org/goleak"
)

// Main runs the tests of a package and fails it when a goroutine is left.
func Main(m *testing.M) { goleak.VerifyTestMain(m) }
