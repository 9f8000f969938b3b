package queues

import "time"

// debt is a message that has to go to the dead-letter exchange of queue.
type debt struct {
	queue  *queue
	entry  *entry
	reason string
}

// settleDebts publishes the dead letters that the operation at hand has left. A dead letter may push out others; each comes from a queue entry
// that ends here, and a cycle without a rejection is cut, so the loop ends.
func (s *Store) settleDebts(now time.Time) {
	for i := 0; i < len(s.debts); i++ {
		s.deadLetter(now, s.debts[i])
		s.debts[i] = debt{}
	}
	s.debts = s.debts[:0]
}

// deadLetter publishes at most once: what no queue takes is gone, as with RabbitMQ's default dead-letter strategy.
func (s *Store) deadLetter(now time.Time, d debt) {
	q, old := d.queue, d.entry
	defer s.discount(old.msg)
	key := old.key
	if q.set.hasDeadKey {
		key = q.set.deadKey
	}
	targets, err := s.route(q.set.deadExchange, key)
	if err != nil {
		return
	}
	deaths := append(old.deaths[:len(old.deaths):len(old.deaths)], death{queue: q.name, reason: d.reason})
	if len(deaths) > maxDeaths {
		deaths = append(deaths[:1:1], deaths[len(deaths)-maxDeaths+1:]...)
	}
	// A message without its own expiry: RabbitMQ removes it too, or it would expire again in the next queue at once.
	msg := old.msg
	if d.reason == reasonExpired && msg.TTL > 0 {
		eternal := *msg
		eternal.TTL, eternal.refs = 0, 0
		msg = &eternal
	}
	for _, target := range targets {
		if target.refuses(msg.Size()) || cycles(deaths, target.name, d.reason) {
			continue
		}
		e := &entry{msg: msg, exchange: q.set.deadExchange, key: key, annotations: old.annotations, deaths: deaths}
		e.annotate(map[string]any{
			"x-first-death-exchange": firstExchange(old),
			"x-first-death-queue":    deaths[0].queue,
			"x-first-death-reason":   deaths[0].reason,
			"x-last-death-exchange":  old.exchange,
			"x-last-death-queue":     q.name,
			"x-last-death-reason":    d.reason,
		})
		target.enqueue(now, e)
	}
}

func firstExchange(e *entry) string {
	if first, ok := e.annotations["x-first-death-exchange"].(string); ok {
		return first
	}
	return e.exchange
}

// cycles tells whether the message was in this queue before and nobody rejected it since: it would go round for ever.
func cycles(deaths []death, queue, reason string) bool {
	if reason == reasonRejected {
		return false
	}
	for i := len(deaths) - 1; i >= 0; i-- {
		if deaths[i].reason == reasonRejected {
			return false
		}
		if deaths[i].queue == queue {
			return true
		}
	}
	return false
}
