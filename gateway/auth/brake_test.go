package auth

import (
	"fmt"
	"net/netip"
	"testing"
	"time"

	"pgregory.net/rapid"

	"sluice/gateway/access"
)

func from(address, name string) *access.Attempt {
	return &access.Attempt{Remote: netip.MustParseAddr(address), UserName: name}
}

// guesses tries n times, and gives how many were judged. All fail.
func guesses(b *Brake, now time.Time, n int, a func(i int) *access.Attempt) (judged int) {
	for i := range n {
		if b.Ask(now, a(i)) {
			judged++
			b.Failed(now, a(i))
		}
	}
	return judged
}

// TestGuessesAreJudgedNowAndThen: who guesses at one name from one address, at one name from many, at many from one.
func TestGuessesAreJudgedNowAndThen(t *testing.T) {
	for _, c := range []struct {
		name  string
		a     func(i int) *access.Attempt
		free  int
		pause time.Duration
	}{
		{"one by one", func(int) *access.Attempt { return from("10.0.0.1", "ada") }, pairFree, pairPause},
		{"from everywhere", func(i int) *access.Attempt { return from(fmt.Sprintf("10.0.%d.%d", i/200, i%200), "ada") }, nameFree, namePause},
		{"at everybody", func(i int) *access.Attempt { return from("10.0.0.1", fmt.Sprint("user", i)) }, addressFree, addressPause},
		{"within a network of IPv6", func(i int) *access.Attempt { return from(fmt.Sprintf("2001:db8::%x", i), fmt.Sprint("user", i)) }, addressFree, addressPause},
		{"with IPv4 in IPv6", func(int) *access.Attempt { return from("::ffff:10.0.0.1", "ada") }, pairFree, pairPause},
		{"with names that differ at their end", func(i int) *access.Attempt { return from("10.0.0.1", fmt.Sprintf("%0200d%d", 0, i)) }, pairFree, pairPause},
	} {
		t.Run(c.name, func(t *testing.T) {
			b, now := NewBrake(), time.Now()
			if n := guesses(b, now, 1000, c.a); n != c.free+1 {
				t.Errorf("%d of 1000 at once are judged, want %d", n, c.free+1)
			}
			other := func(i int) *access.Attempt { return c.a(1000 + i) }
			if n := guesses(b, now.Add(c.pause-1), 1000, other); n != 0 {
				t.Errorf("%d more before the pause is over", n)
			}
			if n := guesses(b, now.Add(c.pause), 1000, other); n != 1 {
				t.Errorf("%d more after a pause, want one", n)
			}
			if n := guesses(b, now.Add(c.pause+forgetAfter), 1000, c.a); n != c.free+1 {
				t.Errorf("%d when it is forgotten, want %d", n, c.free+1)
			}
		})
	}
}

// TestNeighboursGetIn: who shares an address or a name with those who guess.
func TestNeighboursGetIn(t *testing.T) {
	now := time.Now()
	t.Run("another name at the address", func(t *testing.T) {
		b := NewBrake()
		guesses(b, now, 1000, func(int) *access.Attempt { return from("10.0.0.1", "ada") })
		if !b.Allows(now, from("10.0.0.1", "bob")) || !b.Ask(now, from("10.0.0.1", "bob")) {
			t.Error("not judged")
		}
	})
	t.Run("the same name at another address", func(t *testing.T) {
		b := NewBrake()
		guesses(b, now, 1000, func(int) *access.Attempt { return from("10.0.0.1", "ada") })
		if !b.Ask(now, from("10.0.0.2", "ada")) {
			t.Error("not judged")
		}
	})
	t.Run("one who was right there before", func(t *testing.T) {
		b := NewBrake()
		b.Succeeded(now, from("10.0.0.1", "bob"))
		later := now.Add(24 * time.Hour)
		guesses(b, later, 1000, func(i int) *access.Attempt { return from("10.0.0.1", fmt.Sprint("user", i)) })
		guesses(b, later, 1000, func(i int) *access.Attempt { return from(fmt.Sprintf("10.1.%d.%d", i/200, i%200), "bob") })
		for range 100 {
			if !b.Ask(later, from("10.0.0.1", "bob")) {
				t.Fatal("not judged")
			}
		}
		if b.Ask(later, from("10.2.0.1", "bob")) {
			t.Error("the same name is judged elsewhere, too")
		}
	})
}

// TestAnAllowedAttemptTakesTheTurn: of many that come at once after a pause only one is judged.
func TestAnAllowedAttemptTakesTheTurn(t *testing.T) {
	b, now := NewBrake(), time.Now()
	a := from("10.0.0.1", "ada")
	guesses(b, now, pairFree+1, func(int) *access.Attempt { return a })
	later := now.Add(pairPause)
	if !b.Allows(later, a) || !b.Allows(later, a) || !b.Ask(later, a) || b.Allows(later, a) || b.Ask(later, a) {
		t.Error("looking takes the turn, or asking does not")
	}
}

// TestABrakeStaysSmall whatever comes, and its parts agree.
func TestABrakeStaysSmall(t *testing.T) {
	b, now := NewBrake(), time.Now()
	for i := range countsMax + 1000 {
		b.Failed(now, from(fmt.Sprintf("10.%d.%d.%d", i>>16, i>>8&255, i&255), fmt.Sprint("user", i)))
	}
	for what, n := range map[string][2]int{
		"pairs": {len(b.pairs.byKey), b.pairs.order.Len()}, "names": {len(b.names.byKey), b.names.order.Len()}, "addresses": {len(b.addresses.byKey), b.addresses.order.Len()},
	} {
		if n[0] != countsMax || n[1] != countsMax {
			t.Errorf("%d and %d %s, want %d", n[0], n[1], what, countsMax)
		}
	}
	if b.pairs.find(now, keyOf(from("10.0.0.0", "user0"))) != nil {
		t.Error("the oldest is still there")
	}
}

// TestNobodyIsLockedOut: whatever has failed, after the longest pause an attempt is judged.
func TestNobodyIsLockedOut(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		b, now := NewBrake(), time.Unix(0, 0)
		attempts := rapid.Custom(func(t *rapid.T) *access.Attempt {
			return from(fmt.Sprintf("10.0.0.%d", rapid.IntRange(1, 3).Draw(t, "address")), fmt.Sprint("u", rapid.IntRange(1, 3).Draw(t, "name")))
		})
		for range rapid.IntRange(0, 400).Draw(t, "n") {
			a := attempts.Draw(t, "attempt")
			allowed := b.Allows(now, a)
			if asked := b.Ask(now, a); asked != allowed {
				t.Fatalf("Allows %t, Ask %t", allowed, asked)
			}
			switch rapid.IntRange(0, 9).Draw(t, "outcome") {
			case 0:
				b.Succeeded(now, a)
			case 1:
				now = now.Add(time.Duration(rapid.IntRange(1, 5000).Draw(t, "ms")) * time.Millisecond)
			default:
				if d := b.Failed(now, a); d < delayFirst || d > delayMax {
					t.Fatalf("a delay of %v", d)
				}
			}
		}
		if a := attempts.Draw(t, "last"); !b.Ask(now.Add(pairPause), a) {
			t.Fatalf("%v %q is locked out", a.Remote, a.UserName)
		}
	})
}
