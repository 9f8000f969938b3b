package gateway

import (
	"context"
	"errors"
	"fmt"
	"time"

	"go.uber.org/zap"

	"sluice/amqp/message"
	"sluice/gateway/access"
	"sluice/gateway/events"
	"sluice/gateway/permit"
	"sluice/gateway/records"
	"sluice/mapping"
	"sluice/mapping/failure"
	"sluice/mapping/rules"
	"sluice/mqtt/packet"
	"sluice/sessionstore"
)

// storedWill is the Will Message as the store keeps it.
func storedWill(w *packet.Will, who *access.Principal) (*sessionstore.Will, error) {
	if w == nil {
		return nil, nil
	}
	p := &packet.Publish{Topic: w.Topic, Payload: w.Payload, QoS: w.QoS, Retain: w.Retain, Properties: w.Properties}
	p.Properties.Clear(packet.PropWillDelay) // the store keeps it beside the message
	b, err := records.EncodeWill(p, who)
	if err != nil {
		return nil, fmt.Errorf("the Will cannot be stored: %w", err)
	}
	will := &sessionstore.Will{Message: b}
	if w.Properties.Has(packet.PropWillDelay) {
		will.Delay = w.Properties.WillDelay
	}
	return will, nil
}

// publishWill sends the Will Message of a session, in the name of its device, until the bus has answered or ctx ends. The message-id is the same
// whoever publishes it, and however often.
func (gw *Gateway) publishWill(ctx context.Context, w sessionstore.Work) error {
	p, who, err := records.DecodeWill(w.Will.Message)
	if err != nil {
		gw.log.Error("a stored will cannot be read; it is given up", zap.String("client", w.Key.ClientID), zap.Error(err))
		return nil
	}
	who.Tenant, who.Name = w.Key.Tenant, w.Key.Principal
	if d := gw.rights.will(permit.Device{Principal: who, ClientID: w.Key.ClientID}, p); !d.Allowed() {
		return gw.withholdWill(ctx, w, p, &d)
	}
	in := mapping.UplinkMessage{
		Dialect:           gw.opt.Bridge.Dialect,
		Publish:           p,
		From:              mapping.NewProvenance(w.Key.Tenant, w.Key.Principal, w.Key.ClientID, gw.opt.NodeID),
		MessageID:         messageIDPrefix(w.Key, w.Incarnation, w.Epoch) + "will",
		Received:          time.Now(),
		PossibleDuplicate: w.Again,
	}
	var route mapping.Route
	rule, ruled := gw.opt.Bridge.Rules.Route(rules.Message{Topic: p.Topic, QoS: p.QoS, Tenant: w.Key.Tenant, Principal: w.Key.Principal}, &route)
	if ruled {
		in.Route = &route
	}
	m, _ := mapping.Uplink(in)
	for pause := retryFirst; ; pause = min(2*pause, retryMax) {
		o, err := gw.publishAndWait(ctx, shardOf(w.Key), m, p.QoS == 0)
		if err != nil {
			return err
		}
		switch answer := mapping.Classify(o, rule.Outcome); answer.Class {
		case mapping.Success:
			gw.metrics.wills.Inc()
			gw.tellWill(w, p, m)
			return gw.retainWill(ctx, w.Key, p)
		case mapping.Refused:
			return gw.refuseWill(ctx, w, p, m, o)
		}
		if o.Kind == message.Lost {
			mapping.MarkPossibleDuplicate(m)
		}
		if !sleep(ctx, jitter(pause)) {
			return ctx.Err()
		}
	}
}

// withholdWill gives up a Will that its device may not have any more.
func (gw *Gateway) withholdWill(ctx context.Context, w sessionstore.Work, p *packet.Publish, d *permit.Decision) error {
	o := occurred(failure.WillWithheld, denialText(d))
	o.Topic, o.QoS, o.Rule, o.Formerly = p.Topic, p.QoS, d.Rule, true
	gw.rights.count(o.Failure, d.Rule)
	gw.failed(gw.log, w.Key, o)
	return gw.keepRecord(ctx, w.Key, o)
}

func (gw *Gateway) tellWill(w sessionstore.Work, p *packet.Publish, m *message.Message) {
	e := about(events.WillPublished, w.Key)
	e.Topic, e.QoS, e.HasQoS = p.Topic, uint8(p.QoS), true
	e.MessageID, _ = m.Properties.MessageID.(string)
	gw.events.tell(e)
}

// refuseWill gives up a Will that the bus refuses for good. Its device is not there to be told: the record waits in its session.
func (gw *Gateway) refuseWill(ctx context.Context, w sessionstore.Work, p *packet.Publish, m *message.Message, outcome message.Outcome) error {
	o := occurred(failure.WillRefused, outcomeError(outcome).Error())
	o.Reason = mapping.Classify(outcome, mapping.OutcomeRule{RequireRoute: true}).Reason
	o.Topic, o.QoS = p.Topic, p.QoS
	o.MessageID, _ = m.Properties.MessageID.(string)
	gw.failed(gw.log, w.Key, o)
	return gw.keepRecord(ctx, w.Key, o)
}

// retainWill retains a Will that asks for it [MQTT-3.1.2-15]. Published it is; a quota that is used up does not make it come again.
func (gw *Gateway) retainWill(ctx context.Context, key sessionstore.Key, p *packet.Publish) error {
	if !p.Retain {
		return nil
	}
	r, err := retainedRecord(p, key.Principal, key.ClientID, 0, time.Now())
	if err == nil {
		err = gw.putRetained(ctx, key.Tenant, r)
	}
	if errors.Is(err, sessionstore.ErrUnavailable) || ctx.Err() != nil {
		return err
	}
	if err != nil {
		gw.log.Warn("a will was published but not retained", zap.String("client", key.ClientID), zap.String("topic", p.Topic), zap.Error(err))
	}
	return nil
}

func (gw *Gateway) publishAndWait(ctx context.Context, shard uint32, m *message.Message, settled bool) (message.Outcome, error) {
	outcome := make(chan message.Outcome, 1)
	gw.opt.Bus.Publish(shard, m, settled, func(o message.Outcome) { outcome <- o })
	select {
	case o := <-outcome:
		return o, nil
	case <-ctx.Done():
		return message.Outcome{}, ctx.Err()
	}
}
