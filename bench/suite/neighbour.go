package suite

import (
	"context"
	"errors"
	"fmt"
	"net/url"
	"os"
	"time"

	"sluice/bench/load"
	"sluice/bench/report"
)

const (
	// neighbourDevices is how many devices the quiet tenant has, neighbourRate how many messages they send a second, all together.
	neighbourDevices = 10
	neighbourRate    = 500
	// neighbourRounds is how often the tenant is measured alone and beside the other at least: an odd number, since the ratio is the median of the rounds.
	neighbourRounds = 3
	// neighbourMost is how many times the latency may be what it is without the other tenant.
	neighbourMost = 2
)

// neighbourQuotas are those of a tenant, quietQuotas what the quiet one has instead: it is not to reach a quota of its own when the whole machine stands still for a moment.
var neighbourQuotas = []string{
	"quota.tenant.connections=15", "quota.tenant.connect_rate=20", "quota.tenant.publish_rate=500", "quota.tenant.publish_bytes=1000000", "quota.tenant.subscriptions=100",
	"quota.tenant.in_flight=50", "retained.messages=500", "quota.delay_max=500ms",
}

const quietQuotas = "tenants:\n  quiet: {publish_rate: 10000, publish_bytes: 10000000, in_flight: 10000}\n"

func (l *Lab) neighbourScenario(ctx context.Context, s Settings, share float64) (_ *report.Section, err error) {
	section := &report.Section{
		Title: "Beside a noisy tenant",
		Text: []string{
			fmt.Sprintf("One tenant fills a quota from %d connections as fast as it can; another one has %d devices that publish %d messages a second at QoS 1, to an AMQP consumer. Latency is from the "+
				"moment a message was due to its arrival at the consumer. The same devices are measured in turn without the noise and beside it, %d times; latencies are of all messages together, and the "+
				"ratio is the median of those of each turn.",
				noiseConnections, neighbourDevices, neighbourRate, max(s.Rounds, neighbourRounds)),
			"The quotas of a tenant are 15 connections, 20 new ones a second, 500 messages and 1,000,000 bytes a second, 50 messages under way, 100 subscriptions and 500 retained messages; the one that is measured may have far more messages a second and under way than it sends. Both tenants, the generator and the node share the machine.",
		},
		Columns: []report.Column{
			{Key: "arrived", Head: "rate not held, no latency: of it arrived, %"},
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
	quotas := l.file("quotas.yaml")
	if err := os.WriteFile(quotas, []byte(quietQuotas), 0o600); err != nil {
		return nil, err
	}
	n, err := l.startNode(ctx, append(neighbourQuotas, "quota.file="+quotas, "auth.methods=http", "auth.http.url="+service.url, "clients.sharing=shared")...)
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
	rounds := max(s.Rounds, neighbourRounds)
	// Everything is connected all the time, so that hardly a moment is spent on anything but the spans.
	warm, measure := s.pace(share*1.5, 2*rounds*len(noises))
	var p50s, p99s []found
	for _, noise := range noises {
		row, err := l.beside(ctx, e.drive, noise, n, rounds, load.Timing{Warm: warm, Measure: measure})
		if err != nil {
			return nil, fmt.Errorf("%s: %w", noise.name, err)
		}
		section.Rows = append(section.Rows, row)
		p50s, p99s = append(p50s, worseIfMissing(row, "p50_against", "with "+noise.name)), append(p99s, worseIfMissing(row, "p99_against", "with "+noise.name))
		l.say("    %-20s p50 x%.2f, p99 x%.2f; the other tries %.0f/s, %.0f/s pass", noise.name, row.Values["p50_against"], row.Values["p99_against"], row.Values["tries"], row.Values["passed"])
	}
	if err := e.drive.Verdict().Check(1); err != nil {
		return nil, err
	}
	promise(section, "neighbour-p50", "A tenant beside one that fills a quota: median latency, of that without (worst quota)", neighbourMost, false, p50s)
	promise(section, "neighbour-p99", "A tenant beside one that fills a quota: latency of 99 in 100, of that without (worst quota)", neighbourMost, false, p99s)
	return section, nil
}

// beside measures the quiet tenant without a noise and beside it, in turn.
func (l *Lab) beside(ctx context.Context, d *load.Drive, n noise, at *node, rounds int, timing load.Timing) (row report.Row, err error) {
	var took time.Duration
	var tries, passed int64
	open := func(mark func()) (load.Span, error) {
		timing.Mark = mark
		return d.Open(ctx, neighbourRate, timing)
	}
	loud := func(mark func()) (load.Span, error) {
		began, m := time.Now(), makeNoise(n, at.plain, l.name())
		defer func() {
			m.end()
			took, tries, passed = took+time.Since(began), tries+m.tries.Load(), passed+m.passed.Load()
		}()
		return open(mark)
	}
	var alone, beside timetable
	for range rounds {
		for _, turn := range []struct {
			run  func(mark func()) (load.Span, error)
			book *timetable
		}{{open, &alone}, {loud, &beside}} {
			one, err := l.measure([]int{at.pid()}, turn.run)
			if err != nil {
				return row, err
			}
			turn.book.add(one, neighbourRate, 1)
		}
	}
	if tries == 0 {
		return row, errors.New("the other tenant made no noise")
	}
	row = report.Row{Case: n.name, Peer: peerSluice}
	row.Set("tries", float64(tries)/took.Seconds())
	row.Set("passed", float64(passed)/took.Seconds())
	setCompany(&row, &alone, &beside)
	return row, nil
}

// setCompany notes the latencies of a tenant alone and beside another one, and their ratios, if its rate was held.
func setCompany(row *report.Row, alone, beside *timetable) {
	for _, tt := range []*timetable{alone, beside} {
		if !tt.held() {
			row.Set("arrived", tt.share())
			return
		}
	}
	row.Set("p50_alone", quantile(alone.all.Latency, 50))
	row.Set("p99_alone", quantile(alone.all.Latency, 99))
	row.Set("p50", quantile(beside.all.Latency, 50))
	row.Set("p99", quantile(beside.all.Latency, 99))
	row.Set("p50_against", byRounds(beside.p50s, alone.p50s, func(with, without float64) float64 { return with / without }))
	row.Set("p99_against", byRounds(beside.p99s, alone.p99s, func(with, without float64) float64 { return with / without }))
}
