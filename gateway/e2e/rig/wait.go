package rig

import (
	"context"
	"testing"
	"time"
)

// Eventually polls until f returns nil; what says what is waited for.
func Eventually(t testing.TB, what string, f func() error) {
	t.Helper()
	Within(t, Patience, what, f)
}

// Within is Eventually with a time limit of its own.
func Within(t testing.TB, limit time.Duration, what string, f func() error) {
	t.Helper()
	end := time.NewTimer(limit)
	defer end.Stop()
	tick := time.NewTicker(poll)
	defer tick.Stop()
	for {
		err := f()
		if err == nil {
			return
		}
		select {
		case <-tick.C:
		case <-end.C:
			t.Fatalf("waited %v until %s: %v", limit, what, err)
		}
	}
}

// Context ends with the test or after Patience.
func Context(t testing.TB) context.Context {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), Patience)
	t.Cleanup(cancel)
	return ctx
}
