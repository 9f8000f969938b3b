package memory

import (
	"context"
	"fmt"
	"sync"
	"time"

	"sluice/sessionstore"
)

// Options of a Store; the zero value is usable.
type Options struct {
	// MaxSessions bounds the sessions kept, DefaultMaxSessions when zero. Beyond it ended sessions go first, then a Claim that would create
	// one gets ErrFull.
	MaxSessions int
}

// Store implements sessionstore.Store in the memory of this process.
type Store struct {
	max int

	mu       sync.Mutex
	closed   bool
	epoch    uint64 // the greatest given out, over all keys: a key whose session was removed cannot get an old one again
	sessions map[sessionstore.Key]*session
	watches  map[*watch]struct{}
	running  sync.WaitGroup // one per watch
}

var _ sessionstore.Store = (*Store)(nil)

// New makes an empty store.
func New(opts Options) *Store {
	if opts.MaxSessions <= 0 {
		opts.MaxSessions = DefaultMaxSessions
	}
	return &Store{
		max:      opts.MaxSessions,
		sessions: make(map[sessionstore.Key]*session),
		watches:  make(map[*watch]struct{}),
	}
}

// Claim: see sessionstore.Store.
func (s *Store) Claim(ctx context.Context, req sessionstore.ClaimRequest) (sessionstore.Claimed, error) {
	if err := req.Validate(); err != nil {
		return sessionstore.Claimed{}, err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if err := s.usable(ctx); err != nil {
		return sessionstore.Claimed{}, err
	}
	var out sessionstore.Claimed
	held := s.sessions[req.Key]
	if held == nil && !s.roomAt(req.Now) {
		return out, fmt.Errorf("%w: %d sessions are kept in memory, the most this store may hold", sessionstore.ErrFull, len(s.sessions))
	}
	s.epoch++
	if held != nil {
		if held.owner != "" {
			out.Previous = &sessionstore.Owner{Node: held.owner, Epoch: held.epoch}
		}
		if over := req.Clean || held.endsWithConnection() || held.ended(req.Now); over {
			gone := held.read(req.Key)
			out.Discarded, held = &gone, nil
		}
	}
	out.Present = held != nil
	if held == nil {
		held = newSession(s.epoch)
		s.sessions[req.Key] = held
	}
	held.epoch, held.owner, held.expiry, held.released = s.epoch, req.Node, req.Expiry, time.Time{}
	out.Session = held.read(req.Key)
	if out.Previous != nil {
		s.tell(out.Previous.Node, req.Key, s.epoch)
	}
	return out, nil
}

// roomAt reports whether one more session may be created, after removing those that ended by now if need be.
func (s *Store) roomAt(now time.Time) bool {
	if len(s.sessions) < s.max {
		return true
	}
	for key, held := range s.sessions {
		if held.ended(now) {
			delete(s.sessions, key)
		}
	}
	return len(s.sessions) < s.max
}

// Write: see sessionstore.Store. It is applied, and done called, before it returns.
func (s *Store) Write(f sessionstore.Fence, ops []sessionstore.Op, done func(error)) {
	done(s.write(f, ops))
}

func (s *Store) write(f sessionstore.Fence, ops []sessionstore.Op) error {
	if err := sessionstore.ValidateWrite(f, ops); err != nil {
		return err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if err := s.usable(context.Background()); err != nil {
		return err
	}
	held := s.sessions[f.Key]
	if held == nil || held.epoch != f.Epoch || held.owner == "" {
		return sessionstore.ErrFenced
	}
	if !held.roomFor(ops) {
		return fmt.Errorf("%w: the session holds %d subscriptions, at most %d are kept",
			sessionstore.ErrFull, len(held.subscriptions), sessionstore.MaxSubscriptions)
	}
	for _, op := range ops {
		held.apply(op)
	}
	return nil
}

// Release: see sessionstore.Store.
func (s *Store) Release(ctx context.Context, f sessionstore.Fence, now time.Time, end bool) error {
	if err := f.Key.Validate(); err != nil {
		return err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if err := s.usable(ctx); err != nil {
		return err
	}
	held := s.sessions[f.Key]
	if held == nil || held.epoch != f.Epoch {
		return sessionstore.ErrFenced
	}
	if end || held.expiry == 0 {
		delete(s.sessions, f.Key)
		return nil
	}
	if held.owner != "" {
		held.owner, held.released = "", now.UTC().Truncate(time.Millisecond)
	}
	return nil
}

// Get: see sessionstore.Store.
func (s *Store) Get(ctx context.Context, key sessionstore.Key, now time.Time) (sessionstore.Session, error) {
	if err := key.Validate(); err != nil {
		return sessionstore.Session{}, err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if err := s.usable(ctx); err != nil {
		return sessionstore.Session{}, err
	}
	held := s.sessions[key]
	if held == nil {
		return sessionstore.Session{}, sessionstore.ErrNotFound
	}
	found := held.read(key)
	if found.Ended(now) {
		return sessionstore.Session{}, sessionstore.ErrNotFound
	}
	return found, nil
}

// Ready: nil until Close.
func (s *Store) Ready(ctx context.Context) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.usable(ctx)
}

// Close ends the watches; every later call gets ErrUnavailable. What was stored is gone.
func (s *Store) Close() error {
	s.mu.Lock()
	s.closed = true
	clear(s.sessions)
	for w := range s.watches {
		w.end()
	}
	s.mu.Unlock()
	s.running.Wait()
	return nil
}

// usable is called under the lock.
func (s *Store) usable(ctx context.Context) error {
	if s.closed {
		return fmt.Errorf("%w: the store is closed", sessionstore.ErrUnavailable)
	}
	if err := ctx.Err(); err != nil {
		return fmt.Errorf("%w: %w", sessionstore.ErrUnavailable, err)
	}
	return nil
}
