package memory

import (
	"cmp"
	"context"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"time"

	"sluice/sessionstore"
)

// kind tells the two pieces apart that one epoch can leave: its Will, and the end of the session.
type kind byte

const (
	willDue kind = 'w'
	ended   kind = 'e'
)

// groupOver is the work of a group that ended.
const groupOver kind = 'g'

// workID names a piece of work. It follows from what happened, so that nothing makes it twice.
type workID struct {
	key   sessionstore.Key
	group sessionstore.Group // of groupOver, else zero
	epoch uint64             // of groupOver the incarnation
	kind  kind
}

// piece is a sessionstore.Work and who has it.
type piece struct {
	incarnation uint64
	will        *sessionstore.Will
	inbox       string
	groups      []string
	until       time.Time // the worker's claim; zero before the first
	tries       int
}

// asideID names a Will that waits for the word of an owner that lost its session.
type asideID struct {
	key   sessionstore.Key
	epoch uint64
}

type aside struct {
	incarnation uint64
	will        *sessionstore.Will
	until       time.Time
}

// leaveWill turns the session's Will into work, if it has one.
func (s *Store) leaveWill(key sessionstore.Key, held *session) {
	if held.will == nil {
		return
	}
	s.work[workID{key: key, epoch: held.epoch, kind: willDue}] = &piece{incarnation: held.incarnation, will: held.will}
	held.dropWill()
}

// end removes a session, and reports whether that leaves work.
func (s *Store) end(key sessionstore.Key, held *session) (work bool) {
	delete(s.sessions, key)
	if held.will == nil && held.inbox == "" && len(held.groups) == 0 {
		return false
	}
	s.work[workID{key: key, epoch: held.epoch, kind: ended}] = &piece{
		incarnation: held.incarnation, will: held.will, inbox: held.inbox, groups: held.joined(),
	}
	return true
}

// takeWill decides what becomes of the Will that a claim finds, before the session goes on or ends (sessionstore.Will). What stays with the
// session goes the way of the session.
func (s *Store) takeWill(key sessionstore.Key, held *session, over bool) {
	now := s.now()
	switch {
	case held.will == nil:
	case held.owner != "":
		if over || held.will.Delay == 0 {
			s.putAside(asideID{key, held.epoch}, aside{held.incarnation, held.will, now.Add(s.times.Lease)})
		}
		held.dropWill()
	case now.Before(held.graceUntil), !over && now.Before(held.willAt):
		held.dropWill() // the device is back in time
	case !over:
		s.leaveWill(key, held)
	}
}

// putAside keeps at most MaxAside of a key, counting none whose time is over.
func (s *Store) putAside(id asideID, a aside) {
	n := 0
	for other, old := range s.aside {
		if !s.now().Before(old.until) {
			delete(s.aside, other)
		} else if other.key == id.key {
			n++
		}
	}
	if n < sessionstore.MaxAside {
		s.aside[id] = a
	}
}

// lateWord is a Release by an owner that lost the session: it decides about the Will that was put aside. It reports whether work of the
// owner's epoch waits, whoever made it, so that a repeated word has the same answer.
func (s *Store) lateWord(f sessionstore.Fence, fate sessionstore.WillFate) (work bool) {
	id := asideID{f.Key, f.Epoch}
	a, ok := s.aside[id]
	delete(s.aside, id)
	if ok && fate == sessionstore.WillKept && s.now().Before(a.until) {
		s.work[workID{key: f.Key, epoch: f.Epoch, kind: willDue}] = &piece{incarnation: a.incarnation, will: a.will}
	}
	return s.work[workID{key: f.Key, epoch: f.Epoch, kind: willDue}] != nil || s.work[workID{key: f.Key, epoch: f.Epoch, kind: ended}] != nil
}

// workOf counts the pieces of a key.
func (s *Store) workOf(key sessionstore.Key) (n int) {
	for id := range s.work {
		if id.key == key {
			n++
		}
	}
	return n
}

// Due: see sessionstore.Store.
func (s *Store) Due(ctx context.Context, max int) ([]sessionstore.Work, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if err := s.usable(ctx); err != nil {
		return nil, err
	}
	now := s.now()
	for key, held := range s.sessions {
		if held.owner != "" {
			continue
		}
		switch {
		case !held.endsAt.IsZero() && !now.Before(held.endsAt):
			s.end(key, held)
		case held.will != nil && !now.Before(held.willAt):
			s.leaveWill(key, held)
		}
	}
	// In the order they came, so that a simulation repeats itself.
	ids := slices.SortedFunc(maps.Keys(s.work), func(a, b workID) int {
		return cmp.Or(cmp.Compare(a.epoch, b.epoch), cmp.Compare(b.kind, a.kind))
	})
	var out []sessionstore.Work
	for _, id := range ids {
		p := s.work[id]
		if len(out) >= max {
			break
		}
		if now.Before(p.until) {
			continue
		}
		p.until = now.Add(s.times.WorkLease)
		p.tries++
		w := sessionstore.Work{
			Key: id.key, Incarnation: p.incarnation, Epoch: id.epoch, Will: p.will, Inbox: p.inbox, Ended: id.kind != willDue, Groups: p.groups,
			Again: p.tries > 1, Token: string(id.kind) + " " + strconv.Itoa(p.tries),
		}
		if id.kind == groupOver {
			w.Epoch, w.Group = 0, &id.group
		}
		out = append(out, w)
	}
	return out, nil
}

// Finish: see sessionstore.Store.
func (s *Store) Finish(ctx context.Context, w sessionstore.Work) error {
	var kind kind
	var try int
	if _, err := fmt.Sscanf(w.Token, "%c %d", &kind, &try); err != nil {
		return fmt.Errorf("%w: finish: the token is none of Due's", sessionstore.ErrInvalid)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if err := s.usable(ctx); err != nil {
		return err
	}
	id := workID{key: w.Key, epoch: w.Epoch, kind: kind}
	if kind == groupOver {
		if w.Group == nil {
			return fmt.Errorf("%w: finish: the work of a group names none", sessionstore.ErrInvalid)
		}
		id = workID{group: *w.Group, epoch: w.Incarnation, kind: kind}
	}
	switch p := s.work[id]; {
	case p == nil:
		return nil
	case p.tries != try:
		return sessionstore.ErrFenced
	}
	delete(s.work, id)
	return nil
}
