package client

import (
	"context"
	"maps"
	"slices"
	"sync"

	goamqp "github.com/Azure/go-amqp"

	"sluice/amqp/message"
)

// settler makes the settlements of one connection to a bus of static entities with a few workers. go-amqp has no batched dispositions: each call waits until its frame is
// written. A link is with one worker at a time, so that its settlements keep their order: releasing in delivery order depends on it.
//
// Its memory is bounded by the deliveries that are unsettled, and those by credit.
type settler struct {
	mu      sync.Mutex
	cond    sync.Cond
	ready   []*libraryLink // links with settlements to make, each at most once
	stopped bool
	workers sync.WaitGroup
}

func newSettler() *settler {
	s := &settler{}
	s.cond.L = &s.mu
	for range settleWorkers {
		s.workers.Go(s.work)
	}
	return s
}

func (s *settler) submit(l *libraryLink) {
	s.mu.Lock()
	if s.stopped {
		s.mu.Unlock()
		l.abandon()
		return
	}
	s.ready = append(s.ready, l)
	s.cond.Signal()
	s.mu.Unlock()
}

// stop ends the workers; what is not settled by then belongs to a connection that is gone.
func (s *settler) stop() {
	s.mu.Lock()
	s.stopped = true
	s.cond.Broadcast()
	s.mu.Unlock()
	s.workers.Wait()
	for _, l := range s.ready {
		l.abandon()
	}
}

func (s *settler) work() {
	for {
		s.mu.Lock()
		for len(s.ready) == 0 && !s.stopped {
			s.cond.Wait()
		}
		if s.stopped {
			s.mu.Unlock()
			return
		}
		l := s.ready[0]
		s.ready[0] = nil
		s.ready = s.ready[1:]
		s.mu.Unlock()
		if l.settleSome() {
			s.submit(l)
		}
	}
}

// settlement is one to be made; or, with a nil message, credit to be granted. They share a queue, so that credit granted after a release
// reaches the bus after it, and the released message is the next to come.
type settlement struct {
	message *goamqp.Message
	outcome message.Outcome
	credit  uint32
}

// libraryLink is a link that the library receives on, on a bus of static entities. It implements link.
type libraryLink struct {
	receiver *goamqp.Receiver
	slot     *slot
	settled  bool   // the bus sends settled
	limit    uint64 // of the session's deliveries, see sessionRotation

	mu        sync.Mutex
	tag       uint64 // of the latest delivery
	unsettled map[uint64]*goamqp.Message
	credit    int // granted by hand and not used
	pending   []settlement
	scheduled bool
	idle      chan struct{} // non-nil while someone waits for pending to be done; closed then
	closing   bool          // settle no more
}

// take implements link. With errRotated the session has had its share of deliveries.
func (l *libraryLink) take(ctx context.Context, dst []arrival) ([]arrival, error) {
	if l.slot.deliveries.Load() >= l.limit {
		return nil, errRotated
	}
	m, err := l.receiver.Receive(ctx, nil)
	if err != nil {
		return nil, err
	}
	for ; m != nil; m = l.receiver.Prefetched() {
		dst = append(dst, l.arrive(m))
		if !l.settled || len(dst) == takeMost || l.slot.deliveries.Load() >= l.limit {
			break
		}
	}
	return dst, nil
}

// arrive gives the payload away; m is kept for the settlement only.
func (l *libraryLink) arrive(m *goamqp.Message) arrival {
	l.slot.deliveries.Add(1)
	l.mu.Lock()
	defer l.mu.Unlock()
	l.credit--
	l.tag++
	a := arrival{tag: l.tag, raw: unwrap(m.Data), settled: l.settled}
	m.Data = nil
	if !l.settled {
		l.unsettled[a.tag] = m
	}
	return a
}

// settle implements link: it queues the settlement.
func (l *libraryLink) settle(tag uint64, o message.Outcome) {
	l.mu.Lock()
	m, ok := l.unsettled[tag]
	if !ok || l.closing {
		l.mu.Unlock()
		return
	}
	delete(l.unsettled, tag)
	l.enqueue(settlement{message: m, outcome: o})
}

// grant implements link: it queues the credit.
func (l *libraryLink) grant(n uint32) {
	l.mu.Lock()
	n = min(n, uint32(maxCredit-min(l.credit, maxCredit)))
	if l.closing || n == 0 {
		l.mu.Unlock()
		return
	}
	l.credit += int(n)
	if k := len(l.pending); k > 0 && l.pending[k-1].message == nil {
		l.pending[k-1].credit += n // so that the queue stays bounded by the deliveries
		l.mu.Unlock()
		return
	}
	l.enqueue(settlement{credit: n})
}

// enqueue has s performed by the settler. l.mu is held and is let go.
func (l *libraryLink) enqueue(s settlement) {
	l.pending = append(l.pending, s)
	schedule := !l.scheduled
	l.scheduled = true
	l.mu.Unlock()
	if schedule {
		l.slot.settler.submit(l)
	}
}

// settleSome makes up to settleBatch settlements and reports whether more are waiting.
func (l *libraryLink) settleSome() (more bool) {
	l.mu.Lock()
	n := min(len(l.pending), settleBatch)
	batch := l.pending[:n:n] // never appended to again: grant changes what is behind it only
	l.pending = l.pending[n:]
	l.mu.Unlock()
	for i := range batch {
		perform(l.receiver, &batch[i])
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	if len(l.pending) > 0 {
		return true
	}
	l.finished()
	return false
}

// abandon gives up what is pending: its connection has ended.
func (l *libraryLink) abandon() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.pending = nil
	l.finished()
}

// finished: nothing is pending. l.mu is held.
func (l *libraryLink) finished() {
	l.pending, l.scheduled = nil, false
	if l.idle != nil {
		close(l.idle)
		l.idle = nil
	}
}

// quiesce takes no more settlements and waits until those that were taken are made.
func (l *libraryLink) quiesce() {
	l.mu.Lock()
	l.closing = true
	if !l.scheduled {
		l.mu.Unlock()
		return
	}
	if l.idle == nil {
		l.idle = make(chan struct{})
	}
	idle := l.idle
	l.mu.Unlock()
	<-idle
}

// detach implements link.
func (l *libraryLink) detach(back message.Outcome) {
	l.quiesce()
	for _, tag := range slices.Sorted(maps.Keys(l.unsettled)) {
		perform(l.receiver, &settlement{message: l.unsettled[tag], outcome: back})
	}
	if !l.settled {
		for m := l.receiver.Prefetched(); m != nil; m = l.receiver.Prefetched() {
			perform(l.receiver, &settlement{message: m, outcome: back})
		}
	}
	_ = l.slot.conn.within("detach", func() error { return l.receiver.Close(context.Background()) })
}

// perform makes one settlement. An error means that the link is gone, and with it the delivery: the bus has it back.
func perform(r *goamqp.Receiver, s *settlement) {
	if s.message == nil {
		_ = r.IssueCredit(s.credit)
		return
	}
	ctx := context.Background() // without deadline: see the package's invariants
	switch s.outcome.Kind {
	case message.Accepted:
		_ = r.AcceptMessage(ctx, s.message)
	case message.Rejected:
		_ = r.RejectMessage(ctx, s.message, errorTo(s.outcome.Error))
	case message.Modified:
		_ = r.ModifyMessage(ctx, s.message, &goamqp.ModifyMessageOptions{DeliveryFailed: s.outcome.DeliveryFailed,
			UndeliverableHere: s.outcome.UndeliverableHere, Annotations: annotationsTo(s.outcome.Annotations)})
	default: // Released, and what can only be a mistake of the caller: giving it back loses nothing
		_ = r.ReleaseMessage(ctx, s.message)
	}
}
