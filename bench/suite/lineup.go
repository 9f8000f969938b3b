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

func (e *entry) rate() float64 {
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
}

// run connects all contenders, measures them in turn and checks what became of their messages.
func (l *Lab) run(ctx context.Context, rounds int, t trial) (rows []report.Row, err error) {
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
	for range rounds {
		for _, e := range entries {
			if err := l.closedRun(ctx, e, t); err != nil {
				return nil, fmt.Errorf("%s, %s: %w", t.name, e.name, err)
			}
		}
	}
	half := math.Inf(1)
	for _, e := range entries {
		half = min(half, e.rate()/2)
		e.row.Set("rate", e.rate())
		e.row.Set("rate_lowest", slices.Min(e.rates))
		e.row.Set("rate_highest", slices.Max(e.rates))
		setCPU(&e.row, "", e.used, e.arrived, len(e.nodes) > 0)
	}
	if err := l.openRuns(ctx, rounds, entries, half, t); err != nil {
		return nil, err
	}
	for _, e := range entries {
		if err := e.judge(); err != nil {
			return nil, fmt.Errorf("%s, %s: %w", t.name, e.name, err)
		}
		rows = append(rows, e.row)
		l.say("    %-24s %8.0f messages/s, p99 %.2f ms at half load", e.name, e.rate(), e.row.Values["p99"])
	}
	compare(rows)
	return rows, nil
}

func (l *Lab) closedRun(ctx context.Context, e *entry, t trial) error {
	m := &meter{lab: l, gateways: e.pids()}
	span, err := e.drive.Closed(ctx, t.window, load.Timing{Warm: t.warm, Measure: t.measure, Mark: m.mark})
	if err != nil {
		return err
	}
	used, err := m.used()
	e.rates, e.used, e.arrived = append(e.rates, span.Rate()), e.used.plus(used), e.arrived+span.Arrived
	return err
}

func (l *Lab) openRuns(ctx context.Context, rounds int, entries []*entry, rate float64, t trial) error {
	spans, used, arrived := make([]load.Span, len(entries)), make([]uses, len(entries)), make([]int64, len(entries))
	for range rounds {
		for i, e := range entries {
			m := &meter{lab: l, gateways: e.pids()}
			sends := rate / float64(e.drive.Fan)
			// A slow fan-out sends less than one message in a short span.
			measure := min(max(t.measure, time.Duration(sendsMin/sends*float64(time.Second))), measureMax)
			span, err := e.drive.Open(ctx, sends, load.Timing{Warm: t.warm, Measure: measure, Mark: m.mark})
			if err != nil {
				return fmt.Errorf("%s, %s at %.0f messages/s: %w", t.name, e.name, rate, err)
			}
			u, err := m.used()
			if err != nil {
				return err
			}
			used[i], arrived[i] = used[i].plus(u), arrived[i]+span.Arrived
			if spans[i].Latency != nil {
				span.Latency.Merge(spans[i].Latency)
				span.Late.Merge(spans[i].Late)
			}
			spans[i] = span
		}
	}
	for i, e := range entries {
		setLatency(&e.row, spans[i], rate)
		setCPU(&e.row, "half_", used[i], arrived[i], len(e.nodes) > 0)
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
			r.Set("p99_added", r.Values["p99"]-bare["p99"])
		}
	}
}

// window is how many messages of each of so many streams are under way.
func window(streams, size int) int {
	all := min(underWay, bytesUnderWay/size)
	return min(max(all/streams, 1), streamWindow)
}
