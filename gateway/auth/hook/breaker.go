package hook

import (
	"sync"
	"time"
)

// breaker gives a service that fails a rest: devices are answered at once meanwhile, and the service is not hit by all of them when it comes back. After the
// rest one attempt tries.
type breaker struct {
	mu       sync.Mutex
	failures int           // in a row
	rest     time.Duration // zero: none
	until    time.Time     // end of the rest
	trying   bool          // the one attempt is under way
}

// ask reports whether the service may be asked.
func (b *breaker) ask(now time.Time) bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.rest == 0 {
		return true
	}
	if b.trying || now.Before(b.until) {
		return false
	}
	b.trying = true
	return true
}

// answered takes note of how it went. It tells whether a rest begins or the last one is over.
func (b *breaker) answered(now time.Time, ok bool) (changed bool) {
	b.mu.Lock()
	defer b.mu.Unlock()
	wasResting := b.rest > 0
	b.trying = false
	if ok {
		b.failures, b.rest = 0, 0
		return wasResting
	}
	if b.failures++; b.failures < failuresMax {
		return false
	}
	if now.Before(b.until) {
		return false // asked before the rest began
	}
	b.rest = min(max(2*b.rest, restFirst), restMax)
	b.until = now.Add(b.rest)
	return !wasResting
}

// gaveUp: an attempt ended without knowing how the service is.
func (b *breaker) gaveUp() {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.trying = false
}
