package gateway

import (
	"context"
	"errors"
	"maps"
	"slices"
	"sync"
	"sync/atomic"

	"go.uber.org/zap"

	"sluice/amqp"
	"sluice/amqp/message"
	"sluice/gateway/bridge"
	"sluice/mqtt/session"
	"sluice/sessionstore"
)

// lane is a device's receiver on an inbox of the bus, which keeps the messages: that of its session, or that of a group of a shared
// subscription. What is under way is bounded by the credit that the machine grants.
type lane struct {
	d    *device
	name string // empty for the session lane, or the filter of the shared subscription

	mu       sync.Mutex
	receiver amqp.Receiver
	held     uint32 // credit not given since the device does not read

	losses atomic.Uint64 // of the link, with which the bus took back what it had delivered
}

// attach makes the receiver, once; the inbox exists, or prepare makes it.
func (l *lane) attach(inbox string, prepare func(context.Context) error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.receiver == nil {
		l.receiver = l.d.gw.opt.Bus.Attach(amqp.Source{Inbox: inbox, Prepare: prepare}, l)
	}
}

// Attached implements amqp.Handler.
func (l *lane) Attached() {
	l.mu.Lock()
	l.held = 0 // credit starts anew with each attachment
	l.mu.Unlock()
	l.d.post(session.LaneAttached{Lane: l.name})
}

// Delivered implements amqp.Handler.
func (l *lane) Delivered(d amqp.Delivery) {
	if l.name == "" {
		l.d.records.delivered(d.Tag, d.Message)
	}
	l.d.post(bridge.DeliveryArrived{Lane: l.name, Tag: d.Tag, Message: d.Message, Redelivered: d.Redelivered, Malformed: d.Malformed})
}

// Detached implements amqp.Handler.
func (l *lane) Detached(err error) bool {
	l.losses.Add(1)
	if l.name == "" {
		l.d.records.detached()
	}
	l.d.log().Debug("lane detached", zap.String("lane", l.name), zap.Error(err))
	l.d.post(session.LaneDetached{Lane: l.name})
	switch {
	case errors.Is(err, sessionstore.ErrFenced):
		l.d.post(takenOver)
		return false
	case errors.Is(err, errGroupOver):
		l.d.post(groupOver)
		return false
	}
	return true
}

// grant gives credit, or keeps it until the device has read what waits for it.
func (l *lane) grant(n uint32) {
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

func (l *lane) grantHeld() {
	l.mu.Lock()
	held := l.held
	l.mu.Unlock()
	if held > 0 {
		l.grant(0)
	}
}

func (l *lane) settle(tag uint64, o message.Outcome) {
	l.mu.Lock()
	r := l.receiver
	l.mu.Unlock()
	if r == nil {
		return
	}
	r.Settle(tag, o)
	if l.name == "" {
		l.d.records.answered(tag)
	}
}

// close detaches; what is unsettled goes back to the bus in order.
func (l *lane) close(ctx context.Context) error {
	l.mu.Lock()
	r := l.receiver
	l.mu.Unlock()
	if r == nil {
		return nil
	}
	return r.Close(ctx)
}

// lanes are those of one device.
type lanes struct {
	mu      sync.Mutex
	session *sessionLane // nil before the claim
	shared  map[string]*sharedLane
}

// named gives the lane of that name, nil when there is none.
func (s *lanes) named(name string) *lane {
	s.mu.Lock()
	defer s.mu.Unlock()
	if name == "" && s.session != nil {
		return &s.session.lane
	}
	if l := s.shared[name]; l != nil {
		return &l.lane
	}
	return nil
}

// all gives every lane.
func (s *lanes) all() []*lane {
	s.mu.Lock()
	defer s.mu.Unlock()
	out := make([]*lane, 0, 1+len(s.shared))
	if s.session != nil {
		out = append(out, &s.session.lane)
	}
	for _, l := range s.shared {
		out = append(out, &l.lane)
	}
	return out
}

func (s *lanes) claim(l *sessionLane) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.session = l
}

// own is the session's lane, nil before the claim.
func (s *lanes) own() *sessionLane {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.session
}

// groups are the lanes of shared subscriptions.
func (s *lanes) groups() []*sharedLane {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.Collect(maps.Values(s.shared))
}

func (s *lanes) share(l *sharedLane) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.shared == nil {
		s.shared = map[string]*sharedLane{}
	}
	s.shared[l.name] = l
}

func (s *lanes) sharedLane(name string) *sharedLane {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.shared[name]
}

func (s *lanes) unshare(name string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.shared, name)
}
