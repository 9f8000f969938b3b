package redis

import (
	"context"
	"crypto/rand"
	"crypto/tls"
	"errors"
	"fmt"
	"hash/maphash"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	goredis "github.com/redis/go-redis/v9"
	"go.uber.org/zap"

	"sluice/sessionstore"
)

// Options of a Store; the zero value is usable.
type Options struct {
	// Prefix begins every key and channel, "sluice:" when empty. It must not hold a brace: those mark the hash tag.
	Prefix string
	// Grace is how long a step is repeated while Redis is out of reach, DefaultGrace when zero.
	Grace time.Duration
	// Logger gets the beginning and end of outages, and what Redis refuses. Nil logs nothing.
	Logger *zap.Logger
	// Replicas is how many replicas have to confirm a change before Claim, Write, Release, Due, Finish, PutRetained, Join, Leave and Take
	// answer; zero asks none. Fewer give ErrNotReplicated. Open then refuses a server that may evict keys. What all replicas confirmed survives
	// a failover to any of them; with less than all it survives one to those that confirmed.
	Replicas int
	// ReplicaTimeout is how long they have each time, DefaultReplicaTimeout when zero, at most 2.5 s.
	ReplicaTimeout time.Duration
	// AOF asks that the change be in the append-only files, of the primary too (WAITAOF, Redis 7.2). With appendfsync everysec an answer
	// takes up to a second.
	AOF bool
	// Times are the waits of leases and work.
	Times sessionstore.Times
	// Retained bounds the retained messages of each tenant. Nodes should agree on it: each holds its own puts to its own.
	Retained sessionstore.RetainedQuota
	// TLS replaces the default configuration of rediss:// URLs (own roots, client certificate). Without TLS in the URL it is not used.
	TLS *tls.Config
}

// Store implements sessionstore.Store in Redis.
type Store struct {
	client goredis.UniversalClient
	prefix string
	grace  time.Duration
	trip   time.Duration // bound of one round trip
	log    *zap.Logger
	writer string // this instance, for sequence numbers
	times  sessionstore.Times
	quota  sessionstore.RetainedQuota
	spread bool // a Cluster: commands for different keys may overtake each other
	lives  lives

	replication replication

	ctx    context.Context // until Close
	cancel context.CancelFunc
	seed   maphash.Seed
	lanes  [lanes]*lane
	seq    atomic.Uint64 // of Writes, in queue order
	sent   atomic.Uint64 // of numbered steps, as they are sent
	outage outage

	mu      sync.Mutex
	closed  bool
	running sync.WaitGroup
}

var _ sessionstore.Store = (*Store)(nil)

// Open connects to the Redis that rawURL names (ParseURL lists the forms) and checks that it is usable. It tries until ctx ends, or for the
// grace; Redis may go away later.
func Open(ctx context.Context, rawURL string, opts Options) (*Store, error) {
	if opts.Prefix == "" {
		opts.Prefix = "sluice:"
	}
	if opts.Grace <= 0 {
		opts.Grace = DefaultGrace
	}
	if opts.Logger == nil {
		opts.Logger = zap.NewNop()
	}
	if strings.ContainsAny(opts.Prefix, "{}") {
		return nil, fmt.Errorf("redis: prefix %q: a brace would break the hash tag; leave it out", opts.Prefix)
	}
	client, err := newClient(rawURL, opts.TLS)
	if err != nil {
		return nil, err
	}
	_, spread := client.(*goredis.ClusterClient)
	times := opts.Times.OrDefault()
	s := &Store{
		client: client, prefix: opts.Prefix, grace: opts.Grace, trip: min(attemptTime, opts.Grace), log: opts.Logger, writer: rand.Text(),
		times: times, quota: opts.Retained.OrDefault(), spread: spread, lives: lives{own: make(map[string]life), seen: sessionstore.NewAbsence(times.DeadAfter)},
		seed: maphash.MakeSeed(), outage: outage{log: opts.Logger},
	}
	if err := s.setReplication(opts); err != nil {
		_ = client.Close()
		return nil, err
	}
	s.ctx, s.cancel = context.WithCancel(context.WithoutCancel(ctx))
	for i := range s.lanes {
		s.lanes[i] = newLane(s, i)
		_ = s.start(s.lanes[i].run)
	}
	err = s.check(ctx)
	if err == nil {
		err = s.checkDurable(ctx, opts)
	}
	if err != nil {
		_ = s.Close()
		return nil, err
	}
	return s, nil
}

// check waits for the server and looks at its version. Later a refused password is repeated like an outage, as it may be in rotation; at
// the start it is a mistake to be told at once.
func (s *Store) check(ctx context.Context) error {
	if err := s.client.Ping(ctx).Err(); goredis.IsAuthError(err) {
		return fmt.Errorf("redis: the server refuses the user or the password: %w; put them into the URL as redis://user:password@host", err)
	}
	// Replicas may come later: until they do, Ready says what is missing.
	if err := s.probe(ctx, false); err != nil {
		return err
	}
	info, _ := s.client.Info(ctx, "server").Result() // INFO may be forbidden; that the scripts ran is what counts
	_, version, _ := strings.Cut(info, "redis_version:")
	version, _, _ = strings.Cut(version, "\r\n")
	first, _, _ := strings.Cut(version, ".")
	if n, err := strconv.Atoi(first); err == nil && n < minVersion {
		return fmt.Errorf("redis: the server is version %s; %d.0 or later is needed", version, minVersion)
	}
	return nil
}

// keys gives meta, subs, in, out, claim, will, work and aside of a session. The braces make it one hash tag.
func (s *Store) keys(key sessionstore.Key) []string {
	head := s.head(key)
	return []string{
		head + "meta", head + "subs", head + "in", head + "out", head + "claim", head + "will", head + "work", head + "aside",
	}
}

// meta is the first of keys.
func (s *Store) meta(key sessionstore.Key) string { return s.head(key) + "meta" }

func (s *Store) head(key sessionstore.Key) string { return s.prefix + "{" + key.String() + "}:" }

func (s *Store) channel(node string) string { return s.prefix + "node:" + node + ":lost" }

func (s *Store) laneOf(key sessionstore.Key) *lane {
	return s.lanes[maphash.Comparable(s.seed, key)%lanes]
}

// attempt bounds one round trip.
func (s *Store) attempt() (context.Context, context.CancelFunc) {
	return context.WithTimeout(s.ctx, s.trip)
}

// do runs a step in its session's order and waits for the answer: within ctx, and within the grace.
func (s *Store) do(ctx context.Context, l *lane, st *step) (any, error) {
	wait, err := s.begin(ctx, l, st)
	if err != nil {
		return nil, err
	}
	return wait()
}

// begin queues a step, and gives the function that waits for its answer.
func (s *Store) begin(ctx context.Context, l *lane, st *step) (wait func() (any, error), err error) {
	type result struct {
		reply any
		err   error
	}
	if err := ctx.Err(); err != nil {
		return nil, unavailable(err)
	}
	done := make(chan result, 1)
	st.finish = func(reply any, err error) { done <- result{reply, err} }
	st.deadline = time.Now().Add(s.grace)
	if end, ok := ctx.Deadline(); ok && end.Before(st.deadline) {
		st.deadline = end
	}
	if err := l.add(st, nil); err != nil {
		return nil, unavailable(err)
	}
	return func() (any, error) {
		select {
		case r := <-done:
			return r.reply, r.err
		case <-ctx.Done():
			st.abandoned.Store(true)
			return nil, st.gaveUp(ctx.Err())
		}
	}, nil
}

// all runs steps side by side, each in the lane of its key, and gives their answers; or the first error.
func (s *Store) all(ctx context.Context, steps []*step) ([]any, error) {
	var waits []func() (any, error)
	var errs []error
	for _, st := range steps {
		wait, err := s.begin(ctx, s.laneOf(st.key), st)
		if err != nil {
			errs = append(errs, err)
			break
		}
		waits = append(waits, wait)
	}
	replies := make([]any, len(waits))
	for i, wait := range waits {
		var err error
		if replies[i], err = wait(); err != nil {
			errs = append(errs, err)
		}
	}
	if len(errs) > 0 {
		return nil, errs[0]
	}
	return replies, nil
}

// Write: see sessionstore.Store.
func (s *Store) Write(f sessionstore.Fence, ops []sessionstore.Op, done func(error)) {
	if err := sessionstore.ValidateWrite(f, ops); err != nil {
		done(err)
		return
	}
	encoded, puts, size := encodeOps(ops)
	w := &write{epoch: f.Epoch, ops: encoded, puts: puts}
	st := &step{key: f.Key, script: applyScript, confirm: true, write: w, size: size + 256, deadline: time.Now().Add(s.grace)}
	st.finish = func(reply any, err error) {
		switch n, _ := reply.(int64); {
		case err != nil:
			done(err)
		case n == 1:
			done(nil)
		case n == -1:
			done(fmt.Errorf("%w: a session keeps at most %d subscriptions", sessionstore.ErrFull, sessionstore.MaxSubscriptions))
		default:
			done(sessionstore.ErrFenced)
		}
	}
	// The number is given in queue order: two Writes of a session never swap it.
	err := s.laneOf(f.Key).add(st, func() { w.seq = s.seq.Add(1) })
	if err != nil {
		done(unavailable(err))
	}
}

// Release: see sessionstore.Store. The hint is there before it returns, and the registration goes after it: so the session is always found
// by one of them.
func (s *Store) Release(ctx context.Context, f sessionstore.Fence, req sessionstore.ReleaseRequest) (work bool, err error) {
	if err := f.Key.Validate(); err != nil {
		return false, err
	}
	return s.release(ctx, f, req, true)
}

func (s *Store) release(ctx context.Context, f sessionstore.Fence, req sessionstore.ReleaseRequest, confirm bool) (work bool, err error) {
	st := s.releaseStep(f, req, confirm)
	reply, err := s.do(ctx, s.laneOf(f.Key), st)
	if err != nil {
		return false, err
	}
	r, err := decodeReleased(f.Key, reply)
	if err != nil {
		return false, unavailable(err)
	}
	if r.due != "" {
		if err := s.setHint(ctx, r.hint, r.due, confirm); err != nil {
			return false, err
		}
	}
	if r.registered {
		s.unregister(r.registration)
	}
	if r.what == 1 || r.what == -1 && st.doubtful { // or an attempt whose answer was lost removed it
		return r.work, nil
	}
	return r.work, sessionstore.ErrFenced
}

func (s *Store) releaseStep(f sessionstore.Fence, req sessionstore.ReleaseRequest, confirm bool) *step {
	return &step{key: f.Key, confirm: confirm, script: releaseScript, keys: s.keys(f.Key), size: len(f.Key.ClientID), args: []any{
		strconv.FormatUint(f.Epoch, 10), req.Now.UnixMilli(), boolArg(req.End), backstopMargin.Milliseconds(),
		boolArg(req.Will == sessionstore.WillKept), rand.Text(),
	}}
}

// released is the answer of release.lua.
type released struct {
	what         int64
	work         bool
	due          string // empty: no hint is needed
	hint         hint
	registered   bool
	registration registration
}

func decodeReleased(key sessionstore.Key, reply any) (r released, err error) {
	parts, ok := reply.([]any)
	if !ok || len(parts) != 6 {
		return r, fmt.Errorf("%w: answer to a release", errRecord)
	}
	text := func(i int) string { s, _ := parts[i].(string); return s }
	r.what, _ = parts[0].(int64)
	r.work = parts[1] == int64(1)
	r.due, r.hint = text(2), hint{key, text(3)}
	r.registration, r.registered = registrationOf(key, text(4), text(5))
	return r, nil
}

// Get: see sessionstore.Store. It sees the Writes that were queued before it here.
func (s *Store) Get(ctx context.Context, key sessionstore.Key, now time.Time) (sessionstore.Session, error) {
	if err := key.Validate(); err != nil {
		return sessionstore.Session{}, err
	}
	st := &step{key: key, script: getScript, size: len(key.ClientID), args: []any{now.UnixMilli()}}
	reply, err := s.do(ctx, s.laneOf(key), st)
	if err != nil {
		return sessionstore.Session{}, err
	}
	parts, _ := reply.([]any)
	if len(parts) == 0 {
		return sessionstore.Session{}, sessionstore.ErrNotFound
	}
	found, err := decodeSession(key, parts)
	if err != nil {
		return sessionstore.Session{}, unavailable(err)
	}
	return found, nil
}

// Ready: see sessionstore.Store.
func (s *Store) Ready(ctx context.Context) error { return s.probe(ctx, true) }

// probe sends a step that changes nothing through every lane: it fails where a Write would, also on a server that became a replica.
func (s *Store) probe(ctx context.Context, confirm bool) error {
	results := make(chan error, lanes)
	for _, l := range s.lanes {
		// Epoch 0 is never given out.
		probe := s.releaseStep(sessionstore.Fence{Key: sessionstore.Key{ClientID: "ready"}}, sessionstore.ReleaseRequest{}, confirm)
		go func() {
			_, err := s.do(ctx, l, probe)
			results <- err
		}()
	}
	var errs []error
	for range lanes {
		errs = append(errs, <-results)
	}
	err := errors.Join(errs...)
	if err == nil {
		return nil
	}
	if cause := s.outage.now(); cause != nil {
		return unavailable(cause) // says more than that time ran out
	}
	return unavailable(err)
}

// start runs a goroutine that Close waits for.
func (s *Store) start(run func()) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed {
		return unavailable(errClosed)
	}
	s.running.Go(run)
	return nil
}

// Close stops everything; what waits gets ErrUnavailable. It must not be called from a callback.
func (s *Store) Close() error {
	s.mu.Lock()
	already := s.closed
	s.closed = true
	s.mu.Unlock()
	if already {
		return nil
	}
	s.cancel()
	for _, l := range s.lanes {
		l.close()
	}
	err := s.client.Close() // also ends a round trip under way
	s.running.Wait()
	return err
}

func boolArg(b bool) string {
	if b {
		return "1"
	}
	return "0"
}
