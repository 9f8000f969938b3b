package rig

import (
	"crypto/rand"
	"fmt"
	"strings"
	"sync/atomic"
	"testing"
)

// run tells this run's names from those of every other: RabbitMQ and Redis are shared and outlive it.
var run = "e2e" + strings.ToLower(rand.Text()[:8])

var names atomic.Int64

// Prefix is a name that nothing else uses, for a test's topics and client identifiers. It is a legal topic level and has no character
// that an address or a key would escape.
func Prefix(t testing.TB) string {
	t.Helper()
	return fmt.Sprintf("%s-%d", run, names.Add(1))
}
