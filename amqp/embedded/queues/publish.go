package queues

import "time"

// Result says what became of a published message.
type Result struct {
	// Queues is how many queues it matched; zero: nobody is interested (AMQP's released, as RabbitMQ has it).
	Queues int
	// RefusedBy is a queue that did not take the message, empty when all did; Reason is RabbitMQ's word for why: "maxlen", or
	// "unavailable" when the broker's memory is full.
	RefusedBy, Reason string
}

// Publish routes a message. The queues that can take it do so even when another refuses it.
func (s *Store) Publish(now time.Time, exchange, key string, m *Message) (Result, *Error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	defer s.settleDebts(now)
	targets, err := s.route(exchange, key)
	if err != nil {
		return Result{}, err
	}
	result := Result{Queues: len(targets)}
	if len(targets) > 0 && s.bytes+m.Size()+int64(len(targets))*entryOverhead > s.limits.MaxBytes {
		result.RefusedBy, result.Reason = targets[0].name, "unavailable"
		return result, nil
	}
	for _, q := range targets {
		if q.refuses(m.Size()) {
			result.RefusedBy, result.Reason = q.name, reasonMaxLength
			continue
		}
		q.enqueue(now, &entry{msg: m, exchange: exchange, key: key})
	}
	return result, nil
}

// HasExchange tells whether a publisher may attach to the exchange.
func (s *Store) HasExchange(name string) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return name == "" || s.exchanges[name] != nil
}

// HasQueue tells whether the queue exists.
func (s *Store) HasQueue(name string) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.queues[name] != nil
}

// route finds the queues for a message, each once. The result is valid until the next call.
func (s *Store) route(exchange, key string) ([]*queue, *Error) {
	s.targets = s.targets[:0]
	if exchange == "" {
		if q := s.queues[key]; q != nil {
			s.targets = append(s.targets, q)
		}
		return s.targets, nil
	}
	x := s.exchanges[exchange]
	if x == nil {
		return nil, refuse(NotFound, "no exchange %q; declare it with PUT /exchanges/... on /management", exchange)
	}
	if x.spec.Internal {
		return nil, refuse(Forbidden, "exchange %q is internal", exchange)
	}
	s.pass++
	x.match(key, func(q *queue) {
		if q.mark != s.pass {
			q.mark = s.pass
			s.targets = append(s.targets, q)
		}
	})
	return s.targets, nil
}

// Consume adds a consumer to a queue, without demand.
func (s *Store) Consume(owner uint64, name string, spec ConsumerSpec) (*Consumer, *Error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	q, err := s.find(owner, name)
	if err != nil {
		return nil, err
	}
	c := &Consumer{store: s, queue: q, owner: owner, notify: spec.Notify, settled: spec.Settled, unsettled: make(map[uint64]*entry)}
	q.consumers = append(q.consumers, c)
	q.idleUntil = time.Time{}
	q.rearm()
	return c, nil
}
