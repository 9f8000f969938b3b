package gateway

import (
	"context"
	"crypto/rand"
	"strconv"
	"strings"
	"sync"
	"time"

	"go.uber.org/zap"

	"sluice/amqp"
	"sluice/amqp/message"
	"sluice/gateway/access"
	"sluice/gateway/bridge"
	"sluice/gateway/events"
	"sluice/mapping"
	"sluice/mapping/failure"
	"sluice/mqtt/packet"
	"sluice/sessionstore"
)

// eventSender brings events to the bus. Whoever tells one is never held up: what has no room is counted, and the count is told later
// (events.Limiter). A nil sender tells nobody.
type eventSender struct {
	gw      *Gateway
	address string
	queue   *amqp.Inbox // made when it is missing; nil: the address is somebody else's
	prefix  string      // of the ids
	refused bool        // the bus refused the last one; only the sender's goroutine touches it

	mu       sync.Mutex
	limiter  events.Limiter
	waiting  []events.Event
	last     uint64 // number of the last id
	stopping bool
	wake     chan struct{}
	ended    chan struct{}
}

// EventsQueue is the queue of events as the bus is asked for it, also by who reads it and comes before any node has made it. The oldest give way: a
// queue that nobody reads must not fill the bus.
func EventsQueue(name string) amqp.Inbox {
	return amqp.Inbox{Name: name, MaxLength: eventsLength, DropOldest: true}
}

// destination gives the address that a setting means: it names a queue of ours, or is an address that begins with a slash. queue makes the queue.
func (gw *Gateway) destination(setting string, queue func(name string) amqp.Inbox) (address string, made *amqp.Inbox) {
	if a, ok := mapping.RabbitMQ.ParseAddress(setting); ok { // settings write addresses in one way for all buses
		return gw.opt.Bridge.Dialect.Format(a), nil
	}
	if !gw.opt.Bridge.Dialect.HasInboxes() {
		return gw.opt.Bridge.Dialect.ToQueue(setting), nil
	}
	q := queue(setting)
	return gw.opt.Bus.InboxAddress(q.Name), &q
}

func newEventSender(gw *Gateway) *eventSender {
	s := &eventSender{gw: gw, prefix: gw.opt.NodeID + "-" + strings.ToLower(rand.Text()[:10]) + "-", wake: make(chan struct{}, 1), ended: make(chan struct{})}
	s.address, s.queue = gw.destination(gw.opt.EventsAddress, EventsQueue)
	return s
}

// tell takes an event. It never blocks.
func (s *eventSender) tell(e events.Event) {
	if s == nil {
		return
	}
	e.Time = time.Now()
	s.gw.metrics.events.WithLabelValues(string(e.Type)).Inc()
	s.mu.Lock()
	defer s.mu.Unlock()
	s.keep(e)
}

// keep puts an event behind those that wait, or counts it. The lock is held.
func (s *eventSender) keep(e events.Event) {
	if !s.limiter.Allow(e.Time, &e) {
		s.gw.metrics.eventsSuppressed.Inc()
		return
	}
	if len(s.waiting) >= eventsWaiting {
		s.limiter.Suppress(e.Time, &e)
		s.gw.metrics.eventsSuppressed.Inc()
		return
	}
	s.waiting = append(s.waiting, e)
	select {
	case s.wake <- struct{}{}:
	default:
	}
}

// remainders has the counts told of what was held back. They have their own place, or what is held back would never be told.
func (s *eventSender) remainders(now time.Time) {
	s.mu.Lock()
	defer s.mu.Unlock()
	switch {
	case s.stopping:
		s.waiting = append(s.waiting, s.limiter.All(now)...)
	case len(s.waiting) < eventsWaiting: // else they go on counting
		s.waiting = append(s.waiting, s.limiter.Remainders(now)...)
	}
}

// run sends until the gateway ends.
func (s *eventSender) run() {
	defer close(s.ended)
	if s.queue != nil {
		// Whoever reads it finds it also before there is an event.
		if err := retryUntil(s.gw.ctx, s.prepare); err != nil && s.gw.ctx.Err() == nil {
			s.gw.log.Error("the queue of events cannot be made", zap.String("queue", s.queue.Name), zap.Error(err))
		}
	}
	tick := time.NewTicker(eventsTick)
	defer tick.Stop()
	for {
		batch, stopping := s.take()
		if len(batch) > 0 {
			s.send(batch)
			continue
		}
		if stopping {
			return
		}
		select {
		case <-s.wake:
		case <-tick.C:
			s.remainders(time.Now())
		case <-s.gw.ctx.Done():
			return
		}
	}
}

func (s *eventSender) prepare(ctx context.Context) error {
	return s.gw.opt.Bus.EnsureInbox(ctx, *s.queue)
}

// take gives the next events as messages, at most a batch.
func (s *eventSender) take() (batch []*message.Message, stopping bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	n := min(len(s.waiting), eventsBatch)
	for i := range n {
		s.last++
		batch = append(batch, events.Encode(&s.waiting[i], s.gw.opt.NodeID, s.prefix+strconv.FormatUint(s.last, 36), s.address))
	}
	rest := copy(s.waiting, s.waiting[n:])
	clear(s.waiting[rest:])
	s.waiting = s.waiting[:rest]
	return batch, s.stopping
}

// send publishes a batch and waits until the bus has it, or will not have it.
func (s *eventSender) send(batch []*message.Message) {
	for pause := retryFirst; len(batch) > 0; pause = min(2*pause, retryMax) {
		if batch = s.try(batch); len(batch) > 0 && !sleep(s.gw.ctx, jitter(pause)) {
			s.gw.metrics.eventsLost.Add(float64(len(batch)))
			return
		}
	}
}

// try publishes each once and gives those that are to be tried again. They keep their ids: a reader that got one already can tell.
func (s *eventSender) try(batch []*message.Message) (again []*message.Message) {
	type answer struct {
		index   int
		outcome message.Outcome
	}
	answers := make(chan answer, len(batch))
	for i, m := range batch {
		s.gw.opt.Bus.Publish(eventsShard, m, false, func(o message.Outcome) { answers <- answer{i, o} })
	}
	hold := make([]bool, len(batch))
	for range batch {
		select {
		case a := <-answers:
			hold[a.index] = !s.answered(a.outcome)
		case <-s.gw.ctx.Done():
			return batch
		}
	}
	for i, m := range batch {
		if hold[i] {
			again = append(again, m)
		}
	}
	return again
}

// answered reports whether the bus's answer is its last word.
func (s *eventSender) answered(o message.Outcome) bool {
	answer := mapping.Classify(o, mapping.OutcomeRule{TargetsQueue: s.queue != nil})
	switch answer.Class {
	case mapping.Success:
		s.refused = false
		return true
	case mapping.Refused:
		s.gw.metrics.eventsLost.Inc()
		if !s.refused { // once is enough until it works again: there may be many
			s.refused = true
			s.gw.log.Warn("the bus refuses events; they are lost", zap.String("address", s.address), zap.Error(outcomeError(o)))
		}
		return true
	}
	if o.Kind == message.Released {
		// Somebody has removed the queue.
		ctx, cancel := context.WithTimeout(s.gw.ctx, upkeepWait)
		defer cancel()
		if err := s.prepare(ctx); err != nil {
			s.gw.log.Debug("queue of events not made", zap.Error(err))
		}
	}
	return false
}

// close sends what waits, for as long as ctx allows and not longer than a bus that works needs.
func (s *eventSender) close(ctx context.Context) {
	if s == nil {
		return
	}
	ctx, cancel := context.WithTimeout(ctx, closeWait)
	defer cancel()
	s.mu.Lock()
	s.stopping = true
	s.mu.Unlock()
	s.remainders(time.Now())
	select {
	case s.wake <- struct{}{}:
	default:
	}
	select {
	case <-s.ended:
	case <-ctx.Done():
	}
}

// wait returns when the sender's goroutine has ended, after the gateway's context has.
func (s *eventSender) wait() {
	if s != nil {
		<-s.ended
	}
}

// about is an event about a session.
func about(t events.Type, key sessionstore.Key) events.Event {
	return events.Event{Type: t, Account: accountOf(key), Tenant: key.Tenant, Principal: key.Principal, Client: key.ClientID}
}

// accountOf is whose share of the events it is. Nobody vouches for an anonymous device's identifier, but it is all there is to tell them apart.
func accountOf(key sessionstore.Key) events.Account {
	a := events.Account{Tenant: key.Tenant, Principal: key.Principal}
	if key.Principal == access.AnonymousName {
		a.Client = key.ClientID
	}
	return a
}

// tellFailure tells the backend of a failure of a session's device; of a device that has none yet the key has what is known.
func (gw *Gateway) tellFailure(key sessionstore.Key, o *failure.Occurrence) {
	gw.tell(key, events.OfFailure(o))
}

// tellRefusal tells the backend of a message that was refused, or was stored in the quarantine.
func (gw *Gateway) tellRefusal(key sessionstore.Key, r *bridge.Failed) {
	e := events.OfFailure(&r.Refusal.Occurrence)
	e.User, e.CorrelationID = r.Refusal.UserProperties(), r.Refusal.CorrelationID
	switch {
	case r.Quarantined && r.Failure.About == failure.Publish:
		e.Type, e.Of = events.PublishQuarantined, ""
	case r.Refusal.Failure == failure.DeliveryPoisonous:
		e.Type = events.DeliveryPoisonous
	}
	if r.Quarantined {
		e.Quarantine = r.Refusal.ID
	}
	gw.tell(key, e)
}

// tellLost tells the backend of a device that went away without a word.
func (d *device) tellLost(e bridge.Finish) {
	if d.closed || !e.Opened {
		return
	}
	ended := about(events.ConnectionEnded, d.fence.Key)
	ended.Cause = "the connection was lost without a DISCONNECT"
	d.gw.events.tell(ended)
}

// tellEnded tells the backend of a device that said why it goes.
func (d *device) tellEnded(reason packet.ReasonCode) {
	ended := about(events.ConnectionEnded, d.key())
	ended.Cause, ended.Reason, ended.HasReason = "the device disconnected with a reason", reason, true
	d.gw.events.tell(ended)
}

// tell tells the backend of an event of a session.
func (gw *Gateway) tell(key sessionstore.Key, e events.Event) {
	e.Account, e.Tenant, e.Principal, e.Client = accountOf(key), key.Tenant, key.Principal, key.ClientID
	gw.events.tell(e)
}
