package client

import (
	"context"
	"crypto/rand"
	"errors"
	"sync"
	"sync/atomic"
	"time"

	goamqp "github.com/Azure/go-amqp"
	"go.uber.org/zap"

	"sluice/amqp/message"
)

// publication is one message on its way.
type publication struct {
	message *message.Message
	done    func(message.Outcome)
}

// lane is a bounded queue in front of one sender link with null target. It outlives its links: while there is none, it answers Busy.
//
// Each lane has a session of its own. An unsettled and a settled lane must not share one: a failed settled transfer costs the link, an outcome
// that comes after a detach costs the session, and a missing permission always does.
type lane struct {
	name    string
	settled bool
	options *Options
	log     *zap.Logger

	wake chan struct{} // has room for one: the queue is not empty, or the lane is stopping

	mu       sync.Mutex
	queue    fifo[publication]
	open     bool
	stopping bool
	last     error           // why it is not open
	no       message.Outcome // the answer while it is not open; zero: Busy
	out      *outlet         // to be sent over, nil while there is no link and on a bus of static entities

	entity string    // what the link is attached to, on a bus of static entities
	used   time.Time // when it was last wanted; entities.mu guards it

	inflight atomic.Int64
	// waiting is when the transfer whose outcome is next in line was written (unix nanoseconds), zero when none is awaited.
	waiting        atomic.Int64
	maxMessageSize atomic.Uint64
}

func newLane(name string, settled bool, o *Options) *lane {
	return &lane{name: name, settled: settled, options: o, log: o.Logger.With(zap.String("lane", name)), wake: make(chan struct{}, 1)}
}

// publish queues or answers Busy. It never blocks.
func (l *lane) publish(p publication) {
	l.mu.Lock()
	var no message.Outcome
	switch {
	case l.stopping:
		no = busy(condClosed, "the bus client is closing")
	case !l.open && l.no.Kind != 0:
		no = l.no
	case !l.open:
		no = busy(condNotConnected, "no link to the bus")
	case l.queue.len() >= l.options.Queue:
		no = busy(condQueueFull, "%d messages are waiting for the bus", l.options.Queue)
	default:
		l.queue.push(p)
		out := l.out
		var answers []answer
		if out != nil {
			answers = out.drive(nil)
		}
		l.mu.Unlock()
		tell(answers)
		if out == nil {
			l.signal()
		}
		return
	}
	l.mu.Unlock()
	p.done(no)
}

func (l *lane) signal() {
	select {
	case l.wake <- struct{}{}:
	default:
	}
}

// pop takes the oldest publication.
func (l *lane) pop() (p publication, ok, stopping bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.queue.len() == 0 {
		return p, false, l.stopping
	}
	return l.queue.pop(), true, l.stopping
}

// refuse makes the lane answer Busy to new publications from now on.
func (l *lane) refuse(cause error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.open, l.last, l.out = false, cause, nil
}

// shut refuses new publications and answers all queued ones with Busy. After a loss it comes when all that was in flight has had its Lost.
func (l *lane) shut(o message.Outcome, cause error) {
	l.refuse(cause)
	l.mu.Lock()
	queued := l.queue.drain()
	l.mu.Unlock()
	for _, p := range queued {
		p.done(o)
	}
}

// stop ends the lane in peace: what is in flight still gets its outcome.
func (l *lane) stop() {
	l.mu.Lock()
	l.stopping = true
	l.mu.Unlock()
	l.shut(busy(condClosed, "the bus client is closing"), context.Canceled)
	l.signal()
}

func (l *lane) setOpen() {
	l.mu.Lock()
	l.open, l.last, l.no = !l.stopping, nil, message.Outcome{}
	l.mu.Unlock()
}

func (l *lane) ready() error {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.open {
		return nil
	}
	if l.last == nil {
		return failure("open lane", l.name, errConnecting)
	}
	return failure("open lane", l.name, l.last)
}

var (
	errConnecting = errors.New("not connected yet")
	errRotated    = errors.New("session replaced before its delivery-ids run out")
)

// serve keeps a link up on c until c ends, ctx does (nothing is waited for then), or stopping is closed.
func (l *lane) serve(ctx context.Context, c *connection, stopping <-chan struct{}) {
	var wait backoff
	for c.alive() {
		started := time.Now()
		err := l.link(ctx, c, stopping)
		if errors.Is(err, errRotated) {
			continue // nothing was lost, and the queue is as it was
		}
		if err == nil || ctx.Err() != nil || isClosed(stopping) { // nil: the lane was stopped
			l.shut(busy(condClosed, "the bus client is closing"), errClosed)
			return
		}
		l.shut(busy(condLinkLost, "link lost: %s", describe(err)), err)
		if c.alive() {
			l.log.Warn("sender link lost, opening another", zap.Error(err))
		}
		if time.Since(started) > backoffMax {
			wait.reset()
		}
		if !wait.wait(ctx, c.done()) {
			return
		}
	}
}

func isClosed(ch <-chan struct{}) bool {
	select {
	case <-ch:
		return true
	default:
		return false
	}
}

// link opens a session and a sender, and sends until the link is lost, has to be replaced, or the lane stops.
func (l *lane) link(ctx context.Context, c *connection, stopping <-chan struct{}) error {
	session, err := c.newSession()
	if err != nil {
		return err
	}
	// The session goes as a whole: a disposition that comes after a link's detach would end it anyway.
	defer c.endSession(session)
	mode := goamqp.SenderSettleModeUnsettled
	if l.settled {
		mode = goamqp.SenderSettleModeSettled
	}
	out := newOutlet(l, c)
	name := rand.Text()
	c.net.owned.own(name, out)
	defer c.net.owned.disown(name)
	err = c.within("attach", func() error {
		out.sender, err = session.NewSender(context.Background(), "", &goamqp.SenderOptions{Name: name, SettlementMode: &mode})
		return err
	})
	if err != nil {
		return err
	}
	l.maxMessageSize.Store(out.sender.MaxMessageSize())
	return out.run(ctx, stopping)
}
