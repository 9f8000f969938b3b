package embedded

import (
	"sync"
	"time"

	"sluice/amqp/embedded/endpoint"
	"sluice/amqp/embedded/queues"
)

// subscription stands behind a link on which the peer receives messages.
type subscription struct {
	link      *endpoint.Link
	consumer  *queues.Consumer
	settled   bool
	temporary string // the queue of a dynamic source, deleted with the link

	listed bool // in the ready list, under its mutex
}

func (s *subscription) received(*connection, endpoint.MessageReceived) {}

// ended gives back what the peer held. Deliveries on a broken connection count as failed.
func (s *subscription) ended(c *connection, lost bool) {
	s.consumer.Cancel(time.Now(), lost)
	if s.temporary != "" {
		_, _ = c.store.DeleteQueue(c.id, s.temporary) // ours alone, so that it can only be gone already
	}
}

// creditChanged asks the queue for what the peer takes now.
func (s *subscription) creditChanged(c *connection) {
	s.consumer.Demand(time.Now(), int(s.link.Credit()))
	c.ready.add(s) // for what was assigned under earlier credit, and since a drain must be answered even with nothing to deliver
}

// collect moves deliveries from the queues to the output until it is large enough; it tells whether there is more. The mutex is held.
func (c *connection) collect(now time.Time) bool {
	if c.finished || c.over || c.broker.faults.pausesDelivery() {
		return false
	}
	for c.engine.OutputLen() < collectUntil {
		s := c.ready.take()
		if s == nil {
			return false
		}
		c.serve(now, s)
	}
	return !c.ready.empty()
}

// serve gives one subscription its turn.
func (c *connection) serve(now time.Time, s *subscription) {
	if !s.link.Attached() {
		return
	}
	limit := int(min(s.link.Ready(), collectBatch))
	batch, gone := s.consumer.Collect(now, limit, collectUntil, c.batch[:0])
	if gone != nil {
		c.engine.DetachLink(s.link, endpoint.Errorf(endpoint.ResourceDeleted, "%s", gone.Text))
		c.process()
		return
	}
	for _, d := range batch {
		c.scratch = encoded(c.scratch[:0], d, c.space == nil)
		c.engine.Deliver(s.link, endpoint.Message{Token: d.Token, Payload: c.scratch, Format: d.Message.Format, Settled: s.settled})
		c.broker.stats.count(&c.broker.stats.delivered)
		c.used(s.link)
	}
	if cap(c.scratch) > keepBuffer {
		c.scratch = nil
	}
	clear(batch)
	c.batch = batch
	switch {
	case s.link.Session().Blocked():
		// The Unblocked effect puts it back.
	case s.consumer.Assigned() > 0 && s.link.Ready() > 0:
		c.ready.add(s)
	case s.link.Draining():
		c.engine.Drained(s.link)
		s.consumer.Demand(now, 0)
	}
}

// readyList holds the subscriptions that may have something to deliver, each once, in order. It is a leaf among the locks: the store's
// callbacks add to it.
type readyList struct {
	mu   sync.Mutex
	list []*subscription
	head int
}

func (r *readyList) add(s *subscription) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if !s.listed {
		s.listed = true
		r.list = append(r.list, s)
	}
}

func (r *readyList) take() *subscription {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.head == len(r.list) {
		return nil
	}
	s := r.list[r.head]
	r.list[r.head] = nil
	r.head++
	if live := len(r.list) - r.head; r.head >= live {
		copy(r.list, r.list[r.head:])
		clear(r.list[live:])
		r.list, r.head = r.list[:live], 0
	}
	s.listed = false
	return s
}

func (r *readyList) empty() bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.head == len(r.list)
}
