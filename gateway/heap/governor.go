package heap

import "time"

// reading is the state of the memory, in bytes.
type reading struct {
	live      uint64 // heap that the last collection found in use
	roots     uint64 // stacks and globals that it scanned: the percentage counts them, too
	stacks    uint64 // taken from the system for stacks, used or not
	objects   uint64 // heap in use by objects, dead ones that were not swept included
	idle      uint64 // heap without objects that was not given back to the system
	allocated uint64 // since the process began
}

// governor decides. It is for one goroutine.
type governor struct {
	percent int // in force; zero before the first

	allocated uint64 // at the last look
	looked    bool
	stacks    uint64    // when a calm was last used
	calm      int       // looks in a row that found little allocated
	notBefore time.Time // of the next use of a calm
}

// pace gives the percentage for what the last collection found, and whether it is to be put in force.
func (g *governor) pace(r reading) (percent int, change bool) {
	extra := max(slack, r.live/100*share)
	percent = int(min(100*extra/max(r.live+r.roots, 1), percentMax))
	diff := percent - g.percent
	if max(diff, -diff)*changeShare < max(g.percent, changeShare) {
		return g.percent, false
	}
	g.percent = percent
	return percent, true
}

// look is called once a tick. It reports whether to collect now, and to give memory back.
func (g *governor) look(now time.Time, r reading) bool {
	since := r.allocated - g.allocated
	first := !g.looked
	g.allocated, g.looked = r.allocated, true
	if first || since > (r.live+slack)/calmShare {
		g.calm = 0
		return false
	}
	g.calm++
	return g.calm >= calmTicks && !now.Before(g.notBefore) && g.promises(r) >= max(worthMin, (r.live+r.stacks)/worthShare)
}

// promises is what may be given back: what has been allocated since the last collection, all of which may be garbage, what is free, and stacks that have grown:
// a device that pings once leaves its goroutine four times the stack that it waits with.
func (g *governor) promises(r reading) uint64 {
	n := r.idle
	if r.objects > r.live {
		n += r.objects - r.live
	}
	if r.stacks > g.stacks {
		n += r.stacks - g.stacks
	}
	return n
}

// again reports, after so many collections in a calm, whether another one is worth it.
func (g *governor) again(before, after reading, rounds int) bool {
	return rounds < roundsMax && after.stacks+before.stacks/shrinkShare < before.stacks
}

// used notes that a calm was used, and how long that took.
func (g *governor) used(now time.Time, took time.Duration, after reading) {
	g.notBefore = now.Add(min(max(pauseMin, pauseShare*took), pauseMax))
	g.allocated, g.stacks = after.allocated, after.stacks
}

// taken is what the process has of the system, but for memory that objects share pages with.
func (r reading) taken() uint64 { return r.objects + r.idle + r.stacks }
