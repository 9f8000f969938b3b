package thirdparty

import (
	"fmt"
	"sync"
	"testing"
	"time"

	"sluice/gateway/e2e/rig"
)

// events are what happened, in order, for a test that waits for them. Its size is bounded by what the test lets happen.
type events[T any] struct {
	mu      sync.Mutex
	all     []T
	taken   int
	changed chan struct{} // closed and replaced at each event
}

func newEvents[T any]() *events[T] { return &events[T]{changed: make(chan struct{})} }

func (e *events[T]) add(v T) {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.all = append(e.all, v)
	close(e.changed)
	e.changed = make(chan struct{})
}

// await waits until look, which sees all events so far, reports that it has found what it wants.
func (e *events[T]) await(t testing.TB, what string, look func(all []T) bool) {
	t.Helper()
	limit := time.NewTimer(rig.Patience)
	defer limit.Stop()
	for {
		e.mu.Lock()
		found, changed, all := look(e.all), e.changed, e.all
		e.mu.Unlock()
		if found {
			return
		}
		select {
		case <-changed:
		case <-limit.C:
			t.Fatalf("waited %v for %s; so far: %.2000s", rig.Patience, what, fmt.Sprintf("%+v", all))
		}
	}
}

// next is the oldest event that was not taken yet.
func (e *events[T]) next(t testing.TB, what string) (v T) {
	t.Helper()
	e.await(t, what, func(all []T) bool {
		if len(all) == e.taken {
			return false
		}
		v = all[e.taken]
		e.taken++
		return true
	})
	return v
}

// soFar gives all events, taken or not.
func (e *events[T]) soFar() []T {
	e.mu.Lock()
	defer e.mu.Unlock()
	return append([]T(nil), e.all...)
}
