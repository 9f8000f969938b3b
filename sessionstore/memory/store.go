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
	// one gets ErrFull. As many client identifiers, and as many credentials, may be bound.
	MaxSessions int
	// Times are the waits of leases and work.
	Times sessionstore.Times
	// Retained bounds the retained messages of each tenant.
	Retained sessionstore.RetainedQuota
	// Now is the store's clock, time.Now when nil. It need not be any node's.
	Now func() time.Time
}

// Store implements sessionstore.Store in the memory of this process.
type Store struct {
	max   int
	times sessionstore.Times
	quota sessionstore.RetainedQuota
	now   func() time.Time

	mu       sync.Mutex
	closed   bool
	epoch    uint64 // the greatest given out, over all keys and groups: a key whose session was removed cannot get an old one again
	sessions map[sessionstore.Key]*session
	work     map[workID]*piece
	aside    map[asideID]aside
	retained map[string]*retained // by tenant
	groups   map[sessionstore.Group]*group
	clients  map[clientID]bound
	// owned counts the entries of clients of each principal; those that are over were looked for at swept.
	owned map[owner]int
	swept time.Time
	// credentials may have entries that are over; at most max, as clients.
	credentials    map[credential]holder
	revoked        map[string]sessionstore.Revocation // by ID
	revokedVersion uint64                             // an epoch; zero before the first change
	nodes          map[string]*node
	observers      map[string]*sessionstore.Absence
	watches        map[*watch]struct{}
	running        sync.WaitGroup // one per watch
}

var _ sessionstore.Store = (*Store)(nil)

// New makes an empty store.
func New(opts Options) *Store {
	if opts.MaxSessions <= 0 {
		opts.MaxSessions = DefaultMaxSessions
	}
	if opts.Now == nil {
		opts.Now = time.Now
	}
	return &Store{
		max: opts.MaxSessions, times: opts.Times.OrDefault(), quota: opts.Retained.OrDefault(), now: opts.Now,
		sessions:    make(map[sessionstore.Key]*session),
		work:        make(map[workID]*piece),
		aside:       make(map[asideID]aside),
		retained:    make(map[string]*retained),
		groups:      make(map[sessionstore.Group]*group),
		clients:     make(map[clientID]bound),
		owned:       make(map[owner]int),
		credentials: make(map[credential]holder),
		revoked:     make(map[string]sessionstore.Revocation),
		nodes:       make(map[string]*node),
		observers:   make(map[string]*sessionstore.Absence),
		watches:     make(map[*watch]struct{}),
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
	if n := s.workOf(req.Key); n >= sessionstore.MaxWork {
		return out, fmt.Errorf("%w: %d pieces of work wait for this session", sessionstore.ErrFull, n)
	}
	s.epoch++
	if held != nil {
		if held.owner != "" {
			out.Previous = &sessionstore.Owner{Node: held.owner, Epoch: held.epoch}
		}
		over := req.Clean || held.endsWithConnection() || held.ended(req.Now)
		s.takeWill(req.Key, held, over)
		if over {
			gone := held.read(req.Key)
			s.end(req.Key, held)
			out.Discarded, held = &gone, nil
		}
	}
	out.Present = held != nil
	if held == nil {
		held = newSession(s.epoch)
		s.sessions[req.Key] = held
	}
	held.own(s.epoch, req)
	held.leased = s.nodes[req.Node] != nil
	out.Session, out.Work = held.read(req.Key), s.workOf(req.Key) > 0
	if out.Previous != nil {
		s.tell(out.Previous.Node, req.Key, s.epoch)
	}
	return out, nil
}

// roomAt reports whether one more session may be created, after removing those that ended by now if need be. Work takes the room of the
// session it is left of.
func (s *Store) roomAt(now time.Time) bool {
	if len(s.sessions)+len(s.work) < s.max {
		return true
	}
	for key, held := range s.sessions {
		if held.ended(now) && !s.now().Before(held.graceUntil) {
			s.end(key, held)
		}
	}
	return len(s.sessions)+len(s.work) < s.max
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
	if held == nil {
		return sessionstore.ErrFenced
	}
	if held.epoch != f.Epoch || held.owner == "" {
		for _, op := range ops {
			if taken, ok := op.(sessionstore.AcceptInbound); ok {
				held.accept(taken)
			}
		}
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
func (s *Store) Release(ctx context.Context, f sessionstore.Fence, req sessionstore.ReleaseRequest) (work bool, err error) {
	if err := f.Key.Validate(); err != nil {
		return false, err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if err := s.usable(ctx); err != nil {
		return false, err
	}
	held := s.sessions[f.Key]
	if held == nil || held.epoch != f.Epoch {
		return s.lateWord(f, req.Will), sessionstore.ErrFenced
	}
	if held.owner != "" {
		if req.Will == sessionstore.WillDropped {
			held.dropWill()
		}
		held.release(held.epoch, req.Now, s.now())
	}
	if req.End || held.expiry == 0 {
		return s.end(f.Key, held), nil
	}
	if held.will != nil && !s.now().Before(held.willAt) {
		s.leaveWill(f.Key, held)
		return true, nil
	}
	return false, nil
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

// Epochs: see sessionstore.Store.
func (s *Store) Epochs(ctx context.Context, keys []sessionstore.Key) ([]uint64, error) {
	if err := sessionstore.ValidateEpochs(keys); err != nil {
		return nil, err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if err := s.usable(ctx); err != nil {
		return nil, err
	}
	out := make([]uint64, len(keys))
	for i, key := range keys {
		if held := s.sessions[key]; held != nil {
			out[i] = held.epoch
		}
	}
	return out, nil
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
	clear(s.work)
	clear(s.retained)
	clear(s.groups)
	clear(s.clients)
	clear(s.owned)
	clear(s.credentials)
	clear(s.revoked)
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
