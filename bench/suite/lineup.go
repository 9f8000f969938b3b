package suite

import (
	"context"
	"errors"
	"fmt"
	"math"
	"slices"
	"time"

	"sluice/bench/load"
	"sluice/bench/report"
)

// Names of the contenders in the tables.
const (
	peerSluice    = "Sluice"
	peerPlugin    = "RabbitMQ's MQTT plugin"
	peerBare      = "bare AMQP publisher"
	peerMosquitto = "mosquitto"
)

// contender is one of those that are compared in a case.
type contender struct {
	name  string
	qos   byte
	nodes []*node // of ours
	// rate is the messages a second of its open runs; 0: half the highest rate of the slowest.
	rate float64
	// open connects everything and leaves it to be driven.
	open func(ctx context.Context) (*setup, error)
}

// setup is a contender that is connected.
type setup struct {
	drive *load.Drive
	// close ends senders and receivers; cleanUp removes what is left on the bus.
	close   func() error
	cleanUp []func() error
}

// entry is a contender with what has been measured of it.
type entry struct {
	contender
	*setup
	rates   []float64
	used    uses
	arrived int64
	row     report.Row
}

func (e *entry) pids() []int { return pids(e.nodes) }

func (e *entry) mean() float64 {
	total := 0.0
	for _, r := range e.rates {
		total += r
	}
	return total / float64(len(e.rates))
}

// trial is a case.
type trial struct {
	name          string
	window        int
	warm, measure time.Duration
	contenders    []contender
	// latency says how latency is measured.
	latency latency
}

// latency is how often the contenders take turns at a rate that all of them hold, and for how long each time.
type latency struct {
	rounds        int
	warm, measure time.Duration
}

// run measures the highest rate of all contenders in turn, and then their latency.
func (l *Lab) run(ctx context.Context, rounds int, t trial) ([]report.Row, error) {
	return l.lineUp(ctx, t, func(entries []*entry) error {
		if err := l.closedRuns(ctx, rounds, entries, t); err != nil {
			return err
		}
		if t.latency.rounds == 0 {
			t.latency = latency{rounds, t.warm, t.measure}
		}
		return l.openRuns(ctx, entries, "", t)
	})
}

// lineUp connects all contenders, has them measured and checks what became of their messages.
func (l *Lab) lineUp(ctx context.Context, t trial, measure func([]*entry) error) (rows []report.Row, err error) {
	l.say("%s", t.name)
	entries := make([]*entry, len(t.contenders))
	defer func() { err = errors.Join(err, closeAll(entries)) }()
	for i, c := range t.contenders {
		s, err := c.open(ctx)
		if err != nil {
			return nil, fmt.Errorf("%s, %s: %w", t.name, c.name, err)
		}
		entries[i] = &entry{contender: c, setup: s, row: report.Row{Case: t.name, Peer: c.name}}
	}
	if err := measure(entries); err != nil {
		return nil, fmt.Errorf("%s, %w", t.name, err)
	}
	for _, e := range entries {
		if err := e.judge(); err != nil {
			return nil, fmt.Errorf("%s, %s: %w", t.name, e.name, err)
		}
		rows = append(rows, e.row)
	}
	compare(rows)
	return rows, nil
}

func (l *Lab) closedRuns(ctx context.Context, rounds int, entries []*entry, t trial) error {
	for range rounds {
		for _, e := range entries {
			one, err := l.measure(e.pids(), func(mark func()) (load.Span, error) {
				return e.drive.Closed(ctx, t.window, load.Timing{Warm: t.warm, Measure: t.measure, Mark: mark})
			})
			if err != nil {
				return fmt.Errorf("%s: %w", e.name, err)
			}
			e.rates, e.used, e.arrived = append(e.rates, one.Rate()), e.used.plus(one.used), e.arrived+one.Arrived
		}
	}
	half := math.Inf(1)
	for _, e := range entries {
		half = min(half, e.mean()/2)
	}
	half = max(half, rateMin)
	for _, e := range entries {
		e.rate = half
		e.row.Set("rate", e.mean())
		e.row.Set("rate_lowest", slices.Min(e.rates))
		e.row.Set("rate_highest", slices.Max(e.rates))
		setCPU(&e.row, "", e.used, e.arrived, len(e.nodes) > 0)
		l.say("    %-24s %8.0f messages/s", e.name, e.mean())
	}
	return nil
}

// judge ends senders and receivers and compares what was sent with what came.
func (e *entry) judge() error {
	closing := e.close
	e.close = func() error { return nil }
	if err := closing(); err != nil {
		return err
	}
	v := e.drive.Verdict()
	if v.Lost != 0 {
		e.row.Set("lost", float64(v.Lost))
	}
	if v.Doubled != 0 {
		e.row.Set("doubled", float64(v.Doubled))
	}
	return v.Check(e.qos)
}

func closeAll(entries []*entry) (err error) {
	for _, e := range entries {
		if e == nil {
			continue
		}
		err = errors.Join(err, e.close())
		for _, f := range e.cleanUp {
			err = errors.Join(err, f())
		}
	}
	return err
}

// compare notes the ratios to the other contenders of a case.
func compare(rows []report.Row) {
	find := func(peer string) map[string]float64 {
		for _, r := range rows {
			if r.Peer == peer {
				return r.Values
			}
		}
		return nil
	}
	plugin, bare := find(peerPlugin), find(peerBare)
	for i := range rows {
		r := &rows[i]
		if r.Peer != peerPlugin && plugin != nil {
			r.Set("against", r.Values["rate"]/plugin["rate"])
			r.Set("bus_against", r.Values["cpu_bus"]/plugin["cpu_bus"])
		}
		if r.Peer != peerBare && bare != nil {
			r.Set("against_bare", r.Values["rate"]/bare["rate"])
		}
	}
}

// window is how many messages of each of so many streams are under way.
func window(streams, size int) int {
	all := min(underWay, bytesUnderWay/size)
	return min(max(all/streams, 1), streamWindow)
}
