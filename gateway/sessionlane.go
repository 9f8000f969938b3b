package gateway

import (
	"context"

	"go.uber.org/zap"
)

// sessionLane is the lane of the session's own inbox (design: session lane, for subscriptions of QoS 1 and 2, and for copies that are put into the
// inbox).
type sessionLane struct {
	lane
	inbox   string
	made    bool      // the inbox is recorded and was made; only the operation queue touches it
	filters filterSet // what is bound, should the inbox have to be made again
}

func newSessionLane(d *device, inbox string, made bool) *sessionLane {
	return &sessionLane{lane: lane{d: d}, inbox: inbox, made: made}
}

// attach makes the lane's receiver; the inbox exists, or prepare makes it.
func (l *sessionLane) attach() { l.lane.attach(l.inbox, l.prepare) }

// prepare makes the inbox again with all it was subscribed to: the bus has lost it. Or it was removed with its session, and we have not
// heard of that; then the store says so, and it is not made again: it would gather messages that nobody ever fetches.
func (l *sessionLane) prepare(ctx context.Context) error {
	if err := l.d.writeInbox(ctx); err != nil {
		return err
	}
	if err := l.d.gw.opt.Bus.EnsureInbox(ctx, l.d.gw.sessionInbox(l.inbox)); err != nil {
		return err
	}
	l.d.log().Warn("the bus had no inbox for this session; it is made again, what it held is gone", zap.String("inbox", l.inbox))
	filters := l.filters.list()
	if len(filters) == 0 {
		return nil
	}
	return l.d.gw.bind(ctx, l.inbox, l.d.gw.bindings(filters))
}
