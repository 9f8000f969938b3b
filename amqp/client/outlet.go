package client

import (
	"context"
	"sync"
	"time"

	goamqp "github.com/Azure/go-amqp"

	"sluice/amqp/frame"
	"sluice/amqp/message"
)

// outlet sends a lane's queue over one link. It has no goroutine for that: whoever queues a message sends it, and what has to wait is sent by whoever brings
// what it waits for, the connection's reader or flusher. So a message comes to the socket, and its outcome to the device, without being handed on.
type outlet struct {
	lane   *lane
	conn   *connection
	sender *goamqp.Sender
	gone   chan struct{} // closed when the bus has ended the link
	rest   chan struct{} // has room for one: the link is used up or the lane stops, and no outcome is to come any more

	// answering orders what is told: outcomes in the order of sending, and all of them before what the loss of the link answers. It is not held when
	// lane.mu is asked for by anyone but its own holder.
	answering sync.Mutex
	answers   []answer // reused by its holder

	transfers      // lane.mu guards it, and stopping
	stopping  bool // only what has begun is finished
}

func newOutlet(l *lane, c *connection) *outlet {
	return &outlet{lane: l, conn: c, gone: make(chan struct{}), rest: make(chan struct{}, 1),
		transfers: transfers{settled: l.settled, most: l.options.Window, limit: l.options.rotate}}
}

// tell calls back. No lock is held.
func tell(answers []answer) {
	for i, a := range answers {
		answers[i] = answer{}
		a.done(a.outcome)
	}
}

// drive sends what is queued, as far as it may be sent now, and appends to dst what is answered by that. lane.mu is held.
func (o *outlet) drive(dst []answer) []answer {
	if o.lane.out != o {
		return dst
	}
	for o.ready() {
		var done func(message.Outcome)
		if !o.cutting {
			if o.lane.queue.len() == 0 {
				break
			}
			p := o.lane.queue.at(0)
			o.next, done = p.message, p.done
		}
		taken, err := o.conn.net.offer(&o.transfers, false)
		if err == nil && !taken {
			break
		}
		if done != nil {
			o.lane.queue.pop()
		}
		if err != nil {
			dst = append(dst, answer{done, unsendable(err)})
			continue
		}
		dst = o.sent(done, time.Now().UnixNano(), dst)
	}
	o.note()
	return dst
}

// note keeps what others look at: since when the oldest delivery is unanswered, and whether there is nothing more to come. lane.mu is held.
func (o *outlet) note() {
	o.lane.waiting.Store(o.oldest())
	if (o.spent() || o.stopping) && o.waiting() == 0 && !o.cutting {
		select {
		case o.rest <- struct{}{}:
		default:
		}
	}
}

// attached implements linkEnd.
func (o *outlet) attached(a attachment) {
	o.lane.mu.Lock()
	defer o.lane.mu.Unlock()
	o.transfers.attached(a)
}

// flow implements linkEnd.
func (o *outlet) flow(f *frame.Flow) {
	o.change(func(dst []answer) []answer {
		o.transfers.flow(f)
		if f.Echo {
			_, _ = o.conn.net.offer(&echo{o.channel, o.transfers.echo(f)}, true)
		}
		return dst
	})
}

// disposition implements linkEnd.
func (o *outlet) disposition(d *frame.Disposition) {
	outcome, terminal := outcomeOfState(d.State), d.Settled
	o.change(func(dst []answer) []answer {
		if !d.Settled && outcome.Kind != message.Lost {
			// The bus waits for us to settle [AMQP 2.6.12].
			terminal = true
			settled := &frame.Disposition{Role: frame.RoleSender, First: d.First, Last: d.Last, Settled: true, State: d.State}
			_, _ = o.conn.net.offer(&echo{o.channel, settled}, true)
		}
		if terminal {
			dst = o.transfers.disposition(d.First, d.Last.Or(d.First), outcome, dst)
		}
		return dst
	})
}

// room implements linkEnd. It does not wait for the reader, which may be telling outcomes.
func (o *outlet) room() {
	o.lane.mu.Lock()
	answers := o.drive(nil)
	o.lane.mu.Unlock()
	tell(answers)
}

// change makes a change, sends what may be sent after it, and tells what is answered.
func (o *outlet) change(f func([]answer) []answer) {
	o.answering.Lock()
	defer o.answering.Unlock()
	o.lane.mu.Lock()
	answers := o.drive(f(o.answers[:0]))
	o.note()
	o.lane.mu.Unlock()
	tell(answers)
	o.answers = answers[:0]
}

// detached implements linkEnd.
func (o *outlet) detached() {
	o.lane.mu.Lock()
	defer o.lane.mu.Unlock()
	if !o.ended {
		o.ended = true
		close(o.gone)
	}
}

// echo appends a frame of ours that is no transfer.
type echo struct {
	channel uint16
	frame   frame.Performative
}

func (e *echo) append(dst []byte) ([]byte, error) { return frame.Append(dst, e.channel, e.frame, nil) }

// run sends until the link is lost (an error), used up (errRotated) or the lane stops (nil). When it returns, all that was sent has had its outcome.
func (o *outlet) run(ctx context.Context, stopping <-chan struct{}) error {
	l := o.lane
	l.setOpen()
	l.mu.Lock()
	o.maxMessage = l.maxMessageSize.Load()
	l.out = o
	answers := o.drive(nil)
	l.mu.Unlock()
	tell(answers)

	err := o.wait(ctx, stopping)
	if err != nil {
		l.refuse(err)
	}
	o.answering.Lock()
	defer o.answering.Unlock()
	l.mu.Lock()
	l.out = nil
	used := err == nil && !o.stopping
	if err != nil {
		answers = o.lose(lost(err))
	}
	l.waiting.Store(0)
	l.mu.Unlock()
	tell(answers)
	if used {
		return errRotated
	}
	return err
}

// wait waits for the link's end, and gives an error if it is lost.
func (o *outlet) wait(ctx context.Context, stopping <-chan struct{}) error {
	for {
		select {
		case <-o.rest:
			return nil
		case <-stopping:
			stopping = nil
			o.lane.mu.Lock()
			o.stopping = true
			o.note()
			o.lane.mu.Unlock()
		case <-o.gone:
			return o.loss(ctx)
		case <-o.conn.done():
			return o.loss(ctx)
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

// loss asks the library, which hears of a link's end a moment after us, why it ended.
func (o *outlet) loss(ctx context.Context) error {
	tick := time.NewTicker(lossProbe)
	defer tick.Stop()
	for {
		if err := linkError(o.sender, o.settled); err != nil {
			return err
		}
		select {
		case <-tick.C:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}
