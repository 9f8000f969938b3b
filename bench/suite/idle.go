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

// habit is how idle devices are connected.
type habit struct {
	name       string
	secure     bool
	subscribed bool // at QoS 1, each to a topic of its own
}

var habits = []habit{{name: "plain"}, {name: "TLS", secure: true}, {name: "plain, with a QoS 1 subscription", subscribed: true}}

// host is a server whose memory is looked at.
type host struct {
	name    string
	service string // to be restarted before, so that freed memory does not hide what is taken; "" for a node of ours
	server  func() server
}

func (l *Lab) hosts() []host {
	hosts := []host{{name: peerSluice}, {name: peerPlugin, service: "rabbitmq", server: l.pluginServer}}
	if l.mosquitto != nil {
		hosts = append(hosts, host{name: peerMosquitto, service: "mosquitto", server: l.mosquittoServer})
	}
	return hosts
}

func (l *Lab) idleScenario(ctx context.Context, s Settings, _ float64) (*report.Section, error) {
	section := &report.Section{
		Title: "Idle connections",
		Text: []string{
			"Devices connect, 64 at a time, and then do nothing. Resident memory is read before and after, each time with a process that has just begun, once it no " +
				"longer changes; at the end every connection is proved to be alive by a ping. Resident memory is all that a process takes of the machine, garbage of its " +
				"collector included. Behind Sluice, the bus's own memory is shown too.",
			"Connecting is measured on the way: all parts share the cores with the generator, which has the other half of each handshake, so that processor time " +
				"per connection says more than the rate.",
		},
		Columns: []report.Column{
			{Key: "kib", Head: "KiB per connection"}, {Key: "kib_bus", Head: "KiB on the bus"}, {Key: "connects", Head: "connects/s"},
			{Key: "cpu", Head: "CPU µs per connect"}, {Key: "resumed", Head: "TLS resumed: connects/s"}, {Key: "resumed_cpu", Head: "CPU µs"},
		},
	}
	for _, n := range s.Idle {
		for _, h := range habits {
			for _, at := range l.hosts() {
				if h.secure && at.server != nil && at.server().tls == "" {
					continue
				}
				row, err := l.idleCase(ctx, at, h, n, s.calm)
				if err != nil {
					return nil, fmt.Errorf("%s, %s: %w", row.Case, at.name, err)
				}
				section.Rows = append(section.Rows, row)
			}
		}
	}
	idleTargets(section, slices.Max(s.Idle))
	section.Plots = []report.Plot{idlePlot(section, slices.Max(s.Idle))}
	return section, nil
}

func idleName(h habit, n int) string { return fmt.Sprintf("%s, %s", count(n, "connection"), h.name) }

// idleCase measures one server with n connections.
func (l *Lab) idleCase(ctx context.Context, at host, h habit, n int, calm time.Duration) (row report.Row, err error) {
	row = report.Row{Case: idleName(h, n), Peer: at.name}
	l.say("%s, %s", row.Case, at.name)
	servers, pid, stop, err := l.freshServer(ctx, at)
	if err != nil {
		return row, err
	}
	defer stop()
	name := l.name()
	var caches []tls.ClientSessionCache
	for range n {
		caches = append(caches, tls.NewLRUClientSessionCache(1))
	}
	options := func(i int) load.Options { return l.device(servers, fmt.Sprintf("%s-%d", name, i), h.secure, caches[i]) }
	if at.name == peerSluice {
		if err := l.warmUp(ctx, servers, h, name); err != nil {
			return row, err
		}
	}
	before, err := l.settled(ctx, pid, calm)
	if err != nil {
		return row, err
	}
	began := time.Now()
	fleet, err := load.DialFleet(ctx, n, options)
	if err != nil {
		return row, err
	}
	defer func() { fleet.Close() }()
	setConnects(&row, "connects", "cpu", n, time.Since(began), pid, before.server)
	if h.subscribed {
		if err := fleet.Each(func(i int, d *load.Device) error { return d.Subscribe(1, fmt.Sprintf("%s/%d", name, i)) }); err != nil {
			return row, err
		}
	}
	after, err := l.settled(ctx, pid, calm)
	if err != nil {
		return row, err
	}
	kib := func(u proc.Use) float64 { return float64(u.RSS) / 1024 / float64(n) }
	row.Set("kib", kib(after.server.Minus(before.server)))
	if at.name == peerSluice {
		row.Set("kib_bus", kib(after.bus.Minus(before.bus)))
	}
	if err := fleet.Each(func(_ int, d *load.Device) error { return d.Ping() }); err != nil {
		return row, fmt.Errorf("a connection that should be idle: %w", err)
	}
	l.say("    %-24s %.1f KiB per connection", at.name, row.Values["kib"])
	if h.secure {
		fleet.Close()
		fleet, err = l.resume(ctx, &row, pid, n, options)
	}
	return row, err
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

// resume connects all once more with their TLS sessions.
func (l *Lab) resume(ctx context.Context, row *report.Row, pid, n int, options func(int) load.Options) (load.Fleet, error) {
	before, err := proc.Read(pid)
	if err != nil {
		return nil, err
	}
	began := time.Now()
	fleet, err := load.DialFleet(ctx, n, options)
	if err != nil {
		return nil, err
	}
	resumed := 0
	for _, d := range fleet {
		if d.TLSResumed {
			resumed++
		}
	}
	if resumed*10 < n*9 {
		l.say("    only %d of %d TLS sessions were resumed: not measured", resumed, n)
		return fleet, nil
	}
	setConnects(row, "resumed", "resumed_cpu", n, time.Since(began), pid, before)
	return fleet, nil
}

func setConnects(row *report.Row, rate, cpu string, n int, took time.Duration, pid int, before proc.Use) {
	row.Set(rate, float64(n)/took.Seconds())
	if now, err := proc.Read(pid); err == nil {
		row.Set(cpu, perMessage(now.Minus(before).CPU, int64(n)))
	}
}

// freshServer gives a server whose process has just begun, as far as it is ours to restart.
func (l *Lab) freshServer(ctx context.Context, at host) (s server, pid int, stop func(), err error) {
	if at.service != "" {
		err := l.restart(ctx, at.service)
		pid := l.busPID
		if at.name == peerMosquitto {
			pid = l.brokerPID
		}
		return at.server(), pid, func() {}, err
	}
	// The bus's memory is looked at too.
	if err := l.restart(ctx, "rabbitmq"); err != nil {
		return s, 0, nil, err
	}
	n, err := l.startNode(ctx)
	if err != nil {
		return s, 0, nil, err
	}
	return n.server, n.pid(), n.stop, nil
}

type memory struct{ server, bus proc.Use }

// settled waits until the resident memory has changed by less than one in 200 for as long as calm.
func (l *Lab) settled(ctx context.Context, pid int, calm time.Duration) (m memory, err error) {
	const part = 200
	last, since := int64(0), time.Now()
	for end := time.Now().Add(settleMax); ; {
		var errs [2]error
		m.server, errs[0] = proc.Read(pid)
		m.bus, errs[1] = proc.Read(l.busPID)
		if err := errors.Join(errs[:]...); err != nil {
			return m, err
		}
		sum, now := m.server.RSS+m.bus.RSS, time.Now()
		if diff := sum - last; max(diff, -diff) > sum/part {
			last, since = sum, now
		} else if now.Sub(since) >= calm || now.After(end) {
			return m, nil
		}
		select {
		case <-ctx.Done():
			return m, ctx.Err()
		case <-time.After(pollPause):
		}
	}
}

func idleTargets(section *report.Section, n int) {
	value := func(h habit, key string) (float64, bool) {
		r := section.Find(idleName(h, n), peerSluice)
		if r == nil {
			return 0, false
		}
		v, ok := r.Values[key]
		return v, ok
	}
	if v, ok := value(habits[0], "kib"); ok {
		section.Targets = append(section.Targets, report.AtMost("Idle plain connection: KiB resident", 8, v))
	}
	if v, ok := value(habits[1], "kib"); ok {
		section.Targets = append(section.Targets, report.AtMost("Idle TLS connection: KiB resident", 24, v))
	}
	if v, ok := value(habits[0], "kib_bus"); ok {
		section.Targets = append(section.Targets, report.AtMost("Idle plain connection: KiB on the bus", 0.5, v))
	}
}

func idlePlot(section *report.Section, n int) report.Plot {
	p := report.Plot{File: "idle-memory", Title: fmt.Sprintf("Resident memory of %s", count(n, "idle connection")), YLabel: "KiB per connection"}
	for _, peer := range []string{peerSluice, peerPlugin, peerMosquitto} {
		series := report.Series{Name: peer}
		for _, h := range habits {
			y := -1.0
			if r := section.Find(idleName(h, n), peer); r != nil {
				y = max(r.Values["kib"], 0)
			}
			series.Y = append(series.Y, y)
		}
		p.Series = append(p.Series, series)
	}
	for _, h := range habits {
		p.X = append(p.X, h.name)
	}
	return p
}
