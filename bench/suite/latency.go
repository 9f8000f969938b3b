package suite

import (
	"context"
	"fmt"
	"slices"
	"time"

	"sluice/bench/load"
)

// timetable is what has been measured of a contender at a given rate.
type timetable struct {
	all     load.Span // every round's messages weigh the same
	used    uses
	arrived int64
	due     float64   // messages, in the same time
	slack   float64   // messages that may have been on their way at the end of each span and not at its beginning
	p50s    []float64 // of each round, in ms
	p99s    []float64
}

// add takes a span at rate, of which each message that is sent arrives fan times.
func (tt *timetable) add(one measured, rate float64, fan int) {
	tt.used, tt.arrived, tt.due = tt.used.plus(one.used), tt.arrived+one.Arrived, tt.due+rate*one.Elapsed.Seconds()
	tt.slack += rate*backlogTime.Seconds() + float64(fan)
	tt.p50s, tt.p99s = append(tt.p50s, quantile(one.Latency, 50)), append(tt.p99s, quantile(one.Latency, 99))
	if tt.all.Latency == nil {
		tt.all = one.Span
		return
	}
	tt.all.Latency.Merge(one.Latency)
	tt.all.Late.Merge(one.Late)
}

// held reports whether the rate was held. Otherwise the latency is that of a backlog, and the longer one measures the higher it is.
func (tt *timetable) held() bool { return tt.due-float64(tt.arrived) <= tt.due*backlogShare+tt.slack }

// share is how much of what was due has arrived, in percent.
func (tt *timetable) share() float64 { return 100 * float64(tt.arrived) / tt.due }

// openRuns has the contenders take turns, each at its rate, and notes what it finds under keys with prefix.
func (l *Lab) openRuns(ctx context.Context, entries []*entry, prefix string, t trial) error {
	tables := make([]timetable, len(entries))
	for range t.latency.rounds {
		for i, e := range entries {
			sends := e.rate / float64(e.drive.Fan)
			// A slow fan-out sends less than one message in a short span.
			length := min(max(t.latency.measure, time.Duration(sendsMin/sends*float64(time.Second))), measureMax)
			one, err := l.measure(e.pids(), func(mark func()) (load.Span, error) {
				return e.drive.Open(ctx, sends, load.Timing{Warm: t.latency.warm, Measure: length, Mark: mark})
			})
			if err != nil {
				return fmt.Errorf("%s at %.0f messages/s: %w", e.name, e.rate, err)
			}
			tables[i].add(one, e.rate, e.drive.Fan)
		}
	}
	bare := slices.IndexFunc(entries, func(e *entry) bool { return e.name == peerBare })
	for i, e := range entries {
		tt := &tables[i]
		e.row.Set(prefix+"half_rate", e.rate)
		setCPU(&e.row, prefix+"half_", tt.used, tt.arrived, len(e.nodes) > 0)
		if !tt.held() {
			e.row.Set(prefix+"arrived", tt.share())
			l.say("    %-24s %8.0f messages/s NOT HELD: %d of %.0f arrived", e.name, e.rate, tt.arrived, tt.due)
			continue
		}
		setLatency(&e.row, prefix, tt.all)
		l.say("    %-24s %8.0f messages/s: p50 %.2f ms, p99 %.2f ms", e.name, e.rate, e.row.Values[prefix+"p50"], e.row.Values[prefix+"p99"])
		if bare >= 0 && i != bare && tables[bare].held() {
			e.row.Set("p99_added", byRounds(tt.p99s, tables[bare].p99s, func(its, bare float64) float64 { return its - bare }))
		}
	}
	return nil
}

// byRounds compares each round of one contender with the same round of another, and gives the median: what disturbs one round of one of them does not decide.
func byRounds(these, those []float64, compare func(a, b float64) float64) float64 {
	all := make([]float64, len(these))
	for i := range these {
		all[i] = compare(these[i], those[i])
	}
	return median(all)
}

// median is the middle one, or the mean of the two in the middle.
func median(values []float64) float64 {
	sorted := slices.Sorted(slices.Values(values))
	n := len(sorted)
	if n == 0 {
		return 0
	}
	return (sorted[(n-1)/2] + sorted[n/2]) / 2
}
