package memory

import (
	"context"
	"fmt"

	"sluice/sessionstore"
)

// group is a group that has members.
type group struct {
	incarnation uint64
	members     map[sessionstore.Key]uint64    // the epoch of the latest Join
	taken       map[string]sessionstore.Member // by identity
	order       []string                       // of the identities, the oldest first
}

// Join: see sessionstore.Store.
func (s *Store) Join(ctx context.Context, g sessionstore.Group, f sessionstore.Fence) (incarnation uint64, err error) {
	if err := sessionstore.ValidateMember(g, f); err != nil {
		return 0, err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if err := s.usable(ctx); err != nil {
		return 0, err
	}
	held := s.sessions[f.Key]
	if held == nil || held.epoch != f.Epoch || held.owner == "" {
		return 0, sessionstore.ErrFenced
	}
	if _, noted := held.groups[g.Filter]; !noted && len(held.groups) >= sessionstore.MaxGroups {
		return 0, fmt.Errorf("%w: a session may be in %d groups", sessionstore.ErrFull, sessionstore.MaxGroups)
	}
	joined := s.groups[g]
	if joined == nil {
		if s.workOfGroup(g) >= sessionstore.MaxWork {
			return 0, fmt.Errorf("%w: %d queues of the group wait to be removed", sessionstore.ErrFull, sessionstore.MaxWork)
		}
		s.epoch++
		joined = &group{incarnation: s.epoch, members: make(map[sessionstore.Key]uint64), taken: make(map[string]sessionstore.Member)}
		s.groups[g] = joined
	}
	if _, member := joined.members[f.Key]; !member && len(joined.members) >= sessionstore.MaxMembers {
		return 0, fmt.Errorf("%w: a group may have %d members", sessionstore.ErrFull, sessionstore.MaxMembers)
	}
	held.groups[g.Filter] = struct{}{}
	joined.members[f.Key] = max(f.Epoch, joined.members[f.Key])
	return joined.incarnation, nil
}

// Leave: see sessionstore.Store.
func (s *Store) Leave(ctx context.Context, g sessionstore.Group, f sessionstore.Fence) (work bool, err error) {
	if err := sessionstore.ValidateMember(g, f); err != nil {
		return false, err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if err := s.usable(ctx); err != nil {
		return false, err
	}
	if left := s.groups[g]; left != nil {
		if epoch, member := left.members[f.Key]; member && epoch <= f.Epoch {
			delete(left.members, f.Key)
		}
		if len(left.members) == 0 {
			s.work[workID{group: g, epoch: left.incarnation, kind: groupOver}] = &piece{incarnation: left.incarnation}
			delete(s.groups, g)
		}
	}
	if held := s.sessions[f.Key]; held != nil && held.epoch == f.Epoch {
		delete(held.groups, g.Filter)
	}
	return s.workOfGroup(g) > 0, nil
}

func (s *Store) workOfGroup(g sessionstore.Group) (n int) {
	for id := range s.work {
		if id.group == g {
			n++
		}
	}
	return n
}

// Take: see sessionstore.Store.
func (s *Store) Take(ctx context.Context, g sessionstore.Group, incarnation uint64, identity string, by sessionstore.Member) (sessionstore.Member, error) {
	if err := sessionstore.ValidateTaken(g, identity); err != nil {
		return sessionstore.Member{}, err
	}
	if err := by.Key.Validate(); err != nil {
		return sessionstore.Member{}, err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if err := s.usable(ctx); err != nil {
		return sessionstore.Member{}, err
	}
	from := s.groups[g]
	if from == nil || from.incarnation != incarnation {
		return sessionstore.Member{}, fmt.Errorf("%w: the group of this incarnation is over", sessionstore.ErrNotFound)
	}
	if first, taken := from.taken[identity]; taken {
		return first, nil
	}
	from.taken[identity] = by
	from.order = append(from.order, identity)
	if len(from.order) > sessionstore.MaxTaken {
		delete(from.taken, from.order[0])
		from.order = from.order[1:]
	}
	return by, nil
}
