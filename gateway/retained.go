package gateway

import (
	"context"
	"errors"
	"strconv"
	"time"

	"go.uber.org/zap"

	"sluice/amqp"
	"sluice/amqp/message"
	"sluice/gateway/bridge"
	"sluice/gateway/records"
	"sluice/mapping"
	"sluice/mapping/failure"
	"sluice/mqtt/packet"
	"sluice/mqtt/topic"
	"sluice/sessionstore"
)

// Retained messages are in the store, so that every node has them. A new subscription gets them in one of two ways: at QoS 1 and 2 as copies in the
// session's own inbox, where they are as safe as any other message and wait for the device's window; at QoS 0 straight from the store, as fast
// as the device reads.

// retainedRecord is a message as the store retains it; without a payload it removes what is retained [MQTT-3.3.1-6].
func retainedRecord(p *packet.Publish, principal, clientID string, epoch uint64, received time.Time) (sessionstore.Retained, error) {
	r := sessionstore.Retained{Topic: p.Topic, Principal: principal, ClientID: clientID, Epoch: epoch}
	if len(p.Payload) == 0 {
		return r, nil
	}
	if p.Properties.Has(packet.PropMessageExpiry) {
		r.Expires = received.Add(time.Duration(p.Properties.MessageExpiry) * time.Second)
	}
	var err error
	r.Message, err = records.EncodePublish(p)
	return r, err
}

// storeRetained carries out bridge.StoreRetained.
func (d *device) storeRetained(e bridge.StoreRetained) {
	done := func(err error) {
		result := bridge.RetainedStored{Token: e.Token, Detail: errorText(err)}
		switch {
		case err == nil:
			d.gw.metrics.retained.Inc()
		case errors.Is(err, sessionstore.ErrFull):
			result.Result, result.Why = bridge.RetainedRefused, failure.RetainedQuota
		case errors.Is(err, sessionstore.ErrInvalid):
			result.Result, result.Why = bridge.RetainedRefused, failure.RetainedTooLarge
		default:
			result.Result = bridge.RetainedLost
		}
		if e.Token == 0 {
			result.Topic = e.Packet.Topic
		}
		d.post(result)
	}
	r, err := retainedRecord(e.Packet, d.fence.Key.Principal, d.fence.Key.ClientID, d.fence.Epoch, e.Received)
	if err != nil {
		done(err)
		return
	}
	d.gw.opt.Store.PutRetained(d.fence.Key.Tenant, r, done)
}

func errorText(err error) string {
	if err == nil {
		return ""
	}
	return err.Error()
}

// errStopped: whoever takes the retained messages wants no more.
var errStopped = errors.New("stopped")

// eachRetained gives the retained messages that a filter matches, page by page, until ctx ends or yield is false (errStopped).
func (gw *Gateway) eachRetained(ctx context.Context, tenant, filter string, yield func(r sessionstore.Retained, p *packet.Publish) bool) error {
	from, to := topic.Span(filter)
	for {
		var names []string
		err := gw.retry(ctx, func(ctx context.Context) (err error) {
			names, err = gw.opt.Store.RetainedTopics(ctx, tenant, from, to, retainedPage)
			return err
		})
		if err != nil {
			return err
		}
		if err := gw.retainedOf(ctx, tenant, matching(filter, names), yield); err != nil {
			return err
		}
		if len(names) < retainedPage {
			return nil
		}
		from = names[len(names)-1] + "\x00"
	}
}

func matching(filter string, names []string) (out []string) {
	for _, n := range names {
		if topic.Match(filter, n) {
			out = append(out, n)
		}
	}
	return out
}

// retainedOf reads the messages of some topics. They can be large, so that few are in memory at a time.
func (gw *Gateway) retainedOf(ctx context.Context, tenant string, names []string, yield func(sessionstore.Retained, *packet.Publish) bool) error {
	for len(names) > 0 {
		part := names[:min(len(names), retainedBatch)]
		names = names[len(part):]
		var found []sessionstore.Retained
		err := gw.retry(ctx, func(ctx context.Context) (err error) {
			found, err = gw.opt.Store.GetRetained(ctx, tenant, part)
			return err
		})
		if err != nil {
			return err
		}
		for _, r := range found {
			p, err := records.DecodePublish(r.Message)
			if err != nil {
				gw.log.Error("a retained message cannot be read; it is passed over", zap.String("topic", r.Topic), zap.Error(err))
				continue
			}
			if !yield(r, p) {
				return errStopped
			}
		}
	}
	return nil
}

// sendRetained carries out bridge.SendRetained. The device gets no more than it reads; the rest waits in the store.
func (d *device) sendRetained(filters []string) {
	ctx, leave := d.life.enter(d.gw.ctx)
	defer leave()
	for _, filter := range filters {
		err := d.gw.eachRetained(ctx, d.fence.Key.Tenant, filter, func(r sessionstore.Retained, p *packet.Publish) bool {
			if !d.waitWritable() {
				return false
			}
			d.gw.metrics.retainedSent.Inc()
			d.post(bridge.Fanout(&mapping.DownlinkMessage{
				Publish: *p, Expires: r.Expires, For: filter, Retained: true,
				Publisher: mapping.Publisher{Tenant: d.fence.Key.Tenant, Principal: r.Principal, ClientID: r.ClientID},
			}))
			return true
		})
		if err != nil && !errors.Is(err, errStopped) && !d.ended() {
			d.log().Warn("retained messages could not be sent to a new QoS 0 subscription", zap.String("filter", filter), zap.Error(err))
		}
	}
}

// waitWritable blocks while the device reads less than it is sent. It is false when the device is finished.
func (d *device) waitWritable() bool {
	d.mu.Lock()
	defer d.mu.Unlock()
	for !d.finished && (len(d.inbox) >= readAhead || d.writer.Buffered() > writeHigh) {
		d.wake.Wait()
	}
	return !d.finished
}

// errInboxFull: the bus keeps no more messages for the session.
var errInboxFull = errors.New("the session's inbox is full")

// copyRetained puts copies of the retained messages that the filters match into the session's inbox. It returns when the bus has them all.
func (d *device) copyRetained(filters []string) error {
	// No grace over all of it: that many messages take their time. The silence of bus and store is bounded for each step.
	c := &copies{d: d, slots: make(chan struct{}, retainedCopies), to: d.gw.opt.Bus.InboxAddress(d.lanes.session.inbox)}
	ctx, leave := d.life.enter(d.gw.ctx)
	defer leave()
	var cancel context.CancelCauseFunc
	c.ctx, cancel = context.WithCancelCause(ctx)
	defer cancel(nil)
	c.fail = cancel
	for _, filter := range filters {
		err := d.gw.eachRetained(c.ctx, d.fence.Key.Tenant, filter, func(r sessionstore.Retained, p *packet.Publish) bool {
			return c.put(filter, r, p)
		})
		if err != nil {
			c.fail(err) // the first cause counts
			break
		}
	}
	for range cap(c.slots) {
		c.slots <- struct{}{} // all answered
	}
	return context.Cause(c.ctx)
}

// copies are the copies of retained messages on their way to an inbox.
type copies struct {
	d     *device
	to    string
	slots chan struct{}
	ctx   context.Context
	fail  context.CancelCauseFunc
}

func (c *copies) put(filter string, r sessionstore.Retained, p *packet.Publish) bool {
	select {
	case c.slots <- struct{}{}:
	case <-c.ctx.Done():
		return false
	}
	now := time.Now()
	if !r.Expires.IsZero() {
		left := mapping.DownlinkMessage{Expires: r.Expires}
		seconds, live := left.Remaining(now)
		if !live {
			<-c.slots
			return true
		}
		p.Properties.SetMessageExpiry(seconds)
	}
	d := c.d
	d.retained++
	key := d.fence.Key
	m, _ := mapping.Uplink(mapping.UplinkMessage{
		Dialect:   d.gw.opt.Bridge.Dialect,
		Publish:   p,
		From:      mapping.NewProvenance(key.Tenant, r.Principal, r.ClientID, ""),
		MessageID: messageIDPrefix(key, d.incarnation, d.fence.Epoch) + "r" + strconv.FormatUint(d.retained, 36),
		Received:  now,
	})
	mapping.Direct(m, d.gw.opt.Bridge.Dialect, c.to, filter)
	d.gw.metrics.retainedSent.Inc()
	c.send(m, now, retryFirst)
	return true
}

// send publishes a copy, again after a passing problem, until the grace is over.
func (c *copies) send(m *message.Message, since time.Time, pause time.Duration) {
	c.d.gw.opt.Bus.Publish(c.d.shard, m, false, func(o message.Outcome) {
		answer := mapping.Classify(o, mapping.OutcomeRule{})
		switch {
		case o.Kind == message.Accepted:
		case answer.Class == mapping.Refused && answer.Reason == packet.QuotaExceeded:
			c.fail(errInboxFull)
		case answer.Class == mapping.Refused:
			c.fail(errors.Join(amqp.ErrRefused, outcomeError(o)))
		case c.ctx.Err() != nil:
		case time.Since(since) > c.d.gw.opt.Bridge.Grace:
			c.fail(amqp.ErrUnavailable)
		default: // a passing problem, or an inbox that has to be made again
			if o.Kind == message.Lost {
				mapping.MarkPossibleDuplicate(m)
			}
			time.AfterFunc(jitter(pause), func() { c.send(m, since, min(2*pause, retryMax)) })
			return
		}
		<-c.slots
	})
}

// outcomeError is the bus's answer as an error for the log.
func outcomeError(o message.Outcome) error {
	if o.Error == nil {
		return errors.New("the bus answered " + o.Kind.String())
	}
	return errors.New("the bus answered " + o.Kind.String() + ": " + o.Error.Error())
}
