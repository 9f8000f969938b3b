package gateway

import (
	"fmt"
	"time"

	"go.uber.org/zap"

	"sluice/amqp/message"
	"sluice/gateway/bridge"
	"sluice/gateway/records"
	"sluice/mapping/failure"
	"sluice/mqtt/packet"
	"sluice/mqtt/session"
)

// perform carries out one effect. It never blocks: what takes time runs elsewhere and comes back as an event.
func (d *device) perform(e bridge.Effect) {
	switch e := e.(type) {
	case session.SendPacket:
		d.send(e.Packet)
	case session.OpenSession:
		go d.open(e)
	case session.Authenticate:
		go d.exchange(e, d.bridge.Machine().ClientID())
	case bridge.SendMessage:
		d.publish(e)
	case session.Store:
		d.store(e)
	case session.Recall:
		go d.recall() // the machine asks for one at a time
	case bridge.SettleDelivery:
		if l := d.lanes.named(e.Lane); l != nil {
			l.settle(e.Tag, e.Outcome)
		}
	case bridge.Refuse:
		d.refuse(e)
	case session.GrantCredit:
		if l := d.lanes.named(e.Lane); l != nil {
			l.grant(e.N)
		}
	case bridge.HandOver:
		d.handOver(e)
	case bridge.StoreRetained:
		d.storeRetained(e)
	case bridge.SendRetained:
		d.feeds.add(func() { d.sendRetained(e.Filters) })
	case bridge.ChangeLanes:
		d.laneOps.add(func() { d.changeLanes(e) })
	case bridge.ResumeLanes:
		d.resumeLanes(e)
	case session.SetDeadline:
		d.setDeadline(e.At)
	case session.PauseReading:
		d.setPaused(true)
	case session.ResumeReading:
		d.setPaused(false)
	case session.CloseConnection:
		d.close(e)
	case bridge.Finish:
		d.finish(e)
	case bridge.Failed:
		d.failed(e)
	case bridge.Report:
		d.report(e)
	case bridge.Span:
		d.gw.opt.Spans.Tell(d.bridge.Machine().ClientID(), &e)
	default:
		panic(fmt.Sprintf("gateway: unknown effect %T", e))
	}
}

func (d *device) send(p packet.Packet) {
	switch p := p.(type) {
	case *packet.Prepared:
		d.gather(p)
		return
	case *packet.Publish:
		d.gw.metrics.sent(p.QoS)
	case *packet.Connack:
		d.gw.metrics.connects.WithLabelValues(p.Reason.String()).Inc()
	}
	write := d.writer.AppendAlone
	if publish, ok := p.(*packet.Publish); ok && publish.QoS == 0 {
		write = d.writer.Append // a fan-out goes on to the next device meanwhile, and its next message may share the write
	}
	if err := write(p, d.bridge.Machine().Version()); err != nil {
		d.log().Debug("packet not sent", zap.Uint8("type", uint8(p.Type())), zap.Error(err))
	}
}

// gather has a packet of the node lane wait for those of the same event.
func (d *device) gather(p *packet.Prepared) {
	if err := d.writer.Gather(p, d.bridge.Machine().Version()); err != nil {
		d.log().Debug("packet not sent", zap.Uint8("type", uint8(p.Type())), zap.Error(err))
		return
	}
	d.gathered++
}

// sendGathered sends what gather has kept.
func (d *device) sendGathered() {
	if d.gathered > 0 {
		d.writer.Flush()
		d.gw.metrics.sentAt[0].Add(float64(d.gathered))
		d.gathered = 0
	}
}

func (d *device) publish(e bridge.SendMessage) {
	token := e.Token
	d.gw.opt.Bus.Publish(d.shard, e.Message, e.Settled, func(o message.Outcome) {
		if e.Quarantine && o.Kind == message.Released {
			d.laneOps.add(d.makeQuarantine)
		}
		d.post(bridge.OutcomeArrived{Token: token, Outcome: o})
	})
}

func (d *device) store(e session.Store) {
	id := e.ID
	d.gw.opt.Store.Write(d.fence, records.Ops(e.Ops), func(err error) {
		result := records.Result(err)
		switch {
		case id != 0:
			d.post(session.Stored{ID: id, Err: result})
		case result == session.StoreFenced:
			d.post(takenOver)
		case result == session.StoreUnavailable:
			d.post(storeGone)
		}
	})
}

// recall answers session.Recall: what the store has by now, from whichever connection.
func (d *device) recall() {
	ctx, cancel := d.within(recallWait)
	defer cancel()
	s, err := d.gw.opt.Store.Get(ctx, d.fence.Key, time.Now())
	if err != nil {
		d.log().Debug("records not read", zap.String("client", d.fence.Key.ClientID), zap.Error(err))
	}
	d.post(session.Recalled{Inbound: records.State(&s).Inbound})
}

// storeGone ends a connection whose state could not be stored within the grace.
var storeGone = bridge.CloseFor(failure.StoreUnavailable)

func (d *device) setPaused(paused bool) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.paused = paused
	if !paused {
		d.wake.Broadcast()
	}
}

// setDeadline keeps one timer per device. A deadline that moves back, as the keep-alive's does with each packet, costs nothing: the timer
// fires at the old time and is set again.
func (d *device) setDeadline(at time.Time) {
	d.deadline = at
	d.schedule()
}

// schedule sets the timer for what is due next, unless it fires before that anyway.
func (d *device) schedule() {
	at := d.due()
	if at.IsZero() || !d.armed.IsZero() && !at.Before(d.armed) {
		return
	}
	d.armed = at
	if d.timer == nil {
		d.timer = time.AfterFunc(time.Until(d.armed), func() { d.post(timerFired{}) })
		return
	}
	d.timer.Reset(time.Until(d.armed))
}

// timerFired is an event of the shell alone: perhaps the deadline has moved meanwhile.
type timerFired struct{}

// timeIsUp gives what the time that has come means, nil when none has. The timer is set again for what is due next.
func (d *device) timeIsUp(now time.Time) bridge.Event {
	d.armed = time.Time{}
	defer d.schedule()
	if d.expire(now) {
		return expired
	}
	if d.deadline.IsZero() || now.Before(d.deadline) {
		return nil
	}
	// The machine sets a new deadline when it wants one.
	d.deadline = time.Time{}
	return session.DeadlineReached{}
}

func (d *device) close(e session.CloseConnection) {
	// Why it is closed has been told by failed, unless the device wanted it.
	d.log().Debug("connection closed", zap.String("client", d.bridge.Machine().ClientID()), zap.Stringer("reason", e.Reason),
		zap.String("detail", e.Text), zap.Bool("by_device", e.ByDevice))
	if e.ByDevice && e.Reason != packet.Success {
		d.tellEnded(e.Reason)
	}
	d.ends(e.Reason.String())
	d.leavePlace()
	d.writer.CloseAfterFlush()
	d.setPaused(false)
	// For the session the connection is over now. A device that is gone does not close its half, and whoever takes its session over would wait
	// until we give up on that.
	d.post(session.ConnectionLost{})
}

// ends counts why the connection ends, once.
func (d *device) ends(reason string) {
	if !d.closed {
		d.closed = true
		d.gw.metrics.disconnects.WithLabelValues(reason).Inc()
	}
}

func (d *device) report(r bridge.Report) {
	m := d.gw.metrics
	switch r.Kind {
	case bridge.PublishAnswered:
		m.received(r.QoS, r.Reason)
		if d.tally != nil && !r.Reason.Failed() {
			d.tally.accepted.Add(1)
		}
	case bridge.PublishHeld:
		m.holds.Inc()
		d.logReport("publish held: the bus has a passing problem", r)
	case bridge.PublishResumed: // the log tells of the hold; its end is seen in the answers
	case bridge.PublishLoss:
		m.losses.Inc()
		d.logReport("metadata not carried over", r)
	}
}

func (d *device) logReport(text string, r bridge.Report) {
	d.log().Debug(text, zap.String("client", d.bridge.Machine().ClientID()), zap.String("topic", r.Topic), zap.Uint8("qos", uint8(r.QoS)), zap.String("detail", r.Detail))
}
