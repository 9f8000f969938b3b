package sim

import (
	"fmt"
	"os"
	"strconv"
	"strings"
	"sync"
	"testing"
)

// seedsDefault is how many seeds a plain test run tries.
const seedsDefault = 300

func number(t *testing.T, name string, otherwise uint64) (uint64, bool) {
	t.Helper()
	text := os.Getenv(name)
	if text == "" {
		return otherwise, false
	}
	n, err := strconv.ParseUint(text, 10, 64)
	if err != nil {
		t.Fatalf("%s=%q is not a number", name, text)
	}
	return n, true
}

// TestSeeds runs SEEDS seeds, or the one of SEED with its whole trace.
func TestSeeds(t *testing.T) {
	if seed, one := number(t, "SEED", 0); one {
		r := Run(seed, os.Stdout)
		if r.Err != nil {
			t.Errorf("seed %d: %v", seed, r.Err)
		}
		return
	}
	seeds, _ := number(t, "SEEDS", seedsDefault)
	const workers = 2
	next := make(chan uint64)
	var wg sync.WaitGroup
	for range workers {
		wg.Go(func() {
			for seed := range next {
				if r := Run(seed, nil); r.Err != nil {
					t.Errorf("seed %d: %v\n\treplay: SEED=%d make sim", seed, r.Err, seed)
				}
			}
		})
	}
	for seed := uint64(1); seed <= seeds && !t.Failed(); seed++ {
		next <- seed
	}
	close(next)
	wg.Wait()
}

// TestSameSeedSameTrace: a run can be replayed.
func TestSameSeedSameTrace(t *testing.T) {
	for seed := uint64(1); seed <= 8; seed++ {
		var first, second strings.Builder
		a, b := Run(seed, &first), Run(seed, &second)
		if a.Trace != b.Trace || a.Events != b.Events || first.String() != second.String() {
			t.Errorf("seed %d: two runs differ, first at %s", seed, firstDifference(first.String(), second.String()))
		}
	}
}

func firstDifference(a, b string) string {
	la, lb := strings.Split(a, "\n"), strings.Split(b, "\n")
	for i := range la {
		if i >= len(lb) || la[i] != lb[i] {
			return fmt.Sprintf("line %d: %s", i+1, la[i])
		}
	}
	return "the end"
}
