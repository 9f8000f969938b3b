package client

import (
	"context"
	"sync"
	"time"

	"sluice/amqp"
	"sluice/amqp/message"
	"sluice/amqp/topology"
)

// Client is a bus behind the network. It implements amqp.Bus.
type Client struct {
	options    Options
	publishers []publishing
	pool       *pool
	management *management
	family     *family

	// closing ends first: nothing new is begun. hard ends when Close's patience does, and cuts what is still under way.
	closing, hard     context.Context
	stopNow, stopHard context.CancelFunc
	running           sync.WaitGroup // supervisors and receivers
	receivers         sync.WaitGroup
	receiversMu       sync.Mutex // orders receivers.Add before its Wait
	receiversDone     chan struct{}
	closeOnce         sync.Once
	closed            chan struct{}
	infoMu            sync.Mutex
	info              amqp.Info
	infoKnown         bool
}

var _ amqp.Bus = (*Client)(nil)

// Open starts a client. It returns at once: connecting goes on in the background for ever, and Ready tells how far it is. An error is a wrong
// option; its text never shows a URL, since that may hold a password.
func Open(o Options) (*Client, error) {
	o.setDefaults()
	if err := o.check(); err != nil {
		return nil, err
	}
	endpoints, err := parseEndpoints(o.URLs)
	if err != nil {
		return nil, err
	}
	c := &Client{options: o, closed: make(chan struct{}), receiversDone: make(chan struct{})}
	c.hard, c.stopHard = context.WithCancel(context.Background())
	c.closing, c.stopNow = context.WithCancel(c.hard)
	supervise := func(name string, serve func(context.Context, *connection)) *supervisor {
		return &supervisor{name: name, options: &c.options, endpoints: endpoints, log: o.Logger, serve: serve}
	}
	c.management = newManagement(c, supervise)
	if c.family, err = newFamily(c); err != nil {
		c.stopHard()
		return nil, err
	}
	c.pool = newPool(c, supervise)
	for i := range o.Connections {
		c.startPublisher(i, supervise)
	}
	if !o.Kind.Static() {
		c.supervise(c.management.sup)
	}
	return c, nil
}

type supervise func(name string, serve func(context.Context, *connection)) *supervisor

// supervise runs a supervisor until Close.
func (c *Client) supervise(s *supervisor) {
	c.running.Go(func() { s.run(c.hard, c.closing) })
}

func (c *Client) learn(info amqp.Info) {
	kind, _ := topology.KindOf(info.Product)
	c.family.choose(kind)
	c.infoMu.Lock()
	defer c.infoMu.Unlock()
	if !c.infoKnown {
		c.info, c.infoKnown = info, true
	}
}

// Info tells about the first bus that was connected.
func (c *Client) Info() amqp.Info {
	c.infoMu.Lock()
	defer c.infoMu.Unlock()
	info := c.info
	info.MaxMessageSize = c.publishers[0].largest()
	return info
}

// Publish implements amqp.Bus. A shard stays on one lane for the life of the Client; on a bus of static entities on one lane for each entity.
//
// When a link is lost, its sends in flight get Lost and those queued behind them get Busy, in this order, and the lane answers Busy until it
// has another link. A caller that wants order kept re-sends from the first one that was not accepted. A message that cannot be encoded, or is
// larger than the bus takes, or whose address would harm it, is Rejected here.
func (c *Client) Publish(shard uint32, m *message.Message, settled bool, done func(message.Outcome)) {
	if c.family.hasOwnOutcomes() {
		to, tell := m.Properties.To, done
		if refused := c.family.Refused(to); refused != nil {
			done(message.Outcome{Kind: message.Rejected, Error: refused})
			return
		}
		done = func(o message.Outcome) { tell(c.family.Outcome(to, o)) }
	}
	n := len(c.publishers)
	c.publishers[int(shard)%n].publish(int(shard)/n, settled, publication{message: m, done: done})
}

// Ready tells why the bus cannot be used right now: each lane has its link and the management pair is up, or the error says what is missing.
func (c *Client) Ready(context.Context) error {
	if c.closing.Err() != nil {
		return failure("use the bus", "", errClosed)
	}
	for _, p := range c.publishers {
		if err := p.ready(); err != nil {
			return err
		}
	}
	if c.options.Kind.Static() {
		return nil
	}
	if err := c.management.ready(); err != nil {
		return err
	}
	return c.family.ready()
}

// EnsureInbox implements amqp.Bus.
func (c *Client) EnsureInbox(ctx context.Context, inbox amqp.Inbox) error {
	f, err := c.family.wait(ctx)
	if err != nil {
		return err
	}
	return f.EnsureInbox(ctx, inbox)
}

// Subscribe implements amqp.Bus.
func (c *Client) Subscribe(ctx context.Context, inbox string, bindings []amqp.Binding) error {
	f, err := c.family.wait(ctx)
	if err != nil {
		return err
	}
	return f.Subscribe(ctx, inbox, bindings)
}

// Unsubscribe implements amqp.Bus.
func (c *Client) Unsubscribe(ctx context.Context, inbox string, bindings []amqp.Binding) error {
	f, err := c.family.wait(ctx)
	if err != nil {
		return err
	}
	return f.Unsubscribe(ctx, inbox, bindings)
}

// InboxAddress implements amqp.Bus. Before the first connection it is RabbitMQ's, unless Options.Kind says what the bus is.
func (c *Client) InboxAddress(inbox string) string { return c.family.now().Source(inbox) }

// DeleteInbox implements amqp.Bus. It waits a little until the inbox has no receiver: RabbitMQ 4.3.6 ends the whole AMQP session, and with it the
// receivers of many others, when a detach, or credit, of one link meets the end of its queue.
func (c *Client) DeleteInbox(ctx context.Context, inbox string) error {
	f, err := c.family.wait(ctx)
	if err != nil {
		return err
	}
	if err := awaitDetached(ctx, f, inbox); err != nil {
		return err
	}
	return f.DeleteInbox(ctx, inbox)
}

// awaitDetached gives the receivers of an inbox detachWait to go, then it is content.
func awaitDetached(ctx context.Context, f topology.Family, inbox string) error {
	limit := time.NewTimer(detachWait)
	defer limit.Stop()
	for pause := detachFirst; ; pause *= 2 {
		if n, err := f.Receivers(ctx, inbox); err != nil || n == 0 {
			return err
		}
		next := time.NewTimer(pause)
		select {
		case <-next.C:
		case <-limit.C:
			next.Stop()
			return nil
		case <-ctx.Done():
			next.Stop()
			return failure("wait for the receivers of inbox "+inbox+" to detach", "", ctx.Err())
		}
	}
}

// Close stops everything: queued sends get Busy, sends in flight are awaited until ctx ends and then get Lost, receivers detach. It returns
// ctx's error if it had to cut something short.
func (c *Client) Close(ctx context.Context) error {
	c.closeOnce.Do(func() {
		for _, p := range c.publishers {
			p.stop()
		}
		c.stopNow()
		c.pool.close()
		go c.waitReceivers()
		go func() {
			c.running.Wait()
			close(c.closed)
		}()
	})
	select {
	case <-c.closed:
		c.stopHard()
		return nil
	case <-ctx.Done():
	}
	c.stopHard()
	<-c.closed
	return ctx.Err()
}
