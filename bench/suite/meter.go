package suite

import (
	"errors"
	"time"

	"github.com/HdrHistogram/hdrhistogram-go"

	"sluice/bench/load"
	"sluice/bench/proc"
	"sluice/bench/report"
)

// uses are what the parts of a case use.
type uses struct {
	gateway, bus, store, generator proc.Use
	cores                          proc.Cores
}

func (u uses) minus(before uses) uses {
	return uses{gateway: u.gateway.Minus(before.gateway), bus: u.bus.Minus(before.bus), store: u.store.Minus(before.store), generator: u.generator.Minus(before.generator), cores: u.cores.Minus(before.cores)}
}

func (u uses) plus(o uses) uses {
	return uses{gateway: u.gateway.Plus(o.gateway), bus: u.bus.Plus(o.bus), store: u.store.Plus(o.store), generator: u.generator.Plus(o.generator), cores: u.cores.Plus(o.cores)}
}

// look reads what all parts have used so far. gateways are process ids.
func (l *Lab) look(gateways []int) (u uses, err error) {
	var errs [5]error
	u.gateway, errs[0] = proc.Read(gateways...)
	u.bus, errs[1] = proc.Read(l.busPID)
	u.store, errs[2] = proc.Read(l.storePID)
	u.generator, errs[3] = proc.Own()
	u.cores, errs[4] = proc.ReadCores()
	return u, errors.Join(errs[:]...)
}

// meter measures one span.
type meter struct {
	lab      *Lab
	gateways []int
	looks    []uses
	err      error
}

// mark is to be called at the beginning and at the end of the span.
func (m *meter) mark() {
	u, err := m.lab.look(m.gateways)
	m.looks, m.err = append(m.looks, u), errors.Join(m.err, err)
}

// used is what the parts used in the span.
func (m *meter) used() (uses, error) {
	if len(m.looks) != 2 {
		return uses{}, errors.Join(errors.New("the run ended before it was measured"), m.err)
	}
	return m.looks[1].minus(m.looks[0]), m.err
}

// The parts of the tables of messages.
const (
	partFull = "As many messages as it takes; processor time in µs per message that arrived"
	partHalf = "At half the rate of the slowest of the case"
)

var messagesColumns = []report.Column{
	{Key: "rate", Head: "messages/s", Part: partFull},
	{Key: "against", Head: "of the plugin's", Part: partFull},
	{Key: "against_bare", Head: "of the bare publisher's", Part: partFull},
	{Key: "cpu_gateway", Head: "gateway", Part: partFull},
	{Key: "cpu_bus", Head: "bus", Part: partFull},
	{Key: "bus_against", Head: "bus, of the plugin's", Part: partFull},
	{Key: "cpu_store", Head: "Redis", Part: partFull},
	{Key: "cpu_generator", Head: "generator", Part: partFull},
	{Key: "lost", Head: "lost at QoS 0", Part: partFull},
	{Key: "doubled", Head: "twice at QoS 1", Part: partFull},
	{Key: "half_rate", Head: "messages/s", Part: partHalf},
	{Key: "arrived", Head: "rate not held, no latency: of it arrived, %", Part: partHalf},
	{Key: "p50", Head: "p50 ms", Part: partHalf},
	{Key: "p99", Head: "p99 ms", Part: partHalf},
	{Key: "p999", Head: "p999 ms", Part: partHalf},
	{Key: "late", Head: "generator late, p99 ms", Part: partHalf},
	{Key: "half_cpu_gateway", Head: "gateway µs", Part: partHalf},
	{Key: "half_cpu_bus", Head: "bus µs", Part: partHalf},
	{Key: "half_cpu_store", Head: "Redis µs", Part: partHalf},
}

func perMessage(d time.Duration, messages int64) float64 {
	return float64(d) / float64(time.Microsecond) / float64(messages)
}

// setCPU notes processor time per message under the keys with prefix.
func setCPU(r *report.Row, prefix string, used uses, messages int64, gateway bool) {
	if messages == 0 {
		return
	}
	if gateway {
		r.Set(prefix+"cpu_gateway", perMessage(used.gateway.CPU, messages))
		r.Set(prefix+"cpu_store", perMessage(used.store.CPU, messages))
	}
	r.Set(prefix+"cpu_bus", perMessage(used.bus.CPU, messages))
	r.Set(prefix+"cpu_generator", perMessage(used.generator.CPU, messages))
}

// setLatency notes an open run under the keys with prefix.
func setLatency(r *report.Row, prefix string, s load.Span) {
	if s.Latency.TotalCount() == 0 {
		return
	}
	r.Set(prefix+"p50", quantile(s.Latency, 50))
	r.Set(prefix+"p99", quantile(s.Latency, 99))
	r.Set(prefix+"p999", quantile(s.Latency, 99.9))
	r.Set(prefix+"late", quantile(s.Late, 99))
}

// quantile is that of a histogram of nanoseconds, in ms.
func quantile(h *hdrhistogram.Histogram, percent float64) float64 {
	return float64(h.ValueAtQuantile(percent)) / float64(time.Millisecond)
}
