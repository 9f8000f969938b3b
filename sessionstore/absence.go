package sessionstore

import "time"

// Absence decides when a node whose lease is missing is dead: seen missing for DeadAfter without a gap in the observer's own contact with the
// store. After an outage of the store every lease is gone, and nobody may be declared dead before it had time to renew. It is pure: the
// caller gives the time, and guards it.
type Absence struct {
	after   time.Duration
	last    time.Time
	missing map[string]time.Time // since when
}

// NewAbsence waits for so long.
func NewAbsence(after time.Duration) *Absence { return &Absence{after: after} }

// Observe takes the names whose lease is missing at now and gives the dead among them. A gap of more than the waiting time between two
// observations is an interruption.
func (a *Absence) Observe(now time.Time, missing []string) (dead []string) {
	if now.Sub(a.last) > a.after {
		a.Interrupted()
	}
	a.last = now
	seen := make(map[string]time.Time, len(missing))
	for _, name := range missing {
		since, known := a.missing[name]
		if !known {
			since = now
		}
		seen[name] = since
		if now.Sub(since) >= a.after {
			dead = append(dead, name)
		}
	}
	a.missing = seen
	return dead
}

// Interrupted: the store did not answer. What was seen before counts no longer.
func (a *Absence) Interrupted() { a.missing = nil }
