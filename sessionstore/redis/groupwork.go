package redis

import (
	"context"
	"crypto/rand"
	"strconv"
	"strings"

	"go.uber.org/zap"

	"sluice/sessionstore"
)

// groupHint says that a group has work, as hint does for a session: "<group> <name>".
type groupHint struct {
	group sessionstore.Group
	name  string
}

func (h groupHint) member() string { return h.group.String() + " " + h.name }

func parseGroupHint(member string) (h groupHint, ok bool) {
	group, name, ok := strings.Cut(member, " ")
	if !ok {
		return h, false
	}
	h.name = name
	var err error
	h.group, err = sessionstore.ParseGroup(group)
	return h, err == nil
}

// groupTimers is the key of the hints to groups. They are few, so one slot is enough; they are not among the sessions', which older nodes read.
func (s *Store) groupTimers() string { return s.prefix + "{grouptimers}" }

// groupHintKey keeps the steps of a group's hints and work in order.
func groupHintKey(g sessionstore.Group) sessionstore.Key {
	return sessionstore.Key{Tenant: g.Tenant, Principal: g.Filter, ClientID: "group work"}
}

func (s *Store) groupHintStep(h groupHint, due, only string, confirm bool) *step {
	return &step{
		key: groupHintKey(h.group), script: hintScript, confirm: confirm, keys: []string{s.groupTimers()}, args: []any{h.member(), due, only},
		size: 2 * len(h.group.Filter),
	}
}

// dueOfGroups claims up to most pieces of work of groups that are over. The claim does not wait for replicas: a queue may be removed twice.
func (s *Store) dueOfGroups(ctx context.Context, most int) ([]sessionstore.Work, error) {
	registry := sessionstore.Key{ClientID: "group timers"}
	reply, err := s.do(ctx, s.laneOf(registry), &step{key: registry, script: peekScript, keys: []string{s.groupTimers()}, args: []any{most}})
	if err != nil {
		return nil, err
	}
	var hints []groupHint
	list, _ := reply.([]any)
	for i := 0; i+1 < len(list); i += 2 {
		member, _ := list[i].(string)
		h, ok := parseGroupHint(member)
		if !ok {
			s.log.Warn("a hint to the work of a group cannot be read, and is left alone", zap.String("hint", member))
			continue
		}
		hints = append(hints, h)
	}
	token := rand.Text()
	steps := make([]*step, len(hints))
	for i, h := range hints {
		steps[i] = &step{
			key: groupHintKey(h.group), script: groupDueScript, keys: s.groupKeys(h.group)[3:4], size: len(h.group.Filter),
			args: []any{token + strconv.Itoa(i), s.times.WorkLease.Milliseconds(), most / len(hints)},
		}
	}
	replies, err := s.all(ctx, steps)
	if err != nil {
		return nil, err
	}
	var out []sessionstore.Work
	for i, h := range hints {
		next, pieces, err := decodeDue(replies[i])
		if err != nil {
			s.log.Error("the work of a group cannot be read, and is tried again later", zap.Stringer("group", h.group), zap.Error(err))
			continue
		}
		s.later(s.groupHintStep(h, next, "XX", false))
		for _, w := range pieces {
			w.Group, w.Epoch, w.Token = &h.group, 0, workGroup+" "+token+strconv.Itoa(i)+" "+h.name
			out = append(out, w)
		}
	}
	return out, nil
}

// finishGroup removes the work of a group.
func (s *Store) finishGroup(ctx context.Context, w sessionstore.Work, token, name string) error {
	if err := w.Group.Validate(); err != nil {
		return err
	}
	work := s.groupKeys(*w.Group)[3]
	n, err := s.number(ctx, &step{
		key: groupHintKey(*w.Group), script: finishScript, confirm: true, keys: []string{work, work}, size: len(w.Group.Filter),
		args: []any{strconv.FormatUint(w.Incarnation, 10) + ":" + workGroup, token},
	})
	switch {
	case err != nil:
		return err
	case n == 0:
		return sessionstore.ErrFenced
	case n == 2:
		s.later(s.groupHintStep(groupHint{*w.Group, name}, "", "", false))
	}
	return nil
}
