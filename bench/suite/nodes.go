package suite

import (
	"context"
	"fmt"
	"slices"

	"sluice/bench/report"
)

// nodesRate is the messages a second of each node where all nodes have the same load: so few that those of four, the bus and the generator take less than half of two cores.
const nodesRate = 1000

// The parts of the tables of nodes: as much for each node comes first, then the tables of all messages.
const (
	partEach = "The same load for each node, so that more nodes carry more; processor time in µs per message"
	eachNode = "each_" // before the keys of its figures
)

var nodesColumns = append([]report.Column{
	{Key: "each_half_rate", Head: "messages/s in all", Part: partEach},
	{Key: "each_half_cpu_gateway", Head: "gateway", Part: partEach},
	{Key: "each_half_cpu_bus", Head: "bus", Part: partEach},
	{Key: "each_half_cpu_store", Head: "Redis", Part: partEach},
	{Key: "each_half_cpu_generator", Head: "generator", Part: partEach},
	{Key: "each_arrived", Head: "rate not held, no latency: of it arrived, %", Part: partEach},
	{Key: "each_p50", Head: "p50 ms", Part: partEach},
	{Key: "each_p99", Head: "p99 ms", Part: partEach},
}, messagesColumns...)

func nodesName(n int) string { return count(n, "node") }

func (l *Lab) nodesScenario(ctx context.Context, s Settings, share float64) (*report.Section, error) {
	section := &report.Section{
		Title: "Nodes",
		Text: []string{
			fmt.Sprintf("One node or several on the same bus and the same Redis. First each node has the same load, %s and %d messages a second, so that two nodes carry twice as much as one: "+
				"what a message costs must not grow with the number of nodes. The bus saves with more messages, so the goal is about the worse of two figures: what the gateway spends on a message, "+
				"and what all but the generator spend on it.", count(s.Active, "device"), nodesRate),
			"Then one load is divided among the nodes: as many messages as it takes, and half of that. There a message costs more the more nodes there are, since each " +
				"write, disposition and wake-up carries fewer of them; that is no goal. All nodes run all the time; processor time is that of those that the devices are on. On one machine more " +
				"nodes cannot be faster.",
		},
		Columns: nodesColumns,
	}
	nodes, stop, err := l.startNodes(ctx, slices.Max(s.Nodes))
	if err != nil {
		return nil, err
	}
	defer stop()
	warm, measure := s.pace(share, 2*len(s.Nodes)*s.Rounds*3)
	for _, up := range []bool{true, false} {
		for _, each := range []bool{true, false} {
			t := l.nodesTrial(s, nodes, up, each)
			t.warm, t.measure, t.latency = warm, measure, latency{s.Rounds, warm, measure}
			var rows []report.Row
			if each {
				rows, err = l.lineUp(ctx, t, func(entries []*entry) error { return l.openRuns(ctx, entries, eachNode, t) })
			} else {
				rows, err = l.run(ctx, s.Rounds, t)
			}
			if err != nil {
				return nil, err
			}
			section.Rows = append(section.Rows, rows...)
			if each {
				nodesGoal(section, up, t.name, rows)
			}
		}
	}
	return section, nil
}

// nodesTrial is one direction. With each, every node has as many devices as otherwise all of them together.
func (l *Lab) nodesTrial(s Settings, nodes []*node, up, each bool) trial {
	sh, way := shape{devices: s.Active, size: usual, qos: 1}, "down, "
	if up {
		way = "up, "
	}
	t := trial{name: way + sh.String(), window: window(sh.devices, sh.size)}
	if each {
		t.name += ", on each node"
	}
	for _, k := range s.Nodes {
		var servers []server
		for _, n := range nodes[:k] {
			servers = append(servers, n.server)
		}
		c := contender{name: nodesName(k), qos: sh.qos, nodes: nodes[:k]}
		some := sh
		if each {
			some.devices, c.rate = k*sh.devices, float64(k*nodesRate)
		}
		if c.open = l.downlink(some, false, servers...); up {
			c.open = l.uplink(some, servers...)
		}
		t.contenders = append(t.contenders, c)
	}
	return t
}

// nodesGoal compares the most nodes with the fewest, and shows what lies between.
func nodesGoal(section *report.Section, up bool, name string, rows []report.Row) {
	key, parts := "nodes-down", []string{"each_half_cpu_gateway", "each_half_cpu_bus", "each_half_cpu_store"}
	if up {
		key = "nodes-up"
	}
	p := report.Plot{
		File: key, Title: "Cost of a message by nodes: " + name, YLabel: "µs per message",
		Series: []report.Series{{Name: "gateway"}, {Name: "bus"}, {Name: "Redis"}},
	}
	for _, r := range rows {
		p.X = append(p.X, r.Peer)
		for i, part := range parts {
			p.Series[i].Y = append(p.Series[i].Y, r.Values[part])
		}
	}
	section.Plots = append(section.Plots, p)
	few, many := rows[0], rows[len(rows)-1]
	if ratio := nodesRatio(few.Values, many.Values, parts); ratio > 0 {
		what := fmt.Sprintf("CPU per message, %s against %s, each with the same load (%s; the gateway alone or all together, whichever is worse)", many.Peer, few.Peer, name)
		section.Targets = append(section.Targets, report.AtMost(key, what, growthMost, ratio))
	}
}

// nodesRatio is the larger of the ratios of the first part alone and of all parts together; 0 if there is nothing to compare with.
func nodesRatio(few, many map[string]float64, parts []string) float64 {
	var before, after float64
	for _, part := range parts {
		before, after = before+few[part], after+many[part]
	}
	if few[parts[0]] <= 0 {
		return 0
	}
	return max(many[parts[0]]/few[parts[0]], after/before)
}
