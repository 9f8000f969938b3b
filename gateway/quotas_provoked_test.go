package gateway

import (
	"time"

	"sluice/amqp/embedded"
	"sluice/gateway/quota"
	"sluice/mapping/failure"
	"sluice/mqtt/packet"
)

// limited gives a node quotas.
func limited(r quota.Rules) func(*Options) {
	return func(o *Options) { o.Quotas = quota.NewBook(&r) }
}

// quotaRefusals are what quotas and the bound of memory refuse.
func quotaRefusals() []provocation {
	another := func(w *failing) (*caller, *caller) {
		w.device()
		c := w.dial()
		c.connect("other")
		return c, nil
	}
	twice := func(qos packet.QoS, closes bool) func(w *failing) (*caller, *caller) {
		return func(w *failing) (*caller, *caller) {
			c := w.device()
			c.publish("p", qos)
			c.publish("p", qos)
			return w.same(c, closes)
		}
	}
	perSecond := func(l quota.Limits) func(*Options) {
		return limited(quota.Rules{Principal: l, DelayMax: 10 * time.Millisecond})
	}
	return []provocation{
		{failure: failure.MemoryShort, change: func(o *Options) { o.MemoryMax = 1 }, provoke: func(w *failing) (*caller, *caller) {
			c := w.dial()
			c.connect("dev")
			return c, nil
		}},
		{failure: failure.QuotaConnections, change: limited(quota.Rules{Principal: quota.Limits{Connections: 1}}), provoke: another},
		{failure: failure.QuotaConnections, name: " of the tenant", change: limited(quota.Rules{Tenant: quota.Limits{Connections: 1}}), provoke: another},
		{failure: failure.QuotaConnectRate, change: limited(quota.Rules{Principal: quota.Limits{ConnectRate: 1}}), provoke: another},
		{failure: failure.QuotaPublishRate, name: " QoS 1", change: perSecond(quota.Limits{PublishRate: 1}), provoke: twice(1, true)},
		{failure: failure.QuotaPublishRate, name: " QoS 2", change: perSecond(quota.Limits{PublishRate: 1}), provoke: twice(2, true)},
		{failure: failure.QuotaPublishBytes, change: perSecond(quota.Limits{PublishBytes: 2}), provoke: twice(1, true)},
		{failure: failure.QuotaInFlight, change: perSecond(quota.Limits{InFlight: 1}), provoke: func(w *failing) (*caller, *caller) {
			w.broker.Faults().Answer(embedded.Answer{Address: "/exchanges/amq.topic/p", Never: true})
			busy := w.dial()
			busy.connect("busy")
			busy.publish("p", 1)
			c := w.device()
			c.publish("q", 1)
			return w.same(c, true)
		}},
		{failure: failure.QuotaSubscriptions, change: limited(quota.Rules{Principal: quota.Limits{Subscriptions: 2}}), provoke: func(w *failing) (*caller, *caller) {
			other := w.dial()
			other.connect("other")
			other.subscribe("a")
			c := w.device()
			c.subscribe("a")
			return c, c
		}},
	}
}
