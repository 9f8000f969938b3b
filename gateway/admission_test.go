package gateway

import (
	"testing"
	"time"
)

func TestBucket(t *testing.T) {
	begin := time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)
	b := bucket{rate: 4}
	for i, step := range []struct {
		after time.Duration
		want  int // taken of five
	}{
		{0, 4}, {100 * time.Millisecond, 0}, {250 * time.Millisecond, 1}, {750 * time.Millisecond, 2}, {10 * time.Second, 4},
	} {
		got := 0
		for range 5 {
			if b.take(begin.Add(step.after)) {
				got++
			}
		}
		if got != step.want {
			t.Errorf("step %d, after %v: %d taken, want %d", i, step.after, got, step.want)
		}
	}
	if none := (&bucket{}); !none.take(begin) || !none.take(begin) {
		t.Error("no limit limits")
	}
}
