package suite

import (
	"context"
	"fmt"
	"slices"

	"sluice/bench/report"
)

func nodesName(n int) string { return count(n, "node") }

func (l *Lab) nodesScenario(ctx context.Context, s Settings, share float64) (*report.Section, error) {
	section := &report.Section{
		Title: "Nodes",
		Text: []string{
			"The same devices on one node or spread over several, on the same bus and the same Redis. All nodes run all the time; processor time is that of those that " +
				"the devices are on. On one machine more nodes cannot be faster: what counts is that a message does not cost more.",
		},
		Columns: messagesColumns,
	}
	nodes, stop, err := l.startNodes(ctx, slices.Max(s.Nodes))
	if err != nil {
		return nil, err
	}
	defer stop()
	most := s.Active
	warm, measure := s.pace(share, 2*len(s.Nodes)*s.Rounds*2)
	for _, up := range []bool{true, false} {
		sh := shape{devices: most, size: usual, qos: 1}
		key := "nodes-down"
		t := trial{name: "down, " + sh.String(), window: window(sh.devices, sh.size), warm: warm, measure: measure}
		if up {
			key, t.name = "nodes-up", "up, "+sh.String()
		}
		for _, k := range s.Nodes {
			var servers []server
			for _, n := range nodes[:k] {
				servers = append(servers, n.server)
			}
			c := contender{name: nodesName(k), qos: sh.qos, nodes: nodes[:k], open: l.downlink(sh, false, servers...)}
			if up {
				c.open = l.uplink(sh, servers...)
			}
			t.contenders = append(t.contenders, c)
		}
		rows, err := l.run(ctx, s.Rounds, t)
		if err != nil {
			return nil, err
		}
		section.Rows = append(section.Rows, rows...)
		section.Plots = append(section.Plots, nodesPlot(key, t.name, rows))
		nodesTarget(section, key, t.name, slices.Min(s.Nodes), slices.Max(s.Nodes))
	}
	return section, nil
}

// nodesPlot shows what the parts spend on a message at half load.
func nodesPlot(file, name string, rows []report.Row) report.Plot {
	p := report.Plot{
		File: file, Title: "Cost of a message by nodes: " + name, YLabel: "µs per message",
		Series: []report.Series{{Name: "gateway"}, {Name: "bus"}, {Name: "Redis"}},
	}
	for _, r := range rows {
		p.X = append(p.X, r.Peer)
		for i, part := range []string{"half_cpu_gateway", "half_cpu_bus", "half_cpu_store"} {
			p.Series[i].Y = append(p.Series[i].Y, r.Values[part])
		}
	}
	return p
}

func nodesTarget(section *report.Section, key, name string, few, many int) {
	cost := func(n int) float64 {
		v := section.Find(name, nodesName(n)).Values
		return v["half_cpu_gateway"] + v["half_cpu_bus"] + v["half_cpu_store"]
	}
	if cost(few) > 0 {
		what := fmt.Sprintf("All CPU per message, %s against %s (%s)", nodesName(many), nodesName(few), name)
		section.Targets = append(section.Targets, report.AtMost(key, what, growthMost, cost(many)/cost(few)))
	}
}
