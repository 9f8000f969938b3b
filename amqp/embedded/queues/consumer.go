package queues

import (
	"maps"
	"slices"
	"time"
)

// Consumer is one receiver of one queue. Its connection asks for messages (Demand), is told when some are there (Notify), collects
// them and settles them.
type Consumer struct {
	store  *Store
	queue  *queue
	owner  uint64
	notify func()

	settled   bool // deliveries are gone when collected
	demand    int  // how many more messages it may be assigned
	assigned  []*entry
	unsettled map[uint64]*entry
	gone      *Error // why the queue took the consumer off, nil while it is on
	noticed   bool   // notify was called since the last Collect
}

// ConsumerSpec says how to consume.
type ConsumerSpec struct {
	// Settled makes deliveries leave the queue for good when they are collected.
	Settled bool
	// Notify is called when there is something to collect. It runs under the store's mutex: it must not block nor call the store.
	Notify func()
}

// Demand sets how many messages the consumer takes: those it was assigned and has not collected, and further ones.
func (c *Consumer) Demand(now time.Time, n int) {
	c.store.mu.Lock()
	defer c.store.mu.Unlock()
	defer c.store.settleDebts(now)
	if c.gone != nil {
		return
	}
	c.demand = max(n-len(c.assigned), 0)
	c.queue.dispatch(now)
}

// Assigned tells how many messages wait to be collected.
func (c *Consumer) Assigned() int {
	c.store.mu.Lock()
	defer c.store.mu.Unlock()
	return len(c.assigned)
}

// Collect appends assigned messages to out: up to limit, and no further one once they hold maxBytes. Once the queue took the consumer
// off, it returns the reason.
func (c *Consumer) Collect(now time.Time, limit int, maxBytes int64, out []Delivery) ([]Delivery, *Error) {
	c.store.mu.Lock()
	defer c.store.mu.Unlock()
	c.noticed = false
	if c.gone != nil {
		return out, c.gone
	}
	n := 0
	for _, e := range c.assigned {
		if n >= limit || maxBytes <= 0 {
			break
		}
		n++
		maxBytes -= e.msg.Size()
		out = append(out, e.delivery(now))
		if c.settled {
			c.queue.held--
			c.store.discount(e.msg)
			continue
		}
		e.redelivered = true // from here on somebody may have seen it
		c.unsettled[e.seq] = e
	}
	c.assigned = slices.Delete(c.assigned, 0, n)
	return out, nil
}

func (e *entry) delivery(now time.Time) Delivery {
	d := Delivery{
		Token: e.seq, Message: e.msg, Exchange: e.exchange, RoutingKey: e.key,
		Redelivered: e.redelivered, DeliveryCount: e.deliveryCount, Annotations: e.annotations,
	}
	if !e.expiry.IsZero() && e.msg.TTL > 0 {
		// At least a millisecond: on the wire zero would mean that it never expires. At most what it came with: a consumer may have read its
		// clock before the publisher did.
		d.TTL = min(max(e.expiry.Sub(now).Truncate(time.Millisecond), time.Millisecond), e.msg.TTL)
	}
	return d
}

// Settle ends a delivery. A token that is not held any more is ignored: the queue may have taken it back.
func (c *Consumer) Settle(now time.Time, token uint64, o Outcome) {
	c.store.mu.Lock()
	defer c.store.mu.Unlock()
	defer c.store.settleDebts(now)
	e := c.unsettled[token]
	if e == nil {
		return
	}
	delete(c.unsettled, token)
	q := c.queue
	q.held--
	switch o.Kind {
	case Released:
		q.putBack(e)
	case Modified:
		e.annotate(o.Annotations)
		if o.DeliveryFailed {
			e.deliveryCount++
		}
		if o.UndeliverableHere {
			q.bury(e, reasonRejected)
			break
		}
		q.putBack(e)
	case Rejected:
		q.bury(e, reasonRejected)
	default:
		c.store.discount(e.msg)
	}
	q.dispatch(now)
}

// Cancel takes the consumer off the queue. What it held goes back to its old place. failed says that the connection was lost:
// each delivery the consumer had been given then counts as a failed one [AMQP 3.2.1].
func (c *Consumer) Cancel(now time.Time, failed bool) {
	c.store.mu.Lock()
	defer c.store.mu.Unlock()
	defer c.store.settleDebts(now)
	if c.gone != nil {
		return
	}
	c.gone = refuse(NotFound, "the consumer of queue %q was cancelled", c.queue.name)
	q := c.queue
	q.detach(c)
	q.held -= len(c.assigned) + len(c.unsettled)
	for _, seq := range slices.Sorted(maps.Keys(c.unsettled)) {
		e := c.unsettled[seq]
		if failed {
			e.deliveryCount++
		}
		q.putBack(e)
	}
	for _, e := range c.assigned {
		q.putBack(e)
	}
	c.assigned, c.unsettled = nil, nil
	if q.spec.AutoDelete && len(q.consumers) == 0 {
		c.store.remove(q, refuse(NotFound, "queue %q was deleted with its last consumer", q.name))
		return
	}
	q.startExpiry(now)
	q.dispatch(now)
}

// give assigns e to the consumer and tells it once.
func (c *Consumer) give(e *entry) {
	c.demand--
	c.assigned = append(c.assigned, e)
	c.wake()
}

func (c *Consumer) wake() {
	if !c.noticed && c.notify != nil {
		c.noticed = true
		c.notify()
	}
}
