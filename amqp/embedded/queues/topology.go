package queues

import (
	"strings"
	"time"
)

// DeclareQueue makes a queue for the connection owner, or finds an equivalent one; created tells which. A declaration of an idle
// queue starts its x-expires period anew, as RabbitMQ's classic queues do.
func (s *Store) DeclareQueue(now time.Time, owner uint64, name string, spec QueueSpec) (created bool, err *Error) {
	if err := checkName("queue", name); err != nil {
		return false, err
	}
	if name == "" {
		return false, refuse(Invalid, "a queue needs a name")
	}
	set, err := parseSettings(name, spec.Arguments)
	if err != nil {
		return false, err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if q := s.queues[name]; q != nil {
		if err := q.sameAs(owner, spec); err != nil {
			return false, err
		}
		q.startExpiry(now)
		return false, nil
	}
	if reserved(name) {
		return false, refuse(Forbidden, "queue %q: names that begin with \"amq.\" are reserved", name)
	}
	if len(s.queues) >= s.limits.MaxQueues {
		return false, refuse(Exhausted, "queue %q: the limit of %d queues is reached", name, s.limits.MaxQueues)
	}
	q := &queue{store: s, name: name, spec: spec, set: set, bindings: make(map[boundTo]struct{}), slot: -1}
	if spec.Exclusive {
		q.owner = owner
		if s.owned[owner] == nil {
			s.owned[owner] = make(map[*queue]struct{})
		}
		s.owned[owner][q] = struct{}{}
	}
	s.queues[name] = q
	q.startExpiry(now)
	return true, nil
}

// sameAs refuses a second declaration that is not equivalent, naming the first difference.
func (q *queue) sameAs(owner uint64, spec QueueSpec) *Error {
	if err := q.lockedTo(owner); err != nil {
		return err
	}
	differs := ""
	switch {
	case q.spec.Durable != spec.Durable:
		differs = "durable"
	case q.spec.Exclusive != spec.Exclusive:
		differs = "exclusive"
	case q.spec.AutoDelete != spec.AutoDelete:
		differs = "auto_delete"
	default:
		if key, same := equivalent(q.spec.Arguments, spec.Arguments); !same {
			differs = "argument " + key
		}
	}
	if differs == "" {
		return nil
	}
	return refuse(Conflict, "queue %q exists with another value of %s; delete it first or declare it as it is", q.name, differs)
}

func (q *queue) lockedTo(owner uint64) *Error {
	if q.spec.Exclusive && q.owner != owner {
		return refuse(Locked, "queue %q is exclusive to another connection", q.name)
	}
	return nil
}

// find is the queue that owner may use.
func (s *Store) find(owner uint64, name string) (*queue, *Error) {
	q := s.queues[name]
	if q == nil {
		return nil, refuse(NotFound, "no queue %q; declare it with PUT /queues/... on /management", name)
	}
	return q, q.lockedTo(owner)
}

// DeleteQueue removes a queue and tells how many messages it held. An absent queue is no error.
func (s *Store) DeleteQueue(owner uint64, name string) (int, *Error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	q := s.queues[name]
	if q == nil {
		return 0, nil
	}
	if err := q.lockedTo(owner); err != nil {
		return 0, err
	}
	return s.remove(q, refuse(NotFound, "queue %q was deleted", name)), nil
}

// PurgeQueue removes the ready messages and tells how many they were. Unsettled ones stay.
func (s *Store) PurgeQueue(owner uint64, name string) (int, *Error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	q, err := s.find(owner, name)
	if err != nil {
		return 0, err
	}
	n := q.ready.len()
	for q.ready.len() > 0 {
		s.discount(q.ready.pop().msg)
	}
	q.rearm()
	return n, nil
}

// DeclareExchange makes an exchange or finds an equivalent one.
func (s *Store) DeclareExchange(name string, spec ExchangeSpec) *Error {
	if err := checkName("exchange", name); err != nil {
		return err
	}
	switch spec.Type {
	case "direct", "fanout", "topic":
	default:
		return refuse(Invalid, "exchange %q: type %q is not supported here; use direct, fanout or topic", name, spec.Type)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if x := s.exchanges[name]; x != nil {
		if _, same := equivalent(x.spec.Arguments, spec.Arguments); !same || x.spec.Type != spec.Type ||
			x.spec.Durable != spec.Durable || x.spec.AutoDelete != spec.AutoDelete || x.spec.Internal != spec.Internal {
			return refuse(Conflict, "exchange %q exists with other arguments; delete it first or declare it as it is", name)
		}
		return nil
	}
	if name == "" || reserved(name) {
		return refuse(Forbidden, "exchange %q: the empty name and names that begin with \"amq.\" are reserved", name)
	}
	if len(spec.Arguments) > 0 {
		return refuse(Invalid, "exchange %q: arguments are not supported here", name)
	}
	if len(s.exchanges) >= s.limits.MaxExchanges {
		return refuse(Exhausted, "exchange %q: the limit of %d exchanges is reached", name, s.limits.MaxExchanges)
	}
	s.exchanges[name] = newExchange(name, spec)
	return nil
}

// DeleteExchange removes an exchange with its bindings. An absent one is no error.
func (s *Store) DeleteExchange(name string) *Error {
	if name == "" || strings.HasPrefix(name, "amq.") {
		return refuse(Forbidden, "exchange %q cannot be deleted: it is part of the broker", name)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	x := s.exchanges[name]
	if x == nil {
		return nil
	}
	for id := range x.bindings {
		s.unbind(x, id, s.queues[id.queue])
	}
	delete(s.exchanges, name)
	return nil
}

// Bind adds a binding; one that exists already is no error.
func (s *Store) Bind(owner uint64, b Binding) *Error {
	if len(b.Key) > maxNameLength {
		return refuse(Invalid, "binding key of %d bytes: at most %d are possible", len(b.Key), maxNameLength)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if b.Exchange == "" {
		return refuse(Forbidden, "the default exchange has no bindings of its own: it routes by queue name")
	}
	x := s.exchanges[b.Exchange]
	if x == nil {
		return refuse(NotFound, "no exchange %q", b.Exchange)
	}
	q, err := s.find(owner, b.Queue)
	if err != nil {
		return err
	}
	if s.bindings >= s.limits.MaxBindings {
		return refuse(Exhausted, "the limit of %d bindings is reached", s.limits.MaxBindings)
	}
	if x.bind(b, q) {
		s.bindings++
	}
	return nil
}

// Unbind removes the binding whose arguments have this hash (ArgumentsHash); an absent one is no error.
func (s *Store) Unbind(owner uint64, exchange, name, key, hash string) *Error {
	s.mu.Lock()
	defer s.mu.Unlock()
	x, q := s.exchanges[exchange], s.queues[name]
	if x == nil || q == nil {
		return nil
	}
	if err := q.lockedTo(owner); err != nil {
		return err
	}
	s.unbind(x, bindingID{queue: name, key: key, arguments: hash}, q)
	return nil
}

// Bindings lists the bindings of an exchange, in a stable order; with a queue or key given, only the matching ones.
func (s *Store) Bindings(exchange, queue string, key *string) []Binding {
	s.mu.Lock()
	defer s.mu.Unlock()
	x := s.exchanges[exchange]
	if x == nil {
		return nil
	}
	var list []Binding
	for _, b := range x.sortedBindings() {
		if (queue == "" || b.Queue == queue) && (key == nil || b.Key == *key) {
			list = append(list, b)
		}
	}
	return list
}
