package quota

import "time"

// Connection is one connection's part of its principal's and its tenant's accounts. One goroutine at a time uses it; Close may be called by any, and
// after it nothing counts any more.
type Connection struct {
	book              *Book
	principal, tenant *account

	// Under the lock of principal.
	inFlight, subscriptions int
	left, closed            bool
}

// Charge is what a message costs.
type Charge struct {
	// Pause is how long no more should be taken from the device.
	Pause time.Duration
	// Refused is the quota that has no room for the message, which then costs nothing; nil: there is room.
	Refused *Hit
	// Counted: it is to be given back with Answered.
	Counted bool
}

// Publish charges a message of so many bytes.
func (c *Connection) Publish(now time.Time, bytes int) (charge Charge) {
	if !c.book.meters.Load() {
		return Charge{}
	}
	most := c.book.Rules().DelayMax
	defer lock(c.principal, c.tenant)()
	if c.closed {
		return Charge{}
	}
	for _, a := range []*account{c.principal, c.tenant} {
		pause, hit := a.publish(now, bytes, most)
		if hit != nil {
			return Charge{Pause: most, Refused: hit}
		}
		charge.Pause = min(max(charge.Pause, pause), most)
	}
	c.principal.chargePublish(now, bytes)
	c.tenant.chargePublish(now, bytes)
	c.inFlight++
	charge.Counted = true
	if charge.Pause < pauseLeast {
		charge.Pause = 0
	}
	return charge
}

// Answered gives back n messages that are not under way any more.
func (c *Connection) Answered(n int) {
	defer lock(c.principal, c.tenant)()
	c.addInFlight(-min(n, c.inFlight))
}

func (c *Connection) addInFlight(n int) {
	c.inFlight += n
	c.principal.inFlight += n
	c.tenant.inFlight += n
}

// Subscribe asks for one more subscription where the session has so many.
func (c *Connection) Subscribe(have int) *Hit {
	defer lock(c.principal, c.tenant)()
	if c.closed {
		return nil
	}
	more := have + 1 - c.subscriptions // what came before in the same packet is granted already
	for _, a := range []*account{c.principal, c.tenant} {
		if l := a.limits.Subscriptions; l > 0 && a.subscriptions+more > l {
			return a.hit(Subscriptions, l)
		}
	}
	c.addSubscriptions(more)
	return nil
}

// Subscribed says how many subscriptions the session has, whatever Subscribe granted: those of a resumed session count too.
func (c *Connection) Subscribed(n int) {
	defer lock(c.principal, c.tenant)()
	if !c.closed {
		c.addSubscriptions(n - c.subscriptions)
	}
}

func (c *Connection) addSubscriptions(n int) {
	c.subscriptions += n
	c.principal.subscriptions += n
	c.tenant.subscriptions += n
}

// Leave gives back the place: nobody is connected any more, though messages may still be under way.
func (c *Connection) Leave() {
	defer lock(c.principal, c.tenant)()
	c.leave()
}

func (c *Connection) leave() {
	if !c.left {
		c.left = true
		c.principal.connections--
		c.tenant.connections--
	}
}

// Close gives back all that the connection has.
func (c *Connection) Close() {
	defer lock(c.principal, c.tenant)()
	if c.closed {
		return
	}
	c.closed = true
	c.principal.holders--
	c.tenant.holders--
	c.leave()
	c.addInFlight(-c.inFlight)
	c.addSubscriptions(-c.subscriptions)
}
