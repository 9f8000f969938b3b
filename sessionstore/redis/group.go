package redis

import (
	"context"
	"crypto/rand"
	"fmt"
	"strconv"
	"strings"

	"sluice/sessionstore"
)

// groupKeys gives group, members, left, work, taken and order of a group, which share a hash tag. A session's has two slashes in its tag.
func (s *Store) groupKeys(g sessionstore.Group) []string {
	head := s.prefix + "{group:" + g.String() + "}:"
	return []string{head + "group", head + "members", head + "left", head + "work", head + "taken", head + "order"}
}

// groupStep makes a step that a late copy must not undo. what it is about has its steps in order.
func (s *Store) groupStep(sc *script, g sessionstore.Group, about string, keys []string, args ...any) *step {
	st := &step{
		key: sessionstore.Key{Tenant: g.Tenant, Principal: g.Filter, ClientID: "group " + about}, script: sc, confirm: true, numbered: true,
		args: args, size: 2*len(g.Filter) + len(about),
	}
	st.keys = append(keys, s.sentKey(s.laneOf(st.key), keys[0]))
	return st
}

// Join: see sessionstore.Store. The note in the session's record is made first, under the fence.
func (s *Store) Join(ctx context.Context, g sessionstore.Group, f sessionstore.Fence) (incarnation uint64, err error) {
	if err := sessionstore.ValidateMember(g, f); err != nil {
		return 0, err
	}
	noted, err := s.number(ctx, &step{
		key: f.Key, script: groupNoteScript, confirm: true, keys: s.keys(f.Key)[:1],
		args: []any{strconv.FormatUint(f.Epoch, 10), g.Filter, sessionstore.MaxGroups}, size: len(g.Filter),
	})
	switch {
	case err != nil:
		return 0, err
	case noted == 0:
		return 0, sessionstore.ErrFenced
	case noted == -1:
		return 0, fmt.Errorf("%w: a session may be in %d groups", sessionstore.ErrFull, sessionstore.MaxGroups)
	}
	k := s.groupKeys(g)
	join := s.groupStep(groupJoinScript, g, f.Key.String(), k[:4:4],
		f.Key.String(), strconv.FormatUint(f.Epoch, 10), sessionstore.MaxMembers, sessionstore.MaxWork)
	reply, err := s.do(ctx, s.laneOf(join.key), join)
	if err != nil {
		return 0, err
	}
	what, text, err := decodePair(reply)
	if err == nil && what == 1 {
		incarnation, err = strconv.ParseUint(text, 10, 64)
	}
	if err != nil {
		return 0, unavailable(fmt.Errorf("%w: answer to a join", errRecord))
	}
	switch what {
	case 1:
		return incarnation, nil
	case 0:
		return 0, sessionstore.ErrFenced
	}
	if noted == 1 {
		if _, err := s.number(ctx, s.unnoteStep(g, f)); err != nil {
			return 0, err
		}
	}
	if what == -2 {
		return 0, fmt.Errorf("%w: %d queues of the group wait to be removed", sessionstore.ErrFull, sessionstore.MaxWork)
	}
	return 0, fmt.Errorf("%w: a group may have %d members", sessionstore.ErrFull, sessionstore.MaxMembers)
}

func (s *Store) unnoteStep(g sessionstore.Group, f sessionstore.Fence) *step {
	return &step{
		key: f.Key, script: groupUnnoteScript, confirm: true, keys: s.keys(f.Key)[:1], args: []any{strconv.FormatUint(f.Epoch, 10), g.Filter},
		size: len(g.Filter),
	}
}

// Leave: see sessionstore.Store. In this order: the membership, the hint to the work, the note in the session's record. So whoever dies in
// between leaves a session that still knows the group, and a repeat sets the hint again.
func (s *Store) Leave(ctx context.Context, g sessionstore.Group, f sessionstore.Fence) (work bool, err error) {
	if err := sessionstore.ValidateMember(g, f); err != nil {
		return false, err
	}
	goesOn, err := s.goesOn(ctx, f)
	if err != nil {
		return false, err
	}
	left, err := s.number(ctx, s.leaveStep(g, f, goesOn))
	if err != nil {
		return false, err
	}
	if left > 0 {
		if _, err := s.do(ctx, s.laneOf(groupHintKey(g)), s.groupHintStep(groupHint{g, rand.Text()}, "0", "", true)); err != nil {
			return false, err
		}
	}
	_, err = s.number(ctx, s.unnoteStep(g, f))
	return left > 0, err
}

func (s *Store) leaveStep(g sessionstore.Group, f sessionstore.Fence, goesOn bool) *step {
	return s.groupStep(groupLeaveScript, g, f.Key.String(), s.groupKeys(g), f.Key.String(), strconv.FormatUint(f.Epoch, 10), boolArg(goesOn))
}

// goesOn tells whether the session has this owner. When it does not, nobody joins for that owner any more.
func (s *Store) goesOn(ctx context.Context, f sessionstore.Fence) (bool, error) {
	reply, err := s.do(ctx, s.laneOf(f.Key), &step{
		key: f.Key, cmd: []any{"HMGET", s.meta(f.Key), "epoch", "owner"}, size: len(f.Key.ClientID),
	})
	if err != nil {
		return false, err
	}
	values, _ := reply.([]any)
	if len(values) != 2 {
		return false, unavailable(fmt.Errorf("%w: the owner of a session", errRecord))
	}
	epoch, _ := values[0].(string)
	owner, _ := values[1].(string)
	return epoch == strconv.FormatUint(f.Epoch, 10) && owner != "", nil
}

// Take: see sessionstore.Store.
func (s *Store) Take(ctx context.Context, g sessionstore.Group, incarnation uint64, identity string, by sessionstore.Member) (sessionstore.Member, error) {
	if err := sessionstore.ValidateTaken(g, identity); err != nil {
		return sessionstore.Member{}, err
	}
	if err := by.Key.Validate(); err != nil {
		return sessionstore.Member{}, err
	}
	take := s.takeStep(g, incarnation, identity, by, sessionstore.MaxTaken)
	reply, err := s.do(ctx, s.laneOf(take.key), take)
	if err != nil {
		return sessionstore.Member{}, err
	}
	what, text, err := decodePair(reply)
	if err == nil && what == 0 {
		return sessionstore.Member{}, fmt.Errorf("%w: the group of this incarnation is over", sessionstore.ErrNotFound)
	}
	var first sessionstore.Member
	if err == nil {
		first, err = parseMember(text)
	}
	if err != nil {
		return sessionstore.Member{}, unavailable(fmt.Errorf("%w: who took a message", errRecord))
	}
	return first, nil
}

func (s *Store) takeStep(g sessionstore.Group, incarnation uint64, identity string, by sessionstore.Member, most int) *step {
	k := s.groupKeys(g)
	who := strconv.FormatUint(by.Incarnation, 10) + " " + by.Key.String()
	return s.groupStep(groupTakeScript, g, identity, []string{k[0], k[4], k[5]}, strconv.FormatUint(incarnation, 10), identity, who, most)
}

func parseMember(text string) (m sessionstore.Member, err error) {
	incarnation, key, _ := strings.Cut(text, " ")
	if m.Incarnation, err = strconv.ParseUint(incarnation, 10, 64); err == nil {
		m.Key, err = sessionstore.ParseKey(key)
	}
	return m, err
}

// number runs a step whose answer is one.
func (s *Store) number(ctx context.Context, st *step) (int64, error) {
	reply, err := s.do(ctx, s.laneOf(st.key), st)
	if err != nil {
		return 0, err
	}
	n, ok := reply.(int64)
	if !ok {
		return 0, unavailable(fmt.Errorf("%w: answer to %s", errRecord, st.name()))
	}
	return n, nil
}

// decodePair reads an answer of a number and a text.
func decodePair(reply any) (n int64, text string, err error) {
	parts, ok := reply.([]any)
	if !ok || len(parts) != 2 {
		return 0, "", errRecord
	}
	n, ok1 := parts[0].(int64)
	text, ok2 := parts[1].(string)
	if !ok1 || !ok2 {
		return 0, "", errRecord
	}
	return n, text, nil
}
