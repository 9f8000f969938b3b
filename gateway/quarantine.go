package gateway

import (
	"context"
	"errors"

	"go.uber.org/zap"

	"sluice/amqp"
	"sluice/amqp/message"
	"sluice/gateway/bridge"
	"sluice/mapping"
)

// quarantine is where messages go that were refused for good: a durable address on the bus, where they wait for a person (sluice quarantine). A nil
// quarantine takes nothing.
type quarantine struct {
	gw      *Gateway
	address string
	queue   *amqp.Inbox // made when it is missing; nil: the address is somebody else's
}

// QuarantineQueue is the queue as the bus is asked for it, also by who reads it and comes before any node has made it. It refuses what is beyond its
// bound: nothing in it is dropped for something newer.
func QuarantineQueue(name string) amqp.Inbox {
	return amqp.Inbox{Name: name, MaxLength: quarantineLength}
}

func newQuarantine(gw *Gateway, setting string) *quarantine {
	q := &quarantine{gw: gw}
	q.address, q.queue = gw.destination(setting, QuarantineQueue)
	return q
}

// start makes the queue in the background, so that whoever reads it finds it also before anything is in it.
func (q *quarantine) start() {
	if q.queue == nil {
		return
	}
	q.gw.upkeep.tasks.Go(func() {
		if err := retryUntil(q.gw.ctx, q.prepare); err != nil && q.gw.ctx.Err() == nil {
			q.gw.log.Error("the quarantine cannot be made on the bus: what is refused for good has no place to go", zap.String("queue", q.queue.Name), zap.Error(err))
		}
	})
}

// prepare makes the queue, if it is ours and missing. What was to go there is tried again meanwhile.
func (q *quarantine) prepare(ctx context.Context) error {
	if q == nil || q.queue == nil {
		return nil
	}
	return q.gw.opt.Bus.EnsureInbox(ctx, *q.queue)
}

// makeQuarantine is prepare for a device whose message did not find the queue.
func (d *device) makeQuarantine() {
	ctx, cancel := d.within(upkeepWait)
	defer cancel()
	if err := d.gw.quarantine.prepare(ctx); err != nil {
		d.log().Warn("the quarantine is missing and cannot be made", zap.Error(err))
	}
}

// quarantineOutcomes says what the bus's answers mean at the quarantine's address: released is not now.
var quarantineOutcomes = mapping.OutcomeRule{TargetsQueue: true}

// keep stores a message in the quarantine, until ctx ends. An error that is amqp.ErrRefused is final.
func (q *quarantine) keep(ctx context.Context, shard uint32, m *message.Message) error {
	return retryUntil(ctx, func(ctx context.Context) error {
		o, err := q.gw.publishAndWait(ctx, shard, m, false)
		if err != nil {
			return err
		}
		switch mapping.Classify(o, quarantineOutcomes).Class {
		case mapping.Success:
			q.gw.metrics.quarantined.Inc()
			return nil
		case mapping.Refused:
			q.gw.metrics.quarantineRefused.Inc()
			return errors.Join(amqp.ErrRefused, outcomeError(o))
		}
		if o.Kind == message.Released {
			if err := q.prepare(ctx); err != nil { // somebody has removed it
				return err
			}
		}
		return errors.Join(amqp.ErrUnavailable, outcomeError(o))
	})
}

// refuse carries out bridge.Refuse, on a goroutine of its own. The device's lanes stay until it is done (device.leaveLanes).
func (d *device) refuse(e bridge.Refuse) {
	client, shard, lane := d.bridge.Machine().ClientID(), d.shard, d.lanes.named(e.Settle.Lane)
	d.refusals.Add(1)
	d.gw.upkeep.tasks.Go(func() {
		defer d.refusals.Done()
		ctx, cancel := context.WithTimeout(d.gw.ctx, max(d.gw.opt.Bridge.Grace, closeWait))
		defer cancel()
		outcome := e.Settle.Outcome
		if e.Copy != nil {
			err := d.gw.quarantine.keep(ctx, shard, e.Copy)
			switch {
			case errors.Is(err, amqp.ErrRefused):
				d.log().Error("the quarantine does not take a message that was refused for good; the bus drops it or makes it a dead letter", zap.String("client", client),
					zap.String("topic", e.Refusal.Topic), zap.String("message_id", e.Refusal.MessageID), zap.Error(err))
			case err != nil: // out of reach all the time: it stays on the bus, and is refused once more
				outcome = message.Outcome{Kind: message.Released}
			}
		}
		if e.Feedback != nil && outcome.Kind == message.Rejected {
			d.gw.feedback(ctx, shard, e.Feedback)
		}
		if lane != nil {
			lane.settle(e.Settle.Tag, outcome)
		}
		d.post(bridge.Refused{})
	})
}

// feedback tells who sent a message. That nobody listens at the address, or that the bus refuses it, is their own doing.
func (gw *Gateway) feedback(ctx context.Context, shard uint32, m *message.Message) {
	err := retryUntil(ctx, func(ctx context.Context) error {
		o, err := gw.publishAndWait(ctx, shard, m, false)
		if err != nil {
			return err
		}
		if mapping.Classify(o, mapping.OutcomeRule{}).Class == mapping.Hold {
			return errors.Join(amqp.ErrUnavailable, outcomeError(o))
		}
		if o.Kind != message.Accepted {
			gw.log.Debug("nobody took the feedback to a refused message", zap.String("reply_to", m.Properties.To), zap.Error(outcomeError(o)))
		}
		return nil
	})
	if err != nil {
		gw.log.Warn("the sender of a refused message could not be told", zap.String("reply_to", m.Properties.To), zap.Error(err))
	}
}

// waitRefusals waits until what is being rejected is settled, not longer than ctx.
func (d *device) waitRefusals(ctx context.Context) {
	done := make(chan struct{})
	go func() {
		d.refusals.Wait()
		close(done)
	}()
	select {
	case <-done:
	case <-ctx.Done():
	}
}
