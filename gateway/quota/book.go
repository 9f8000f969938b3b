package quota

import (
	"sync"
	"sync/atomic"
	"time"
)

// Book has the accounts of a node. It may be used by many at once.
type Book struct {
	rules atomic.Pointer[Rules]
	// meters: a message costs somebody something. Most nodes have no such quota, and then a message takes no lock here.
	meters atomic.Bool

	mu         sync.Mutex
	tenants    map[string]*account
	principals map[owner]*account
	swept      time.Time
}

type owner struct{ tenant, principal string }

// NewBook gives a book without accounts.
func NewBook(r *Rules) *Book {
	b := &Book{tenants: map[string]*account{}, principals: map[owner]*account{}}
	b.rules.Store(r)
	b.meters.Store(r.metersPublish())
	return b
}

// Rules are those in force.
func (b *Book) Rules() *Rules { return b.rules.Load() }

// SetRules puts other rules in force, for connections that are open as well. What is above a lowered quota stays: only more is refused. The bounds of a
// Session are told to a device when it connects, and change with its next connection.
func (b *Book) SetRules(r *Rules) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.rules.Store(r)
	b.meters.Store(r.metersPublish())
	for name, a := range b.tenants {
		a.setLimits(r.tenantLimits(name))
	}
	for who, a := range b.principals {
		a.setLimits(r.principalLimits(who.tenant, who.principal))
	}
}

func (a *account) setLimits(l Limits) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.limits = l
}

// Arrive charges a new connection of a principal to its rate. It is to be asked before anything is done for the connection.
func (b *Book) Arrive(now time.Time, tenant, principal string) *Hit {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.sweep(now)
	p, t := b.accounts(tenant, principal)
	defer lock(p, t)()
	for _, a := range []*account{p, t} {
		if hit := a.arrive(now); hit != nil {
			return hit
		}
	}
	p.chargeArrival(now)
	t.chargeArrival(now)
	return nil
}

// Enter gives a connection its place, until Close, or says why there is none.
func (b *Book) Enter(tenant, principal string) (*Connection, *Hit) {
	b.mu.Lock()
	defer b.mu.Unlock()
	p, t := b.accounts(tenant, principal)
	defer lock(p, t)()
	for _, a := range []*account{p, t} {
		if hit := a.place(); hit != nil {
			return nil, hit
		}
	}
	for _, a := range []*account{p, t} {
		a.holders++
		a.connections++
	}
	return &Connection{book: b, principal: p, tenant: t}, nil
}

// accounts finds those of a principal, or makes them. The book's lock is held, so that none is swept before it is used.
func (b *Book) accounts(tenant, principal string) (p, t *account) {
	who := owner{tenant, principal}
	if t = b.tenants[tenant]; t == nil {
		t = &account{scope: OfTenant, tenant: tenant, limits: b.Rules().tenantLimits(tenant)}
		b.tenants[tenant] = t
	}
	if p = b.principals[who]; p == nil {
		p = &account{scope: OfPrincipal, tenant: tenant, limits: b.Rules().principalLimits(tenant, principal)}
		b.principals[who] = p
	}
	return p, t
}

// sweep forgets accounts that nobody uses.
func (b *Book) sweep(now time.Time) {
	if now.Sub(b.swept) < sweepPause {
		return
	}
	b.swept = now
	for who, a := range b.principals {
		if a.isIdle(now) {
			delete(b.principals, who)
		}
	}
	for name, a := range b.tenants {
		if a.isIdle(now) {
			delete(b.tenants, name)
		}
	}
}

func (a *account) isIdle(now time.Time) bool {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.idle(now)
}

// Accounts is how many principals and tenants are in the book.
func (b *Book) Accounts() (principals, tenants int) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return len(b.principals), len(b.tenants)
}

func lock(p, t *account) (unlock func()) {
	p.mu.Lock()
	t.mu.Lock()
	return func() {
		t.mu.Unlock()
		p.mu.Unlock()
	}
}
