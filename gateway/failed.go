package gateway

import (
	"crypto/rand"
	"time"

	"go.uber.org/zap"
	"go.uber.org/zap/zapcore"

	"sluice/gateway/bridge"
	"sluice/mapping/failure"
	"sluice/sessionstore"
)

// failed tells a failure of a session's device to the operator, by log and metric, and to the backend; the device is told elsewhere. All carry the
// same trace id. The key says what is known of whose it is.
func (gw *Gateway) failed(log *zap.Logger, key sessionstore.Key, o *failure.Occurrence) {
	gw.note(log, key, o)
	gw.tellFailure(key, o)
}

// note is failed without the backend.
func (gw *Gateway) note(log *zap.Logger, key sessionstore.Key, o *failure.Occurrence) {
	gw.metrics.failures.WithLabelValues(o.Failure.Name).Inc()
	if kind, most := linesOf(o); most > 0 && !gw.lines.takes(time.Now(), kind, most) {
		return
	}
	level := zap.WarnLevel
	if ordinary[o.Failure] {
		level = zap.InfoLevel
	}
	if entry := log.Check(level, logTexts[o.Failure.About]); entry != nil {
		entry.Write(failureFields(key, o)...)
	}
}

// logTexts are what the log says of a failure, by what it is about; its name says the rest.
var logTexts = map[failure.About]string{
	failure.Connect:      "connection refused",
	failure.Connection:   "connection ended",
	failure.Publish:      "publish refused",
	failure.Subscription: "subscription refused",
	failure.Delivery:     "message not delivered",
}

// ordinary are failures that nobody needs to look at while they are few: devices come and go, and say no.
var ordinary = map[*failure.Failure]bool{
	failure.KeepAlive: true, failure.SessionTaken: true, failure.ShuttingDown: true, failure.AnotherServer: true, failure.ConnectTimeout: true,
	failure.DeliveryRefused: true, failure.DeliveryExpired: true, failure.QoS0Dropped: true,
}

func failureFields(key sessionstore.Key, o *failure.Occurrence) []zapcore.Field {
	fields := []zapcore.Field{
		zap.String("failure", o.Failure.Name), zap.Stringer("trace", o.Trace), zap.String("client", key.ClientID),
		zap.Uint8("code", uint8(o.Code())), zap.String("condition", o.Failure.Condition), zap.String("message", o.Message()),
	}
	for _, f := range []struct{ name, value string }{
		{"principal", key.Principal}, {"topic", o.Topic}, {"message_id", o.MessageID}, {"rule", o.Rule}, {"detail", o.Detail},
	} {
		if f.value != "" {
			fields = append(fields, zap.String(f.name, f.value))
		}
	}
	if o.PacketID != 0 {
		fields = append(fields, zap.Uint16("packet_id", uint16(o.PacketID)))
	}
	return fields
}

// traceSeed is what trace ids are made from.
func traceSeed() (seed [16]byte) {
	_, _ = rand.Read(seed[:]) // never fails (crypto/rand)
	return seed
}

// occurred is a failure that no device's bridge has found.
func occurred(f *failure.Failure, detail string) *failure.Occurrence {
	traces := failure.NewTraces(traceSeed())
	return &failure.Occurrence{Failure: f, Trace: traces.Next(), At: time.Now(), Detail: detail}
}

// key is the session's, or what is known of it while it is not open.
func (d *device) key() sessionstore.Key {
	if d.fence.Epoch != 0 {
		return d.fence.Key
	}
	who := d.principal.Load()
	return sessionstore.Key{Tenant: who.Tenant, Principal: who.Name, ClientID: d.bridge.Machine().ClientID()}
}

// failed carries out bridge.Failed.
func (d *device) failed(e bridge.Failed) {
	switch m := d.gw.metrics; e.Failure {
	case failure.QoS0Dropped:
		m.publishesDropped.Inc()
	case failure.QoS0NotRetained:
		m.retainedDropped.Inc()
	case failure.Undeliverable:
		m.undeliverable.Inc()
	}
	if e.Failure.About == failure.Publish && e.Failure != failure.QoS0Dropped {
		d.gw.tallies.refused(d.tally)
	}
	if e.Failure.About == failure.Delivery {
		d.gw.metrics.deliveriesRefused.WithLabelValues(e.Code().String()).Inc()
	}
	d.gw.rights.count(e.Failure, e.Rule)
	key, log := d.key(), d.log()
	d.gw.quotas.countSession(e.Failure, key.Tenant)
	if e.Quarantined {
		log = log.With(zap.String("quarantine_id", e.Refusal.ID))
		if e.Failure.About == failure.Publish {
			d.gw.metrics.quarantined.Inc()
		}
	}
	d.gw.note(log, key, &e.Occurrence)
	if e.Refusal != nil {
		d.gw.tellRefusal(key, &e)
	} else {
		d.gw.tellFailure(key, &e.Occurrence)
	}
	if e.Keep && d.lanes.session != nil {
		d.records.keep(&e.Occurrence)
	}
}
