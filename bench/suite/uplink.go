package suite

import (
	"cmp"
	"context"
	"fmt"
	"math"
	"slices"

	"sluice/bench/report"
)

// usual is the payload where connections are compared, and usualDevices the number of devices where payloads are.
const (
	usual        = 128
	usualDevices = 100
)

// uplinkShapes are the cases. QoS 1 is what most devices use, so that it has every number of connections; TLS has the largest.
func uplinkShapes(s Settings) (shapes []shape) {
	most := slices.Max(s.Connections)
	others := []int{min(10, most), most}
	if s.Full {
		others = s.Connections
	}
	for _, qos := range []byte{0, 1, 2} {
		numbers := others
		if qos == 1 {
			numbers = s.Connections
		}
		for _, n := range slices.Compact(slices.Clone(numbers)) {
			shapes = append(shapes, shape{devices: n, size: usual, qos: qos})
		}
	}
	for _, size := range s.Payloads {
		devices := []int{min(usualDevices, most)}
		if s.Full {
			devices = s.Connections
		}
		for _, n := range devices {
			if sh := (shape{devices: n, size: size, qos: 1}); !slices.Contains(shapes, sh) {
				shapes = append(shapes, sh)
			}
		}
	}
	return append(shapes, shape{devices: most, size: usual, qos: 1, secure: true})
}

// uplinkSpans is how many spans of the usual length all cases take.
func uplinkSpans(s Settings) (spans int) {
	const contenders = 3
	for _, sh := range uplinkShapes(s) {
		spans += contenders * s.Rounds * 2
		if sh.promised() {
			spans += contenders * (latencyRounds*latencyMeasure - s.Rounds)
		}
	}
	return spans
}

// promised reports whether the latency of the case is a goal.
func (s shape) promised() bool { return s.qos == 1 && s.size == usual && !s.secure }

func (l *Lab) uplinkScenario(ctx context.Context, s Settings, share float64) (*report.Section, error) {
	n, err := l.startNode(ctx)
	if err != nil {
		return nil, err
	}
	defer n.stop()
	section := &report.Section{
		Title: "Uplink: device to AMQP consumer",
		Text: []string{
			"Devices publish, an AMQP consumer takes the messages from a durable classic queue that is bound to their topics. The same queue and the same consumer " +
				"behind Sluice, behind RabbitMQ's own MQTT plugin, and behind a bare pipelined go-amqp publisher. First the highest rate with a bounded number " +
				"of messages under way, with processor time per message; then latency, from the moment a message was due to its arrival at the consumer, at half " +
				"the rate of the slowest, the same for all.",
			fmt.Sprintf("The goal for latency compares the 99th percentile of Sluice with that of the bare publisher in the same round, and takes the median of %d rounds; the table has that of "+
				"all rounds' messages together.", latencyRounds),
			"The plugin knows no QoS 2; there Sluice is compared with its own QoS 1.",
		},
		Columns: messagesColumns,
	}
	shapes := uplinkShapes(s)
	warm, measure := s.pace(share, uplinkSpans(s))
	for _, sh := range shapes {
		contenders := []contender{{name: peerSluice, qos: sh.qos, nodes: []*node{n}, open: l.uplink(sh, n.server)}}
		if sh.qos < 2 {
			if server := l.pluginServer(); !sh.secure || server.tls != "" {
				contenders = append(contenders, contender{name: peerPlugin, qos: sh.qos, open: l.uplink(sh, server)})
			}
			contenders = append(contenders, contender{name: peerBare, qos: sh.qos, open: l.bare(sh)})
		} else {
			lower := sh
			lower.qos = 1
			contenders = append(contenders, contender{name: peerSluice + " at QoS 1", qos: 1, nodes: []*node{n}, open: l.uplink(lower, n.server)})
		}
		t := trial{name: sh.String(), window: window(sh.devices, sh.size), warm: warm, measure: measure, contenders: contenders}
		if sh.promised() {
			t.latency = latency{latencyRounds, latencyMeasure * warm, latencyMeasure * measure}
		}
		rows, err := l.run(ctx, s.Rounds, t)
		if err != nil {
			return nil, err
		}
		section.Rows = append(section.Rows, rows...)
	}
	uplinkTargets(section, s)
	uplinkPlots(section, s)
	return section, nil
}

// found is a figure of a case.
type found struct {
	value float64
	where string // "with 10 devices"
}

// collect gives a figure of Sluice in the cases that match.
func collect(section *report.Section, key string, match func(shape) bool, shapes []shape) (all []found) {
	for _, sh := range shapes {
		if r := section.Find(sh.String(), peerSluice); match(sh) && r != nil {
			if v, ok := r.Values[key]; ok {
				all = append(all, found{v, "with " + count(sh.devices, "device")})
			}
		}
	}
	return all
}

func byValue(a, b found) int { return cmp.Compare(a.value, b.value) }

// worseIfMissing is a figure that must not be large, and is worse than any if it is not there since the rate was not held.
func worseIfMissing(r report.Row, key, where string) found {
	if v, ok := r.Values[key]; ok {
		return found{v, where}
	}
	return found{math.Inf(1), where}
}

// promise adds a goal that the worst of the cases is to reach.
func promise(section *report.Section, id, what string, want float64, atLeast bool, all []found) {
	if len(all) == 0 {
		return
	}
	worst := slices.MaxFunc(all, byValue)
	t := report.AtMost(id, what, want, worst.value)
	if atLeast {
		worst = slices.MinFunc(all, byValue)
		t = report.AtLeast(id, what, want, worst.value)
	}
	if math.IsInf(worst.value, 0) {
		t.Got = "rate not held"
	}
	section.Targets = append(section.Targets, t.In(worst.where))
}

func uplinkTargets(section *report.Section, s Settings) {
	shapes, most := uplinkShapes(s), slices.Max(s.Connections)
	at := func(qos byte, secure bool) func(shape) bool {
		return func(sh shape) bool { return sh.qos == qos && sh.secure == secure && sh.size == usual }
	}
	add := func(id, what, key string, want float64, atLeast bool, match func(shape) bool) {
		promise(section, id, what, want, atLeast, collect(section, key, match, shapes))
	}
	add("uplink-plugin", "Uplink QoS 1, 128 B: rate, of the plugin's (worst case)", "against", 0.9, true, at(1, false))
	add("uplink-bare", "Uplink QoS 1, 128 B: rate, of the bare publisher's (worst case)", "against_bare", 0.9, true, at(1, false))
	add("uplink-qos0", "Uplink QoS 0, 128 B: rate, of the plugin's (worst case)", "against", 1.0, true, at(0, false))
	add("uplink-cpu", "Uplink QoS 1, 128 B, as many messages as it takes: gateway CPU in µs per message (worst case)", "cpu_gateway", 15, false, at(1, false))
	add("uplink-bus", "Uplink QoS 1, 128 B, as many messages as it takes: bus CPU per message, of the plugin's (worst case)", "bus_against", 0.95, false, at(1, false))
	tls := fmt.Sprintf("Uplink QoS 1, 128 B, TLS, %s, as many messages as it takes: bus CPU per message, of the plugin's", count(most, "device"))
	add("uplink-bus-tls", tls, "bus_against", 0.8, false, at(1, true))
	uplinkLatency(section, shapes)
	var ratios []found
	for _, sh := range shapes {
		two, one := section.Find(sh.String(), peerSluice), section.Find(sh.String(), peerSluice+" at QoS 1")
		if sh.qos == 2 && two != nil && one != nil {
			ratios = append(ratios, found{two.Values["rate"] / one.Values["rate"], "with " + count(sh.devices, "device")})
		}
	}
	promise(section, "uplink-qos2", "Uplink QoS 2 with Redis: rate, of our QoS 1 (worst case)", 0.5, true, ratios)
}

func uplinkLatency(section *report.Section, shapes []shape) {
	var all []found
	for _, sh := range shapes {
		if r := section.Find(sh.String(), peerSluice); sh.promised() && r != nil {
			all = append(all, worseIfMissing(*r, "p99_added", "with "+count(sh.devices, "device")))
		}
	}
	what := fmt.Sprintf("Uplink QoS 1, 128 B: p99 at half load beyond the bare publisher's, in ms (worst case; median of %d rounds)", latencyRounds)
	promise(section, "uplink-latency", what, 2, false, all)
}

func uplinkPlots(section *report.Section, s Settings) {
	peers := []string{peerSluice, peerPlugin, peerBare}
	var connections, payloads []shape
	for _, n := range s.Connections {
		connections = append(connections, shape{devices: n, size: usual, qos: 1})
	}
	for _, size := range slices.Sorted(slices.Values(append([]int{usual}, s.Payloads...))) {
		payloads = append(payloads, shape{devices: min(usualDevices, slices.Max(s.Connections)), size: size, qos: 1})
	}
	devices := func(sh shape) string { return count(sh.devices, "device") }
	bytes := func(sh shape) string { return size(sh.size) }
	section.Plots = []report.Plot{
		plot(section, "uplink-rate", "Uplink QoS 1, 128 B: highest rate", "messages/s", "rate", peers, connections, shape.String, devices),
		plot(section, "uplink-latency", "Uplink QoS 1, 128 B: latency at half load", "p99 ms", "p99", peers, connections, shape.String, devices),
		plot(section, "uplink-bus", "Uplink QoS 1, 128 B: what the bus spends", "µs per message", "cpu_bus", peers, connections, shape.String, devices),
		plot(section, "uplink-payloads", "Uplink QoS 1: highest rate by payload", "messages/s", "rate", peers, slices.Compact(payloads), shape.String, bytes),
	}
}

// plot draws one figure of the contenders over cases, which are called by name in the table and by label in the plot.
func plot(section *report.Section, file, title, unit, key string, peers []string, shapes []shape, name, label func(shape) string) report.Plot {
	p := report.Plot{File: file, Title: title, YLabel: unit}
	for _, sh := range shapes {
		p.X = append(p.X, label(sh))
	}
	for _, peer := range peers {
		series, some := report.Series{Name: peer}, false
		for _, sh := range shapes {
			y := -1.0
			if r := section.Find(name(sh), peer); r != nil {
				if v, ok := r.Values[key]; ok {
					y, some = v, true
				}
			}
			series.Y = append(series.Y, y)
		}
		if some {
			p.Series = append(p.Series, series)
		}
	}
	return p
}
