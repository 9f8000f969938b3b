package suite

import (
	"context"
	"errors"
	"fmt"
	"math"
	"time"

	"sluice/bench/load"
	"sluice/bench/report"
	"sluice/mqtt/packet"
)

const (
	// growthRate is the messages per second while devices and subscriptions grow: little, so that what grows shows.
	growthRate = 2000
	// filtersEach is how many subscriptions an idle device has.
	filtersEach = 100
	// subscribeAtOnce bounds the devices that subscribe at a time: a bus that makes a few hundred bindings a second is to answer the last of them within a node's patience.
	subscribeAtOnce = 8
	// growthMost is how much a message may cost with the most devices, of what it costs with the fewest.
	growthMost = 1.15
)

// growing is a fixed load beside which something grows.
type growing struct {
	what  string
	steps []int
	shape shape
	open  func(context.Context) (*setup, error)
	// grow brings what grows from one size to the next.
	grow func(ctx context.Context, from, to int) (load.Fleet, error)
}

func (l *Lab) growthScenario(ctx context.Context, s Settings, share float64) (*report.Section, error) {
	section := &report.Section{
		Title: "Growth",
		Text: []string{fmt.Sprintf("%s carry %d messages a second, always the same, while others that do nothing connect to the same node: first plain connections "+
			"(uplink QoS 1 is measured), then devices with %d QoS 0 subscriptions each (downlink QoS 0 is measured). What a message costs must stay what it was.",
			count(s.Active, "device"), growthRate, filtersEach)},
		Columns: []report.Column{
			{Key: "half_cpu_gateway", Head: "gateway µs per message"}, {Key: "half_cpu_bus", Head: "bus µs per message"}, {Key: "gateway_mib", Head: "gateway MiB"},
			{Key: "arrived", Head: "rate not held, no latency: of it arrived, %"},
			{Key: "p50", Head: "p50 ms"}, {Key: "p99", Head: "p99 ms"},
			{Key: "added", Head: "added per second"},
		},
	}
	// Most of the time goes into connecting and subscribing.
	warm, measure := s.pace(share/3, len(s.Growth)+len(s.Filters))
	for _, filters := range []bool{false, true} {
		n, err := l.startNode(ctx)
		if err != nil {
			return nil, err
		}
		g := l.growingConnections(s, n)
		if filters {
			g = l.growingFilters(s, n)
		}
		err = l.growth(ctx, section, g, n, load.Timing{Warm: warm, Measure: measure})
		n.stop()
		if err != nil {
			return nil, err
		}
	}
	return section, nil
}

func (l *Lab) growingConnections(s Settings, n *node) growing {
	sh, name := shape{devices: s.Active, size: usual, qos: 1}, l.name()
	return growing{what: "connection", steps: s.Growth, shape: sh, open: l.uplink(sh, n.server), grow: func(ctx context.Context, from, to int) (load.Fleet, error) {
		return load.DialFleet(ctx, to-from, func(i int) load.Options {
			o := l.device(n.server, fmt.Sprintf("%s-%d", name, from+i), false, nil)
			o.Source = load.Loopback(from + i)
			return o
		})
	}}
}

func (l *Lab) growingFilters(s Settings, n *node) growing {
	sh, name := shape{devices: s.Active, size: usual}, l.name()
	return growing{what: "subscription", steps: s.Filters, shape: sh, open: l.downlink(sh, false, n.server), grow: func(ctx context.Context, from, to int) (load.Fleet, error) {
		devices := (to - from + filtersEach - 1) / filtersEach
		fleet, err := load.DialFleet(ctx, devices, func(i int) load.Options {
			return l.device(n.server, fmt.Sprintf("%s-%d-%d", name, from, i), false, nil)
		})
		if err != nil {
			return nil, err
		}
		return fleet, fleet.Few(subscribeAtOnce, func(i int, d *load.Device) error {
			var filters []string
			for f := from + i*filtersEach; f < min(to, from+(i+1)*filtersEach); f++ {
				filters = append(filters, fmt.Sprintf("%s/%d/+", name, f))
			}
			return d.Subscribe(packet.QoS(0), filters...)
		})
	}}
}

func (l *Lab) growth(ctx context.Context, section *report.Section, g growing, n *node, timing load.Timing) (err error) {
	st, err := g.open(ctx)
	if err != nil {
		return err
	}
	e := &entry{contender: contender{name: peerSluice, qos: g.shape.qos, nodes: []*node{n}}, setup: st}
	var idle []load.Fleet
	defer func() {
		for _, f := range idle {
			f.Close()
		}
		err = errors.Join(err, closeAll([]*entry{e}))
	}()
	costs, from := []float64{}, 0
	for _, to := range g.steps {
		l.say("%s beside the load", count(to, g.what))
		row, began := report.Row{Case: count(to, g.what), Peer: peerSluice}, time.Now()
		more, err := g.grow(ctx, from, to)
		idle = append(idle, more)
		if err != nil {
			return err
		}
		row.Set("added", float64(to-from)/time.Since(began).Seconds())
		from = to
		if err := l.growthStep(ctx, &row, e, timing); err != nil {
			return fmt.Errorf("%s: %w", row.Case, err)
		}
		section.Rows = append(section.Rows, row)
		costs = append(costs, row.Values["half_cpu_gateway"])
	}
	l.growthFindings(section, g, costs)
	return e.judge()
}

func (l *Lab) growthStep(ctx context.Context, row *report.Row, e *entry, timing load.Timing) error {
	one, err := l.measure(e.pids(), func(mark func()) (load.Span, error) {
		timing.Mark = mark
		return e.drive.Open(ctx, growthRate, timing)
	})
	if err != nil {
		return err
	}
	now, err := l.look(e.pids())
	if err != nil {
		return err
	}
	setCPU(row, "half_", one.used, one.Arrived, true)
	row.Set("gateway_mib", float64(now.gateway.RSS)/(1<<20))
	var tt timetable
	if tt.add(one, growthRate, 1); tt.held() {
		setLatency(row, "", one.Span)
	} else {
		row.Set("arrived", tt.share())
	}
	return nil
}

func (l *Lab) growthFindings(section *report.Section, g growing, costs []float64) {
	p := report.Plot{File: "growth-" + g.what, Title: "Cost of a message by " + g.what + "s on the node", XLabel: g.what + "s", YLabel: "gateway µs per message", Lines: true}
	for _, n := range g.steps {
		p.X = append(p.X, fmt.Sprint(n))
	}
	p.Series = []report.Series{{Name: peerSluice, Y: costs}}
	section.Plots = append(section.Plots, p)
	first, last := g.steps[0], g.steps[len(g.steps)-1]
	if ratio := costs[len(costs)-1] / costs[0]; !math.IsNaN(ratio) && !math.IsInf(ratio, 0) {
		what := fmt.Sprintf("Gateway CPU per message, %s against %s", count(last, g.what), count(first, g.what))
		section.Targets = append(section.Targets, report.AtMost("growth-"+g.what, what, growthMost, ratio))
	}
}
