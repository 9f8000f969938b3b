package gateway

import (
	"crypto/tls"

	"github.com/prometheus/client_golang/prometheus"

	"sluice/mqtt/packet"
	"sluice/mqtt/transport"
)

// metrics are what an operator sees of the node. Labels have few values, known beforehand: never a client id or a topic.
type metrics struct {
	connections       prometheus.Gauge
	connects          *prometheus.CounterVec
	disconnects       *prometheus.CounterVec
	handshakes        *prometheus.CounterVec
	handshakeFailures *prometheus.CounterVec
	proxyFailures     *prometheus.CounterVec
	upgradeFailures   prometheus.Counter
	shed              *prometheus.CounterVec
	authentications   *prometheus.CounterVec
	quotas            *prometheus.CounterVec
	publishes         *prometheus.CounterVec
	publishesDropped  prometheus.Counter
	holds             prometheus.Counter
	losses            prometheus.Counter
	deliveries        *prometheus.CounterVec
	deliveriesDropped prometheus.Counter
	deliveriesRefused *prometheus.CounterVec
	failures          *prometheus.CounterVec
	denials           *prometheus.CounterVec
	heldBack          *prometheus.CounterVec
	policyReloads     *prometheus.CounterVec
	recordsDropped    prometheus.Counter
	undeliverable     prometheus.Counter
	wills             prometheus.Counter
	swept             prometheus.Counter
	ended             prometheus.Counter
	devicePanics      prometheus.Counter
	retained          prometheus.Counter
	retainedDropped   prometheus.Counter
	retainedSent      prometheus.Counter
	events            *prometheus.CounterVec
	eventsSuppressed  prometheus.Counter
	eventsLost        prometheus.Counter
	quarantined       prometheus.Counter
	wedged            prometheus.Gauge
	wedgeAlarms       prometheus.Counter
	quarantineRefused prometheus.Counter

	// By QoS: deliveries, and publishes with Success. Nearly every message counts one of them, so their labels are looked for once.
	sentAt, takenAt [len(qosLabel)]prometheus.Counter
}

func newMetrics(r *prometheus.Registry) *metrics {
	counter := func(name, help string) prometheus.Counter {
		c := prometheus.NewCounter(prometheus.CounterOpts{Namespace: "sluice", Name: name, Help: help})
		r.MustRegister(c)
		return c
	}
	vec := func(name, help string, labels ...string) *prometheus.CounterVec {
		c := prometheus.NewCounterVec(prometheus.CounterOpts{Namespace: "sluice", Name: name, Help: help}, labels)
		r.MustRegister(c)
		return c
	}
	connections := prometheus.NewGauge(prometheus.GaugeOpts{Namespace: "sluice", Name: "connections", Help: "Devices connected to this node."})
	r.MustRegister(connections)
	wedged := prometheus.NewGauge(prometheus.GaugeOpts{Namespace: "sluice", Name: "wedged_principals", Help: "Principals of whose messages most are refused at present."})
	r.MustRegister(wedged)
	m := &metrics{
		connections:       connections,
		connects:          vec("connects_total", "CONNECT packets answered, by the reason code of CONNACK.", "reason"),
		disconnects:       vec("disconnects_total", "Connections ended, by reason code, or \"Connection lost\" without one.", "reason"),
		handshakeFailures: vec("tls_handshake_failures_total", "TLS handshakes that failed, by listener and reason.", "listener", "reason"),
		handshakes:        vec("tls_handshakes_total", "TLS handshakes, by listener and version: full, or resumed with a ticket.", "listener", "version", "kind"),
		proxyFailures:     vec("proxy_header_failures_total", "Connections of load balancers that did not begin with a PROXY header, by listener.", "listener"),
		upgradeFailures:   counter("websocket_handshake_failures_total", "Connections to a WebSocket listener that did not become a WebSocket."),
		authentications: vec("authentications_total", "Attempts of devices to say who they are, by listener, by the method that decided (auth.methods, or none), and by result: success, "+
			"unavailable, or why it was refused.", "listener", "method", "result"),
		shed:              vec("connections_shed_total", "Connections turned away, by the limit that was reached: connections, rate or memory.", "limit"),
		quotas:            vec("quota_hits_total", "Times that a quota had no room, by quota, by whose it is (session, principal or tenant), and tenant; tenants beyond the first 100 are \"(others)\".", "quota", "scope", "tenant"),
		publishes:         vec("publishes_total", "PUBLISH packets from devices that got their final answer, by QoS and reason code.", "qos", "reason"),
		publishesDropped:  counter("publishes_dropped_total", "QoS 0 PUBLISH packets that the bus did not take."),
		holds:             counter("publish_holds_total", "Times a device's uplink was held because of a passing problem of the bus."),
		losses:            counter("mapping_losses_total", "Pieces of metadata of devices' messages that AMQP could not carry."),
		deliveries:        vec("deliveries_total", "PUBLISH packets sent to devices, by QoS.", "qos"),
		deliveriesDropped: counter("deliveries_dropped_total", "QoS 0 deliveries dropped because the device does not read fast enough."),
		deliveriesRefused: vec("deliveries_refused_total", "Deliveries rejected to the bus, by reason code.", "reason"),
		denials:           vec("access_denials_total", "What the rules of access deny, by what (publish, retain, will, subscribe, subscription: one that ended) and by rule; none: no rule allows it.", "action", "rule"),
		heldBack:          vec("access_held_back_total", "Messages within a subscription that were held back from a device, by the rule that denies them; none: no rule allows them.", "rule"),
		policyReloads:     vec("access_policy_reloads_total", "Changed files of access.policy that were read again, by whether they could be used: used or refused.", "result"),
		failures:          vec("failures_total", "Failures of devices and of their messages, by name (docs/errors.md).", "failure"),
		recordsDropped:    counter("error_records_dropped_total", "Records of failures that did not reach a device's error topic."),
		undeliverable:     counter("deliveries_undeliverable_total", "Messages of the bus that cannot become a PUBLISH."),
		wills:             counter("wills_total", "Will Messages published."),
		swept:             counter("sessions_swept_total", "Sessions released because their node died."),
		ended:             counter("sessions_ended_total", "Ended sessions whose remains this node removed."),
		retained:          counter("retained_stored_total", "Retained messages stored or removed."),
		retainedDropped:   counter("retained_dropped_total", "QoS 0 messages that were delivered but could not be retained."),
		retainedSent:      counter("retained_sent_total", "Retained messages given to new subscriptions."),
		events:            vec("events_total", "Events for the backend, those that were only counted among them, by type.", "type"),
		eventsSuppressed:  counter("events_suppressed_total", "Events that were not sent one by one, but as a count."),
		eventsLost:        counter("events_lost_total", "Events that the bus did not take."),
		wedged:            wedged,
		wedgeAlarms:       counter("wedge_alarms_total", "Times that most messages of a principal were refused, or one for the first time after long success."),
		quarantined:       counter("quarantined_total", "Messages stored in the quarantine."),
		quarantineRefused: counter("quarantine_refused_total", "Messages that the quarantine did not take. Anything above zero is to be looked into."),
		devicePanics:      counter("device_panics_total", "Connections ended by a bug in their state machine. Anything above zero is to be reported."),
	}
	for q, label := range qosLabel {
		m.sentAt[q] = m.deliveries.WithLabelValues(label)
		m.takenAt[q] = m.publishes.WithLabelValues(label, packet.Success.String())
	}
	return m
}

// secured counts a TLS handshake.
func (m *metrics) secured(listener string, state tls.ConnectionState) {
	kind := "full"
	if state.DidResume {
		kind = "resumed"
	}
	m.handshakes.WithLabelValues(listener, tls.VersionName(state.Version), kind).Inc()
}

// watchParked shows how many connections are parked.
func watchParked(r *prometheus.Registry, p *transport.Parking) {
	r.MustRegister(prometheus.NewGaugeFunc(prometheus.GaugeOpts{Namespace: "sluice", Name: "connections_parked",
		Help: "Devices connected to this node whose connections are silent and take no goroutine."}, func() float64 { return float64(p.Parked()) }))
}

var qosLabel = [...]string{"0", "1", "2"}

func (m *metrics) sent(q packet.QoS) { m.sentAt[q].Inc() }

func (m *metrics) received(q packet.QoS, r packet.ReasonCode) {
	if r == packet.Success {
		m.takenAt[q].Inc()
		return
	}
	m.publishes.WithLabelValues(qosLabel[q], r.String()).Inc()
}
