package suite

import (
	"context"
	"crypto/rand"
	"crypto/tls"
	"encoding/hex"
	"fmt"
	mathrand "math/rand/v2"
	"os"
	"slices"
	"time"

	"sluice/bench/load"
	"sluice/bench/proc"
	"sluice/bench/report"
)

const (
	// stormResumed is the least share of handshakes, in percent, that has to be resumed at every node.
	stormResumed = 95
	// stormSeed makes devices choose the same nodes in each run.
	stormSeed = 7
)

// storm is devices that all come back at once, each to a node by chance.
type storm struct{ devices, nodes int }

// comeback is a way to come back.
type comeback struct {
	name    string
	secure  bool
	tickets bool
}

var comebacks = []comeback{{name: "plain TCP"}, {name: "full handshake", secure: true}, {name: "resumed", secure: true, tickets: true}}

// tlsVersions are those that nodes speak.
var tlsVersions = []uint16{tls.VersionTLS13, tls.VersionTLS12}

func (st storm) name(version uint16) string {
	return fmt.Sprintf("%s, %s, %s", tls.VersionName(version), count(st.devices, "device"), nodesName(st.nodes))
}

func (l *Lab) stormScenario(ctx context.Context, s Settings, _ float64) (*report.Section, error) {
	section := &report.Section{
		Title: "Reconnect storm over TLS",
		Text: []string{
			"Devices with persistent sessions lose their connections all at once and come back, 64 at a time, each to one of the nodes by chance, mostly another than it was on. All " +
				"nodes have the same ticket secret. The same devices come back over plain TCP, with full handshakes and with the tickets they were given before, in turn. " +
				"What a connect costs includes CONNECT and the session in Redis; what it costs beyond plain TCP is TLS.",
			"The certificate is ECDSA P-256, the cheapest to sign with: with RSA a full handshake costs a node several times as much, and a resumed one the same.",
		},
		Columns: []report.Column{
			{Key: "resumed", Head: "resumed, %"}, {Key: "resumed_least", Head: "at the worst node, %"}, {Key: "connects", Head: "connects/s"},
			{Key: "all", Head: "all back after s"}, {Key: "cpu", Head: "gateway CPU µs per connect"}, {Key: "cpu_tls", Head: "of that for TLS"},
			{Key: "cpu_store", Head: "Redis µs"}, {Key: "cpu_generator", Head: "generator µs"},
		},
	}
	secret := make([]byte, 32)
	_, _ = rand.Read(secret)
	file := l.file("tickets.secret")
	if err := os.WriteFile(file, []byte(hex.EncodeToString(secret)+"\n"), 0o600); err != nil {
		return nil, err
	}
	nodes, stop, err := l.startNodes(ctx, s.Storm.nodes, "mqtt.tls.ticket_secret="+file)
	if err != nil {
		return nil, err
	}
	defer stop()
	for _, version := range tlsVersions {
		rows, err := l.storm(ctx, s, version, nodes)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", s.Storm.name(version), err)
		}
		section.Rows = append(section.Rows, rows...)
		what := fmt.Sprintf("Reconnect storm, %s: handshakes resumed at the worst node, %%", s.Storm.name(version))
		section.Targets = append(section.Targets, report.AtLeast("storm", what, stormResumed, section.Find(s.Storm.name(version), "resumed").Values["resumed_least"]))
	}
	section.Plots = []report.Plot{stormPlot(section, s.Storm)}
	return section, nil
}

// tempest is a storm that goes on.
type tempest struct {
	lab     *Lab
	storm   storm
	version uint16
	nodes   []*node
	name    string
	look    time.Duration // between two looks at whether the nodes are calm
	caches  []tls.ClientSessionCache
	fleet   load.Fleet
	chance  *mathrand.Rand
}

func (l *Lab) storm(ctx context.Context, s Settings, version uint16, nodes []*node) ([]report.Row, error) {
	st, rounds := s.Storm, s.Rounds
	l.say("%s", st.name(version))
	t := &tempest{lab: l, storm: st, version: version, nodes: nodes, name: l.name(), look: s.look, chance: mathrand.New(mathrand.NewPCG(stormSeed, uint64(version)))}
	for range st.devices {
		t.caches = append(t.caches, tls.NewLRUClientSessionCache(1))
	}
	defer func() { t.fleet.End() }()
	// The first time everybody makes a session and gets a ticket.
	if _, err := t.connect(ctx, comeback{secure: true, tickets: true}); err != nil {
		return nil, err
	}
	gusts := make([]gust, len(comebacks))
	for range rounds {
		for i, way := range comebacks {
			g, err := t.strike(ctx, way)
			if err != nil {
				return nil, fmt.Errorf("%s: %w", way.name, err)
			}
			gusts[i].add(g)
		}
	}
	plain := gusts[0].used.gateway.CPU
	var rows []report.Row
	for i, way := range comebacks {
		row := gusts[i].row(st.devices*rounds, rounds)
		row.Case, row.Peer = st.name(version), way.name
		if way.secure {
			row.Set("cpu_tls", perMessage(gusts[i].used.gateway.CPU-plain, int64(st.devices*rounds)))
		}
		if !way.tickets {
			delete(row.Values, "resumed")
			delete(row.Values, "resumed_least")
		}
		rows = append(rows, row)
		l.say("    %-24s %6.0f connects/s, gateway %.0f µs per connect, %.1f %% resumed", way.name, row.Values["connects"], row.Values["cpu"], row.Values["resumed"])
	}
	return rows, nil
}

// gust is what one coming back of all devices took, or several.
type gust struct {
	took          time.Duration
	used          uses
	came, resumed []int // by node
}

func (g *gust) add(o gust) {
	if g.came == nil {
		*g = o
		return
	}
	g.took, g.used = g.took+o.took, g.used.plus(o.used)
	for i := range g.came {
		g.came[i] += o.came[i]
		g.resumed[i] += o.resumed[i]
	}
}

func (g *gust) row(connects, rounds int) (row report.Row) {
	total, least := 0, 100.0
	for i, n := range g.resumed {
		total += n
		if g.came[i] > 0 {
			least = min(least, 100*float64(n)/float64(g.came[i]))
		}
	}
	row.Set("resumed", 100*float64(total)/float64(connects))
	row.Set("resumed_least", least)
	row.Set("connects", float64(connects)/g.took.Seconds())
	row.Set("all", g.took.Seconds()/float64(rounds))
	setCPU(&row, "", g.used, int64(connects), true)
	row.Set("cpu", row.Values["cpu_gateway"])
	return row
}

// strike takes all connections away and has the devices come back.
func (t *tempest) strike(ctx context.Context, way comeback) (gust, error) {
	return calmest(&t.lab.calm, func() (gust, float64, error) {
		t.fleet.Drop()
		if err := t.calm(ctx); err != nil {
			return gust{}, 0, err
		}
		g, err := t.connect(ctx, way)
		return g, g.used.cores.StolenShare(), err
	})
}

// calm waits until the nodes are done with the connections that broke: that work is the same however devices come back.
func (t *tempest) calm(ctx context.Context) error {
	last, err := proc.Read(pids(t.nodes)...)
	if err != nil {
		return err
	}
	for end := time.Now().Add(settleMax); time.Now().Before(end); {
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-time.After(t.look):
		}
		now, err := proc.Read(pids(t.nodes)...)
		if err != nil {
			return err
		}
		if now.Minus(last).CPU <= stormIdle {
			return nil
		}
		last = now
	}
	return nil
}

func (t *tempest) connect(ctx context.Context, way comeback) (gust, error) {
	g := gust{came: make([]int, len(t.nodes)), resumed: make([]int, len(t.nodes))}
	at := make([]int, t.storm.devices)
	for i := range at {
		at[i] = t.chance.IntN(len(t.nodes))
	}
	again := t.fleet != nil
	before, err := t.lab.look(pids(t.nodes))
	if err != nil {
		return g, err
	}
	began := time.Now()
	fleet, err := load.DialFleet(ctx, t.storm.devices, func(i int) load.Options {
		var cache tls.ClientSessionCache
		if way.tickets {
			cache = t.caches[i]
		}
		o := t.lab.device(t.nodes[at[i]].server, fmt.Sprintf("%s-%d", t.name, i), way.secure, cache)
		if way.secure {
			o.TLS.MinVersion, o.TLS.MaxVersion = t.version, t.version
		}
		o.Persistent = true
		return o
	})
	if err != nil {
		return g, err
	}
	t.fleet, g.took = fleet, time.Since(began)
	after, err := t.lab.look(pids(t.nodes))
	if err != nil {
		return g, err
	}
	g.used = after.minus(before)
	for i, d := range fleet {
		if again && !d.Resumed {
			return g, fmt.Errorf("the MQTT session of device %d is gone", i)
		}
		g.came[at[i]]++
		if d.TLSResumed {
			g.resumed[at[i]]++
		}
	}
	return g, nil
}

func stormPlot(section *report.Section, st storm) report.Plot {
	p := report.Plot{File: "storm-cpu", Title: fmt.Sprintf("What a connect costs the nodes in a storm of %s", count(st.devices, "device")), YLabel: "µs of CPU per connect"}
	for _, version := range slices.Backward(tlsVersions) {
		p.X = append(p.X, tls.VersionName(version))
	}
	for _, way := range comebacks {
		series := report.Series{Name: way.name}
		for _, version := range slices.Backward(tlsVersions) {
			series.Y = append(series.Y, section.Find(st.name(version), way.name).Values["cpu"])
		}
		p.Series = append(p.Series, series)
	}
	return p
}
