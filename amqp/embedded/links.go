package embedded

import (
	"fmt"
	"time"

	"go.uber.org/zap"

	"sluice/amqp/embedded/endpoint"
	"sluice/amqp/embedded/queues"
	"sluice/amqp/frame"
)

// owner is what stands behind a link.
type owner interface {
	// received takes a message that the peer sent.
	received(c *connection, m endpoint.MessageReceived)
	// ended cleans up. lost says that the connection broke.
	ended(c *connection, lost bool)
}

// requested decides about an attach.
func (c *connection) requested(e endpoint.LinkRequested) {
	var accept endpoint.Accept
	var refusal *frame.Error
	switch receiving := e.Link.Role() == frame.RoleReceiver; {
	case c.space != nil && receiving:
		accept, refusal = c.attachEntityTarget(e.Link, e.Attach)
	case c.space != nil:
		accept, refusal = c.attachEntitySource(e.Link, e.Attach)
	case receiving:
		accept, refusal = c.attachTarget(e.Link, e.Attach)
	default:
		accept, refusal = c.attachSource(e.Link, e.Attach)
	}
	if refusal != nil {
		if c.watch != nil {
			c.watch.Detached(time.Now(), e.Link)
		}
		c.log.Debug("link refused", zap.String("link", e.Link.Name()), zap.Error(refusal))
		c.engine.RefuseLink(e.Link, refusal)
		return
	}
	c.links[e.Link] = struct{}{}
	c.engine.AcceptLink(e.Link, accept)
	c.broker.stats.count(&c.broker.stats.attached)
}

// attachTarget is an attach of a sender: the peer publishes.
func (c *connection) attachTarget(link *endpoint.Link, p *frame.Attach) (endpoint.Accept, *frame.Error) {
	none := endpoint.Accept{}
	if p.Target == nil {
		return none, endpoint.Errorf(endpoint.InvalidField, "the attach has no target; a target with a null address is the anonymous terminus")
	}
	if p.Target.Dynamic {
		return none, endpoint.Errorf(endpoint.NotImplemented, "dynamic targets are not supported; attach a receiver with a dynamic source")
	}
	source := p.Source
	if source == nil {
		source = &frame.Source{}
	}
	accept := endpoint.Accept{
		Source: source, Target: p.Target, Window: c.broker.options.Credit, MaxMessageSize: c.broker.options.MaxMessageSize,
		Stalled: c.broker.stalled(),
	}
	address := p.Target.Address.Or("")
	if address == managementAddress {
		requests, err := newRequestLink(link, p)
		if err != nil {
			return none, err
		}
		link.Owner = requests
		accept.Window, accept.MaxMessageSize, accept.Stalled, accept.Properties = managementCredit, maxManagementRequest, false, pairedProperties()
		return accept, nil
	}
	publisher := &publisher{link: link, anonymous: address == ""}
	if !publisher.anonymous {
		to, err := parseTarget(address)
		if err != nil {
			return none, err
		}
		if err := c.exists(to); err != nil {
			return none, err
		}
		publisher.to, publisher.address = to, address
	}
	link.Owner = publisher
	return accept, nil
}

// exists refuses a fixed target that is not there, as RabbitMQ 4.2 and later do.
func (c *connection) exists(to destination) *frame.Error {
	if to.queue != "" && !c.store.HasQueue(to.queue) {
		return endpoint.Errorf(endpoint.NotFound, "no queue %q; declare it with PUT /queues/... on /management", to.queue)
	}
	if !c.store.HasExchange(to.exchange) {
		return endpoint.Errorf(endpoint.NotFound, "no exchange %q; declare it with PUT /exchanges/... on /management", to.exchange)
	}
	return nil
}

// attachSource is an attach of a receiver: the peer consumes.
func (c *connection) attachSource(link *endpoint.Link, p *frame.Attach) (endpoint.Accept, *frame.Error) {
	none := endpoint.Accept{}
	if p.Source == nil {
		return none, endpoint.Errorf(endpoint.InvalidField, "the attach has no source; use the address /queues/:queue")
	}
	source := *p.Source
	source.Filter = nil // what is not echoed is not applied [AMQP 3.5.3]
	target := p.Target
	if target == nil {
		target = &frame.Target{}
	}
	accept := endpoint.Accept{Source: &source, Target: target}
	if source.Address.Or("") == managementAddress {
		replies, err := newReplyLink(link, p)
		if err != nil {
			return none, err
		}
		link.Owner = replies
		accept.Properties = pairedProperties()
		return accept, nil
	}
	queue, temporary, err := c.sourceQueue(&source)
	if err != nil {
		return none, err
	}
	s := &subscription{link: link, settled: link.SenderSettleMode() == frame.SenderSettled}
	if temporary {
		s.temporary = queue
	}
	return accept, c.consume(s, queue)
}

// consume makes a subscription the owner of its link.
func (c *connection) consume(s *subscription, queue string) *frame.Error {
	consumer, refusal := c.store.Consume(c.id, queue, queues.ConsumerSpec{
		Settled: s.settled, Notify: func() { c.ready.add(s); c.signal() },
	})
	if refusal != nil {
		return storeError(refusal)
	}
	s.consumer = consumer
	s.link.Owner = s
	return nil
}

// sourceQueue is the queue of a source address, made anew for a dynamic source, whose address is then filled in.
func (c *connection) sourceQueue(source *frame.Source) (queue string, temporary bool, err *frame.Error) {
	if !source.Dynamic {
		queue, err = parseSource(source.Address.Or(""))
		return queue, false, err
	}
	c.tempSeq++
	queue = fmt.Sprintf("sluice.temporary.%s.%d.%d", c.broker.containerID, c.id, c.tempSeq)
	if _, refusal := c.store.DeclareQueue(time.Now(), c.id, queue, queues.QueueSpec{Exclusive: true}); refusal != nil {
		return "", false, storeError(refusal)
	}
	source.Address = frame.Some(queueAddress(queue))
	return queue, true, nil
}

// linkEnded cleans up behind a link.
func (c *connection) linkEnded(e endpoint.LinkEnded) {
	delete(c.links, e.Link)
	if c.watch != nil {
		c.watch.Detached(time.Now(), e.Link)
		c.signal()
	}
	if o, ok := e.Link.Owner.(owner); ok {
		o.ended(c, e.Lost)
	}
	c.broker.stats.count(&c.broker.stats.detached)
	if e.Error != nil {
		c.log.Info("link ended with an error", zap.String("link", e.Link.Name()), zap.Error(e.Error))
	}
}

// applyStall gives publishers their credit or takes it back, by the state of the store and the switches.
func (c *connection) applyStall() {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.over {
		return
	}
	stall := c.broker.stalled() // under the mutex: the last to come sees the last state
	for link := range c.links {
		if _, ok := link.Owner.(*publisher); ok {
			c.engine.Stall(link, stall, c.broker.faults.stalls())
		}
	}
	c.process()
	c.signal()
}

func (b *Broker) stalled() bool { return b.pressed.Load() || b.faults.stalls() }
