package heap

import (
	"testing"
	"time"
)

const mib = 1 << 20

func TestPace(t *testing.T) {
	for _, c := range []struct {
		name        string
		live, roots uint64
		want        int
	}{
		{"nothing yet", 0, 0, 200},
		{"a new node: 8 MiB of garbage", 4 * mib, 0, 200},
		{"stacks count", 5 * mib, 3 * mib, 100},
		{"slack and share meet", 16 * mib, 0, 50},
		{"15,000 devices: half", 128 * mib, 0, 50},
		{"with their stacks", 128 * mib, 32 * mib, 40},
		{"a large heap", 8 << 30, 0, 50},
	} {
		t.Run(c.name, func(t *testing.T) {
			var g governor
			if got, change := g.pace(reading{live: c.live, roots: c.roots}); got < c.want-1 || got > c.want+1 || !change {
				t.Errorf("%d %%, changed: %t, want %d %%", got, change, c.want)
			}
		})
	}
}

// TestTheHeapMayGrow holds the goal that follows from the percentage, as the runtime computes it, against what was promised.
func TestTheHeapMayGrow(t *testing.T) {
	for live := uint64(mib); live < 16<<30; live += live / 7 {
		for _, roots := range []uint64{0, live / 100, live / 4, live} {
			var g governor
			percent, _ := g.pace(reading{live: live, roots: roots})
			goal := max(live+(live+roots)*uint64(percent)/100, 4*mib*uint64(percent)/100)
			if goal < live+live*(share-2)/100 || goal > live+max(slack, live*share/100) && goal > slack {
				t.Errorf("%d bytes live, %d of stacks: goal %d with %d %%", live, roots, goal, percent)
			}
		}
	}
}

func TestSmallChangesAreLeft(t *testing.T) {
	var g governor
	g.pace(reading{live: 8 * mib})
	if percent, change := g.pace(reading{live: 8*mib + mib/4}); change || percent != 100 {
		t.Errorf("%d %%, changed: %t; want 100 %%, unchanged", percent, change)
	}
	if percent, change := g.pace(reading{live: 9 * mib}); !change || percent >= 100 {
		t.Errorf("%d %%, changed: %t; want fewer", percent, change)
	}
}

// clock lets a governor look once a second.
type clock struct {
	governor
	now time.Time
	r   reading
}

func (c *clock) look(allocates uint64) bool {
	c.now = c.now.Add(time.Second)
	c.r.allocated += allocates
	c.r.objects += allocates
	return c.governor.look(c.now, c.r)
}

// collect is what a collection makes of the memory.
func (c *clock) collect(took time.Duration) {
	c.r.objects, c.r.idle = c.r.live, 0
	c.used(c.now, took, c.r)
}

func TestACalm(t *testing.T) {
	c := clock{now: time.Unix(0, 0), r: reading{live: 32 * mib, objects: 32 * mib}}
	for i := range 10 {
		if c.look(10 * mib) {
			t.Fatalf("a collection in the storm, after %d s", i)
		}
	}
	if c.look(0) {
		t.Fatal("one calm second is none")
	}
	if !c.look(0) {
		t.Fatal("the calm is not used")
	}
	c.collect(10 * time.Millisecond)
	for i := range 100 {
		if c.look(mib / 1000) {
			t.Fatalf("used again after %d s, with nothing to gain", i)
		}
	}
}

// TestALongCalm: what gathers in the end is collected again.
func TestALongCalm(t *testing.T) {
	c := clock{now: time.Unix(0, 0), r: reading{live: 96 * mib, objects: 96 * mib}}
	used := 0
	for range 600 {
		if c.look(mib) {
			used++
			c.collect(200 * time.Millisecond)
		}
	}
	if used < 50 || used > 600/10 {
		t.Errorf("used %d times in ten minutes; want about once each 10 s", used)
	}
}

func TestThePauseIsBoundedByTheCost(t *testing.T) {
	c := clock{now: time.Unix(0, 0), r: reading{live: 32 * mib, objects: 32 * mib}}
	var last time.Time
	for range 3600 {
		c.r.idle = 500 * mib // there is always something to gain
		if c.look(0) {
			if pause := c.now.Sub(last); !last.IsZero() && pause < pauseShare*time.Second {
				t.Fatalf("used again after %v, though it takes a second", pause)
			}
			last = c.now
			c.collect(time.Second)
		}
	}
	if last.IsZero() {
		t.Fatal("never used")
	}
}

func TestABusyMachineDelaysNoCalmForLong(t *testing.T) {
	c := clock{now: time.Unix(0, 0), r: reading{live: 32 * mib, objects: 32 * mib}}
	c.collect(time.Hour)
	c.r.idle = 500 * mib
	for range int(pauseMax/time.Second) + calmTicks {
		if c.look(0) {
			return
		}
	}
	t.Errorf("not used within %v", pauseMax)
}

func TestStacksThatHaveGrownAreWorthIt(t *testing.T) {
	c := clock{now: time.Unix(0, 0), r: reading{live: 32 * mib, objects: 32 * mib, stacks: 30 * mib}}
	for range 3 {
		c.look(0)
	}
	c.collect(time.Millisecond)
	c.now = c.now.Add(time.Minute)
	if c.look(0) {
		t.Error("used though nothing has changed")
	}
	c.r.stacks = 100 * mib
	if !c.look(0) {
		t.Error("stacks have grown, and it is not used")
	}
}

func TestRoundsWhileStacksShrink(t *testing.T) {
	var g governor
	stacks, rounds := uint64(120*mib), 1
	for next := stacks / 2; g.again(reading{stacks: stacks}, reading{stacks: next}, rounds); next = max(next/2, 30*mib) {
		stacks = next
		rounds++
	}
	if stacks != 30*mib || rounds > roundsMax {
		t.Errorf("%d bytes of stacks after %d rounds", stacks, rounds)
	}
	if g.again(reading{stacks: 100 * mib}, reading{stacks: 50 * mib}, roundsMax) {
		t.Error("there is no end")
	}
}
