package embedded

import (
	"slices"
	"time"

	"sluice/amqp/embedded/endpoint"
	"sluice/amqp/embedded/management"
	"sluice/amqp/frame"
	"sluice/amqp/message"
	"sluice/amqp/section"
	"sluice/amqp/wire"
)

// A client of the management node attaches two links of the same name in one session, both with the property paired: a receiver with the
// source /management and a sender with the target /management, each naming the other's address as its own other end.

// requestLink is the link on which requests come.
type requestLink struct {
	link *endpoint.Link
	back string // the address to which answers go: the reply link's target
}

// replyLink is the link on which answers go.
//
// RabbitMQ ends the session when a request comes before the credit for its answer. A client cannot know when its credit has arrived, so
// here a few answers wait for it.
type replyLink struct {
	link    *endpoint.Link
	address string
	waiting [][]byte // answers without credit, at most managementCredit
}

func pairedProperties() wire.Map {
	return wire.Map{{Key: frame.Symbol("paired"), Value: true}}
}

func newRequestLink(link *endpoint.Link, p *frame.Attach) (*requestLink, *frame.Error) {
	if err := checkPaired(p); err != nil {
		return nil, err
	}
	r := &requestLink{link: link}
	if p.Source != nil {
		r.back = p.Source.Address.Or("")
	}
	return r, nil
}

func newReplyLink(link *endpoint.Link, p *frame.Attach) (*replyLink, *frame.Error) {
	if err := checkPaired(p); err != nil {
		return nil, err
	}
	r := &replyLink{link: link}
	if p.Target != nil {
		r.address = p.Target.Address.Or("")
	}
	return r, nil
}

func checkPaired(p *frame.Attach) *frame.Error {
	if paired, _ := p.Properties.Get("paired"); paired != true {
		return endpoint.Errorf(endpoint.PreconditionFailed, "a link to /management is one of a pair: it needs the link property paired=true")
	}
	return nil
}

func (*requestLink) ended(*connection, bool) {}
func (*replyLink) ended(*connection, bool)   {}

func (*replyLink) received(*connection, endpoint.MessageReceived) {}

// received carries out a request. Where there is no way to answer, the session ends, as in RabbitMQ.
func (r *requestLink) received(c *connection, m endpoint.MessageReceived) {
	c.broker.stats.count(&c.broker.stats.asked)
	if !m.Settled {
		c.engine.Settle(r.link, m.Delivery, &frame.Accepted{})
	}
	session := r.link.Session()
	reply := c.replyLinkOf(r)
	if reply == nil {
		session.End(endpoint.Errorf(endpoint.PreconditionFailed,
			"no receiver from /management is paired with link %q: it needs the same name and the target %q", r.link.Name(), r.back))
		return
	}
	if len(reply.waiting) >= managementCredit {
		session.End(endpoint.Errorf(endpoint.PreconditionFailed, "no credit for %d answers: grant it before each request", managementCredit))
		return
	}
	// Arguments stay in the queues, so the request must not alias the frame.
	request, err := section.DecodeMessage(slices.Clone(m.Payload))
	if err != nil {
		session.End(endpoint.DecodeFailure(err))
		return
	}
	if !request.HasValue {
		session.End(endpoint.Errorf(endpoint.InternalError, "a request needs an amqp-value section, with null where there is no body"))
		return
	}
	answer := management.Handle(time.Now(), c.store, management.Request{
		Method: request.Properties.Subject, Path: request.Properties.To, Body: request.Value, Connection: c.id,
	})
	payload, err := section.EncodeMessage(&message.Message{
		Header: message.Header{Priority: message.DefaultPriority},
		Properties: message.Properties{
			To: reply.address, Subject: answer.Status, CorrelationID: request.Properties.MessageID,
		},
		ApplicationProperties: map[string]any{"http:response": "1.1"},
		Value:                 answer.Body, HasValue: true,
	})
	if err != nil {
		session.End(endpoint.Errorf(endpoint.InternalError, "the answer cannot be encoded: %s", err))
		return
	}
	reply.waiting = append(reply.waiting, payload)
	reply.flush(c)
}

// flush sends answers as far as there is credit.
func (r *replyLink) flush(c *connection) {
	for len(r.waiting) > 0 && c.engine.Deliver(r.link, endpoint.Message{Payload: r.waiting[0], Settled: true}) {
		r.waiting = r.waiting[1:]
	}
}

// replyLinkOf finds the other link of the pair.
func (c *connection) replyLinkOf(r *requestLink) *replyLink {
	for link := range c.links {
		reply, ok := link.Owner.(*replyLink)
		if ok && link.Session() == r.link.Session() && link.Name() == r.link.Name() && reply.address == r.back {
			return reply
		}
	}
	return nil
}
