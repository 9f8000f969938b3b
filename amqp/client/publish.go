package client

import (
	"context"
	"errors"
	"fmt"
	"sync/atomic"
	"time"

	goamqp "github.com/Azure/go-amqp"

	"sluice/amqp/message"
)

// pump has the library send what is queued, on a bus of static entities: there all links share one session, in which the library numbers the transfers, and
// messages are few beside what a plan of the bus allows. Elsewhere see outlet.
//
// It sends over one link until that is lost (an error), its budget used up (errRotated) or the lane stops (nil). When it returns, all
// that it has taken from the queue has had its outcome.
func (l *lane) pump(ctx context.Context, sender *goamqp.Sender, closed func() <-chan struct{}, stopping <-chan struct{}, budget *budget) error {
	// sending ends when the lane stops, also while it waits for credit; waiting for outcomes then goes on until ctx ends.
	sending, cancel := context.WithCancel(ctx)
	defer cancel()
	defer context.AfterFunc(ctx, cancel)()

	p := &pumping{lane: l, sender: sender, closed: closed, sending: sending, budget: budget, dead: make(chan struct{}),
		receipts: make(chan receipt, l.options.Window), waited: make(chan struct{})}
	ran := make(chan struct{})
	go p.interrupt(cancel, stopping, ran)
	go p.awaitOutcomes(ctx)
	err := p.run()
	close(ran)
	close(p.receipts)
	<-p.waited
	if err == nil || errors.Is(err, errRotated) {
		if p.lost != nil { // lost while the last outcomes were awaited
			err = p.lost
		}
	}
	return err
}

// interrupt ends sending when the lane stops. A send that waits for the session's window ignores its context, so that only closing the link gets
// it out; that has to wait until nothing is in flight.
func (p *pumping) interrupt(cancel context.CancelFunc, stopping, ran <-chan struct{}) {
	select {
	case <-stopping:
		cancel()
	case <-ran:
		return
	}
	tick := time.NewTicker(stuckProbe)
	defer tick.Stop()
	for {
		select {
		case <-tick.C:
			if p.lane.inflight.Load() == 0 {
				go func() { _ = p.sender.Close(context.Background()) }() // ends with the link, or with the connection
				return
			}
		case <-ran:
			return
		}
	}
}

// pumping is one link in use.
type pumping struct {
	lane     *lane
	sender   *goamqp.Sender
	closed   func() <-chan struct{} // see windows.closed
	sending  context.Context
	encoder  encoder
	budget   *budget
	receipts chan receipt  // written, in order; its capacity is the window
	dead     chan struct{} // closed when an outcome could not be had any more
	lost     error         // why; set before dead is closed
	waited   chan struct{} // closed when every receipt has had its outcome
}

type receipt struct {
	receipt goamqp.SendReceipt
	done    func(message.Outcome)
	written int64
}

func (p *pumping) run() error {
	probe := time.NewTicker(idleProbe)
	defer probe.Stop()
	for {
		if p.budget.spent() {
			return errRotated
		}
		if goOn, err := p.taken(probe.C); !goOn {
			return err
		}
		next, err := p.next(probe.C)
		if err != nil || next.message == nil {
			return err
		}
		if err := p.send(next); err != nil {
			return err
		}
		p.budget.spend()
	}
}

// taken waits until the bus takes transfers again; see windows. It is false when the lane stops, or with an error when the link is gone.
func (p *pumping) taken(probe <-chan time.Time) (bool, error) {
	for {
		open := p.closed()
		if open == nil {
			return true, nil
		}
		select {
		case <-open:
		case <-p.dead:
			return false, p.lost
		case <-p.sending.Done():
			return false, nil
		case <-probe:
			if err := linkError(p.sender, false); err != nil {
				return false, err
			}
		}
	}
}

// next waits for a publication. It gives an empty one when the lane stops, and an error when the link is gone.
func (p *pumping) next(probe <-chan time.Time) (publication, error) {
	for {
		if isClosed(p.dead) {
			return publication{}, p.lost
		}
		next, ok, stopping := p.lane.pop()
		if ok || stopping {
			return next, nil
		}
		select {
		case <-p.lane.wake:
		case <-p.dead:
		case <-p.sending.Done():
			return publication{}, nil
		case <-probe:
			if err := linkError(p.sender, false); err != nil {
				return publication{}, err
			}
			if p.budget.spent() {
				return publication{}, errRotated
			}
		}
	}
}

// probeMessage can be sent on no link: its delivery-tag is longer than the standard's 32 bytes.
var probeMessage = &goamqp.Message{DeliveryTag: make([]byte, 33)}

// linkError tells whether the link is gone, without sending anything. A sender has no other way of saying so: the library looks at the link
// first and refuses the delivery-tag second.
func linkError(sender *goamqp.Sender, settled bool) (err error) {
	if settled {
		err = sender.Send(context.Background(), probeMessage, nil)
	} else {
		_, err = sender.SendWithReceipt(context.Background(), probeMessage, nil)
	}
	if scopeOf(err) == inPlace {
		return nil
	}
	return err
}

// send writes one message. Its outcome comes here only if it was not handed to the bus; an error means that the link is gone.
func (p *pumping) send(next publication) error {
	m, err := p.encoder.encode(next.message)
	if err != nil {
		next.done(message.Outcome{Kind: message.Rejected, Error: ourError(condEncode, "%v", err)})
		return nil
	}
	r, err := p.sender.SendWithReceipt(p.sending, m, nil)
	if err != nil {
		return p.notSent(next, err)
	}
	p.lane.inflight.Add(1)
	p.receipts <- receipt{receipt: r, done: next.done, written: time.Now().UnixNano()}
	return nil
}

// notSent answers a send that left no receipt.
func (p *pumping) notSent(next publication, err error) error {
	if scopeOf(err) != inPlace {
		// The library does not say whether the frame was written before the link went.
		p.lane.refuse(err)
		next.done(lost(err))
		return err
	}
	if p.sending.Err() != nil {
		next.done(busy(condClosed, "the bus client is closing"))
		return nil //nolint:nilerr // The message is answered; it is the link's error that this function gives.
	}
	var e *goamqp.Error
	if errors.As(err, &e) {
		next.done(message.Outcome{Kind: message.Rejected, Error: errorOf(e)}) // larger than the link allows
		return nil
	}
	next.done(message.Outcome{Kind: message.Rejected, Error: ourError(condEncode, "%v", err)})
	return nil
}

// awaitOutcomes answers all receipts in the order of sending. The bus may settle out of order; then an outcome waits for those before it, by
// at most the window.
func (p *pumping) awaitOutcomes(ctx context.Context) {
	defer close(p.waited)
	for r := range p.receipts {
		p.lane.waiting.Store(r.written)
		state, err := await(ctx, &r.receipt)
		p.lane.waiting.Store(0)
		o := outcomeOf(state)
		if err != nil {
			o = lost(err)
			if p.lost == nil {
				p.lost = err
				p.lane.refuse(err)
				close(p.dead)
			}
		}
		p.lane.inflight.Add(-1)
		r.done(o)
	}
}

// await gets a receipt's state. After the link is gone Wait picks at random between a state that has come and the error, so it is asked again.
func await(ctx context.Context, r *goamqp.SendReceipt) (state goamqp.DeliveryState, err error) {
	for range waitAttempts {
		if state, err = r.Wait(ctx); err == nil {
			return state, nil
		}
	}
	return nil, err
}

// watch closes the connection when a lane's oldest transfer was written longer than SendTimeout ago and is not answered. Transfers that
// wait for credit are not written and are not counted: a bus that grants none, as in a memory alarm, is waited for.
func watch(ctx context.Context, c *connection, lanes func() []*lane, timeout time.Duration) {
	tick := time.NewTicker(max(timeout/8, time.Millisecond))
	defer tick.Stop()
	for {
		select {
		case now := <-tick.C:
			for _, l := range lanes() {
				if since := l.waiting.Load(); since != 0 && now.UnixNano()-since > int64(timeout) {
					c.kill(fmt.Errorf("lane %s: a transfer was not answered within %v", l.name, timeout))
					return
				}
			}
		case <-c.done():
			return
		case <-ctx.Done():
			return
		}
	}
}

// budget is how many more deliveries a session takes before it is replaced, see sessionRotation.
type budget struct {
	used  atomic.Uint64
	limit uint64
	gone  chan struct{} // closed when it is used up
}

func newBudget(limit uint64) *budget { return &budget{limit: limit, gone: make(chan struct{})} }

func (b *budget) spend() {
	if b.used.Add(1) == b.limit {
		close(b.gone)
	}
}

func (b *budget) spent() bool { return b.used.Load() >= b.limit }
