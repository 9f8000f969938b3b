package suite

import (
	"fmt"
	"math"
	"time"

	"sluice/bench/load"
	"sluice/bench/proc"
	"sluice/bench/report"
)

// calmness is how much the host took away of this machine while the spans of a scenario were measured. A host that takes a core for seconds makes latency and rates its
// own, and of whoever's turn it happens to be.
type calmness struct {
	spans int           // that count
	again int           // spans that were measured again
	worst float64       // the largest stolen share, 0 to 1, of a span that counts
	left  time.Duration // that may go into measuring again; what a scenario does not need of it is the next one's
}

// CalmRule says what is done about a host that takes the machine away, for readers of the figures.
func CalmRule() string {
	return fmt.Sprintf("A span in which the host of a virtual machine took more than %.0f %% of the cores' time away is\nmeasured again, up to %d times, "+
		"and the calmest of them counts, whatever it shows; the line below each part says how much was taken in the worst span that counts.", 100*stolenMost, calmTries-1)
}

// begin opens the books for the next scenario, which takes about so long.
func (c *calmness) begin(takes time.Duration) {
	*c = calmness{left: max(c.left, 0) + time.Duration(againShare*float64(takes))}
}

// note books a span that counts.
func (c *calmness) note(stolen float64) { c.spans, c.worst = c.spans+1, max(c.worst, stolen) }

// tell puts what was noted below the table.
func (c *calmness) tell(s *report.Setup) { s.Spans, s.Again, s.Stolen = c.spans, c.again, c.worst }

// calmest measures until hardly anything is stolen in it, as often as it may, and gives what was measured while the least was. It looks at nothing else than that, so that
// measuring again favours nobody.
func calmest[T any](c *calmness, measure func() (T, float64, error)) (best T, err error) {
	least := math.Inf(1)
	for try := 1; ; try++ {
		began := time.Now()
		one, stolen, err := measure()
		if err != nil {
			return best, err
		}
		if try > 1 {
			c.again++
			c.left -= time.Since(began)
		}
		if stolen < least {
			best, least = one, stolen
		}
		if least <= stolenMost || try == calmTries || c.left <= 0 {
			c.note(least)
			return best, nil
		}
	}
}

// measured is a span with what it took.
type measured struct {
	load.Span
	used uses
}

// measure has a load run until its span was calm. run is to call mark at the beginning and at the end of the span.
func (l *Lab) measure(gateways []int, run func(mark func()) (load.Span, error)) (measured, error) {
	return calmest(&l.calm, func() (measured, float64, error) {
		m := &meter{lab: l, gateways: gateways}
		span, err := run(m.mark)
		if err != nil {
			return measured{}, 0, err
		}
		used, err := m.used()
		return measured{span, used}, used.cores.StolenShare(), err
	})
}

// stolen begins to look at what the host takes; the function says it, as a share of the cores' time since then.
func stolen() (func() (float64, error), error) {
	before, err := proc.ReadCores()
	if err != nil {
		return nil, err
	}
	return func() (float64, error) {
		after, err := proc.ReadCores()
		return after.Minus(before).StolenShare(), err
	}, nil
}
