package secure

import (
	"time"

	"github.com/prometheus/client_golang/prometheus"
)

// Metrics are what an operator sees of the files. Labels have few values, known beforehand.
type Metrics struct {
	reloads  *prometheus.CounterVec
	stale    *prometheus.GaugeVec
	notAfter prometheus.Gauge
	crlDue   prometheus.Gauge
}

// NewMetrics registers those of the listeners for devices.
func NewMetrics(r prometheus.Registerer) *Metrics {
	return newMetrics(r, "tls", "mqtt.tls", "the TLS listeners")
}

// NewAdminMetrics registers those of the administration port.
func NewAdminMetrics(r prometheus.Registerer) *Metrics {
	return newMetrics(r, "admin_tls", "admin.tls", "the administration port")
}

func newMetrics(r prometheus.Registerer, prefix, section, whose string) *Metrics {
	m := &Metrics{
		reloads: prometheus.NewCounterVec(prometheus.CounterOpts{Namespace: "sluice", Name: prefix + "_reloads_total",
			Help: "Changed files of " + section + ".* that were read again, by what they hold and whether they could be used."}, []string{"what", "result"}),
		stale: prometheus.NewGaugeVec(prometheus.GaugeOpts{Namespace: "sluice", Name: prefix + "_files_stale",
			Help: "1 while the newest files cannot be used and older ones are in force."}, []string{"what"}),
		notAfter: prometheus.NewGauge(prometheus.GaugeOpts{Namespace: "sluice", Name: prefix + "_certificate_expires_timestamp_seconds",
			Help: "When the certificate of " + whose + " ends, in seconds since 1970."}),
		crlDue: prometheus.NewGauge(prometheus.GaugeOpts{Namespace: "sluice", Name: prefix + "_crl_due_timestamp_seconds",
			Help: "When the first revocation list goes out of date, in seconds since 1970; 0 without one."}),
	}
	for _, what := range []string{nameCertificate, nameTrust, nameSecrets} {
		m.stale.WithLabelValues(what).Set(0)
	}
	r.MustRegister(m.reloads, m.stale, m.notAfter, m.crlDue)
	return m
}

func (m *Metrics) reloaded(what string, err error) {
	result, stale := "used", 0.0
	if err != nil {
		result, stale = "refused", 1
	}
	m.reloads.WithLabelValues(what, result).Inc()
	m.stale.WithLabelValues(what).Set(stale)
}

func (m *Metrics) expires(certificate, crl time.Time) {
	m.notAfter.Set(float64(certificate.Unix()))
	m.crlDue.Set(0)
	if !crl.IsZero() {
		m.crlDue.Set(float64(crl.Unix()))
	}
}
