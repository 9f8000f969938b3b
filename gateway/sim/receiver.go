package sim

import (
	"errors"
	"time"

	"sluice/amqp"
	"sluice/amqp/message"
)

// receiver is amqp.Receiver: a receiving link that is attached again and again until it is closed.
type receiver struct {
	c       *busClient
	inbox   string
	topUp   int // credit that is kept topped up; zero is by hand, and then deliveries are unsettled
	prepare func(done func(error))
	h       handler

	link    *link // nil while detached and not attaching
	missing bool  // the last attach found no inbox
	tag     uint64
	closed  bool
	onDown  func()
}

// link is one attachment.
type link struct {
	r        *receiver
	conn     *busConn
	up, down *pipe
	attached bool
	consumer *consumer
	byTag    map[uint64]*entry
}

func (c *busClient) attach(inbox string, topUp int, prepare func(done func(error)), h handler) *receiver {
	r := &receiver{c: c, inbox: inbox, topUp: topUp, prepare: prepare, h: h}
	c.receivers = append(c.receivers, r)
	r.connect()
	return r
}

// connect begins an attachment if there is a connection to make it on.
func (r *receiver) connect() {
	b := r.c.link
	if r.closed || r.link != nil || b == nil {
		return
	}
	l := &link{r: r, conn: b, byTag: map[uint64]*entry{}}
	r.link = l
	if !r.missing {
		l.attach()
		return
	}
	r.prepare(func(err error) {
		switch {
		case r.link != l:
		case err != nil || r.closed:
			r.lose(err)
		default:
			r.missing = false
			l.attach()
		}
	})
}

func (l *link) attach() {
	r, w := l.r, l.r.c.n.w
	l.up, l.down = l.conn.pipe(), l.conn.pipe()
	l.up.send(func() {
		consumer, err := w.broker.attach(l)
		l.consumer = consumer
		l.down.send(func() {
			r.c.n.do(func() {
				switch {
				case r.link != l:
				case err != nil:
					r.missing = errors.Is(err, amqp.ErrNotFound)
					r.lose(err)
				default:
					l.established()
				}
			})
		})
	})
}

// established: the link is up.
func (l *link) established() {
	r := l.r
	l.attached = true
	if r.closed {
		l.detach()
		return
	}
	r.h.attached()
	if r.topUp > 0 {
		r.flow(r.topUp)
	}
}

// lose: the link is gone, or could not be made. It is tried again after a pause.
func (r *receiver) lose(err error) {
	if r.link == nil {
		return
	}
	if l := r.link; l.up != nil {
		l.up.sever()
		l.down.sever()
	}
	r.link = nil
	if r.closed {
		r.down()
		return
	}
	if !r.h.detached(err) {
		r.closed = true
		r.down()
		return
	}
	r.c.n.after(r.c.n.w.between(100*time.Millisecond, 400*time.Millisecond), r.connect)
}

func (r *receiver) issueCredit(n int) {
	if r.topUp == 0 {
		r.flow(n)
	}
}

func (r *receiver) flow(n int) {
	l := r.link
	if l == nil || !l.attached || r.closed {
		return
	}
	l.up.send(func() { r.c.n.w.broker.credit(l.consumer, n) })
}

func (r *receiver) settle(tag uint64, o message.Outcome) {
	l := r.link
	if l == nil || !l.attached {
		return
	}
	e := l.byTag[tag]
	if e == nil {
		return // of an earlier link
	}
	delete(l.byTag, tag)
	l.up.send(func() { r.c.n.w.broker.settle(l.consumer, e, o) })
}

// delivered takes a transfer at the node.
func (l *link) delivered(e *entry, m *message.Message, redelivered bool) {
	r := l.r
	if r.link != l || r.closed {
		return
	}
	r.tag++
	if r.topUp > 0 {
		r.flow(1)
	} else {
		l.byTag[r.tag] = e
	}
	r.h.delivered(r.tag, m, redelivered)
}

// close detaches; the bus gets what is unsettled back. down is called when the link is.
func (r *receiver) close(down func()) {
	r.closed, r.onDown = true, down
	switch l := r.link; {
	case l == nil:
		r.down()
	case l.attached:
		l.detach()
	} // else it is attaching, and detached afterwards
}

func (l *link) detach() {
	l.up.send(func() {
		l.r.c.n.w.broker.detach(l.consumer)
		l.down.send(func() { l.r.c.n.do(func() { l.r.lose(nil) }) })
	})
}

func (r *receiver) down() {
	for i, other := range r.c.receivers {
		if other == r {
			r.c.receivers = append(r.c.receivers[:i:i], r.c.receivers[i+1:]...)
			break
		}
	}
	if down := r.onDown; down != nil {
		r.onDown = nil
		down()
	}
}
