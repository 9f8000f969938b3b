package gateway

import (
	"math/rand/v2"
	"sync"
	"time"

	"sluice/gateway/bridge"
	"sluice/gateway/quota"
	"sluice/mapping/failure"
	"sluice/mqtt/session"
	"sluice/sessionstore"
)

// quotas joins the node's book of quotas to failures and metrics.
type quotas struct {
	gw   *Gateway
	book *quota.Book

	mu      sync.Mutex
	tenants map[string]struct{} // with series of their own
}

func newQuotas(gw *Gateway, book *quota.Book) *quotas {
	if book == nil {
		book = quota.NewBook(&quota.Rules{})
	}
	return &quotas{gw: gw, book: book, tenants: map[string]struct{}{}}
}

// quotaFailures are the rows of the catalogue.
var quotaFailures = map[quota.Kind]*failure.Failure{
	quota.Connections: failure.QuotaConnections, quota.ConnectRate: failure.QuotaConnectRate, quota.PublishRate: failure.QuotaPublishRate,
	quota.PublishBytes: failure.QuotaPublishBytes, quota.InFlight: failure.QuotaInFlight, quota.Subscriptions: failure.QuotaSubscriptions,
}

// hit counts a quota that has no room, and gives what the device is told.
func (q *quotas) hit(h *quota.Hit) *bridge.Excess {
	q.count(string(h.Kind), string(h.Scope), h.Tenant)
	return &bridge.Excess{Failure: quotaFailures[h.Kind], Text: h.Sentence()}
}

func (q *quotas) count(kind, scope, tenant string) {
	q.gw.metrics.quotas.WithLabelValues(kind, scope, q.label(tenant)).Inc()
}

// label keeps the number of series bounded.
func (q *quotas) label(tenant string) string {
	q.mu.Lock()
	defer q.mu.Unlock()
	if _, known := q.tenants[tenant]; known {
		return tenant
	}
	if len(q.tenants) >= quotaTenants {
		return "(others)"
	}
	q.tenants[tenant] = struct{}{}
	return tenant
}

// enter has the device take a place among the connections of its principal, and that of a connection which its session has on this node: that one must go first
// to make room. Not before the rate of new connections is looked at: a device that comes too often does not disturb the connection that serves it. The
// result is why there is no place.
func (d *device) enter(key sessionstore.Key) *session.SessionRefused {
	book := d.gw.quotas.book
	if hit := book.Arrive(time.Now(), key.Tenant, key.Principal); hit != nil {
		return d.turnDown(hit)
	}
	d.displace(key)
	place, hit := book.Enter(key.Tenant, key.Principal)
	if hit != nil {
		return d.turnDown(hit)
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.finished {
		place.Close() // nobody else would
	}
	d.place = place
	return nil
}

// turnDown refuses a connection, late: a device that comes back at once is to cost its neighbours little. Not all as late: those that were refused together would
// come back together, and a crowd in the same moment is what the neighbours would notice.
func (d *device) turnDown(h *quota.Hit) *session.SessionRefused {
	ctx, leave := d.life.enter(d.gw.ctx)
	defer leave()
	most := d.gw.quotas.book.Rules().DelayMax
	wait := time.NewTimer(most - rand.N(most/2+1))
	defer wait.Stop()
	select {
	case <-wait.C:
	case <-ctx.Done():
	}
	x := d.gw.quotas.hit(h)
	r := bridge.RefuseSession(x.Failure, "")
	r.Text = x.Text
	return &r
}

// leavePlace: the connection is over, what it has under way may not be.
func (d *device) leavePlace() {
	d.mu.Lock()
	place := d.place
	d.mu.Unlock()
	if place != nil {
		place.Leave()
	}
}

// limits are the bounds of the device's session.
func (d *device) limits() session.Limits {
	who := d.principal.Load()
	s := d.gw.quotas.book.Rules().Session(who.Tenant, who.Name)
	return session.Limits{ReceiveMaximum: uint16(s.ReceiveMaximum), MaximumPacketSize: uint32(s.PacketSize), SubscriptionsMax: s.Subscriptions}
}

// meter is the device's place as its bridge sees it.
type meter struct {
	quotas *quotas
	place  *quota.Connection
}

func (m meter) Publish(now time.Time, bytes int) bridge.Charge {
	c := m.place.Publish(now, bytes)
	charge := bridge.Charge{Pause: c.Pause, Counted: c.Counted}
	if c.Refused != nil {
		charge.Refused = m.quotas.hit(c.Refused)
	}
	return charge
}

func (m meter) Answered(n int) { m.place.Answered(n) }

func (m meter) Subscribed(n int) { m.place.Subscribed(n) }

func (m meter) MoreSubscriptions(have int) *bridge.Excess {
	hit := m.place.Subscribe(have)
	if hit == nil {
		return nil
	}
	x := m.quotas.hit(hit)
	x.Pause = m.quotas.book.Rules().DelayMax
	return x
}

// ofSession are the failures of a session that meets a bound of its own, with the names of their quotas.
var ofSession = map[*failure.Failure]string{
	failure.ReceiveMaximum: "receive_maximum", failure.PacketTooLarge: "max_packet_size", failure.TooManySubscriptions: "subscriptions",
}

// countSession counts a failure that is about a bound of a session.
func (q *quotas) countSession(f *failure.Failure, tenant string) {
	if kind, is := ofSession[f]; is {
		q.count(kind, "session", tenant)
	}
}
