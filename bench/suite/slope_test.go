package suite

import (
	"math"
	"testing"
	"time"
)

func TestLine(t *testing.T) {
	t.Parallel()
	at := func(minutes, value float64) point {
		return point{at: time.Duration(minutes * float64(time.Minute)), value: value}
	}
	for _, c := range []struct {
		name             string
		points           []point
		start, perMinute float64
	}{
		{"none", nil, 0, 0},
		{"one", []point{at(3, 7)}, 7, 0},
		{"at the same moment", []point{at(1, 4), at(1, 6)}, 5, 0},
		{"flat", []point{at(0, 5), at(1, 5), at(2, 5)}, 5, 0},
		{"rising", []point{at(2, 10), at(3, 13), at(4, 16)}, 10, 3},
		{"falling, with noise", []point{at(0, 11), at(1, 7), at(2, 7), at(3, 3)}, 10.6, -2.4},
	} {
		start, perMinute := line(c.points)
		if math.Abs(start-c.start) > 1e-9 || math.Abs(perMinute-c.perMinute) > 1e-9 {
			t.Errorf("%s: begins at %v and rises %v a minute, want %v and %v", c.name, start, perMinute, c.start, c.perMinute)
		}
	}
}
