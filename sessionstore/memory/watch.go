package memory

import (
	"context"

	"sluice/sessionstore"
)

// watch carries takeovers from the claimer's goroutine to one of its own: lost may take a lock that the claimer holds.
type watch struct {
	node    string
	lost    func(sessionstore.Key, uint64)
	pending map[sessionstore.Key]uint64 // under Store.mu; bounded by the sessions: one entry a key, the greatest epoch
	wake    chan struct{}
	end     context.CancelFunc
}

// Watch: see sessionstore.Store. Nothing is ever missed here.
func (s *Store) Watch(ctx context.Context, node string, lost func(sessionstore.Key, uint64), _ func()) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if err := s.usable(ctx); err != nil {
		return err
	}
	ctx, end := context.WithCancel(ctx)
	w := &watch{node: node, lost: lost, pending: make(map[sessionstore.Key]uint64), wake: make(chan struct{}, 1), end: end}
	s.watches[w] = struct{}{}
	s.running.Go(func() { s.run(ctx, w) })
	return nil
}

func (s *Store) run(ctx context.Context, w *watch) {
	defer w.end()
	for {
		select {
		case <-ctx.Done():
			s.mu.Lock()
			delete(s.watches, w)
			s.mu.Unlock()
			return
		case <-w.wake:
		}
		s.mu.Lock()
		told := w.pending
		w.pending = make(map[sessionstore.Key]uint64)
		s.mu.Unlock()
		for key, epoch := range told {
			if ctx.Err() == nil {
				w.lost(key, epoch)
			}
		}
	}
}

// tell is called under the lock.
func (s *Store) tell(node string, key sessionstore.Key, epoch uint64) {
	for w := range s.watches {
		if w.node != node {
			continue
		}
		w.pending[key] = epoch
		select {
		case w.wake <- struct{}{}:
		default:
		}
	}
}
