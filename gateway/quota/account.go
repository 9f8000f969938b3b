package quota

import (
	"sync"
	"time"
)

// account is what a principal, or a tenant, has at present. Where both are locked, the principal's is first.
type account struct {
	scope  Scope
	tenant string

	mu            sync.Mutex
	limits        Limits
	holders       int // Connections that are not closed, of those that have left too
	connections   int
	inFlight      int
	subscriptions int

	arrivals, messages, bytes bucket
}

func (a *account) hit(k Kind, limit int) *Hit {
	return &Hit{Kind: k, Scope: a.scope, Limit: limit, Tenant: a.tenant}
}

// arrive charges a new connection, before it has a place. The lock is held, as in all that follow.
func (a *account) arrive(now time.Time) *Hit {
	rate := a.limits.ConnectRate
	if rate == 0 {
		return nil
	}
	if debt, _ := a.arrivals.lacks(now, rate, rate, 1); debt > 0 {
		return a.hit(ConnectRate, rate)
	}
	return nil
}

func (a *account) chargeArrival(now time.Time) {
	if a.limits.ConnectRate > 0 {
		a.arrivals.take(now, a.limits.ConnectRate, 1)
	}
}

func (a *account) place() *Hit {
	if l := a.limits.Connections; l > 0 && a.connections >= l {
		return a.hit(Connections, l)
	}
	return nil
}

// publish says for how long whoever publishes should be paused for one more message, and what forbids it.
func (a *account) publish(now time.Time, size int, delayMax time.Duration) (pause time.Duration, hit *Hit) {
	l := &a.limits
	if l.InFlight > 0 && a.inFlight >= l.InFlight {
		return 0, a.hit(InFlight, l.InFlight)
	}
	if l.PublishRate > 0 {
		debt, fits := a.messages.lacks(now, l.PublishRate, l.burst(), 1)
		if debt > delayMax && !fits {
			return 0, a.hit(PublishRate, l.PublishRate)
		}
		pause = debt
	}
	if l.PublishBytes > 0 {
		debt, fits := a.bytes.lacks(now, l.PublishBytes, l.PublishBytes, size)
		if debt > delayMax && !fits {
			return 0, a.hit(PublishBytes, l.PublishBytes)
		}
		pause = max(pause, debt)
	}
	return pause, nil
}

func (a *account) chargePublish(now time.Time, size int) {
	a.inFlight++
	if a.limits.PublishRate > 0 {
		a.messages.take(now, a.limits.PublishRate, 1)
	}
	if a.limits.PublishBytes > 0 {
		a.bytes.take(now, a.limits.PublishBytes, size)
	}
}

func (l *Limits) burst() int {
	if l.PublishBurst > 0 {
		return l.PublishBurst
	}
	return l.PublishRate
}

// metersPublish reports whether a message costs anything here.
func (l *Limits) metersPublish() bool {
	return l.PublishRate > 0 || l.PublishBytes > 0 || l.InFlight > 0
}

// idle reports whether nothing is lost when the account is forgotten.
func (a *account) idle(now time.Time) bool {
	return a.holders == 0 && a.arrivals.isFull(now) && a.messages.isFull(now) && a.bytes.isFull(now)
}
