package redis

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"net/url"
	"strings"
	"sync"
	"time"

	"go.uber.org/zap"

	"sluice/sessionstore"
)

// life is one life of a node: from the first KeepLease of a Store until the node is taken for dead. A node that starts again under the same
// name has another life, so what the first one owned is swept.
type life struct{ node, id string }

func (l life) String() string { return url.PathEscape(l.node) + " " + l.id }

func parseLife(s string) (l life, ok bool) {
	node, id, ok := strings.Cut(s, " ")
	if !ok {
		return l, false
	}
	l.id = id
	var err error
	l.node, err = url.PathUnescape(node)
	return l, err == nil
}

// lifeKeys gives lease, life and sessions of a life, which share a hash tag.
func (s *Store) lifeKeys(l life) []string {
	head := s.prefix + "{node:" + url.PathEscape(l.node) + ":" + l.id + "}:"
	return []string{head + "lease", head + "life", head + "sessions"}
}

// known is the set of the lives there are.
func (s *Store) known() string { return s.prefix + "{nodes}" }

// lives are this store's own, and what it saw of the others.
type lives struct {
	mu   sync.Mutex
	own  map[string]life // by node
	seen *sessionstore.Absence
}

func (l *lives) of(node string) (life, bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	own, ok := l.own[node]
	return own, ok
}

func (l *lives) begin(node string) life {
	l.mu.Lock()
	defer l.mu.Unlock()
	own := life{node, rand.Text()}
	l.own[node] = own
	return own
}

// registration is a session in the set of the life that claims it. The token is the claim's, so that the registration of one claim is
// never taken for that of another.
type registration struct {
	life  life
	key   sessionstore.Key
	token string
}

func (r registration) member() string { return r.key.String() + " " + r.token }

// field is what the session keeps of it; the node is its owner.
func (r registration) field() string {
	if r.life.id == "" {
		return ""
	}
	return r.life.id + " " + r.token
}

func parseRegistration(l life, member string) (r registration, ok bool) {
	key, token, ok := strings.Cut(member, " ")
	if !ok {
		return r, false
	}
	r = registration{life: l, token: token}
	var err error
	r.key, err = sessionstore.ParseKey(key)
	return r, err == nil
}

// registrationOf reads what a session keeps, with its owner.
func registrationOf(key sessionstore.Key, owner, field string) (r registration, ok bool) {
	id, token, ok := strings.Cut(field, " ")
	return registration{life{owner, id}, key, token}, ok && owner != ""
}

// unregister removes it, some time. One that stays is found by the sweep after the node's death, and does nothing.
func (s *Store) unregister(r registration) {
	s.later(&step{key: r.key, cmd: []any{"SREM", s.lifeKeys(r.life)[2], r.member()}, size: 2 * len(r.key.ClientID)})
}

// KeepLease: see sessionstore.Store.
func (s *Store) KeepLease(ctx context.Context, node string) error {
	if err := sessionstore.ValidateNode(node); err != nil {
		return err
	}
	own, going := s.lives.of(node)
	if !going {
		own = s.lives.begin(node)
	}
	kept, err := s.keepLease(ctx, own, !going)
	if err != nil || kept {
		return err
	}
	if _, err := s.keepLease(ctx, s.lives.begin(node), true); err != nil {
		return fmt.Errorf("%w: the node was taken for dead, and its new lease is not there yet: %w", sessionstore.ErrFenced, err)
	}
	return sessionstore.ErrFenced
}

// keepLease makes the life known before it has a lease: who is not known is not missed.
func (s *Store) keepLease(ctx context.Context, l life, begins bool) (kept bool, err error) {
	if _, err := s.all(ctx, []*step{s.knownStep("SADD", l)}); err != nil {
		return false, err
	}
	replies, err := s.all(ctx, []*step{{
		key: nodeKey(l), script: leaseScript, keys: s.lifeKeys(l)[:2], args: []any{boolArg(begins), s.times.Lease.Milliseconds()},
	}})
	if err != nil {
		return false, err
	}
	n, _ := replies[0].(int64)
	return n == 1, nil
}

func (s *Store) knownStep(cmd string, l life) *step {
	return &step{key: nodeKey(l), cmd: []any{cmd, s.known(), l.String()}}
}

// nodeKey keeps the steps of a life in order.
func nodeKey(l life) sessionstore.Key { return sessionstore.Key{ClientID: "node " + l.String()} }

// Sweep: see sessionstore.Store.
func (s *Store) Sweep(ctx context.Context, node string) (taken int, err error) {
	if err := sessionstore.ValidateNode(node); err != nil {
		return 0, err
	}
	dead, err := s.dead(ctx, node)
	if err != nil {
		return 0, err
	}
	for _, l := range dead {
		n, err := s.bury(ctx, l, sessionstore.MaxSweep-taken)
		taken += n
		if err != nil || taken >= sessionstore.MaxSweep {
			return taken, err
		}
	}
	return taken, nil
}

var errSlow = errors.New("the store answered too slowly to judge others by it")

// dead observes the leases once.
func (s *Store) dead(ctx context.Context, node string) ([]life, error) {
	began := time.Now()
	missing, err := s.missing(ctx, node)
	s.lives.mu.Lock()
	defer s.lives.mu.Unlock()
	if took := time.Since(began); err == nil && took > s.times.DeadAfter/2 {
		err = unavailable(errSlow)
	}
	if err != nil {
		s.lives.seen.Interrupted()
		return nil, err
	}
	var out []life
	for _, name := range s.lives.seen.Observe(time.Now(), missing) {
		// A node does not bury itself: it is here to ask.
		if l, ok := parseLife(name); ok && s.lives.own[l.node] != l {
			out = append(out, l)
		}
	}
	return out, nil
}

// missing gives the lives, other than ours, that have no lease.
func (s *Store) missing(ctx context.Context, node string) ([]string, error) {
	replies, err := s.all(ctx, []*step{{key: sessionstore.Key{ClientID: "nodes"}, cmd: []any{"SMEMBERS", s.known()}}})
	if err != nil {
		return nil, err
	}
	own, _ := s.lives.of(node)
	var names []string
	var asks []*step
	members, _ := replies[0].([]any)
	for _, m := range members {
		name, _ := m.(string)
		l, ok := parseLife(name)
		if !ok || l == own {
			continue
		}
		names = append(names, name)
		asks = append(asks, &step{key: nodeKey(l), cmd: []any{"EXISTS", s.lifeKeys(l)[0]}})
	}
	if replies, err = s.all(ctx, asks); err != nil {
		return nil, err
	}
	var out []string
	for i, name := range names {
		if n, _ := replies[i].(int64); n == 0 {
			out = append(out, name)
		}
	}
	return out, nil
}

// bury releases up to most sessions of a dead life, and forgets it when it has none.
func (s *Store) bury(ctx context.Context, l life, most int) (taken int, err error) {
	replies, err := s.all(ctx, []*step{{key: nodeKey(l), script: buryScript, keys: s.lifeKeys(l), args: []any{most}}})
	if err != nil {
		return 0, err
	}
	parts, _ := replies[0].([]any)
	if len(parts) != 2 || parts[0] != int64(1) {
		return 0, nil // it lives
	}
	members, _ := parts[1].([]any)
	if len(members) == 0 {
		_, err := s.all(ctx, []*step{s.knownStep("SREM", l)})
		return 0, err
	}
	return s.orphan(ctx, l, members)
}

// orphan releases sessions of a dead life. In this order: the session, its hint, its registration. So whoever dies in between leaves it to
// be found.
func (s *Store) orphan(ctx context.Context, l life, members []any) (taken int, err error) {
	remove := []any{"SREM", s.lifeKeys(l)[2]}
	var found []registration
	for _, m := range members {
		member, _ := m.(string)
		if r, ok := parseRegistration(l, member); ok {
			found = append(found, r)
		} else {
			s.log.Error("a registration of a dead node cannot be read, and is removed", zap.String("registration", member))
			remove = append(remove, m)
		}
	}
	hints := make([]hint, len(found))
	steps := make([]*step, len(found))
	for i, r := range found {
		hints[i] = hint{r.key, rand.Text()}
		steps[i] = s.orphanStep(r, hints[i])
	}
	replies, err := s.all(ctx, steps)
	if err != nil {
		return 0, err
	}
	var set []*step
	for i, reply := range replies {
		parts, ok := reply.([]any)
		if !ok || len(parts) != 2 {
			return taken, unavailable(fmt.Errorf("%w: answer to a sweep", errRecord))
		}
		switch parts[0] {
		case int64(1):
			taken++
		case int64(-1):
			continue // for a node that can read it
		}
		remove = append(remove, found[i].member())
		if due, _ := parts[1].(string); due != "" {
			set = append(set, s.hintStep(hints[i], due, ""))
		}
	}
	if _, err := s.all(ctx, set); err != nil {
		return taken, err
	}
	if len(remove) > 2 {
		_, err = s.all(ctx, []*step{{key: nodeKey(l), cmd: remove}})
	}
	return taken, err
}

func (s *Store) orphanStep(r registration, h hint) *step {
	return &step{key: r.key, script: orphanScript, keys: s.keys(r.key)[:7], size: len(r.key.ClientID), args: []any{
		r.life.node, r.field(), s.times.WillGrace.Milliseconds(), backstopMargin.Milliseconds(), h.name,
	}}
}
