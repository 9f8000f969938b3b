package gateway

import (
	"context"
	"sync"
	"sync/atomic"
	"time"

	"go.uber.org/zap"

	"sluice/gateway/events"
)

// tallies count, for each account with a connection here, what was accepted and refused of its messages, and raise an alarm for one that is wedged
// (events.Wedges). An account that had refusals is kept while it is watched, since a device of MQTT 3.1.1 is disconnected by each.
type tallies struct {
	gw *Gateway

	mu     sync.Mutex
	of     map[events.Account]*tally
	wedges events.Wedges
}

// tally is what is counted of one account. Its counters are all that a message costs.
type tally struct {
	account           events.Account
	users             int // connections; guarded by tallies.mu
	accepted, refused atomic.Uint64
}

func newTallies(gw *Gateway) *tallies { return &tallies{gw: gw, of: map[events.Account]*tally{}} }

// enter gives the account's tally to a connection, until leave.
func (s *tallies) enter(a events.Account) *tally {
	s.mu.Lock()
	defer s.mu.Unlock()
	t := s.of[a]
	if t == nil {
		t = &tally{account: a}
		s.of[a] = t
	}
	t.users++
	return t
}

func (s *tallies) leave(t *tally) {
	if t == nil {
		return // the connection never had a session
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	t.users--
	s.drop(t)
}

// drop forgets a tally that nobody needs. The lock is held.
func (s *tallies) drop(t *tally) {
	if t.users == 0 && !s.wedges.Watches(t.account) {
		delete(s.of, t.account)
	}
}

// refused counts a refusal.
func (s *tallies) refused(t *tally) {
	if t == nil {
		return
	}
	s.mu.Lock()
	alarm, raised := s.wedges.Refused(time.Now(), t.account, t.accepted.Load(), t.refused.Add(1))
	s.gw.metrics.wedged.Set(float64(s.wedges.Wedged()))
	s.mu.Unlock()
	if !raised {
		return
	}
	s.gw.metrics.wedgeAlarms.Inc()
	s.gw.log.Warn("a principal's messages are refused", zap.String("cause", alarm.Cause), zap.String("principal", alarm.Principal), zap.String("client", alarm.Client),
		zap.Uint64("accepted", alarm.Accepted), zap.Uint64("refused", alarm.Refused))
	s.gw.events.tell(alarm)
}

// look is the periodic part; see events.Wedges.Look.
func (s *tallies) look(context.Context) (again bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	var over []*tally
	s.wedges.Look(time.Now(), func(a events.Account) (accepted, refused uint64, ok bool) {
		t := s.of[a]
		if t == nil {
			return 0, 0, false
		}
		if t.users == 0 {
			over = append(over, t) // perhaps
		}
		return t.accepted.Load(), t.refused.Load(), true
	})
	for _, t := range over {
		s.drop(t)
	}
	s.gw.metrics.wedged.Set(float64(s.wedges.Wedged()))
	return false
}
