package client

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"sync"
	"time"

	goamqp "github.com/Azure/go-amqp"
	"go.uber.org/zap"

	"sluice/amqp"
	"sluice/amqp/message"
	"sluice/amqp/topology"
)

// management is the pair of links to the bus's management node. It has a connection of its own, because a refused request ends the session at RabbitMQ.
// What is said on the links differs from bus to bus: see dialect.
type management struct {
	client *Client
	sup    *supervisor
	queue  chan *call

	mu   sync.Mutex
	up   chan struct{} // closed while a pair is up
	live bool
	last error
}

// call is one request on its way.
type call struct {
	request topology.Request
	id      string
	done    chan struct{} // closed when response or err is set
	once    sync.Once
	resp    topology.Response
	err     error
}

func (c *call) finish(resp topology.Response, err error) {
	c.once.Do(func() {
		c.resp, c.err = resp, err
		close(c.done)
	})
}

// dialect is how the management node of one kind of bus is spoken to. It belongs to one pair of links.
type dialect interface {
	attach(s *goamqp.Session) (*goamqp.Sender, *goamqp.Receiver, error)
	// largest is the largest request, in bytes.
	largest() int
	// request makes the message of a request; its answer is known by the id.
	request(r topology.Request, id string) (*goamqp.Message, error)
	// response reads an answer. An error is one for the request with this id.
	response(m *message.Message) (id string, r topology.Response, err error)
}

func dialectOf(kind topology.Kind) dialect {
	if kind == topology.Diverts {
		return &jsonOperations{}
	}
	return httpVerbs{}
}

func newManagement(c *Client, supervise supervise) *management {
	m := &management{client: c, queue: make(chan *call, managementQueue), up: make(chan struct{})}
	m.sup = supervise("management", m.serve)
	return m
}

func (m *management) ready() error {
	if err := m.sup.ready(); err != nil {
		return err
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	if !m.live {
		return failure("open the management links", "", orError(m.last))
	}
	return nil
}

func orError(err error) error {
	if err == nil {
		return errConnecting
	}
	return err
}

func (m *management) set(live bool, err error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if live && !m.live {
		close(m.up)
	}
	if !live && m.live {
		m.up = make(chan struct{})
	}
	m.live = live
	if !live {
		m.last = err
	}
}

// Do performs requests, pipelined, and gives their responses in order. It returns the first error; requests behind it may have been performed.
// It implements topology.Requester.
func (m *management) Do(ctx context.Context, requests []topology.Request) ([]topology.Response, error) {
	if err := m.waitUp(ctx); err != nil {
		return nil, err
	}
	calls := make([]*call, len(requests))
	for i, r := range requests {
		calls[i] = &call{request: r, done: make(chan struct{})}
	}
	defer func() {
		for _, c := range calls {
			c.finish(topology.Response{}, errAbandoned) // so that what is still queued is not sent any more
		}
	}()
	waiting, cancel := context.WithTimeoutCause(ctx, managementTimeout, errUnanswered)
	defer cancel()
	for _, c := range calls {
		select {
		case m.queue <- c:
		case <-waiting.Done():
			return nil, m.gaveUp(waiting, c)
		case <-m.client.closing.Done():
			return nil, failure(c.request.Method, c.request.Path, errClosed)
		}
	}
	responses := make([]topology.Response, len(calls))
	for i, c := range calls {
		select {
		case <-c.done:
		case <-waiting.Done():
			return nil, m.gaveUp(waiting, c)
		case <-m.client.closing.Done():
			return nil, failure(c.request.Method, c.request.Path, errClosed)
		}
		if c.err != nil {
			return nil, failure(c.request.Method, c.request.Path, c.err)
		}
		responses[i] = c.resp
	}
	return responses, nil
}

// gaveUp tells why a call was not waited for any longer. A bus that does not answer for managementTimeout gets another connection.
func (m *management) gaveUp(waiting context.Context, c *call) error {
	err := context.Cause(waiting)
	if errors.Is(err, errUnanswered) {
		m.sup.recycle(err)
	}
	return failure(c.request.Method, c.request.Path, err)
}

var (
	errAbandoned  = errors.New("nobody waits for the answer any more")
	errUnanswered = fmt.Errorf("the bus's management node did not answer within %v", managementTimeout)
)

func (m *management) waitUp(ctx context.Context) error {
	m.mu.Lock()
	up, last := m.up, m.last
	m.mu.Unlock()
	wait := time.NewTimer(managementWait)
	defer wait.Stop()
	select {
	case <-up:
		return nil
	case <-wait.C:
		if err := m.sup.ready(); err != nil {
			return err
		}
		return failure("open the management links", "", orError(last))
	case <-ctx.Done():
		return failure("open the management links", "", ctx.Err())
	case <-m.client.closing.Done():
		return failure("open the management links", "", errClosed)
	}
}

// serve keeps a pair up on c.
func (m *management) serve(_ context.Context, c *connection) {
	m.client.learn(c.info)
	var wait backoff
	for c.alive() {
		err := m.pair(c)
		m.set(false, err)
		if m.client.closing.Err() != nil {
			return
		}
		if c.alive() {
			m.client.options.Logger.Warn("management links lost, opening others", zap.Error(err))
		}
		if !wait.wait(m.client.closing, c.done()) {
			return
		}
	}
}

// pair opens the two links and serves requests until they are lost or the client closes.
func (m *management) pair(c *connection) error {
	p := &pair{owner: m, conn: c, dialect: dialectOf(m.client.family.kind), slots: make(chan struct{}, managementPipeline), lost: make(chan struct{})}
	session, err := c.newSession()
	if err != nil {
		return err
	}
	defer c.endSession(session)
	err = c.within("attach", func() (err error) {
		p.sender, p.receiver, err = p.dialect.attach(session)
		return err
	})
	if err != nil {
		return err
	}
	m.set(true, nil)
	var both sync.WaitGroup
	ctx, cancel := context.WithCancel(m.client.closing)
	both.Go(func() { p.read(ctx) })
	p.write(ctx)
	cancel()
	both.Wait()
	return p.fail()
}

// pair is one life of the two links.
type pair struct {
	owner    *management
	conn     *connection
	dialect  dialect
	sender   *goamqp.Sender
	receiver *goamqp.Receiver
	slots    chan struct{} // one for each request that may be unanswered
	lost     chan struct{} // closed by read when no answer can come any more

	mu       sync.Mutex
	inflight []*call // in the order of sending
	next     uint64
	err      error
}

// write sends requests while there are answers to be expected.
func (p *pair) write(ctx context.Context) {
	for {
		select {
		case p.slots <- struct{}{}:
		case <-p.lost:
			return
		case <-ctx.Done():
			return
		}
		select {
		case c := <-p.owner.queue:
			if isClosed(c.done) {
				<-p.slots
				continue
			}
			if err := p.send(ctx, c); err != nil {
				return
			}
		case <-p.lost:
			return
		case <-ctx.Done():
			return
		}
	}
}

// send registers and sends one request. Its error means that the pair is of no more use.
func (p *pair) send(ctx context.Context, c *call) error {
	p.mu.Lock()
	p.next++
	c.id = strconv.FormatUint(p.next, 10)
	p.inflight = append(p.inflight, c)
	p.mu.Unlock()
	m, err := p.message(c)
	if err != nil {
		p.take(c.id)
		<-p.slots
		c.finish(topology.Response{}, fmt.Errorf("%w: %w", amqp.ErrRefused, err))
		return nil
	}
	if err := p.sender.Send(ctx, m, nil); err != nil {
		p.note(err)
		return err
	}
	return nil
}

func (p *pair) message(c *call) (*goamqp.Message, error) {
	m, err := p.dialect.request(c.request, c.id)
	if err != nil {
		return nil, err
	}
	encoded, err := m.MarshalBinary()
	if err != nil {
		return nil, err
	}
	if limit := p.dialect.largest(); len(encoded) > limit {
		return nil, fmt.Errorf("the request has %d bytes, more than %d", len(encoded), limit)
	}
	return m, nil
}

// read hands answers to their calls until the link is lost.
func (p *pair) read(ctx context.Context) {
	defer close(p.lost)
	for {
		m, err := p.receiver.Receive(ctx, nil)
		if err != nil {
			p.note(err)
			return
		}
		in, err := decodeMessage(unwrap(m.Data))
		if err != nil {
			p.note(fmt.Errorf("an answer of the management node: %w", err))
			return
		}
		id, response, err := p.dialect.response(in.message)
		c := p.take(id)
		if c == nil {
			continue
		}
		<-p.slots
		c.finish(response, err)
	}
}

// take removes the call with this id from those in flight.
func (p *pair) take(id string) *call {
	p.mu.Lock()
	defer p.mu.Unlock()
	for i, c := range p.inflight {
		if c.id == id {
			p.inflight = append(p.inflight[:i], p.inflight[i+1:]...)
			return c
		}
	}
	return nil
}

func (p *pair) note(err error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.err == nil || errors.Is(p.err, context.Canceled) {
		p.err = err
	}
}

// fail answers what is in flight. Requests are performed one after another, so that the oldest is the one that the bus ended the session for;
// what became of the others is not known, and they can be made again, being idempotent.
func (p *pair) fail() error {
	p.mu.Lock()
	defer p.mu.Unlock()
	err := orError(p.err)
	for i, c := range p.inflight {
		if i == 0 {
			c.finish(topology.Response{}, err)
			continue
		}
		c.finish(topology.Response{}, fmt.Errorf("%w: the management session ended: %s", amqp.ErrUnavailable, describe(err)))
	}
	p.inflight = nil
	return err
}
