package gateway

import (
	"testing"

	"github.com/prometheus/client_golang/prometheus"

	"sluice/mqtt/packet"
)

// TestMetricsOfMessages: the counters at hand are those of the registry.
func TestMetricsOfMessages(t *testing.T) {
	r := prometheus.NewRegistry()
	m := newMetrics(r)
	for q := range packet.QoS(3) {
		for range q + 1 {
			m.sent(q)
			m.received(q, packet.Success)
		}
		m.received(q, packet.NotAuthorized)
	}
	families, err := r.Gather()
	if err != nil {
		t.Fatal(err)
	}
	got := map[string]float64{}
	for _, f := range families {
		for _, series := range f.GetMetric() {
			key := f.GetName()
			for _, label := range series.GetLabel() {
				key += " " + label.GetValue()
			}
			got[key] = series.GetCounter().GetValue()
		}
	}
	for key, want := range map[string]float64{
		"sluice_deliveries_total 0": 1, "sluice_deliveries_total 1": 2, "sluice_deliveries_total 2": 3,
		"sluice_publishes_total 0 Success": 1, "sluice_publishes_total 1 Success": 2, "sluice_publishes_total 2 Success": 3,
		"sluice_publishes_total 0 Not authorized": 1, "sluice_publishes_total 1 Not authorized": 1, "sluice_publishes_total 2 Not authorized": 1,
	} {
		if got[key] != want {
			t.Errorf("%s is %v, want %v", key, got[key], want)
		}
	}
}

// BenchmarkMetricsReceived is what each answered PUBLISH costs here.
func BenchmarkMetricsReceived(b *testing.B) {
	m := newMetrics(prometheus.NewRegistry())
	for b.Loop() {
		m.received(1, packet.Success)
	}
}
