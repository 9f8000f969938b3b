package suite

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"sluice/bench/load"
	"sluice/bench/report"
)

// subscribedOneIn: of so many devices one has a QoS 1 subscription, and so a queue with a message waiting on the bus.
const subscribedOneIn = 10

func (l *Lab) recoveryScenario(ctx context.Context, s Settings, _ float64) (*report.Section, error) {
	section := &report.Section{
		Title: "Recovery",
		Text: []string{fmt.Sprintf("%s with persistent sessions are on a node that is killed (`kill -9`); one in %d has a QoS 1 subscription. They come back at once, %d at a time, to another "+
			"node. A device counts as served when its session is resumed and its QoS 1 PUBLISH is acknowledged or, if it is subscribed, when it has a message "+
			"that was sent after the kill. For comparison the same devices come back to that node a second time, without anything having died.",
			count(s.Recovery, "device"), subscribedOneIn, 64)},
		Columns: []report.Column{{Key: "p50", Head: "median s"}, {Key: "p99", Head: "p99 s"}, {Key: "last", Head: "all served after s"}, {Key: "per_second", Head: "devices/s"}},
	}
	rows, err := calmest(&l.calm, func() ([]report.Row, float64, error) { return l.recover(ctx, s.Recovery) })
	if err != nil {
		return nil, err
	}
	section.Rows = rows
	plot := report.Plot{File: "recovery", Title: "Until devices are served again: " + count(s.Recovery, "device"), YLabel: "seconds", X: []string{"half of them", "99 in 100", "all"}}
	for _, r := range rows {
		plot.Series = append(plot.Series, report.Series{Name: r.Peer, Y: []float64{r.Values["p50"], r.Values["p99"], r.Values["last"]}})
	}
	section.Plots = []report.Plot{plot}
	return section, nil
}

// recover gives the rows and the larger of the shares that were stolen while they were measured.
func (l *Lab) recover(ctx context.Context, devices int) (rows []report.Row, most float64, err error) {
	first, err := l.startNode(ctx)
	if err != nil {
		return nil, 0, err
	}
	defer first.stop()
	second, err := l.startNode(ctx)
	if err != nil {
		return nil, 0, err
	}
	defer second.stop()
	name := l.name()
	topic := func(i int) string { return fmt.Sprintf("%s/%d", name, i) }
	options := func(at server) func(int) load.Options {
		return func(i int) load.Options {
			o := l.device(at, fmt.Sprintf("%s-%d", name, i), false, nil)
			o.Persistent = true
			return o
		}
	}
	l.say("%s connect", count(devices, "device"))
	fleet, err := load.DialFleet(ctx, devices, options(first.server))
	if err != nil {
		return nil, 0, err
	}
	defer func() { fleet.End() }()
	if err := fleet.Each(func(i int, d *load.Device) error {
		if i%subscribedOneIn != 0 {
			return nil
		}
		return d.Subscribe(1, topic(i))
	}); err != nil {
		return nil, 0, err
	}
	for _, died := range []bool{true, false} {
		share, err := stolen()
		if err != nil {
			return nil, 0, err
		}
		row, began := report.Row{Case: count(devices, "device"), Peer: "node killed"}, time.Now()
		if died {
			first.kill()
		} else {
			row.Peer = "nothing died"
			fleet.Drop()
		}
		served, err := l.comeBack(ctx, fleet, began, options(second.server), topic)
		if err != nil {
			return nil, 0, fmt.Errorf("%s: %w", row.Peer, err)
		}
		one, err := share()
		if err != nil {
			return nil, 0, err
		}
		setServed(&row, served)
		rows, most = append(rows, row), max(most, one)
		l.say("    %-24s all served after %.2f s", row.Peer, row.Values["last"])
	}
	return rows, most, nil
}

func setServed(row *report.Row, served []time.Duration) {
	slices.Sort(served)
	last := served[len(served)-1].Seconds()
	row.Set("p50", served[len(served)/2].Seconds())
	row.Set("p99", served[len(served)*99/100].Seconds())
	row.Set("last", last)
	row.Set("per_second", float64(len(served))/last)
}

// comeBack sends a message to each subscribed device, connects all again in place of the old connections, and says when each was served.
func (l *Lab) comeBack(ctx context.Context, fleet load.Fleet, began time.Time, options func(int) load.Options, topic func(int) string) (_ []time.Duration, err error) {
	books := load.NewArrivals(len(fleet), load.MinPayload)
	undo := &unwind{}
	defer func() { err = errors.Join(err, undo.run()) }()
	sender, err := l.producer(ctx, shape{devices: len(fleet), size: load.MinPayload, qos: 1}, topic, books, undo)
	if err != nil {
		return nil, err
	}
	for i := 0; i < len(fleet); i += subscribedOneIn {
		if err := sender.Send(i, 0, 0); err != nil {
			return nil, err
		}
	}
	served := make([]time.Duration, len(fleet))
	return served, fleet.Each(func(i int, old *load.Device) error {
		old.Drop()
		d, err := load.Dial(ctx, options(i))
		if err != nil {
			return err
		}
		fleet[i] = d
		switch {
		case !d.Resumed:
			err = fmt.Errorf("the session of device %d is gone", i)
		case i%subscribedOneIn == 0:
			err = d.Await(uint32(i))
		default:
			err = d.Exchange(topic(i), []byte("served?"))
		}
		served[i] = time.Since(began)
		return err
	})
}
