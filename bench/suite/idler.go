package suite

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"slices"
	"time"

	"sluice/bench/load"
	"sluice/bench/proc"
	"sluice/bench/report"
)

// idler is a server with idle connections, which become more.
type idler struct {
	lab     *Lab
	at      host
	habit   habit
	pid     int
	fleet   load.Fleet
	caches  []tls.ClientSessionCache
	options func(i int) load.Options
	topic   func(i int) string
}

// idleHost measures one server with each of so many connections.
func (l *Lab) idleHost(ctx context.Context, at host, h habit, sizes []int, calm time.Duration) (rows []report.Row, err error) {
	l.say("%s, %s", h.name, at.name)
	servers, pid, stop, err := l.freshServer(ctx, at)
	if err != nil {
		return nil, err
	}
	defer stop()
	name := l.name()
	d := &idler{lab: l, at: at, habit: h, pid: pid, topic: func(i int) string { return fmt.Sprintf("%s/%d", name, i) }}
	defer func() { d.fleet.Close() }()
	for range slices.Max(sizes) {
		d.caches = append(d.caches, tls.NewLRUClientSessionCache(1))
	}
	d.options = func(i int) load.Options {
		o := l.device(servers, fmt.Sprintf("%s-%d", name, i), h.secure, d.caches[i])
		o.Source = load.Loopback(i)
		return o
	}
	if at.name == peerSluice {
		if err := l.warmUp(ctx, servers, h, name); err != nil {
			return nil, err
		}
	}
	before, err := l.settled(ctx, pid, calm)
	if err != nil {
		return nil, err
	}
	for _, n := range sizes {
		row, err := d.grow(ctx, n, before, calm)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", row.Case, err)
		}
		rows = append(rows, row)
	}
	if err := d.fleet.Each(func(_ int, one *load.Device) error { return one.Ping() }); err != nil {
		return nil, fmt.Errorf("a connection that should be idle: %w", err)
	}
	if h.secure {
		err = d.resume(ctx, &rows[len(rows)-1])
	}
	return rows, err
}

// warmUp has a node do once what it does for each, so that what it needs once is not counted for the connections.
func (l *Lab) warmUp(ctx context.Context, at server, h habit, name string) error {
	d, err := load.Dial(ctx, l.device(at, name+"-first", h.secure, nil))
	if err != nil {
		return err
	}
	defer d.Close()
	if h.subscribed {
		return d.Subscribe(1, name+"/first")
	}
	return nil
}

// grow connects more, up to n, and reads what memory they take.
func (d *idler) grow(ctx context.Context, n int, before memory, calm time.Duration) (row report.Row, err error) {
	row = report.Row{Case: idleName(d.habit, n), Peer: d.at.name}
	from := len(d.fleet)
	used, err := proc.Read(d.pid)
	if err != nil {
		return row, err
	}
	share, err := stolen()
	if err != nil {
		return row, err
	}
	began := time.Now()
	more, err := load.DialFleet(ctx, n-from, func(i int) load.Options { return d.options(from + i) })
	if err != nil {
		return row, err
	}
	if err := d.setConnects(&row, "connects", "cpu", len(more), time.Since(began), used, share); err != nil {
		return row, err
	}
	d.fleet = append(d.fleet, more...)
	if d.habit.subscribed {
		if err := more.Each(func(i int, one *load.Device) error { return one.Subscribe(1, d.topic(from+i)) }); err != nil {
			return row, err
		}
	}
	after, err := d.lab.settled(ctx, d.pid, calm)
	if err != nil {
		return row, err
	}
	kib := func(u proc.Use) float64 { return float64(u.RSS) / 1024 / float64(n) }
	row.Set("kib", kib(after.server.Minus(before.server)))
	if d.at.name == peerSluice {
		row.Set("kib_bus", kib(after.bus.Minus(before.bus)))
	}
	d.lab.say("    %-24s %s: %.1f KiB each", d.at.name, count(n, "connection"), row.Values["kib"])
	return row, nil
}

// resume connects all once more with their TLS sessions.
func (d *idler) resume(ctx context.Context, row *report.Row) error {
	n := len(d.fleet)
	d.fleet.Close()
	before, err := proc.Read(d.pid)
	if err != nil {
		return err
	}
	share, err := stolen()
	if err != nil {
		return err
	}
	began := time.Now()
	if d.fleet, err = load.DialFleet(ctx, n, d.options); err != nil {
		return err
	}
	took, resumed := time.Since(began), 0
	for _, one := range d.fleet {
		if one.TLSResumed {
			resumed++
		}
	}
	if resumed*10 < n*9 {
		d.lab.say("    only %d of %d TLS sessions were resumed: not measured", resumed, n)
		return nil
	}
	return d.setConnects(row, "resumed", "resumed_cpu", n, took, before, share)
}

// setConnects notes what n connects took. They are not measured again: the server's memory would be another one then.
func (d *idler) setConnects(row *report.Row, rate, cpu string, n int, took time.Duration, before proc.Use, share func() (float64, error)) error {
	now, errUse := proc.Read(d.pid)
	taken, errCores := share()
	if err := errors.Join(errUse, errCores); err != nil {
		return err
	}
	row.Set(rate, float64(n)/took.Seconds())
	row.Set(cpu, perMessage(now.Minus(before).CPU, int64(n)))
	d.lab.calm.note(taken)
	return nil
}
