package suite

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

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
			"Devices connect, 64 at a time, and then do nothing. Each server's process has just begun. Resident memory is read before and with each number of connections, " +
				"once it no longer changes; at the end every connection is proved to be alive by a ping. Resident memory is all that a process takes of the machine, garbage of " +
				"its collector included. Behind Sluice, the bus's own memory is shown too.",
			"Connecting is measured on the way: all parts share the cores with the generator, which has the other half of each handshake, so that processor time " +
				"per connection says more than the rate. It is measured once, whatever the host takes away.",
		},
		Columns: []report.Column{
			{Key: "kib", Head: "KiB per connection"}, {Key: "kib_bus", Head: "KiB on the bus"}, {Key: "connects", Head: "connects/s"},
			{Key: "cpu", Head: "CPU µs per connect"}, {Key: "resumed", Head: "TLS resumed: connects/s"}, {Key: "resumed_cpu", Head: "CPU µs"},
		},
	}
	byCase := map[string][]report.Row{}
	for _, h := range habits {
		for _, at := range l.hosts() {
			if h.secure && at.server != nil && at.server().tls == "" {
				continue
			}
			rows, err := l.idleHost(ctx, at, h, s.Idle, s.calm)
			if err != nil {
				return nil, fmt.Errorf("%s, %s: %w", h.name, at.name, err)
			}
			for _, r := range rows {
				byCase[r.Case] = append(byCase[r.Case], r)
			}
		}
	}
	for _, n := range s.Idle {
		for _, h := range habits {
			section.Rows = append(section.Rows, byCase[idleName(h, n)]...)
		}
	}
	idleTargets(section, slices.Max(s.Idle))
	section.Plots = []report.Plot{idlePlot(section, slices.Max(s.Idle))}
	return section, nil
}

func idleName(h habit, n int) string { return fmt.Sprintf("%s, %s", count(n, "connection"), h.name) }

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
	where := "with " + count(n, "connection")
	value := func(h habit, key string) (float64, bool) {
		r := section.Find(idleName(h, n), peerSluice)
		if r == nil {
			return 0, false
		}
		v, ok := r.Values[key]
		return v, ok
	}
	if v, ok := value(habits[0], "kib"); ok {
		section.Targets = append(section.Targets, report.AtMost("idle-plain", "Idle plain connection: KiB resident", 8, v).In(where))
	}
	if v, ok := value(habits[1], "kib"); ok {
		section.Targets = append(section.Targets, report.AtMost("idle-tls", "Idle TLS connection: KiB resident", 24, v).In(where))
	}
	if v, ok := value(habits[0], "kib_bus"); ok {
		section.Targets = append(section.Targets, report.AtMost("idle-bus", "Idle plain connection: KiB on the bus", 0.5, v).In(where))
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
