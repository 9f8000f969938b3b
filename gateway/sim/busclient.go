package sim

import (
	"fmt"
	"maps"
	"slices"
	"time"

	"sluice/amqp"
	"sluice/amqp/message"
)

// busClient is a node's client of the bus: amqp.Bus with callbacks instead of goroutines. It has one connection at a time and makes a new one
// when that is lost.
type busClient struct {
	n         *node
	link      *busConn // nil while there is none
	receivers []*receiver
	backoff   time.Duration
}

// busConn is a connection as both ends see it: one may believe in it longer than the other.
type busConn struct {
	c              *busClient
	b              *broker
	clientUp       bool
	brokerUp       bool
	pipes          []*pipe
	send, outcomes [2]*pipe // unsettled and settled lane
	manage, answer *pipe
	sends          []*busSend // without outcome, in order
	requests       []*busRequest
	consumers      []*consumer // the broker's
}

type busSend struct {
	m    *message.Message
	done func(message.Outcome)
	over bool
}

type busRequest struct {
	done func(error)
	over bool
}

// handler is amqp.Handler.
type handler interface {
	attached()
	detached(err error) (again bool)
	delivered(tag uint64, m *message.Message, redelivered bool)
}

func newBusClient(n *node) *busClient {
	c := &busClient{n: n}
	n.after(n.w.between(0, 5*time.Millisecond), c.connect)
	return c
}

func (b *busConn) pipe() *pipe {
	p := b.c.n.toBus.newPipe()
	b.pipes = append(b.pipes, p)
	return p
}

func (c *busClient) connect() {
	if c.link != nil {
		return
	}
	if c.n.toBus.blocked {
		c.again()
		return
	}
	b := &busConn{c: c, b: c.n.w.broker, clientUp: true, brokerUp: true}
	for i := range b.send {
		b.send[i], b.outcomes[i] = b.pipe(), b.pipe()
	}
	b.manage, b.answer = b.pipe(), b.pipe()
	b.b.conns = append(b.b.conns, b)
	c.link, c.backoff = b, 0
	c.n.w.log("bus     %s connects", c.n.id)
	for _, r := range slices.Clone(c.receivers) {
		r.connect()
	}
}

// again tries to connect after a growing pause.
func (c *busClient) again() {
	c.backoff = min(max(2*c.backoff, 100*time.Millisecond), 5*time.Second)
	c.n.after(c.backoff/2+c.n.w.between(0, c.backoff/2), c.connect)
}

// lose is the end of a connection as the client sees it.
func (b *busConn) lose() {
	if !b.clientUp {
		return
	}
	b.clientUp = false
	c := b.c
	c.link = nil
	c.n.w.log("bus     %s lost its connection", c.n.id)
	b.sever()
	if !c.n.toBus.blocked {
		c.n.w.after(c.n.w.between(0, 5*time.Millisecond), b.drop)
	}
	for _, s := range b.sends {
		s.finish(message.Outcome{Kind: message.Lost, Error: &message.Error{Condition: "amqp:connection:forced"}})
	}
	for _, r := range b.requests {
		r.finish(amqp.ErrUnavailable)
	}
	b.sends, b.requests = nil, nil
	for _, r := range slices.Clone(c.receivers) {
		r.lose(amqp.ErrUnavailable)
	}
	c.again()
}

func (b *busConn) sever() {
	for _, p := range b.pipes {
		p.sever()
	}
}

// cut ends the connection: both ends learn soon.
func (b *busConn) cut() {
	w := b.c.n.w
	b.sever()
	w.after(w.between(0, 5*time.Millisecond), b.drop)
	b.c.n.after(w.between(0, 5*time.Millisecond), b.lose)
}

// silent begins a time in which one end hears nothing of the other: each gives up on its own.
func (c *busClient) silent() {
	b, w := c.link, c.n.w
	if b == nil {
		return
	}
	quiet := func() bool { return c.n.paused || c.n.toBus.blocked || !c.n.alive }
	w.after(idleTimeout+w.between(0, idleSlack), func() {
		if quiet() || !b.clientUp {
			b.drop()
		}
	})
	c.n.after(idleTimeout+w.between(0, idleSlack), func() {
		if quiet() || !b.brokerUp {
			b.lose()
		}
	})
}

// heard ends it: an end that has given up resets the other.
func (c *busClient) heard() {
	for _, b := range slices.Clone(c.n.w.broker.conns) {
		if b.c == c && !b.clientUp {
			b.drop()
		}
	}
	if b := c.link; b != nil && !b.brokerUp {
		c.n.after(c.n.w.between(0, 5*time.Millisecond), b.lose)
	}
}

// die: the process is gone. The bus is told by the operating system, or finds out by the silence.
func (c *busClient) die() {
	b, w := c.link, c.n.w
	if b == nil {
		return
	}
	w.after(w.between(0, 2*time.Millisecond), b.sever)
	told := w.between(0, 10*time.Millisecond)
	if w.chance(0.5) {
		told = idleTimeout + w.between(0, idleSlack)
	}
	w.after(told, b.drop)
}

// closeDown is amqp.Bus.Close.
func (c *busClient) closeDown() {
	if b := c.link; b != nil {
		b.drop()
	}
}

func (s *busSend) finish(o message.Outcome) {
	if !s.over {
		s.over = true
		s.done(o)
	}
}

func (r *busRequest) finish(err error) {
	if !r.over {
		r.over = true
		r.done(err)
	}
}

// publish is amqp.Bus.Publish; the shards are one here.
func (c *busClient) publish(m *message.Message, settled bool, done func(message.Outcome)) {
	b := c.link
	if b == nil {
		done(message.Outcome{Kind: message.Busy, Error: &message.Error{Condition: "sluice:busy"}})
		return
	}
	s := &busSend{m: m, done: done}
	sent := copyMessage(m) // the original is the sender's again once it has an outcome
	lane := 0
	if settled {
		lane = 1
		b.send[lane].send(func() { b.b.transfer(b, sent, settled, func(message.Outcome) {}) })
		s.finish(message.Outcome{Kind: message.Accepted})
		return
	}
	b.sends = append(b.sends, s)
	b.send[lane].send(func() {
		b.b.transfer(b, sent, settled, func(o message.Outcome) {
			b.outcomes[lane].send(func() {
				c.n.do(func() {
					if i := slices.Index(b.sends, s); i >= 0 {
						b.sends = slices.Delete(b.sends, i, i+1)
					}
					s.finish(o)
				})
			})
		})
	})
}

// request asks the management node of the bus.
func (c *busClient) request(what string, do func() error, done func(error)) {
	b, w := c.link, c.n.w
	if b == nil {
		c.n.after(w.between(50*time.Millisecond, time.Second), func() { done(amqp.ErrUnavailable) })
		return
	}
	r := &busRequest{done: done}
	b.requests = append(b.requests, r)
	b.manage.send(func() {
		if w.chance(w.plan.busRequestFails) {
			w.log("bus     %s %s: connection cut before", c.n.id, what)
			b.cut()
			return
		}
		err := do()
		w.log("bus     %s %s: %s", c.n.id, what, outcomeText(err))
		if w.chance(w.plan.busRequestFails) {
			w.log("bus     %s %s: connection cut after", c.n.id, what)
			b.cut()
			return
		}
		b.answer.send(func() {
			c.n.do(func() {
				if i := slices.Index(b.requests, r); i >= 0 {
					b.requests = slices.Delete(b.requests, i, i+1)
				}
				r.finish(err)
			})
		})
	})
}

func (c *busClient) ensureInbox(inbox amqp.Inbox, done func(error)) {
	c.request("ensure "+inbox.Name, func() error { return c.n.w.broker.ensure(inbox) }, done)
}

func (c *busClient) subscribe(inbox string, patterns []string, done func(error)) {
	c.request(fmt.Sprintf("bind %s %q", inbox, patterns), func() error { return c.n.w.broker.bind(inbox, patterns) }, done)
}

func (c *busClient) unsubscribe(inbox string, patterns []string, done func(error)) {
	c.request(fmt.Sprintf("unbind %s %q", inbox, patterns), func() error {
		c.n.w.oracle.unbinds(c.n, inbox)
		return c.n.w.broker.unbind(inbox, patterns)
	}, done)
}

func (c *busClient) deleteInbox(inbox string, done func(error)) {
	c.request("delete "+inbox, func() error { return c.n.w.broker.remove(inbox) }, done)
}

// copyMessage copies what a sender or receiver may change in place.
func copyMessage(m *message.Message) *message.Message {
	c := *m
	c.Annotations = maps.Clone(m.Annotations)
	return &c
}
