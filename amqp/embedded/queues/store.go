package queues

import (
	"sync"
	"time"
)

// Options of a Store. The functions may be nil; they run under the store's mutex, so they must not block nor call the store.
type Options struct {
	Limits Limits
	// Due is called when Tick has to come earlier than it last said.
	Due func()
	// Pressure is called with true when the queued bytes reach nine tenths of Limits.MaxBytes, with false when they are below eight tenths.
	Pressure func(full bool)
}

// Store holds all exchanges and queues of a broker. Its methods may be called from any goroutine.
type Store struct {
	mu        sync.Mutex
	limits    Limits
	pressure  func(bool)
	exchanges map[string]*exchange
	queues    map[string]*queue
	owned     map[uint64]map[*queue]struct{} // exclusive queues by connection
	bindings  int
	bytes     int64
	full      bool
	timers    timers
	debts     []debt   // dead letters still to be published
	targets   []*queue // scratch of route
	pass      uint64   // number of the routing pass, see queue.mark
}

// New gives a store with RabbitMQ's predeclared exchanges.
func New(o Options) *Store {
	s := &Store{
		limits:    o.Limits.withDefaults(),
		pressure:  o.Pressure,
		exchanges: make(map[string]*exchange),
		queues:    make(map[string]*queue),
		owned:     make(map[uint64]map[*queue]struct{}),
		timers:    timers{earlier: o.Due},
	}
	for name, kind := range builtIn {
		s.exchanges[name] = newExchange(name, ExchangeSpec{Type: kind, Durable: true})
	}
	return s
}

// Tick does everything that is due at now and tells when it must be called again; zero: not until Options.Due says so.
func (s *Store) Tick(now time.Time) time.Time {
	s.mu.Lock()
	defer s.mu.Unlock()
	for {
		next := s.timers.next()
		if next.IsZero() || next.After(now) {
			return next
		}
		s.timers.heap[0].tick(now)
		s.settleDebts(now)
	}
}

// ConnectionGone deletes the exclusive queues of a connection. Its consumers must have been cancelled.
func (s *Store) ConnectionGone(owner uint64) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for q := range s.owned[owner] {
		s.remove(q, refuse(NotFound, "queue %q was deleted with its connection", q.name))
	}
}

// Full tells whether publishers should be held back: nine tenths of the memory are used.
func (s *Store) Full() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.full
}

// account counts one more place where m stands.
func (s *Store) account(m *Message) {
	if m.refs++; m.refs == 1 {
		s.bytes += m.Size()
	}
	s.bytes += entryOverhead
	s.gauge()
}

// discount counts one place less.
func (s *Store) discount(m *Message) {
	if m.refs--; m.refs == 0 {
		s.bytes -= m.Size()
	}
	s.bytes -= entryOverhead
	s.gauge()
}

// gauge raises or ends the pressure; two levels, so that it does not flutter.
func (s *Store) gauge() {
	full := s.full
	switch {
	case s.bytes >= s.limits.MaxBytes/10*9:
		full = true
	case s.bytes < s.limits.MaxBytes/10*8:
		full = false
	}
	if full == s.full {
		return
	}
	s.full = full
	if s.pressure != nil {
		s.pressure(full)
	}
}

// remove deletes a queue: bindings, messages, and the consumers with a reason.
func (s *Store) remove(q *queue, why *Error) int {
	q.gone = true
	messages := q.ready.len() + q.held
	for b := range q.bindings {
		s.unbind(b.exchange, b.id, q)
	}
	for q.ready.len() > 0 {
		s.discount(q.ready.pop().msg)
	}
	for _, c := range q.consumers {
		c.gone = why
		for _, e := range c.assigned {
			s.discount(e.msg)
		}
		for _, e := range c.unsettled {
			s.discount(e.msg)
		}
		c.assigned, c.unsettled = nil, nil
		c.wake()
	}
	q.consumers, q.held = nil, 0
	s.timers.remove(q)
	delete(s.queues, q.name)
	delete(s.owned[q.owner], q)
	if len(s.owned[q.owner]) == 0 {
		delete(s.owned, q.owner)
	}
	return messages
}

// unbind removes one binding, and an auto-delete exchange with its last one.
func (s *Store) unbind(x *exchange, id bindingID, q *queue) {
	if !x.unbind(id, q) {
		return
	}
	s.bindings--
	if x.spec.AutoDelete && len(x.bindings) == 0 {
		delete(s.exchanges, x.name)
	}
}
