package client

import (
	"context"
	"errors"
	"fmt"
	"sync"

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

	mu     sync.Mutex
	link   link    // nil while detached
	copies *copies // of link; nil until the bus has sent a message that may have copies

	// The rest is run's.
	tag    uint64 // of the latest delivery; never starts again, so that a tag means one delivery for ever
	taken  []arrival
	offset string // of the last event, from a hub
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
	if l, _ := r.now(); l != nil && r.source.Credit == 0 {
		l.grant(n)
	}
}

// Settle implements amqp.Receiver.
func (r *receiver) Settle(tag uint64, o message.Outcome) {
	if l, c := r.now(); l != nil {
		o = r.client.family.now().Settling(o)
		c.settling(tag, o.Kind != message.Accepted && o.Kind != message.Rejected)
		l.settle(tag, o)
	}
}

// now gives the link, nil while there is none, and what is known of its copies.
func (r *receiver) now() (link, *copies) {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.link, r.copies
}

// set makes l the link.
func (r *receiver) set(l link) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.link, r.copies = l, nil
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
	if scopeOf(err) == newSession || errors.Is(err, errRotated) {
		pool.retire(s)
	}
	if attached {
		return true, failure("receive from inbox", r.source.Inbox, err)
	}
	return false, failure("attach to inbox", r.source.Inbox, err)
}

// attach makes the link. A close while it is under way is honoured afterwards: an attach that is given up midway would leave its handle taken.
func (r *receiver) attach(s *slot) (l link, err error) {
	select {
	case s.conn.attach <- struct{}{}:
		defer func() { <-s.conn.attach }()
	case <-s.conn.done():
		return nil, s.conn.reason()
	}
	err = s.conn.within("attach", func() error {
		address := r.client.family.now().Source(r.source.Inbox)
		if s.in != nil {
			l, err = s.in.attach(address, r.source.Settled, r.source.Credit, r.tag)
		} else {
			l, err = r.attachByLibrary(s, address)
		}
		return err
	})
	return l, err
}

func (r *receiver) attachByLibrary(s *slot, address string) (link, error) {
	mode := goamqp.SenderSettleModeUnsettled
	if r.source.Settled {
		mode = goamqp.SenderSettleModeSettled
	}
	credit := int32(-1)
	if r.source.Credit > 0 {
		credit = int32(min(r.source.Credit, maxCredit))
	}
	options := &goamqp.ReceiverOptions{Credit: credit, RequestedSenderSettleMode: &mode, Filters: r.position()}
	receiver, err := s.session.NewReceiver(context.Background(), address, options)
	if err != nil {
		return nil, err
	}
	if len(options.Filters) > 0 && receiver.LinkSourceFilterValue(selectorFilter) == nil {
		// A bus may leave a filter out, and says so only here. Without it this receiver would get the whole log.
		_ = receiver.Close(context.Background())
		return nil, fmt.Errorf("%w: the bus does not apply the filter for the position in a log", amqp.ErrRefused)
	}
	return &libraryLink{receiver: receiver, slot: s, settled: r.source.Settled, limit: r.client.options.rotate, tag: r.tag,
		unsettled: make(map[uint64]*goamqp.Message)}, nil
}

// receive hands deliveries over until the link is lost or r is closed. Either way the link is down when it returns.
func (r *receiver) receive(l link) error {
	var err error
	if !r.closed() {
		r.set(l)
		r.handler.Attached()
		err = r.deliverAll(l)
	}
	if r.closed() || errors.Is(err, errRotated) {
		l.detach(r.client.family.now().Settling(message.Outcome{Kind: message.Released}))
	}
	r.set(nil)
	if r.closed() {
		return r.ctx.Err()
	}
	return err
}

func (r *receiver) deliverAll(l link) (err error) {
	for {
		if r.taken, err = l.take(r.ctx, r.taken[:0]); err != nil {
			return err
		}
		if err = r.deliver(l); err != nil {
			return err
		}
		if clear(r.taken); cap(r.taken) > keptArrivals {
			r.taken = nil
		}
	}
}

// deliver hands over what was taken, less the copies. One settled delivery is looked at ahead, so that the one before it says truly that there is more.
func (r *receiver) deliver(l link) error {
	var held amqp.Delivery
	holds := false
	for i := range r.taken {
		d, fresh := r.delivery(l, &r.taken[i])
		if !fresh {
			continue
		}
		if r.source.Settled {
			d, held = held, d
			d.More = true
			if !holds {
				holds = true
				continue
			}
		}
		if r.closed() {
			return r.ctx.Err()
		}
		r.handler.Delivered(d)
	}
	if !holds {
		return nil
	}
	if r.closed() {
		return r.ctx.Err()
	}
	r.handler.Delivered(held)
	return nil
}

// delivery decodes what has come. It is not fresh if it is a copy of what was delivered already, and then settled.
func (r *receiver) delivery(l link, a *arrival) (d amqp.Delivery, fresh bool) {
	r.tag, d.Tag = a.tag, a.tag
	if d.Malformed = a.err; a.err != nil {
		return d, true
	}
	in, err := decodeMessage(a.raw)
	if err != nil {
		d.Malformed = err
		return d, true
	}
	family := r.client.family.now()
	d.Message = in.message
	d.Redelivered = in.redelivered(family.TellsFirstAcquirer())
	r.passed(d.Message)
	if of, copied := family.Arrived(d.Message); copied && r.repeats(of, d.Tag) {
		// The credit that it took is given again: the caller counts what he gets.
		l.settle(d.Tag, message.Outcome{Kind: message.Accepted})
		if r.source.Credit == 0 {
			l.grant(1)
		}
		return d, false
	}
	return d, true
}

func (r *receiver) repeats(of topology.Original, tag uint64) bool {
	r.mu.Lock()
	if r.copies == nil {
		r.copies = newCopies()
	}
	c := r.copies
	r.mu.Unlock()
	return c.repeats(of, tag, r.source.Settled)
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

// receiversGone is closed when the client is closing and every receiver has detached.
func (c *Client) receiversGone() <-chan struct{} { return c.receiversDone }

// waitReceivers closes receiversDone once it may be closed. It is run by Close.
func (c *Client) waitReceivers() {
	c.receiversMu.Lock()
	c.receiversMu.Unlock() //nolint:staticcheck // A barrier: who adds a receiver after it sees that closing has ended.
	c.receivers.Wait()
	close(c.receiversDone)
}
