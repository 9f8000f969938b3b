package gateway

import (
	"slices"
	"sync/atomic"

	"github.com/prometheus/client_golang/prometheus"
	"go.uber.org/zap"

	"sluice/gateway/access"
	"sluice/gateway/bridge"
	"sluice/gateway/permit"
	"sluice/mapping/failure"
	"sluice/mqtt/packet"
	"sluice/mqtt/session"
)

// rights are the rules in force (gateway/permit). They are replaced in one step: what is decided after that is decided by the new ones.
type rights struct {
	gw *Gateway
	in atomic.Pointer[ruling] // nil: everything is allowed
}

// ruling is a policy and the one before it, nil for none.
type ruling struct{ policy, before *permit.Policy }

func newRights(gw *Gateway) *rights {
	r := &rights{gw: gw}
	if gw.opt.Policy != nil {
		r.in.Store(&ruling{policy: gw.opt.Policy})
	}
	return r
}

// SetPolicy replaces the rules. Nothing that is decided after it returns follows the old ones. Connected devices lose the subscriptions that the new ones
// refuse, and are told. A gateway that was made without a policy (Options.Policy) has none.
func (gw *Gateway) SetPolicy(p *permit.Policy) {
	was := gw.rights.in.Load()
	if was == nil {
		return
	}
	gw.rights.in.Store(&ruling{policy: p, before: was.policy})
	gw.metrics.policyReloads.WithLabelValues("used").Inc()
	names := p.Names()
	for _, name := range was.policy.Names() {
		if !slices.Contains(names, name) {
			gw.metrics.denials.DeletePartialMatch(prometheus.Labels{"rule": name})
			gw.metrics.heldBack.DeletePartialMatch(prometheus.Labels{"rule": name})
		}
	}
	devices := gw.directory.connections()
	for _, d := range devices {
		d.post(bridge.AccessChanged{})
	}
	gw.log.Info("the rules of access.policy are replaced", zap.Int("rules", p.Len()), zap.Int("devices", len(devices)))
}

// PolicyRefused tells of new rules that cannot be used: those before stay in force.
func (gw *Gateway) PolicyRefused(err error) {
	gw.metrics.policyReloads.WithLabelValues("refused").Inc()
	gw.log.Error("the new rules of access.policy cannot be used; the old ones stay in force", zap.Error(err))
}

// accessOf gives what decides for a device, nil where everything is allowed.
func (r *rights) accessOf(d *device, clientID string) bridge.Access {
	if r.in.Load() == nil {
		return nil
	}
	return &deviceAccess{d: d, clientID: clientID}
}

// deviceAccess decides for one device, by the rules and the principal of the moment. Only the goroutine that handles the device's events uses it.
type deviceAccess struct {
	d        *device
	clientID string

	// What view is made of.
	ruling *ruling
	who    *access.Principal
	view   *permit.View
	before *permit.View // by what was in force until then; nil: nothing was
}

// current gives the view of the rules in force.
func (a *deviceAccess) current() *permit.View {
	ruling, who := a.d.gw.rights.in.Load(), a.d.principal.Load()
	if ruling == a.ruling && who == a.who {
		return a.view
	}
	device := permit.Device{Principal: who, ClientID: a.clientID}
	if a.before = a.view; a.view == nil && ruling.before != nil {
		a.before = ruling.before.For(device)
	}
	a.ruling, a.who, a.view = ruling, who, ruling.policy.For(device)
	for _, p := range a.view.Problems() {
		a.d.log().Info("a rule does not apply to a device as written", zap.String("client", a.clientID), zap.String("principal", who.Name),
			zap.String("rule", p.Rule), zap.String("problem", p.Text))
	}
	return a.view
}

// Publish implements bridge.Access.
func (a *deviceAccess) Publish(topic string, qos packet.QoS, retain bool) bridge.Denial {
	m := permit.Message{Topic: topic, QoS: qos, Retain: retain}
	d := a.current().Publish(m)
	if d.Allowed() {
		return bridge.Denial{}
	}
	denial := denialOf(&d, publishFailure(&d))
	if a.before != nil {
		was := a.before.Publish(m)
		denial.Formerly = was.Allowed()
	}
	return denial
}

// Subscribe implements bridge.Access.
func (a *deviceAccess) Subscribe(filter string) (packet.QoS, bridge.Denial) {
	d := a.current().Subscribe(filter)
	if d.Allowed() {
		return d.QoSMax, bridge.Denial{}
	}
	denial := denialOf(&d, failure.SubscribeDenied)
	if a.before != nil {
		was := a.before.Subscribe(filter)
		denial.Formerly = was.Allowed()
	}
	return 0, denial
}

// Deliver implements bridge.Access.
func (a *deviceAccess) Deliver(topic string) (packet.QoS, bool) {
	most, rule, ok := a.current().Deliver(topic)
	if !ok {
		a.d.gw.metrics.heldBack.WithLabelValues(rule).Inc()
	}
	return most, ok
}

func publishFailure(d *permit.Decision) *failure.Failure {
	if d.Obstacle == permit.NoRetain {
		return failure.RetainDenied
	}
	return failure.PublishDenied
}

func denialOf(d *permit.Decision, f *failure.Failure) bridge.Denial {
	return bridge.Denial{Failure: f, Rule: d.Rule, Detail: denialText(d)}
}

func denialText(d *permit.Decision) string {
	if d.Filter == "" {
		return d.Obstacle.String()
	}
	return "rule " + d.Rule + " (" + d.Filter + "): " + d.Obstacle.String()
}

// denyWill says no to a CONNECT whose Will its device may not have; nil: it may, or there is none.
func (r *rights) denyWill(who *access.Principal, e *session.OpenSession) *session.SessionRefused {
	w := e.Connect.Will
	if w == nil {
		return nil
	}
	d := r.will(permit.Device{Principal: who, ClientID: e.ClientID}, &packet.Publish{Topic: w.Topic, QoS: w.QoS, Retain: w.Retain})
	if d.Allowed() {
		return nil
	}
	r.count(failure.WillDenied, d.Rule)
	refused := bridge.RefuseSession(failure.WillDenied, "rule "+d.Rule+" ("+w.Topic+"): "+d.Obstacle.String())
	return &refused
}

// will decides about a Will Message.
func (r *rights) will(device permit.Device, p *packet.Publish) permit.Decision {
	in := r.in.Load()
	if in == nil {
		return permit.Decision{}
	}
	return in.policy.For(device).Publish(permit.Message{Topic: p.Topic, QoS: p.QoS, Retain: p.Retain, Will: true})
}

// deniedActions are what is counted as denied, by the failure that tells it.
var deniedActions = map[*failure.Failure]string{
	failure.PublishDenied: "publish", failure.RetainDenied: "retain", failure.WillDenied: "will", failure.WillWithheld: "will",
	failure.SubscribeDenied: "subscribe", failure.SubscriptionEnded: "subscription",
}

// count counts what the rules deny.
func (r *rights) count(f *failure.Failure, rule string) {
	if action := deniedActions[f]; action != "" && rule != "" {
		r.gw.metrics.denials.WithLabelValues(action, rule).Inc()
	}
}
