package hook

import "github.com/prometheus/client_golang/prometheus"

// metrics are what an operator sees of the service.
type metrics struct {
	requests *prometheus.CounterVec
	resting  prometheus.Gauge
}

func newMetrics(r prometheus.Registerer) *metrics {
	m := &metrics{
		requests: prometheus.NewCounterVec(prometheus.CounterOpts{Namespace: "sluice", Name: "auth_http_attempts_total",
			Help: "Attempts that auth.http.url was to judge, by its answer; cached: an answer was known, unavailable: there was none."}, []string{"result"}),
		resting: prometheus.NewGauge(prometheus.GaugeOpts{Namespace: "sluice", Name: "auth_http_resting",
			Help: "1 while auth.http.url fails and is asked now and then only."}),
	}
	r.MustRegister(m.requests, m.resting)
	return m
}
