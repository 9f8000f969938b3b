package token

import "github.com/prometheus/client_golang/prometheus"

// metrics are what an operator sees of the keys behind a URL.
type metrics struct {
	refreshes *prometheus.CounterVec
	keys      prometheus.Gauge
	stale     prometheus.Gauge
}

func newMetrics(r prometheus.Registerer) *metrics {
	m := &metrics{
		refreshes: prometheus.NewCounterVec(prometheus.CounterOpts{Namespace: "sluice", Name: "jwks_refreshes_total",
			Help: "Requests for the keys behind auth.jwt.jwks_url, by whether the answer could be used."}, []string{"result"}),
		keys: prometheus.NewGauge(prometheus.GaugeOpts{Namespace: "sluice", Name: "jwks_keys",
			Help: "Keys from auth.jwt.jwks_url that are in use."}),
		stale: prometheus.NewGauge(prometheus.GaugeOpts{Namespace: "sluice", Name: "jwks_stale",
			Help: "1 while auth.jwt.jwks_url cannot be asked and older keys, or none, are in use."}),
	}
	r.MustRegister(m.refreshes, m.keys, m.stale)
	return m
}

func (m *metrics) refreshed(known int, err error) {
	result, stale := "used", 0.0
	if err != nil {
		result, stale = "failed", 1
	}
	m.refreshes.WithLabelValues(result).Inc()
	m.keys.Set(float64(known))
	m.stale.Set(stale)
}
