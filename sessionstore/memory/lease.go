package memory

import (
	"cmp"
	"context"
	"slices"
	"time"

	"sluice/sessionstore"
)

// node is one that has kept a lease.
type node struct {
	until time.Time
	swept bool // taken for dead: its next KeepLease says so
}

// KeepLease: see sessionstore.Store.
func (s *Store) KeepLease(ctx context.Context, name string) error {
	if err := sessionstore.ValidateNode(name); err != nil {
		return err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if err := s.usable(ctx); err != nil {
		return err
	}
	n := s.nodes[name]
	if n == nil {
		n = &node{}
		s.nodes[name] = n
	}
	n.until = s.now().Add(s.times.Lease)
	if n.swept {
		n.swept = false
		return sessionstore.ErrFenced
	}
	return nil
}

// Sweep: see sessionstore.Store.
func (s *Store) Sweep(ctx context.Context, observer string) (taken int, err error) {
	if err := sessionstore.ValidateNode(observer); err != nil {
		return 0, err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if err := s.usable(ctx); err != nil {
		return 0, err
	}
	now := s.now()
	var missing []string
	for name, n := range s.nodes {
		if name != observer && !now.Before(n.until) {
			missing = append(missing, name)
		}
	}
	seen := s.observers[observer]
	if seen == nil {
		seen = sessionstore.NewAbsence(s.times.DeadAfter)
		s.observers[observer] = seen
	}
	for _, name := range seen.Observe(now, missing) {
		s.nodes[name].swept = true
		taken += s.orphan(name, sessionstore.MaxSweep-taken)
	}
	return taken, nil
}

// orphan releases up to most sessions of a dead node.
func (s *Store) orphan(name string, most int) int {
	now := s.now()
	var orphans []*session
	for _, held := range s.sessions {
		if held.owner == name && held.leased {
			orphans = append(orphans, held)
		}
	}
	// In the order they came, so that a simulation repeats itself.
	slices.SortFunc(orphans, func(a, b *session) int { return cmp.Compare(a.epoch, b.epoch) })
	orphans = orphans[:min(len(orphans), most)]
	for _, held := range orphans {
		s.epoch++
		held.release(s.epoch, now, now)
		// The device has the grace to come back, even when its session is over by now.
		held.graceUntil = now.Add(s.times.WillGrace)
		if held.will != nil && held.willAt.Before(held.graceUntil) {
			held.willAt = held.graceUntil
		}
		if held.will != nil && !held.endsAt.IsZero() && held.endsAt.Before(held.willAt) {
			held.endsAt = held.willAt
		}
	}
	return len(orphans)
}
