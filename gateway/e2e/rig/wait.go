package rig

import (
	"context"
	"sync"
	"sync/atomic"
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

// tick is what Running counts.
const tick = 50 * time.Millisecond

// Running gives how long the process has been running since, in steps of tick: time in which it stood still is not in it, since a ticker does not make up for
// what it has missed. It is for what nodes in this process promise to do within some seconds.
func Running(t testing.TB) (elapsed func() time.Duration) {
	t.Helper()
	var ticks atomic.Int64
	ticker, end := time.NewTicker(tick), make(chan struct{})
	var counting sync.WaitGroup
	counting.Go(func() {
		for {
			select {
			case <-ticker.C:
				ticks.Add(1)
			case <-end:
				return
			}
		}
	})
	t.Cleanup(func() { ticker.Stop(); close(end); counting.Wait() })
	return func() time.Duration { return time.Duration(ticks.Load()) * tick }
}

// Context ends with the test or after Patience.
func Context(t testing.TB) context.Context {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), Patience)
	t.Cleanup(cancel)
	return ctx
}
