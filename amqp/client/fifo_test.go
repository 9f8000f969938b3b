package client

import (
	"slices"
	"testing"

	"pgregory.net/rapid"
)

// A queue gives what it was given, in order, and keeps no more memory than twice what waits in it and what it may leave at the front.
func TestFIFO(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		var q fifo[int]
		var want []int
		next := 0
		for range rapid.IntRange(1, 20).Draw(t, "rounds") {
			for range rapid.IntRange(0, 1000).Draw(t, "pushed") {
				q.push(next)
				want = append(want, next)
				next++
			}
			for range rapid.IntRange(0, len(want)).Draw(t, "popped") {
				if got := q.pop(); got != want[0] {
					t.Fatalf("got %d, want %d", got, want[0])
				}
				want = want[1:]
			}
			if q.len() != len(want) || len(want) > 0 && (*q.at(0) != want[0] || *q.at(len(want) - 1) != want[len(want)-1]) {
				t.Fatalf("%d wait, want %d", q.len(), len(want))
			}
			if q.head > max(compactFrom, len(q.items)/2) {
				t.Fatalf("%d of %d are dead", q.head, len(q.items))
			}
		}
		if got := q.drain(); !slices.Equal(got, want) || q.len() != 0 {
			t.Fatalf("drained %d, want %d", len(got), len(want))
		}
	})
}
