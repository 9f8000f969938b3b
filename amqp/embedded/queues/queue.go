package queues

import (
	"slices"
	"time"
)

// queue is one queue. All its methods run under the store's mutex.
type queue struct {
	store    *Store
	name     string
	spec     QueueSpec
	set      settings
	owner    uint64 // connection that an exclusive queue belongs to
	bindings map[boundTo]struct{}

	ready     backlog
	held      int // assigned or unsettled entries
	nextSeq   uint64
	consumers []*Consumer
	turn      int // index of the consumer that is asked next
	gone      bool

	idleUntil time.Time // x-expires: when the queue goes away, zero while it is consumed
	due       time.Time // next time the queue needs attention, zero never; the key in the store's timer heap
	slot      int       // index in that heap, -1 outside
	mark      uint64    // the last routing pass that reached this queue: one copy per queue
}

// boundTo is one of a queue's bindings, so that its deletion finds them without a search.
type boundTo struct {
	exchange *exchange
	id       bindingID
}

// refuses tells whether the queue would not take another message of this size.
func (q *queue) refuses(size int64) bool {
	return q.set.rejectPublish && q.over(1, size)
}

// over tells whether the ready messages and these additional ones are beyond the queue's length limits.
func (q *queue) over(messages int64, size int64) bool {
	return q.set.maxLength >= 0 && int64(q.ready.len())+messages > q.set.maxLength ||
		q.set.maxBytes >= 0 && q.ready.bytes+size > q.set.maxBytes
}

// enqueue appends a message and hands it on at once if someone waits.
func (q *queue) enqueue(now time.Time, e *entry) {
	e.seq = q.nextSeq
	q.nextSeq++
	e.expiry = q.expiryOf(now, e.msg)
	q.store.account(e.msg)
	q.ready.push(e)
	q.dispatch(now)
	for q.ready.len() > 0 && q.over(0, 0) {
		q.bury(q.ready.pop(), reasonMaxLength)
	}
	q.rearm()
}

// expiryOf is the earlier of the message's own time to live and the queue's.
func (q *queue) expiryOf(now time.Time, m *Message) time.Time {
	ttl, has := m.TTL, m.TTL > 0
	if q.set.hasMessageTTL && (!has || q.set.messageTTL < ttl) {
		ttl, has = q.set.messageTTL, true
	}
	if !has {
		return time.Time{}
	}
	return now.Add(ttl)
}

// dispatch assigns ready messages to consumers in turn until messages or demand run out.
func (q *queue) dispatch(now time.Time) {
	if q.gone {
		return
	}
	q.expireFront(now)
	for q.ready.len() > 0 {
		c := q.nextConsumer()
		if c == nil {
			break
		}
		q.held++
		c.give(q.ready.pop())
		q.expireFront(now)
	}
	q.rearm()
}

// nextConsumer is the next one with demand, in round robin. With a single active consumer only the oldest counts.
func (q *queue) nextConsumer() *Consumer {
	if q.set.singleActive {
		if len(q.consumers) > 0 && q.consumers[0].demand > 0 {
			return q.consumers[0]
		}
		return nil
	}
	for range q.consumers {
		if q.turn >= len(q.consumers) {
			q.turn = 0
		}
		c := q.consumers[q.turn]
		q.turn++
		if c.demand > 0 {
			return c
		}
	}
	return nil
}

// expireFront removes expired messages from the front: as in RabbitMQ's classic queues a message expires when it reaches the head.
func (q *queue) expireFront(now time.Time) {
	for e := q.ready.front(); e != nil && !e.expiry.IsZero() && !now.Before(e.expiry); e = q.ready.front() {
		q.bury(q.ready.pop(), reasonExpired)
	}
}

// putBack returns an entry to its old place, unless it was delivered too often.
func (q *queue) putBack(e *entry) {
	if limit := q.set.deliveryLimit; limit >= 0 && int64(e.deliveryCount) > limit {
		q.bury(e, reasonDeliveryLimit)
		return
	}
	q.ready.putBack(e)
}

// bury ends an entry that no consumer accepted: it goes to the dead-letter exchange, or away when there is none. The publish itself waits
// until the operation at hand is over (Store.settleDebts): it may come back to this very queue.
func (q *queue) bury(e *entry, reason string) {
	if !q.set.deadLetter || q.gone {
		q.store.discount(e.msg)
		return
	}
	q.store.debts = append(q.store.debts, debt{queue: q, entry: e, reason: reason})
}

// detach removes the consumer from the round.
func (q *queue) detach(c *Consumer) {
	if i := slices.Index(q.consumers, c); i >= 0 {
		q.consumers = slices.Delete(q.consumers, i, i+1)
		if i < q.turn {
			q.turn--
		}
	}
}

// startExpiry begins the x-expires period when nobody consumes.
func (q *queue) startExpiry(now time.Time) {
	if q.set.expires > 0 && len(q.consumers) == 0 {
		q.idleUntil = now.Add(q.set.expires)
		q.rearm()
	}
}

// rearm puts the queue's next due time into the store's heap.
func (q *queue) rearm() {
	due := q.idleUntil
	if e := q.ready.front(); e != nil && !e.expiry.IsZero() && (due.IsZero() || e.expiry.Before(due)) {
		due = e.expiry
	}
	if due.Equal(q.due) || q.gone {
		return
	}
	q.due = due
	q.store.timers.update(q)
}

// tick does what is due.
func (q *queue) tick(now time.Time) {
	if !q.idleUntil.IsZero() && !now.Before(q.idleUntil) {
		q.store.remove(q, refuse(NotFound, "queue %q expired", q.name))
		return
	}
	q.expireFront(now)
	q.rearm()
}
