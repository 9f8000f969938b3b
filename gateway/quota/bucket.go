package quota

import "time"

// bucket is a token bucket, kept as the time at which it is full again. What is taken beyond its content is a debt. The zero value is full.
type bucket struct{ full time.Time }

// lacks says how long it takes until n tokens are paid for, once they are taken now; zero: the bucket has them. A full bucket has any number, as else nothing
// larger than the bucket could ever pass: then the debt is lacks, and fits is true.
func (b *bucket) lacks(now time.Time, rate, burst, n int) (debt time.Duration, fits bool) {
	missing := max(b.full.Sub(now), 0)
	debt = max(missing+cost(n, rate)-cost(burst, rate), 0)
	return debt, debt == 0 || missing == 0
}

func (b *bucket) take(now time.Time, rate, n int) {
	if b.full.Before(now) {
		b.full = now
	}
	b.full = b.full.Add(cost(n, rate))
}

// cost is how long n tokens take to come. The largest packet at one byte a second is 8 years, which a Duration holds.
func cost(n, rate int) time.Duration {
	return time.Duration(n) * time.Second / time.Duration(rate)
}

func (b *bucket) isFull(now time.Time) bool { return !b.full.After(now) }
