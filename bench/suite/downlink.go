package suite

import (
	"context"
	"fmt"
	"slices"

	"sluice/bench/report"
)

// downlinkShapes: each device has a topic of its own. QoS 1 has every number of devices and every payload, in the whole grid QoS 2 as well.
func downlinkShapes(s Settings) (shapes []shape) {
	most := slices.Max(s.Connections)
	for _, qos := range []byte{0, 1, 2} {
		numbers := []int{min(10, most), min(usualDevices, most)}
		if s.Full || qos == 1 {
			numbers = s.Connections
		}
		for _, n := range slices.Compact(slices.Clone(numbers)) {
			shapes = append(shapes, shape{devices: n, size: usual, qos: qos})
		}
	}
	withPayloads := []byte{1}
	if s.Full {
		withPayloads = []byte{1, 2}
	}
	for _, qos := range withPayloads {
		for _, size := range s.Payloads {
			if sh := (shape{devices: min(usualDevices, most), size: size, qos: qos}); !slices.Contains(shapes, sh) {
				shapes = append(shapes, sh)
			}
		}
	}
	return shapes
}

func fanShapes(s Settings) (shapes []shape) {
	for _, n := range s.Fan {
		for _, qos := range []byte{0, 1, 2} {
			shapes = append(shapes, shape{devices: n, size: usual, qos: qos})
		}
	}
	return shapes
}

func fanName(sh shape) string {
	return fmt.Sprintf("QoS %d, one topic to %s, %s", sh.qos, count(sh.devices, "device"), size(sh.size))
}

func (l *Lab) downlinkScenario(ctx context.Context, s Settings, share float64) (*report.Section, error) {
	n, err := l.startNode(ctx)
	if err != nil {
		return nil, err
	}
	defer n.stop()
	section := &report.Section{
		Title: "Downlink: AMQP producer to devices",
		Text: []string{
			"A pipelined go-amqp producer sends to the devices: to a topic of each device's own in turn, or to one topic that all subscribe to. In the first, the bare " +
				"publisher sends to a queue with an AMQP consumer instead. In the second a message is a delivery: one message of the producer is as many as " +
				"there are devices. Windows towards devices are each server's default: 20 unacknowledged messages with Sluice, 10 with the plugin.",
		},
		Columns: messagesColumns,
	}
	shapes, fans := downlinkShapes(s), fanShapes(s)
	warm, measure := s.pace(share, (len(shapes)*3+len(fans)*2)*s.Rounds*2)
	for _, sh := range shapes {
		t := trial{name: sh.String(), window: window(sh.devices, sh.size), warm: warm, measure: measure}
		t.contenders = l.receivers(sh, false, n)
		if sh.qos < 2 {
			t.contenders = append(t.contenders, contender{name: peerBare, qos: sh.qos, open: l.bare(sh)})
		}
		rows, err := l.run(ctx, s.Rounds, t)
		if err != nil {
			return nil, err
		}
		section.Rows = append(section.Rows, rows...)
	}
	for _, sh := range fans {
		t := trial{name: fanName(sh), window: min(max(fanUnderWay/sh.devices, 2), fanWindow), warm: warm, measure: measure, contenders: l.receivers(sh, true, n)}
		rows, err := l.run(ctx, s.Rounds, t)
		if err != nil {
			return nil, err
		}
		section.Rows = append(section.Rows, rows...)
	}
	most := fans[len(fans)-3] // QoS 0
	if r := section.Find(fanName(most), peerSluice); r != nil && r.Values["cpu_gateway"] > 0 {
		what := fmt.Sprintf("Fan-out QoS 0 to %s: deliveries per second of gateway CPU (one core)", count(most.devices, "device"))
		section.Targets = append(section.Targets, report.AtLeast("fan-out", what, 300_000, 1e6/r.Values["cpu_gateway"]))
	}
	section.Plots = downlinkPlots(section, shapes, fans)
	return section, nil
}

func downlinkPlots(section *report.Section, shapes, fans []shape) []report.Plot {
	var usually, payloads []shape
	for _, sh := range shapes {
		if sh.size == usual {
			usually = append(usually, sh)
		}
		if sh.qos == 1 && sh.devices == shapes[len(shapes)-1].devices {
			payloads = append(payloads, sh)
		}
	}
	slices.SortStableFunc(payloads, func(a, b shape) int { return a.size - b.size })
	peers := []string{peerSluice, peerPlugin, peerBare}
	return []report.Plot{
		plot(section, "downlink-rate", "Downlink, 128 B: highest rate", "messages/s", "rate", peers, usually, shape.String, func(sh shape) string {
			return fmt.Sprintf("QoS %d, %d", sh.qos, sh.devices)
		}),
		plot(section, "downlink-payloads", "Downlink QoS 1: highest rate by payload", "messages/s", "rate", peers, payloads, shape.String, func(sh shape) string { return size(sh.size) }),
		plot(section, "fan-out", "Fan-out, 128 B: highest rate", "deliveries/s", "rate", peers[:2], fans, fanName, func(sh shape) string {
			return fmt.Sprintf("QoS %d, 1 to %d", sh.qos, sh.devices)
		}),
	}
}

// receivers are the contenders of a downlink case.
func (l *Lab) receivers(sh shape, fan bool, n *node) []contender {
	contenders := []contender{{name: peerSluice, qos: sh.qos, nodes: []*node{n}, open: l.downlink(sh, fan, n.server)}}
	if sh.qos < 2 {
		contenders = append(contenders, contender{name: peerPlugin, qos: sh.qos, open: l.downlink(sh, fan, l.pluginServer())})
	}
	return contenders
}
