package gateway

import (
	"context"
	"errors"
	"sync"

	"go.uber.org/zap"

	"sluice/amqp"
	"sluice/amqp/message"
	"sluice/gateway/bridge"
	"sluice/mqtt/session"
	"sluice/sessionstore"
)

// sessionLane is the device's receiver on its session's inbox (design: session lane, for subscriptions of QoS 1 and 2). The bus keeps the
// messages; what is under way is bounded by the credit that the machine grants.
type sessionLane struct {
	d     *device
	inbox string
	made  bool // the inbox is recorded and was made; only the operation queue touches it

	filters filterSet // what is bound, should the inbox have to be made again

	mu       sync.Mutex
	receiver amqp.Receiver
	held     uint32 // credit not given since the device does not read
}

// attach makes the lane's receiver; the inbox exists, or Prepare makes it.
func (l *sessionLane) attach() {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.receiver != nil {
		return
	}
	l.receiver = l.d.gw.opt.Bus.Attach(amqp.Source{Inbox: l.inbox, Prepare: l.prepare}, l)
}

// prepare makes the inbox again with all it was subscribed to: the bus has lost it. Or it was removed with its session, and we have not
// heard of that; then the store says so, and it is not made again: it would gather messages that nobody ever fetches.
func (l *sessionLane) prepare(ctx context.Context) error {
	if err := l.d.writeInbox(ctx); err != nil {
		return err
	}
	if err := l.d.gw.opt.Bus.EnsureInbox(ctx, l.d.gw.sessionInbox(l.inbox)); err != nil {
		return err
	}
	l.d.log.Warn("the bus had no inbox for this session; it is made again, what it held is gone", zap.String("inbox", l.inbox))
	return l.d.gw.opt.Bus.Subscribe(ctx, l.inbox, patterns(l.filters.list()))
}

// Attached implements amqp.Handler.
func (l *sessionLane) Attached() {
	l.mu.Lock()
	l.held = 0 // credit starts anew with each attachment
	l.mu.Unlock()
	l.d.post(session.LaneAttached{})
}

// Delivered implements amqp.Handler.
func (l *sessionLane) Delivered(d amqp.Delivery) {
	l.d.post(bridge.DeliveryArrived{Tag: d.Tag, Message: d.Message, Redelivered: d.Redelivered, Malformed: d.Malformed})
}

// Detached implements amqp.Handler.
func (l *sessionLane) Detached(err error) bool {
	l.d.log.Debug("session lane detached", zap.String("inbox", l.inbox), zap.Error(err))
	l.d.post(session.LaneDetached{})
	if errors.Is(err, sessionstore.ErrFenced) {
		l.d.post(takenOver)
		return false
	}
	return true
}

// grant gives credit, or keeps it until the device has read what waits for it.
func (l *sessionLane) grant(n uint32) {
	if l == nil {
		return
	}
	behind := l.d.writer.Buffered() > writeHigh
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.receiver == nil {
		return
	}
	if behind {
		l.held += n
		return
	}
	l.receiver.IssueCredit(n + l.held)
	l.held = 0
}

func (l *sessionLane) grantHeld() {
	if l == nil {
		return
	}
	l.mu.Lock()
	held := l.held
	l.mu.Unlock()
	if held > 0 {
		l.grant(0)
	}
}

func (l *sessionLane) settle(tag uint64, o message.Outcome) {
	l.mu.Lock()
	r := l.receiver
	l.mu.Unlock()
	r.Settle(tag, o)
}

// close detaches; what is unsettled goes back to the bus in order.
func (l *sessionLane) close(ctx context.Context) error {
	l.mu.Lock()
	r := l.receiver
	l.mu.Unlock()
	if r == nil {
		return nil
	}
	return r.Close(ctx)
}
