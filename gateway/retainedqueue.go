package gateway

import (
	"context"
	"errors"
	"sync"
	"time"

	"go.uber.org/zap"

	"sluice/amqp"
	"sluice/amqp/message"
	"sluice/gateway/access"
	"sluice/mapping"
	"sluice/mqtt/packet"
	"sluice/sessionstore"
)

// retainedQueue is how a backend sets a retained message: it sends it to the queue Options.RetainedQueue, with the topic as subject. Whichever node has the
// queue publishes it on its topic, as if a device had, and retains it; an empty body removes what is retained. The sender's message is settled
// when both are done, so nothing is lost with a node.
//
// One node at a time gets the queue's messages (amqp.Inbox.SingleActive), and takes them one after the other: the last one sent for a topic
// is the one retained.
type retainedQueue struct {
	gw    *Gateway
	inbox amqp.Inbox

	mu       sync.Mutex
	receiver amqp.Receiver
	work     chan amqp.Delivery
	tasks    sync.WaitGroup
}

// backendPrincipal is whose quota the retained messages of backends count against: nobody else's.
const backendPrincipal = ""

func newRetainedQueue(gw *Gateway) *retainedQueue {
	return &retainedQueue{
		gw:    gw,
		inbox: amqp.Inbox{Name: gw.opt.RetainedQueue, SingleActive: true},
		work:  make(chan amqp.Delivery, retainedQueueCredit),
	}
}

// start attaches; the bus need not be there yet.
func (q *retainedQueue) start() {
	q.mu.Lock()
	source := amqp.Source{Inbox: q.inbox.Name}
	if q.gw.opt.Bridge.Dialect.HasInboxes() {
		source.Prepare = func(ctx context.Context) error { return q.gw.opt.Bus.EnsureInbox(ctx, q.inbox) }
	}
	q.receiver = q.gw.opt.Bus.Attach(source, q)
	q.mu.Unlock()
	q.tasks.Go(q.run)
}

// link is the receiver; calls of the bus can come before Attach has returned it.
func (q *retainedQueue) link() amqp.Receiver {
	q.mu.Lock()
	defer q.mu.Unlock()
	return q.receiver
}

// Attached implements amqp.Handler.
func (q *retainedQueue) Attached() { q.link().IssueCredit(retainedQueueCredit) }

// Delivered implements amqp.Handler.
func (q *retainedQueue) Delivered(d amqp.Delivery) {
	select {
	case q.work <- d:
	default: // more than we gave credit for: left over from an attachment that is gone, whose deliveries are back on the bus
		q.link().Settle(d.Tag, message.Outcome{Kind: message.Released})
	}
}

// Detached implements amqp.Handler.
func (q *retainedQueue) Detached(err error) bool {
	q.gw.log.Debug("queue of retained messages detached", zap.Error(err))
	return true
}

func (q *retainedQueue) run() {
	for {
		select {
		case d := <-q.work:
			q.link().Settle(d.Tag, q.take(q.gw.ctx, d))
			q.link().IssueCredit(1)
		case <-q.gw.ctx.Done():
			return
		}
	}
}

// take publishes and retains a message. What cannot be, ever, is rejected with its reason.
func (q *retainedQueue) take(ctx context.Context, d amqp.Delivery) message.Outcome {
	if d.Malformed != nil {
		return rejected("amqp:decode-error", d.Malformed.Error())
	}
	now := time.Now()
	m, _, err := mapping.Downlink(d.Message, mapping.DownlinkOptions{Dialect: q.gw.opt.Bridge.Dialect, Now: now, Bare: true, Rules: q.gw.opt.Bridge.Rules.Resolver()})
	if err != nil {
		var u *mapping.Undeliverable
		if errors.As(err, &u) {
			return rejected(u.Condition, u.Reason)
		}
		return rejected("amqp:decode-error", err.Error())
	}
	p := m.Publish
	p.Retain = true
	r, err := retainedRecord(&p, backendPrincipal, "", 0, now)
	if err != nil {
		return rejected("amqp:invalid-field", err.Error())
	}
	if err := q.publish(ctx, d, &p); err != nil {
		return outcomeOf(err)
	}
	return outcomeOf(q.gw.putRetained(ctx, access.DefaultTenant, r))
}

func (q *retainedQueue) publish(ctx context.Context, d amqp.Delivery, p *packet.Publish) error {
	out := mapping.Republish(d.Message, q.gw.opt.Bridge.Dialect, p.Topic, q.gw.opt.Bridge.Dialect.ToTopic(p.Topic))
	if d.Redelivered {
		mapping.MarkPossibleDuplicate(out)
	}
	return retryUntil(ctx, func(ctx context.Context) error {
		o, err := q.gw.publishAndWait(ctx, 0, out, false)
		if err != nil {
			return err
		}
		switch mapping.Classify(o, mapping.OutcomeRule{}).Class {
		case mapping.Success:
			return nil
		case mapping.Refused:
			return errors.Join(amqp.ErrRefused, outcomeError(o))
		}
		return errors.Join(amqp.ErrUnavailable, outcomeError(o))
	})
}

// putRetained stores and waits, however long the store is away.
func (gw *Gateway) putRetained(ctx context.Context, tenant string, r sessionstore.Retained) error {
	return retryUntil(ctx, func(ctx context.Context) error {
		stored := make(chan error, 1)
		gw.opt.Store.PutRetained(tenant, r, func(err error) { stored <- err })
		select {
		case err := <-stored:
			if err == nil {
				gw.metrics.retained.Inc()
			}
			return err
		case <-ctx.Done():
			return ctx.Err()
		}
	})
}

func outcomeOf(err error) message.Outcome {
	switch {
	case err == nil:
		return message.Outcome{Kind: message.Accepted}
	case errors.Is(err, sessionstore.ErrFull):
		return rejected("amqp:resource-limit-exceeded", "published, but not retained: the quota of retained messages is used up")
	case errors.Is(err, amqp.ErrRefused), errors.Is(err, sessionstore.ErrInvalid):
		return rejected("amqp:precondition-failed", err.Error())
	}
	return message.Outcome{Kind: message.Released} // we are going down; another node takes it
}

func rejected(condition, why string) message.Outcome {
	return message.Outcome{Kind: message.Rejected, Error: &message.Error{Condition: condition, Description: why}}
}

// close lets the next node have the queue.
func (q *retainedQueue) close(ctx context.Context) {
	if err := q.link().Close(ctx); err != nil {
		q.gw.log.Debug("queue of retained messages not closed in time", zap.Error(err))
	}
}
