package suite

import (
	"context"
	"errors"
	"fmt"
	"net/url"
	"slices"
	"time"

	"github.com/HdrHistogram/hdrhistogram-go"

	"sluice/bench/load"
	"sluice/bench/report"
)

const (
	// neighbourDevices is how many devices the quiet tenant has, neighbourRate how many messages they send a second, all together.
	neighbourDevices = 10
	neighbourRate    = 200
	// neighbourMost is how many times the latency may be what it is without the other tenant.
	neighbourMost = 2
)

// neighbourQuotas are those of each tenant. The quiet one stays well below.
var neighbourQuotas = []string{
	"quota.tenant.connections=15", "quota.tenant.connect_rate=20", "quota.tenant.publish_rate=500", "quota.tenant.publish_bytes=1000000", "quota.tenant.subscriptions=100",
	"quota.tenant.in_flight=50", "retained.messages=500", "quota.delay_max=500ms",
}

func (l *Lab) neighbourScenario(ctx context.Context, s Settings, share float64) (_ *report.Section, err error) {
	section := &report.Section{
		Title: "Beside a noisy tenant",
		Text: []string{
			fmt.Sprintf("One tenant fills a quota from %d connections as fast as it can; another one has %d devices that publish %d messages a second at QoS 1, to an AMQP consumer. Latency is from the "+
				"moment a message was due to its arrival at the consumer. The same devices are measured in turn without the noise and beside it, so the ratio is that of the same minute.",
				noiseConnections, neighbourDevices, neighbourRate),
			"The quotas of each tenant are 15 connections, 20 new ones a second, 500 messages and 1,000,000 bytes a second, 50 messages under way, 100 subscriptions and 500 retained messages. Both tenants, the generator and the node share the machine.",
		},
		Columns: []report.Column{
			{Key: "p50_alone", Head: "p50 alone, ms"}, {Key: "p50", Head: "p50 beside, ms"}, {Key: "p50_against", Head: "ratio"},
			{Key: "p99_alone", Head: "p99 alone, ms"}, {Key: "p99", Head: "p99 beside, ms"}, {Key: "p99_against", Head: "ratio"},
			{Key: "tries", Head: "the other tries, /s"}, {Key: "passed", Head: "of which pass, /s"},
		},
	}
	service, err := startTenants()
	if err != nil {
		return nil, err
	}
	defer service.close()
	n, err := l.startNode(ctx, append(neighbourQuotas, "auth.methods=http", "auth.http.url="+service.url, "clients.sharing=shared")...)
	if err != nil {
		return nil, err
	}
	defer n.stop()
	quiet := server{plain: n.plain, user: url.UserPassword("quiet/device", "x")}
	e, err := l.uplink(shape{devices: neighbourDevices, size: usual, qos: 1}, quiet)(ctx)
	if err != nil {
		return nil, err
	}
	defer func() {
		err = errors.Join(err, e.close())
		for _, f := range e.cleanUp {
			err = errors.Join(err, f())
		}
	}()
	warm, measure := s.pace(share, 2*s.Rounds*len(noises))
	var p50s, p99s []float64
	for _, noise := range noises {
		row, err := l.beside(ctx, e.drive, noise, n, s.Rounds, load.Timing{Warm: warm, Measure: measure, Mark: func() {}})
		if err != nil {
			return nil, fmt.Errorf("%s: %w", noise.name, err)
		}
		section.Rows = append(section.Rows, row)
		p50s, p99s = append(p50s, row.Values["p50_against"]), append(p99s, row.Values["p99_against"])
		l.say("    %-20s p50 x%.2f, p99 x%.2f; the other tries %.0f/s, %.0f/s pass", noise.name, row.Values["p50_against"], row.Values["p99_against"], row.Values["tries"], row.Values["passed"])
	}
	if err := e.drive.Verdict().Check(1); err != nil {
		return nil, err
	}
	section.Targets = []report.Target{
		report.AtMost("neighbour-p50", "a tenant beside one that fills a quota: median latency, of that without", neighbourMost, slices.Max(p50s)),
		report.AtMost("neighbour-p99", "a tenant beside one that fills a quota: latency of 99 in 100, of that without", neighbourMost, slices.Max(p99s)),
	}
	return section, nil
}

// beside measures the quiet tenant without a noise and beside it, in turn.
func (l *Lab) beside(ctx context.Context, d *load.Drive, n noise, at *node, rounds int, timing load.Timing) (row report.Row, err error) {
	row = report.Row{Case: n.name, Peer: peerSluice}
	alone, beside := (*hdrhistogram.Histogram)(nil), (*hdrhistogram.Histogram)(nil)
	var tries, passed int64
	var took time.Duration
	for range rounds {
		span, err := d.Open(ctx, neighbourRate, timing)
		if err != nil {
			return row, err
		}
		alone = merged(alone, span.Latency)
		began := time.Now()
		m := makeNoise(n, at.plain, l.name())
		span, err = d.Open(ctx, neighbourRate, timing)
		m.end()
		if err != nil {
			return row, err
		}
		beside = merged(beside, span.Latency)
		took += time.Since(began)
		tries, passed = tries+m.tries.Load(), passed+m.passed.Load()
	}
	if tries == 0 {
		return row, errors.New("the other tenant made no noise")
	}
	for key, quantile := range map[string]float64{"p50": 50, "p99": 99} {
		with, without := float64(beside.ValueAtQuantile(quantile))/1e6, float64(alone.ValueAtQuantile(quantile))/1e6
		row.Set(key, with)
		row.Set(key+"_alone", without)
		row.Set(key+"_against", with/without)
	}
	row.Set("tries", float64(tries)/took.Seconds())
	row.Set("passed", float64(passed)/took.Seconds())
	return row, nil
}

// merged adds b to a, which may be nil.
func merged(a, b *hdrhistogram.Histogram) *hdrhistogram.Histogram {
	if a == nil {
		return b
	}
	a.Merge(b)
	return a
}
