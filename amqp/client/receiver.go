package client

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"sync"
	"sync/atomic"

	goamqp "github.com/Azure/go-amqp"

	"sluice/amqp"
	"sluice/amqp/message"
	"sluice/amqp/topology"
)

// receiver implements amqp.Receiver: one source, attached again and again.
type receiver struct {
	client  *Client
	source  amqp.Source
	handler amqp.Handler

	ctx    context.Context // ends with Close, or the client's
	cancel context.CancelFunc
	done   chan struct{} // closed when the link is down for good

	current atomic.Pointer[link] // nil while detached
	tag     uint64               // of the latest delivery; never starts again, so that a tag means one delivery for ever
	creditM sync.Mutex
	credit  int    // granted by hand and not used on the current link
	offset  string // of the last event, from a hub
}

// Attach implements amqp.Bus. A failed attach is told to Detached as a loss is, without Attached before it; waiting for a connection is not,
// nor is a missing inbox that Source.Prepare makes.
func (c *Client) Attach(source amqp.Source, h amqp.Handler) amqp.Receiver {
	r := &receiver{client: c, source: source, handler: h, done: make(chan struct{})}
	r.ctx, r.cancel = context.WithCancel(c.closing)
	if !c.addReceiver() {
		r.cancel()
		close(r.done)
		return r
	}
	c.running.Go(func() {
		defer c.receivers.Done()
		defer close(r.done)
		defer r.cancel()
		r.run()
	})
	return r
}

// addReceiver counts a receiver, unless the client is closing.
func (c *Client) addReceiver() bool {
	c.receiversMu.Lock()
	defer c.receiversMu.Unlock()
	if c.closing.Err() != nil {
		return false
	}
	c.receivers.Add(1)
	return true
}

// IssueCredit implements amqp.Receiver. Credit beyond maxCredit unused is not granted.
func (r *receiver) IssueCredit(n uint32) {
	l := r.current.Load()
	if l == nil || r.source.Credit > 0 {
		return
	}
	r.creditM.Lock()
	n = min(n, uint32(maxCredit-min(r.credit, maxCredit)))
	r.credit += int(n)
	r.creditM.Unlock()
	if n > 0 {
		l.grant(n)
	}
}

// Settle implements amqp.Receiver.
func (r *receiver) Settle(tag uint64, o message.Outcome) {
	if l := r.current.Load(); l != nil {
		l.settle(tag, r.client.family.now().Settling(o))
	}
}

// Close implements amqp.Receiver. It must not be called from within a Handler call, which it would wait for.
func (r *receiver) Close(ctx context.Context) error {
	r.cancel()
	select {
	case <-r.done:
		return nil
	case <-ctx.Done():
		return failure("detach from inbox", r.source.Inbox, errors.Join(amqp.ErrUnavailable, ctx.Err()))
	}
}

func (r *receiver) closed() bool { return r.ctx.Err() != nil }

// run attaches until closed or told to give up.
func (r *receiver) run() {
	var wait backoff
	prepare := false
	for !r.closed() {
		attached, err := r.once(prepare)
		if r.closed() {
			return
		}
		if attached {
			wait.reset()
		}
		missing := r.source.Prepare != nil && errors.Is(err, amqp.ErrNotFound)
		if missing && !attached && !prepare {
			prepare = true
			continue // made at once; nothing was lost that the handler knew of
		}
		prepare = missing || errors.Is(err, errPrepare)
		if !r.handler.Detached(err) || !wait.wait(r.ctx, nil) {
			return
		}
	}
}

var errPrepare = errors.New("the inbox could not be made")

// once prepares the inbox if asked to, attaches, and receives until the link is lost.
func (r *receiver) once(prepare bool) (attached bool, err error) {
	if prepare {
		if err := r.source.Prepare(r.ctx); err != nil {
			return false, fmt.Errorf("%w: %w", errPrepare, err)
		}
	}
	pool := r.client.pool
	s, err := pool.acquire(r.ctx)
	if err != nil {
		return false, failure("attach to inbox", r.source.Inbox, err)
	}
	defer pool.release(s)
	entity := r.client.family.now().Source(r.source.Inbox)
	if err := s.tokens.acquire(entity); err != nil {
		if scopeOf(err) == newSession {
			pool.retire(s)
		}
		return false, failure("receive from", entity, err)
	}
	defer s.tokens.release(entity)
	l, err := r.attach(s)
	if attached = err == nil; attached {
		err = r.receive(l)
	}
	if scopeOf(err) == newSession {
		pool.retire(s)
	}
	if attached {
		return true, failure("receive from inbox", r.source.Inbox, err)
	}
	return false, failure("attach to inbox", r.source.Inbox, err)
}

// attach makes the link. A close while it is under way is honoured afterwards: an attach that is given up midway would leave its handle taken.
func (r *receiver) attach(s *slot) (*link, error) {
	select {
	case s.conn.attach <- struct{}{}:
		defer func() { <-s.conn.attach }()
	case <-s.conn.done():
		return nil, s.conn.reason()
	}
	mode := goamqp.SenderSettleModeUnsettled
	if r.source.Settled {
		mode = goamqp.SenderSettleModeSettled
	}
	credit := int32(-1)
	if r.source.Credit > 0 {
		credit = int32(min(r.source.Credit, maxCredit))
	}
	l := &link{slot: s, unsettled: make(map[uint64]*goamqp.Message)}
	options := &goamqp.ReceiverOptions{Credit: credit, RequestedSenderSettleMode: &mode, Filters: r.position()}
	err := s.conn.within("attach", func() (err error) {
		l.receiver, err = s.session.NewReceiver(context.Background(), r.client.family.now().Source(r.source.Inbox), options)
		return err
	})
	if err == nil && len(options.Filters) > 0 && l.receiver.LinkSourceFilterValue(selectorFilter) == nil {
		// A bus may leave a filter out, and says so only here. Without it this receiver would get the whole log.
		_ = s.conn.within("detach", func() error { return l.receiver.Close(context.Background()) })
		err = fmt.Errorf("%w: the bus does not apply the filter for the position in a log", amqp.ErrRefused)
	}
	return l, err
}

// receive hands deliveries over until the link is lost or r is closed. Either way the link is down when it returns.
func (r *receiver) receive(l *link) error {
	if r.closed() {
		r.detach(l)
		return r.ctx.Err()
	}
	r.creditM.Lock()
	r.credit = 0
	r.creditM.Unlock()
	r.current.Store(l)
	r.handler.Attached()
	err := r.deliverAll(l)
	if r.closed() || errors.Is(err, errRotated) {
		r.detach(l)
	}
	r.current.Store(nil)
	return err
}

func (r *receiver) deliverAll(l *link) error {
	for {
		d, _, err := r.next(l, true)
		if err != nil {
			return err
		}
		for more := true; more; {
			// What is looked at ahead is delivered, or the handler would wait for it: what is to be dropped is no more.
			var ahead amqp.Delivery
			if more = r.source.Settled && !r.spent(l); more {
				ahead, more, _ = r.next(l, false)
			}
			if d.More = more; r.closed() {
				return r.ctx.Err()
			}
			r.handler.Delivered(d)
			d = ahead
		}
		if r.spent(l) {
			r.client.pool.retire(l.slot)
			return errRotated
		}
	}
}

// spent: the link's session has to be replaced before its numbers run out.
func (r *receiver) spent(l *link) bool { return l.slot.deliveries.Load() >= r.client.options.rotate }

// next gives the next delivery for the handler, and drops copies on the way. Unless it waits it may have none.
func (r *receiver) next(l *link, wait bool) (d amqp.Delivery, ok bool, err error) {
	for {
		m := l.receiver.Prefetched()
		if m == nil {
			if !wait {
				return d, false, nil
			}
			if m, err = l.receiver.Receive(r.ctx, nil); err != nil {
				return d, false, err
			}
		}
		r.creditM.Lock()
		r.credit--
		r.creditM.Unlock()
		l.slot.deliveries.Add(1)
		d, of, copied := r.delivery(m)
		if !r.source.Settled {
			l.add(d.Tag, m)
		}
		if !copied || !l.repeats(of, d.Tag, r.source.Settled) {
			return d, true, nil
		}
		r.drop(l, d.Tag)
	}
}

// delivery decodes m. The payload stays with the Delivery; m is kept for the settlement only.
func (r *receiver) delivery(m *goamqp.Message) (d amqp.Delivery, of topology.Original, copied bool) {
	r.tag++
	d.Tag = r.tag
	in, err := decodeMessage(m.Data)
	m.Data = nil
	if err != nil {
		d.Malformed = err
		return d, of, false
	}
	family := r.client.family.now()
	d.Message = in.message
	d.Redelivered = in.redelivered(family.TellsFirstAcquirer())
	r.passed(d.Message)
	of, copied = family.Arrived(d.Message)
	return d, of, copied
}

// drop settles a copy of what was delivered already. The credit that it took is given again: the caller counts what he gets.
func (r *receiver) drop(l *link, tag uint64) {
	l.settle(tag, message.Outcome{Kind: message.Accepted})
	if r.source.Credit == 0 {
		r.IssueCredit(1)
	}
}

// redelivered tells what the bus says: by first-acquirer where it sets that, by a count elsewhere.
func (in *received) redelivered(tellsFirstAcquirer bool) bool {
	h := &in.message.Header
	if tellsFirstAcquirer && in.hasHeader && !h.FirstAcquirer || h.DeliveryCount > 0 {
		return true
	}
	for _, name := range [...]string{"x-delivery-count", "x-acquired-count"} {
		if positive(in.message.Annotations[name]) {
			return true
		}
	}
	return false
}

func positive(v any) bool {
	switch v := v.(type) {
	case uint8:
		return v > 0
	case uint16:
		return v > 0
	case uint32:
		return v > 0
	case uint64:
		return v > 0
	case int8:
		return v > 0
	case int16:
		return v > 0
	case int32:
		return v > 0
	case int64:
		return v > 0
	}
	return false
}

// detach gives all unsettled deliveries back in the order in which they came, those included that the handler has not seen, and closes the
// link. In that order, because a quorum queue puts messages back as they are returned; and released before the detach, because a loss of the link
// counts as a delivery attempt there.
func (r *receiver) detach(l *link) {
	l.quiesce()
	back := r.client.family.now().Settling(message.Outcome{Kind: message.Released})
	for _, tag := range slices.Sorted(maps.Keys(l.unsettled)) {
		perform(l.receiver, &settlement{message: l.unsettled[tag], outcome: back})
	}
	if !r.source.Settled {
		for m := l.receiver.Prefetched(); m != nil; m = l.receiver.Prefetched() {
			perform(l.receiver, &settlement{message: m, outcome: message.Outcome{Kind: message.Released}})
		}
	}
	_ = l.slot.conn.within("detach", func() error { return l.receiver.Close(context.Background()) })
}

// receiversGone is closed when the client is closing and every receiver has detached.
func (c *Client) receiversGone() <-chan struct{} { return c.receiversDone }

// waitReceivers closes receiversDone once it may be closed. It is run by Close.
func (c *Client) waitReceivers() {
	c.receiversMu.Lock()
	c.receiversMu.Unlock() //nolint:staticcheck // A barrier: who adds a receiver after it sees that closing has ended.
	c.receivers.Wait()
	close(c.receiversDone)
}
