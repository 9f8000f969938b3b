package embedded

import (
	"bufio"
	"errors"
	"io"
	"net"
	"sync"
	"time"

	"go.uber.org/zap"

	"sluice/amqp/embedded/endpoint"
	"sluice/amqp/embedded/queues"
	"sluice/amqp/embedded/servicebus"
	"sluice/amqp/frame"
	"sluice/amqp/wire"
)

// connection is one accepted connection: a reader, a writer, and the endpoint between them.
type connection struct {
	broker *Broker
	store  *queues.Store
	space  *servicebus.Namespace // nil unless the broker acts as Service Bus, as watch
	id     uint64
	nc     net.Conn
	log    *zap.Logger
	reader *bufio.Reader
	body   []byte // the frame at hand; only the reader uses it
	wake   chan struct{}

	mu       sync.Mutex
	drained  *sync.Cond // output was taken, or the connection is over
	engine   *endpoint.Connection
	decoder  frame.Decoder
	spare    []endpoint.Effect
	links    map[*endpoint.Link]struct{}
	closing  bool // the endpoint closed and waits for the peer
	finished bool // the endpoint has ended: write the rest, then close
	over     bool // the transport is gone
	scratch  []byte
	batch    []queues.Delivery
	tempSeq  int

	trusted bool // SASL PLAIN has shown a shared access key
	watch   *servicebus.Watch

	ready readyList
}

func newConnection(b *Broker, nc net.Conn) *connection {
	c := &connection{
		broker: b, store: b.store, space: b.namespace, id: b.nextID.Add(1), nc: nc, log: b.log.With(zap.Stringer("peer", nc.RemoteAddr())),
		reader: bufio.NewReaderSize(nc, readBuffer), wake: make(chan struct{}, 1), links: make(map[*endpoint.Link]struct{}),
	}
	c.drained = sync.NewCond(&c.mu)
	config := endpoint.Config{
		ContainerID: b.containerID, MaxFrameSize: b.options.MaxFrameSize, ChannelMax: b.options.ChannelMax, HandleMax: b.options.HandleMax,
		IdleTimeout: b.options.IdleTimeout, SingleSession: c.space != nil,
	}
	if c.space == nil {
		config.OfferedCapabilities = []frame.Symbol{"ANONYMOUS-RELAY"}
		config.Properties = wire.Map{
			{Key: frame.Symbol("product"), Value: "Sluice"},
			{Key: frame.Symbol("version"), Value: b.options.Version},
			{Key: frame.Symbol("platform"), Value: "Go"},
		}
	}
	c.engine = endpoint.New(config, time.Now())
	return c
}

// run serves the connection until it ends.
func (c *connection) run() {
	defer c.broker.forget(c)
	deadline := time.Now().Add(handshakeTimeout)
	_ = c.nc.SetDeadline(deadline)
	if err := c.handshake(); err != nil {
		c.log.Info("handshake failed", zap.Error(err))
		_ = c.nc.Close()
		return
	}
	_ = c.nc.SetWriteDeadline(time.Time{}) // reading stays under the deadline until the open
	var writer sync.WaitGroup
	writer.Go(c.writeLoop)
	err := c.readLoop()
	c.mu.Lock()
	c.engine.Lost()
	c.process()
	c.over = true
	c.drained.Broadcast()
	c.mu.Unlock()
	_ = c.nc.Close()
	c.signal()
	writer.Wait()
	c.store.ConnectionGone(c.id)
	c.broker.stats.count(&c.broker.stats.disconnects)
	c.log.Debug("connection ended", zap.Error(err))
}

// closeNow cuts the transport; run does the rest.
func (c *connection) closeNow() { _ = c.nc.Close() }

// signal wakes the writer.
func (c *connection) signal() {
	select {
	case c.wake <- struct{}{}:
	default:
	}
}

// readLoop feeds the endpoint until the transport ends. Once the endpoint has ended, it reads on without looking, so that the
// peer meets our close and not a reset.
func (c *connection) readLoop() error {
	for {
		h, body, err := c.readFrame(c.broker.options.MaxFrameSize)
		var syntax *wire.Error
		if err != nil && !errors.As(err, &syntax) {
			return err
		}
		c.mu.Lock()
		for c.engine.OutputLen() > maxOutput && !c.over {
			c.drained.Wait()
		}
		finished := c.finished
		if !finished {
			c.take(h, body, err)
			finished = c.finished
		}
		c.mu.Unlock()
		if finished {
			c.signal()
			_, err := io.Copy(io.Discard, c.reader)
			return err
		}
		if c.reader.Buffered() < frame.HeaderSize {
			c.signal() // the batch is over: answers and dispositions go out together
		}
	}
}

// take feeds one frame, or the error in its place.
func (c *connection) take(h frame.Header, body []byte, err error) {
	if err == nil && h.Type != frame.TypeAMQP {
		err = &wire.Error{Condition: wire.CondFramingError, Reason: "a SASL frame after the handshake", Offset: -1}
	}
	var p frame.Performative
	var payload []byte
	if err == nil {
		p, payload, err = c.decoder.Decode(h.Type, body)
	}
	if err != nil {
		c.engine.Fail(err)
	} else {
		c.engine.Handle(time.Now(), h.Channel, p, payload)
	}
	c.process()
}

// readFrame reads one frame. The body is valid until the next call. A *wire.Error means that the stream makes no sense.
func (c *connection) readFrame(limit uint32) (frame.Header, []byte, error) {
	var head [frame.HeaderSize]byte
	if _, err := io.ReadFull(c.reader, head[:]); err != nil {
		return frame.Header{}, nil, err
	}
	h, err := frame.ParseHeader(head[:], limit)
	if err != nil {
		return h, nil, err
	}
	size := int(h.Size) - frame.HeaderSize
	if cap(c.body) < size {
		c.body = make([]byte, size)
	}
	c.body = c.body[:size]
	if _, err := io.ReadFull(c.reader, c.body); err != nil {
		return h, nil, err
	}
	return h, c.body[h.BodyOffset()-frame.HeaderSize:], nil
}

// writeLoop collects deliveries and writes all that has gathered.
func (c *connection) writeLoop() {
	timer := time.NewTimer(time.Hour)
	defer timer.Stop()
	var spare []byte
	for {
		c.mu.Lock()
		now := time.Now()
		c.engine.Tick(now)
		c.endIdle(now)
		more := c.collect(now)
		c.process()
		out := c.engine.TakeOutput(now, spare)
		finished, over, deadline := c.finished, c.over, c.deadline()
		c.drained.Broadcast()
		c.mu.Unlock()
		if over {
			return
		}
		if len(out) > 0 {
			_ = c.nc.SetWriteDeadline(now.Add(writeTimeout))
			if _, err := c.nc.Write(out); err != nil {
				c.closeNow() // the reader notices and ends the connection
				return
			}
		}
		if spare = out; cap(spare) > keepBuffer {
			spare = nil
		}
		if finished {
			c.linger()
			return
		}
		if more {
			continue
		}
		wait := time.Hour
		if !deadline.IsZero() {
			wait = time.Until(deadline)
		}
		timer.Reset(wait)
		select {
		case <-c.wake:
		case <-timer.C:
		}
	}
}

// linger ends our half of the transport and bounds how long the reader waits for the other.
func (c *connection) linger() {
	_ = c.nc.SetReadDeadline(time.Now().Add(lingerTime))
	if half, ok := c.nc.(interface{ CloseWrite() error }); ok {
		_ = half.CloseWrite()
		return
	}
	c.closeNow()
}

// process carries out the endpoint's effects, and the effects of that. The mutex is held.
func (c *connection) process() {
	for {
		effects := c.engine.TakeEffects(c.spare)
		if len(effects) == 0 {
			c.spare = effects
			if c.engine.Closing() && !c.closing {
				// A peer that does not answer our close is not waited for.
				c.closing = true
				_ = c.nc.SetReadDeadline(time.Now().Add(closeTimeout))
			}
			return
		}
		for _, e := range effects {
			c.carryOut(e)
		}
		c.spare = effects
	}
}

func (c *connection) carryOut(e endpoint.Effect) {
	switch e := e.(type) {
	case endpoint.Opened:
		_ = c.nc.SetReadDeadline(time.Time{}) // from here on the endpoint watches the silence
		c.engine.HoldWindows(c.broker.faults.holdsWindows())
		if c.space != nil {
			c.watch = c.space.Watch(time.Now(), c.trusted)
			c.signal() // the writer has a deadline now
		}
		c.broker.stats.count(&c.broker.stats.connections)
		c.log.Debug("connection opened", zap.String("container", e.Peer.ContainerID))
	case endpoint.LinkRequested:
		c.requested(e)
	case endpoint.MessageReceived:
		c.used(e.Link)
		if o, ok := e.Link.Owner.(owner); ok {
			o.received(c, e)
		}
	case endpoint.DeliverySettled:
		c.used(e.Link)
		if s, ok := e.Link.Owner.(*subscription); ok {
			s.consumer.Settle(time.Now(), e.Token, settlement(e.State))
			c.broker.stats.count(&c.broker.stats.settled)
		}
	case endpoint.CreditChanged:
		switch o := e.Link.Owner.(type) {
		case *subscription:
			o.creditChanged(c)
		case *replyLink:
			o.flush(c)
		}
	case endpoint.Unblocked:
		for link := range c.links {
			if s, ok := link.Owner.(*subscription); ok && link.Session() == e.Session {
				c.ready.add(s)
			}
		}
	case endpoint.LinkEnded:
		c.linkEnded(e)
	case endpoint.Ended:
		c.finished = true
		if e.Error != nil {
			c.log.Info("connection closed with an error", zap.Error(e.Error))
		}
	}
}
