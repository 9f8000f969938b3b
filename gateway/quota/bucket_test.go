package quota

import (
	"math/big"
	"testing"
	"time"

	"pgregory.net/rapid"
)

// naive is a token bucket as the books have it, in exact numbers: content grows by rate a second up to burst, and may be negative.
type naive struct {
	rate, burst int
	content     *big.Rat
	at          time.Time
}

func (n *naive) flow(now time.Time) {
	grown := new(big.Rat).Mul(big.NewRat(int64(now.Sub(n.at)), int64(time.Second)), big.NewRat(int64(n.rate), 1))
	n.content.Add(n.content, grown)
	if full := big.NewRat(int64(n.burst), 1); n.content.Cmp(full) > 0 {
		n.content = full
	}
	n.at = now
}

// debt is how long it takes until k tokens taken now are paid for.
func (n *naive) debt(k int) time.Duration {
	after := new(big.Rat).Sub(n.content, big.NewRat(int64(k), 1))
	if after.Sign() >= 0 {
		return 0
	}
	after.Quo(after.Neg(after), big.NewRat(int64(n.rate), int64(time.Second)))
	f, _ := after.Float64()
	return time.Duration(f)
}

func (n *naive) take(k int) { n.content.Sub(n.content, big.NewRat(int64(k), 1)) }

// TestModelBucket: the bucket owes what one that counts tokens owes.
func TestModelBucket(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		rate := rapid.SampledFrom([]int{1, 3, 7, 100, 9_999, 1_000_000, Most}).Draw(t, "rate")
		burst := rapid.SampledFrom([]int{1, 2, rate, 10 * rate}).Draw(t, "burst")
		burst = min(burst, Most)
		now := time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)
		model := &naive{rate: rate, burst: burst, content: big.NewRat(int64(burst), 1), at: now}
		var b bucket
		taken := 0
		for range rapid.IntRange(1, 60).Draw(t, "steps") {
			now = now.Add(time.Duration(rapid.Int64Range(0, int64(3*time.Second)).Draw(t, "pause")))
			k := rapid.IntRange(1, 3*burst).Draw(t, "tokens")
			model.flow(now)
			got, fits := b.lacks(now, rate, burst, k)
			// Each token's time is cut to whole nanoseconds.
			if d := (got - model.debt(k)).Abs(); d > time.Duration(taken+2) {
				t.Fatalf("the debt for %d tokens is %v, want %v", k, got, model.debt(k))
			}
			full := model.content.Cmp(big.NewRat(int64(burst), 1)) == 0
			if got == 0 && !fits || full && !fits {
				t.Fatalf("%d tokens do not fit; debt %v, full %v", k, got, full)
			}
			if rapid.Bool().Draw(t, "take") {
				b.take(now, rate, k)
				model.take(k)
				taken++
			}
		}
	})
}

func TestBucketHoldsTheLargestPacket(t *testing.T) {
	now := time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)
	var b bucket
	const largest = 256 << 20
	if debt, fits := b.lacks(now, 1, 1, largest); !fits || debt != (largest-1)*time.Second {
		t.Errorf("debt %v, fits %v", debt, fits)
	}
	b.take(now, 1, largest)
	if debt, fits := b.lacks(now, 1, 1, 1); fits || debt != largest*time.Second {
		t.Errorf("behind it: debt %v, fits %v", debt, fits)
	}
}
