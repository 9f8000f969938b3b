package frame

import (
	"math"
	"slices"
	"testing"

	"pgregory.net/rapid"
)

func TestSerialOrder(t *testing.T) {
	const top = math.MaxUint32
	for _, tt := range []struct {
		a, b uint32
		less bool
		diff int32
	}{
		{0, 0, false, 0}, {0, 1, true, -1}, {1, 0, false, 1}, {top, 0, true, -1}, {0, top, false, 1}, {top - 5, 5, true, -11},
		{0, 1<<31 - 1, true, -(1<<31 - 1)}, {1<<31 - 1, 0, false, 1<<31 - 1}, {1 << 31, top, true, -(1<<31 - 1)},
	} {
		if got := SerialLess(tt.a, tt.b); got != tt.less {
			t.Errorf("%d before %d: %v", tt.a, tt.b, got)
		}
		if got := SerialDiff(tt.a, tt.b); got != tt.diff {
			t.Errorf("%d minus %d: %d, want %d", tt.a, tt.b, got, tt.diff)
		}
	}
}

func TestWithin(t *testing.T) {
	const top = math.MaxUint32
	for _, tt := range []struct {
		name                       string
		first, last, oldest, count uint32
		want                       []uint32
	}{
		{"one", 5, 5, 5, 1, []uint32{5}},
		{"all", 5, 7, 5, 3, []uint32{5, 6, 7}},
		{"part", 6, 7, 5, 10, []uint32{6, 7}},
		{"reaches over both ends", 0, 100, 5, 2, []uint32{5, 6}},
		{"before", 0, 4, 5, 2, nil},
		{"behind", 7, 9, 5, 2, nil},
		{"empty window", 0, 100, 5, 0, nil},
		{"last before first", 6, 5, 5, 2, nil},
		{"up to the top", top - 1, top, top - 1, 2, []uint32{top - 1, top}},
		{"over the wrap", top, 1, top - 1, 4, []uint32{top, 0, 1}},
		{"range ends at the top, window goes on", top - 3, top, top, 3, []uint32{top}},
		{"range starts behind the wrap", 0, 5, top, 3, []uint32{0, 1}},
		{"half of all ids", 0, 1 << 30, 1 << 30, 2, []uint32{1 << 30}},
		{"as many ids as have an order", 10, 10 + (1<<31 - 1), 12, 2, []uint32{12, 13}},
		{"all ids", 0, top, 5, 3, nil},
	} {
		if got := slices.Collect(Within(tt.first, tt.last, tt.oldest, tt.count)); !slices.Equal(got, tt.want) {
			t.Errorf("%s: %v, want %v", tt.name, got, tt.want)
		}
	}
}

// A model that asks of each id of the window whether it is in the range.
func TestWithinAgreesWithTheModel(t *testing.T) {
	near := rapid.OneOf(rapid.Uint32Range(0, 40), rapid.Uint32Range(math.MaxUint32-40, math.MaxUint32),
		rapid.Uint32Range(1<<31-20, 1<<31+20), rapid.Uint32())
	rapid.Check(t, func(t *rapid.T) {
		first, last, oldest := near.Draw(t, "first"), near.Draw(t, "last"), near.Draw(t, "oldest")
		count := rapid.Uint32Range(0, 60).Draw(t, "count")
		var want []uint32
		for i := range count {
			id := oldest + i
			if !SerialLess(last, first) && id-first <= last-first {
				want = append(want, id)
			}
		}
		if got := slices.Collect(Within(first, last, oldest, count)); !slices.Equal(got, want) {
			t.Fatalf("%v, want %v", got, want)
		}
	})
}

func TestWithinStops(t *testing.T) {
	n := 0
	for range Within(0, 1<<30, 0, 1<<30) {
		if n++; n == 3 {
			break
		}
	}
	if n != 3 {
		t.Errorf("%d steps", n)
	}
}
