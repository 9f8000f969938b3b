package sessionstore

import (
	"slices"
	"testing"
)

func TestSpent(t *testing.T) {
	fences := []Fence{{Epoch: 5}, {Epoch: 5}, {Epoch: 5}, {Epoch: 5}}
	if got, want := Spent(fences, []uint64{5, 6, 0, 4}), []int{1, 2, 3}; !slices.Equal(got, want) {
		t.Errorf("spent are %v, want %v", got, want)
	}
	if got := Spent(nil, nil); got != nil {
		t.Errorf("spent of none are %v", got)
	}
}
