package embedded

import (
	"slices"
	"time"

	"sluice/amqp/embedded/endpoint"
	"sluice/amqp/embedded/queues"
	"sluice/amqp/embedded/servicebus"
	"sluice/amqp/frame"
	"sluice/amqp/section"
	"sluice/amqp/wire"
)

// publisher stands behind a link on which the peer sends messages.
type publisher struct {
	link      *endpoint.Link
	anonymous bool        // each message names its own address in properties.to
	to        destination // of a link that is not anonymous
	address   string
	node      *servicebus.Node // the entity, where the broker acts as Service Bus
}

func (p *publisher) ended(*connection, bool) {}

// received routes one message and answers it.
func (p *publisher) received(c *connection, m endpoint.MessageReceived) {
	stats := &c.broker.stats
	stats.count(&stats.received)
	if !m.Owned {
		m.Payload = slices.Clone(m.Payload) // the queues keep it
	}
	address, to, parsed, fault := p.destination(m)
	if fault != nil {
		p.refuse(c, m, fault)
		return
	}
	answer := c.broker.faults.next(address, m.Payload)
	if answer != nil {
		defer c.lose(p.link, answer.Loss)
	}
	if answer.replaces() {
		c.answer(p.link, m, answer, answer.state())
		return
	}
	state, fault := p.route(c, m, to, parsed)
	if fault != nil {
		p.refuse(c, m, fault)
		return
	}
	c.answer(p.link, m, answer, state)
	if c.broker.pressed.Load() {
		// At once: until the upkeep tells all publishers, this one alone could reach the hard limit. It also gives the credit back.
		c.engine.Stall(p.link, true, false)
	}
}

// destination takes the message apart as far as routing needs it.
func (p *publisher) destination(m endpoint.MessageReceived) (string, destination, section.Sections, *frame.Error) {
	if m.Format != 0 {
		return "", destination{}, section.Sections{}, endpoint.Errorf(endpoint.NotImplemented, "message-format %#x is not supported, only 0", m.Format)
	}
	parsed, err := section.Parse(m.Payload)
	if err != nil {
		return "", destination{}, parsed, endpoint.DecodeFailure(err)
	}
	if !p.anonymous {
		return p.address, p.to, parsed, nil
	}
	properties, err := parsed.PropertiesValue()
	if err != nil {
		return "", destination{}, parsed, endpoint.DecodeFailure(err)
	}
	if properties.To == "" {
		return "", destination{}, parsed, endpoint.Errorf(badTo, "a message on an anonymous terminus needs the property to")
	}
	to, fault := parseTarget(properties.To)
	if fault != nil {
		fault.Condition = badTo
	}
	return properties.To, to, parsed, fault
}

// route publishes the message and says what the peer is to be told.
func (p *publisher) route(c *connection, m endpoint.MessageReceived, to destination, parsed section.Sections) (frame.DeliveryState, *frame.Error) {
	if p.node != nil {
		return p.submit(c, m, parsed)
	}
	msg, fault := stored(parsed, m.Format, origin(to.exchange, to.key))
	if fault != nil {
		return nil, fault
	}
	result, refusal := c.store.Publish(time.Now(), to.exchange, to.key, msg)
	switch {
	case refusal != nil:
		return nil, storeError(refusal)
	case result.Queues == 0:
		return &frame.Released{}, nil
	}
	return taken(result), nil
}

// taken is the answer for a message that found a queue.
func taken(result queues.Result) frame.DeliveryState {
	if result.RefusedBy != "" {
		return &frame.Rejected{Error: &frame.Error{
			Condition:   endpoint.ResourceLimitExceeded,
			Description: "queue " + result.RefusedBy + " does not take the message: " + result.Reason,
			Info: wire.Map{
				{Key: frame.Symbol("queue"), Value: result.RefusedBy},
				{Key: frame.Symbol("reason"), Value: result.Reason},
			},
		}}
	}
	return &frame.Accepted{}
}

// refuse answers a message that cannot be routed. A settled one has no other way to tell than the end of its link, as in RabbitMQ; the same goes
// for a link whose fixed target has gone.
func (p *publisher) refuse(c *connection, m endpoint.MessageReceived, fault *frame.Error) {
	if m.Settled || !p.anonymous && fault.Condition == endpoint.NotFound {
		c.engine.DetachLink(p.link, fault)
		return
	}
	c.settle(p.link, m.Delivery, &frame.Rejected{Error: fault})
}

// answer gives the outcome, now or as the test switches say.
func (c *connection) answer(link *endpoint.Link, m endpoint.MessageReceived, a *Answer, state frame.DeliveryState) {
	if m.Settled {
		return
	}
	if a.withholds() {
		c.broker.stats.count(&c.broker.stats.withheld)
		c.broker.faults.hold(a, heldOutcome{conn: c, link: link, delivery: m.Delivery, state: state, stray: a.Stray})
		return
	}
	c.settle(link, m.Delivery, state)
}

// lose ends what a test wants to have ended.
func (c *connection) lose(link *endpoint.Link, l Loss) {
	fault := endpoint.Errorf(endpoint.InternalError, "a test wants it so")
	switch l {
	case LoseNothing:
	case LoseLink:
		c.engine.DetachLink(link, fault)
	case LoseSession:
		link.Session().End(fault)
	case LoseConnection:
		c.engine.Close(fault)
	case LoseTransport:
		c.closeNow()
	}
}

// settle answers a delivery and counts the outcome.
func (c *connection) settle(link *endpoint.Link, delivery uint32, state frame.DeliveryState) {
	c.engine.Settle(link, delivery, state)
	stats := &c.broker.stats
	switch state.(type) {
	case *frame.Accepted:
		stats.count(&stats.accepted)
	case *frame.Rejected:
		stats.count(&stats.rejected)
	case *frame.Released:
		stats.count(&stats.released)
	case *frame.Modified:
		stats.count(&stats.modified)
	}
}
