package sim

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"sluice/sessionstore"
	"sluice/sessionstore/memory"
)

// store is the session store: the real contract in memory, with a network in front of it (storeLane).
type store struct {
	w      *world
	held   *memory.Store
	epochs map[sessionstore.Key]uint64 // of the latest claim, counted here so that the store's own check can be checked
	keys   []sessionstore.Key          // in the order of their first claim
}

func newStore(w *world) *store {
	return &store{w: w, held: memory.New(memory.Options{Now: func() time.Time { return w.now }}), epochs: map[sessionstore.Key]uint64{}}
}

func (s *store) claim(req sessionstore.ClaimRequest) (sessionstore.Claimed, error) {
	c, err := s.held.Claim(context.Background(), req)
	if err != nil {
		return c, err
	}
	before, known := s.epochs[req.Key]
	if !known {
		s.keys = append(s.keys, req.Key)
	}
	if c.Session.Epoch <= before {
		s.w.fail("P4: claim of %s by %s got epoch %d, the one before had %d", req.Key.ClientID, req.Node, c.Session.Epoch, before)
	}
	s.epochs[req.Key] = c.Session.Epoch
	defer s.w.oracle.claimed(req) // after what it says of the one before
	switch d := s.w.device(req.Key.ClientID); {
	case c.Discarded != nil:
		d.removed()
		s.w.oracle.ends(d)
	case c.Present:
		s.w.oracle.returns(d)
		s.w.oracle.marks.resumed++
	}
	if p := c.Previous; p != nil {
		s.tell(p.Node, req.Key, c.Session.Epoch)
	}
	return c, nil
}

// tell is the notice of a takeover to the old owner's node. It may come late or not at all: the fence holds without it.
func (s *store) tell(life string, key sessionstore.Key, epoch uint64) {
	id, _, _ := strings.Cut(life, "+")
	for _, n := range s.w.nodes {
		if n.id != id || !n.alive || n.toStore.blocked || s.w.chance(s.w.plan.lostNotice) {
			continue
		}
		s.w.after(s.w.between(100*time.Microsecond, 5*time.Millisecond)+s.w.between(0, n.toStore.slow), func() {
			n.do(func() { n.lost(key, epoch) })
		})
	}
}

func (s *store) write(f sessionstore.Fence, ops []sessionstore.Op) (err error) {
	s.held.Write(f, ops, func(e error) { err = e })
	if current := s.epochs[f.Key]; err == nil && f.Epoch != current {
		s.w.fail("P4: a write of %s with epoch %d was applied, the owner has %d", f.Key.ClientID, f.Epoch, current)
	}
	return err
}

func (s *store) release(f sessionstore.Fence, req sessionstore.ReleaseRequest) (bool, error) {
	work, err := s.held.Release(context.Background(), f, req)
	if current := s.epochs[f.Key]; err == nil && f.Epoch != current {
		s.w.fail("P4: a release of %s with epoch %d was accepted, the owner has %d", f.Key.ClientID, f.Epoch, current)
	}
	return work, err
}

func (s *store) sweep(node string) (int, error) {
	taken, err := s.held.Sweep(context.Background(), node)
	if taken > 0 {
		s.w.log("store   %s sweeps %d sessions", node, taken)
		s.w.oracle.marks.sweeps++
		epochs, err := s.held.Epochs(context.Background(), s.keys)
		if err != nil {
			return taken, err
		}
		for i, key := range s.keys {
			if epochs[i] > s.epochs[key] {
				s.epochs[key] = epochs[i] // nobody's, but no longer the owner's
				s.w.oracle.swept(key)
			}
		}
	}
	return taken, err
}

// session reads a session for the oracle; nil when there is none.
func (s *store) session(key sessionstore.Key) *sessionstore.Session {
	found, err := s.held.Get(context.Background(), key, s.w.now)
	if err != nil {
		return nil
	}
	return &found
}

// storeClient is a node's client of the store.
type storeClient struct {
	n     *node
	lanes map[sessionstore.Key]*storeLane
	order []*storeLane
}

// storeLane carries the requests of one session in order. What has no answer is sent again on a new connection, until the grace is over.
type storeLane struct {
	c        *storeClient
	up, down *pipe
	requests []*storeRequest // without answer, in order
}

type storeRequest struct {
	what     string
	apply    func() error
	done     func(error)
	deadline *event
	answered bool
	idle     bool // of the upkeep: so many that the trace names only what they bring
}

func (c *storeClient) lane(key sessionstore.Key) *storeLane {
	l := c.lanes[key]
	if l == nil {
		l = &storeLane{c: c}
		l.connect()
		c.lanes[key] = l
		c.order = append(c.order, l)
	}
	return l
}

func (l *storeLane) connect() {
	l.up, l.down = l.c.n.toStore.newPipe(), l.c.n.toStore.newPipe()
}

// add sends a request. done is called once, by the deadline at the latest.
func (l *storeLane) add(what string, within time.Duration, apply func() error, done func(error)) *storeRequest {
	r := &storeRequest{what: what, apply: apply, done: done, idle: within == upkeepWait}
	r.deadline = l.c.n.after(within, func() { l.answer(r, fmt.Errorf("%w: no answer in time", sessionstore.ErrUnavailable)) })
	l.requests = append(l.requests, r)
	l.transmit(r)
	return r
}

func (l *storeLane) transmit(r *storeRequest) {
	n, w := l.c.n, l.c.n.w
	l.up.send(func() {
		if w.chance(w.plan.storeRefuses) {
			w.log("store   %s: not applied, unavailable", r.what)
			l.reply(r, sessionstore.ErrUnavailable)
			return
		}
		err := r.apply()
		if err != nil || !r.idle {
			w.log("store   %s: %s", r.what, outcomeText(err))
		}
		switch {
		case w.chance(w.plan.storeLosesReply):
			w.log("store   %s: reply lost", n.id)
			l.reset()
		case err == nil && w.chance(w.plan.storeLies):
			w.log("store   %s: applied, but an error is returned", n.id)
			l.reply(r, sessionstore.ErrUnavailable)
		default:
			l.reply(r, err)
		}
	})
}

func outcomeText(err error) string {
	switch {
	case err == nil:
		return "ok"
	case errors.Is(err, sessionstore.ErrFenced):
		return "fenced"
	}
	return err.Error()
}

func (l *storeLane) reply(r *storeRequest, err error) {
	l.down.send(func() { l.c.n.do(func() { l.answer(r, err) }) })
}

func (l *storeLane) answer(r *storeRequest, err error) {
	if r.answered {
		return
	}
	r.answered = true
	r.deadline.cancel()
	for i, other := range l.requests {
		if other == r {
			l.requests = append(l.requests[:i], l.requests[i+1:]...)
			break
		}
	}
	r.done(err)
}

// reset loses the connection: all that has no answer is sent again, in order, and so applied twice perhaps.
func (l *storeLane) reset() {
	l.up.sever()
	l.down.sever()
	l.c.n.after(l.c.n.w.between(5*time.Millisecond, 300*time.Millisecond), func() {
		l.up.sever() // another reset may have been quicker; a copy of an old write that comes late changes nothing (sessionstore/redis)
		l.down.sever()
		l.connect()
		for _, r := range l.requests {
			l.transmit(r)
		}
	})
}

// die is the end of the node: what is on its way may still arrive.
func (c *storeClient) die() {
	for _, l := range c.order {
		c.n.w.after(c.n.w.between(0, 2*time.Millisecond), func() {
			l.up.sever()
			l.down.sever()
		})
	}
}

// claim asks for a session. One with Clean Start that comes so late that the device has another connection is lost on its way: it would remove,
// rightly, a session that the device counts on.
func (c *storeClient) claim(req sessionstore.ClaimRequest, late func() bool, done func(sessionstore.Claimed, error)) {
	var answer sessionstore.Claimed
	var err error
	applied := false
	what := fmt.Sprintf("%s claim %s clean=%t expiry=%d", c.n.id, req.Key.ClientID, req.Clean, req.Expiry)
	c.lane(req.Key).add(what, claimWait, func() error {
		if req.Clean && late() {
			return sessionstore.ErrUnavailable
		}
		// A claim that is sent again gets the same answer, unless another one came between; then it is a new one (sessionstore/redis).
		if !applied || err != nil || c.n.w.store.epochs[req.Key] != answer.Session.Epoch {
			answer, err = c.n.w.store.claim(req)
			applied = true
		}
		return err
	}, func(err error) {
		if errors.Is(err, sessionstore.ErrUnavailable) {
			c.n.w.oracle.unanswered[req.Key] = true
		}
		done(answer, err)
	})
}

func (c *storeClient) write(f sessionstore.Fence, ops []sessionstore.Op, done func(error)) {
	what := fmt.Sprintf("%s write %s/%d %s", c.n.id, f.Key.ClientID, f.Epoch, opsText(ops))
	c.lane(f.Key).add(what, grace, func() error { return c.n.w.store.write(f, ops) }, done)
}

func (c *storeClient) release(sh *shell, end bool, fate sessionstore.WillFate, done func(work bool, err error)) {
	f, w := sh.fence, c.n.w
	what := fmt.Sprintf("%s release %s/%d end=%t will=%t", c.n.id, f.Key.ClientID, f.Epoch, end, fate == sessionstore.WillKept)
	req := sessionstore.ReleaseRequest{Now: w.now, End: end, Will: fate}
	applied, work := false, false
	c.lane(f.Key).add(what, grace, func() error {
		due, err := w.store.release(f, req)
		work = work || due
		w.oracle.speaks(sh)
		if errors.Is(err, sessionstore.ErrFenced) && applied {
			return nil // sent again: the first removed the session
		}
		if err == nil {
			applied = true
			w.oracle.released(sh, fate)
		}
		return err
	}, func(err error) { done(work, err) })
}

func (c *storeClient) get(key sessionstore.Key, within time.Duration, done func(sessionstore.Session, error)) {
	var found sessionstore.Session
	c.lane(key).add(c.n.id+" get "+key.ClientID, within, func() (err error) {
		found, err = c.n.w.store.held.Get(context.Background(), key, c.n.w.now)
		return err
	}, func(err error) { done(found, err) })
}

// The steps of the upkeep, each with a lane of its own.

func (c *storeClient) keepLease(done func(error)) {
	c.lane(sessionstore.Key{ClientID: "lease"}).add(c.n.id+" keeps its lease", upkeepWait, func() error {
		return c.n.w.store.held.KeepLease(context.Background(), c.n.life)
	}, done)
}

func (c *storeClient) sweep(done func(taken int, err error)) {
	taken := 0
	c.lane(sessionstore.Key{ClientID: "sweep"}).add(c.n.id+" sweep", upkeepWait, func() error {
		n, err := c.n.w.store.sweep(c.n.life)
		taken += n
		return err
	}, func(err error) { done(taken, err) })
}

func (c *storeClient) epochsOf(fences []sessionstore.Fence, done func([]uint64, error)) {
	keys := make([]sessionstore.Key, len(fences))
	for i, f := range fences {
		keys[i] = f.Key
	}
	var epochs []uint64
	c.lane(sessionstore.Key{ClientID: "epochs"}).add(c.n.id+" epochs", upkeepWait, func() (err error) {
		epochs, err = c.n.w.store.held.Epochs(context.Background(), keys)
		return err
	}, func(err error) { done(epochs, err) })
}

// due asks for work. What an answer held that was lost comes again when its claim is over.
func (c *storeClient) due(done func([]sessionstore.Work)) {
	var pieces []sessionstore.Work
	c.lane(sessionstore.Key{ClientID: "due"}).add(c.n.id+" due", upkeepWait, func() (err error) {
		pieces, err = c.n.w.store.held.Due(context.Background(), workBatch)
		for _, w := range pieces {
			c.n.w.log("store   %s gets work %s%s will=%t inbox=%q again=%t", c.n.id, messageIDPrefix(w.Key.ClientID, w.Incarnation, w.Epoch), w.Token, w.Will != nil, w.Inbox, w.Again)
			c.n.w.oracle.hands(w)
		}
		return err
	}, func(err error) {
		if err != nil {
			pieces = nil
		}
		done(pieces)
	})
}

func (c *storeClient) finish(w sessionstore.Work) {
	what := fmt.Sprintf("%s finish %s%s", c.n.id, messageIDPrefix(w.Key.ClientID, w.Incarnation, w.Epoch), w.Token)
	c.lane(w.Key).add(what, upkeepWait, func() error {
		err := c.n.w.store.held.Finish(context.Background(), w)
		if err == nil {
			c.n.w.oracle.finished(w)
		}
		return err
	}, func(error) {})
}

func opsText(ops []sessionstore.Op) string {
	text := ""
	for _, op := range ops {
		text += fmt.Sprintf("%T%+v ", op, op)[len("sessionstore."):]
	}
	return text
}
