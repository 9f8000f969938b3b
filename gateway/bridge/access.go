package bridge

import (
	"sluice/mapping/failure"
	"sluice/mqtt/packet"
)

// Access decides what a device may do. It may answer otherwise at any time, and AccessChanged says that it does. It has no effect on the bridge.
type Access interface {
	// Publish decides about a message. A denial has its row of the catalogue.
	Publish(topic string, qos packet.QoS, retain bool) Denial
	// Subscribe decides about a topic filter, which may be that of a shared subscription, and gives the highest QoS that it may be granted.
	Subscribe(filter string) (most packet.QoS, d Denial)
	// Deliver decides about a message for the device, and gives the highest QoS that it may have.
	Deliver(topic string) (most packet.QoS, ok bool)
}

// Denial is why something is denied. The zero value denies nothing.
type Denial struct {
	Failure *failure.Failure
	Rule    string // that decides
	Detail  string // for the operator
	// Formerly: it was allowed until the rules, or the device's groups and claims, changed.
	Formerly bool
}

// AccessChanged says that Access answers otherwise from now on. Subscriptions that it refuses are ended.
type AccessChanged struct{}

// hearing is session.Access. Before there is a session, and without an Access, everything may be heard.
type hearing struct{ b *Bridge }

// Subscribe implements session.Access.
func (h hearing) Subscribe(filter string) (packet.QoS, bool) {
	if h.b.access == nil {
		return 2, true
	}
	most, r := h.b.access.Subscribe(filter)
	return most, r.Failure == nil
}

// Deliver implements session.Access.
func (h hearing) Deliver(name string) (packet.QoS, bool) {
	if h.b.access == nil {
		return 2, true
	}
	return h.b.access.Deliver(name)
}

// whyRefused says more of a filter that the machine has refused or ended because of Access.
func (b *Bridge) whyRefused(o *failure.Occurrence) {
	if b.access == nil || o.Failure != failure.SubscribeDenied && o.Failure != failure.SubscriptionEnded {
		return
	}
	_, d := b.access.Subscribe(o.Topic)
	o.Rule, o.Detail, o.Formerly = d.Rule, d.Detail, d.Formerly
}
