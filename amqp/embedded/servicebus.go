package embedded

import (
	"errors"
	"slices"
	"time"

	"sluice/amqp/embedded/endpoint"
	"sluice/amqp/embedded/queues"
	"sluice/amqp/embedded/servicebus"
	"sluice/amqp/frame"
	"sluice/amqp/message"
	"sluice/amqp/section"
)

// This file is the shell of a broker that acts as Service Bus: links to entities and to $cbs, and the end of what is idle.

// attachEntityTarget is an attach of a sender.
func (c *connection) attachEntityTarget(link *endpoint.Link, p *frame.Attach) (endpoint.Accept, *frame.Error) {
	none := endpoint.Accept{}
	if p.Target == nil || p.Target.Dynamic {
		return none, endpoint.Errorf(endpoint.NotAllowed, "a sender needs a target with the address of an entity")
	}
	accept := endpoint.Accept{
		Source: p.Source, Target: p.Target, Window: c.broker.options.Credit, MaxMessageSize: c.broker.options.MaxMessageSize, Stalled: c.broker.stalled(),
	}
	if accept.Source == nil {
		accept.Source = &frame.Source{}
	}
	address := p.Target.Address.Or("")
	if address == servicebus.CBS {
		link.Owner = &tokenRequests{link: link}
		accept.Window, accept.MaxMessageSize, accept.Stalled = managementCredit, maxManagementRequest, false
		return accept, nil
	}
	node, refusal := c.space.Target(address)
	if refusal == nil {
		refusal = c.watch.Attach(time.Now(), link, node)
	}
	if refusal != nil {
		return none, amqpFault(refusal)
	}
	link.Owner = &publisher{link: link, address: node.Path, node: node}
	return accept, nil
}

// selectorFilter is the name and code of a filter by a selector [amqp.org/registry, apache.org:selector-filter:string].
const (
	selectorFilter                  = "apache.org:selector-filter:string"
	selectorFilterDescriptor uint64 = 0x468C00000004
)

// attachEntitySource is an attach of a receiver.
func (c *connection) attachEntitySource(link *endpoint.Link, p *frame.Attach) (endpoint.Accept, *frame.Error) {
	none := endpoint.Accept{}
	if p.Source == nil || p.Source.Dynamic {
		return none, endpoint.Errorf(endpoint.NotAllowed, "a receiver needs a source with the address of an entity")
	}
	source := *p.Source
	accept := endpoint.Accept{Source: &source, Target: p.Target}
	if accept.Target == nil {
		accept.Target = &frame.Target{}
	}
	address := source.Address.Or("")
	if address == servicebus.CBS {
		source.Filter = nil
		link.Owner = &replyLink{link: link, address: accept.Target.Address.Or("")}
		return accept, nil
	}
	node, refusal := c.space.Source(address)
	if refusal != nil {
		return none, amqpFault(refusal)
	}
	filter := selectorOf(source.Filter)
	if filter == "" || !node.IsHub() {
		source.Filter = nil // what is not echoed is not applied [AMQP 3.5.3]
	}
	if refusal := c.watch.Attach(time.Now(), link, node); refusal != nil {
		return none, amqpFault(refusal)
	}
	queue, temporary, err := c.space.Queue(time.Now(), c.id, node, filter)
	if err != nil {
		return none, entityError(err)
	}
	s := &subscription{link: link, settled: link.SenderSettleMode() == frame.SenderSettled}
	if temporary {
		s.temporary = queue
	}
	return accept, c.consume(s, queue)
}

// selectorOf is the text of a selector filter, whatever name it was given.
func selectorOf(filters frame.Map) string {
	for _, pair := range filters {
		if d, ok := pair.Value.(message.Described); ok && (d.Descriptor == selectorFilterDescriptor || d.Descriptor == frame.Symbol(selectorFilter)) {
			text, _ := d.Value.(string)
			return text
		}
	}
	return ""
}

// submit publishes a message to the entity of its link.
func (p *publisher) submit(c *connection, m endpoint.MessageReceived, parsed section.Sections) (frame.DeliveryState, *frame.Error) {
	properties, err := parsed.PropertiesValue()
	if err != nil {
		return nil, endpoint.DecodeFailure(err)
	}
	annotations, err := parsed.MessageAnnotationMap()
	if err != nil {
		return nil, endpoint.DecodeFailure(err)
	}
	key, _ := annotations.Get(servicebus.PartitionKey)
	result, err := c.space.Publish(time.Now(), p.node, servicebus.Submission{
		MessageID: properties.MessageID, GroupID: properties.GroupID, PartitionKey: detached(key),
		Encode: func(ours map[string]any) (*queues.Message, error) {
			msg, bad := stored(parsed, m.Format, ours)
			if bad != nil {
				return nil, bad
			}
			return msg, nil
		},
	})
	if err != nil {
		return nil, entityError(err)
	}
	return taken(result), nil
}

// tokenRequests stands behind a link to $cbs. Its answers go to a link from there, which the property reply-to of a request names.
type tokenRequests struct{ link *endpoint.Link }

func (*tokenRequests) ended(*connection, bool) {}

func (r *tokenRequests) received(c *connection, m endpoint.MessageReceived) {
	c.broker.stats.count(&c.broker.stats.asked)
	if !m.Settled {
		c.engine.Settle(r.link, m.Delivery, &frame.Accepted{})
	}
	request, err := section.DecodeMessage(slices.Clone(m.Payload))
	if err != nil {
		c.engine.DetachLink(r.link, endpoint.DecodeFailure(err))
		return
	}
	answer, refusal := c.space.PutToken(time.Now(), c.watch, request)
	if refusal != nil {
		c.engine.DetachLink(r.link, amqpFault(refusal))
		return
	}
	reply := c.tokenReplies(request.Properties.ReplyTo)
	payload, err := section.EncodeMessage(answer)
	if reply == nil || err != nil || len(reply.waiting) >= managementCredit {
		c.engine.DetachLink(r.link, endpoint.Errorf(endpoint.NotFound, "no receiver from %s has the target %q, or it grants no credit", servicebus.CBS, request.Properties.ReplyTo))
		return
	}
	reply.waiting = append(reply.waiting, payload)
	reply.flush(c)
	c.signal() // the deadline has changed
}

func (c *connection) tokenReplies(address string) *replyLink {
	for link := range c.links {
		if reply, ok := link.Owner.(*replyLink); ok && reply.address == address {
			return reply
		}
	}
	return nil
}

// used notes that a link has carried something.
func (c *connection) used(link *endpoint.Link) {
	if c.watch != nil {
		c.watch.Used(time.Now(), link)
	}
}

// endIdle ends what is idle, or no longer permitted. The mutex is held.
func (c *connection) endIdle(now time.Time) {
	if c.watch == nil || c.over {
		return
	}
	for _, v := range c.watch.Due(now) {
		if link, ok := v.Link.(*endpoint.Link); ok {
			c.watch.Detached(now, link)
			c.engine.DetachLink(link, amqpFault(v.Fault))
			continue
		}
		c.watch = nil
		c.engine.Close(amqpFault(v.Fault))
		return
	}
}

// deadline is when the writer has to look again; zero: never.
func (c *connection) deadline() time.Time {
	due := c.engine.Deadline()
	if c.watch != nil {
		if next := c.watch.Deadline(); due.IsZero() || !next.IsZero() && next.Before(due) {
			due = next
		}
	}
	return due
}

func amqpFault(f *servicebus.Fault) *frame.Error {
	return endpoint.Errorf(frame.Symbol(f.Condition), "%s", f.Text)
}

// entityError turns what the namespace refuses into an AMQP error.
func entityError(err error) *frame.Error {
	var fault *servicebus.Fault
	var refusal *queues.Error
	var bad *frame.Error
	switch {
	case errors.As(err, &fault):
		return amqpFault(fault)
	case errors.As(err, &refusal):
		return storeError(refusal)
	case errors.As(err, &bad):
		return bad
	}
	return endpoint.Errorf(endpoint.InternalError, "%s", err)
}
