package redis

import (
	"cmp"
	"context"
	"crypto/rand"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"go.uber.org/zap"

	"sluice/sessionstore"
)

// dated is a member of a timer shard with its time.
type dated struct {
	member string
	at     float64
}

func (s *Store) oldest(found []dated, most int) (out []hint) {
	slices.SortFunc(found, func(a, b dated) int { return cmp.Compare(a.at, b.at) })
	for _, f := range found[:min(len(found), most)] {
		h, ok := parseHint(f.member)
		if !ok {
			s.log.Warn("a timer hint cannot be read, and is left alone", zap.String("hint", f.member))
			continue
		}
		out = append(out, h)
	}
	return out
}

// Due: see sessionstore.Store. Hints are read, then each session's own script makes and claims the work: that is the atomic step, so two
// workers that follow one hint do not get the same.
func (s *Store) Due(ctx context.Context, most int) ([]sessionstore.Work, error) {
	if most <= 0 {
		return nil, ctx.Err()
	}
	out, err := s.dueOfSessions(ctx, most)
	if err != nil || len(out) >= most {
		return out, err
	}
	// What is claimed already is done, even when the rest cannot be had now.
	more, err := s.dueOfGroups(ctx, most-len(out))
	if err != nil && len(out) == 0 {
		return nil, err
	}
	return append(out, more...), nil
}

func (s *Store) dueOfSessions(ctx context.Context, most int) ([]sessionstore.Work, error) {
	hints, err := s.due(ctx, most)
	if err != nil || len(hints) == 0 {
		return nil, err
	}
	// A Will is published on the word of this claim, and again by whoever does not find it after a failover. Asked before, so that work that cannot be
	// confirmed stays free: a claim that nobody follows would keep it for Times.WorkLease.
	if err := s.enough(ctx, hints[0].key); err != nil {
		return nil, err
	}
	token := rand.Text()
	steps := make([]*step, len(hints))
	for i, h := range hints {
		k := s.keys(h.key)
		steps[i] = &step{
			key: h.key, script: dueScript, confirm: true, keys: []string{k[0], k[1], k[2], k[3], k[5], k[6]}, size: len(h.key.ClientID),
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
			s.log.Error("the work of a session cannot be read, and is tried again later", zap.Stringer("session", h.key), zap.Error(err))
			continue
		}
		s.later(s.hintStep(h, next, "XX"))
		for _, w := range pieces {
			w.Key, w.Token = h.key, w.Token+" "+token+strconv.Itoa(i)+" "+h.name
			out = append(out, w)
		}
	}
	return out, nil
}

func decodeDue(reply any) (next string, out []sessionstore.Work, err error) {
	parts, ok := reply.([]any)
	if !ok || len(parts) != 2 {
		return "", nil, fmt.Errorf("%w: answer to due", errRecord)
	}
	next, _ = parts[0].(string)
	pieces, _ := parts[1].([]any)
	for _, p := range pieces {
		w, err := decodeWork(p)
		if err != nil {
			return "", nil, err
		}
		out = append(out, w)
	}
	return next, out, nil
}

// decodeWork reads a piece as take_work in lib.lua gives it. Its token is the kind so far.
func decodeWork(reply any) (w sessionstore.Work, err error) {
	p, ok := reply.([]any)
	if !ok || len(p) != 8 {
		return w, fmt.Errorf("%w: a piece of work", errRecord)
	}
	text := func(i int) string { s, _ := p[i].(string); return s }
	number := func(i int) int64 { n, _ := p[i].(int64); return n }
	epoch, kind, _ := strings.Cut(text(0), ":")
	if w.Epoch, err = strconv.ParseUint(epoch, 10, 64); err != nil || kind != workWill && kind != workEnd && kind != workGroup {
		return w, fmt.Errorf("%w: a piece of work named %q", errRecord, text(0))
	}
	if w.Incarnation, err = strconv.ParseUint(text(1), 10, 64); err != nil {
		return w, fmt.Errorf("%w: a piece of work of incarnation %q", errRecord, text(1))
	}
	if number(2) == 1 {
		delay, err := strconv.ParseUint(text(3), 10, 32)
		if err != nil {
			return w, fmt.Errorf("%w: a will's delay", errRecord)
		}
		w.Will = &sessionstore.Will{Delay: uint32(delay), Message: []byte(text(4))}
	}
	groups, _ := p[7].([]any)
	for _, g := range groups {
		filter, _ := g.(string)
		w.Groups = append(w.Groups, filter)
	}
	slices.Sort(w.Groups)
	w.Inbox, w.Ended, w.Again, w.Token = text(5), kind != workWill, number(6) > 1, kind
	return w, nil
}

// The kinds of work, as the scripts name them.
const (
	workWill = "w"
	workEnd  = "e"
	// workGroup is the end of a group, in its own keys; its name has the incarnation where others have the epoch.
	workGroup = "g"
)

// Finish: see sessionstore.Store. Its token is the kind of the work, the token of the claim, and the name of the hint that led to it.
func (s *Store) Finish(ctx context.Context, w sessionstore.Work) error {
	kind, rest, ok := strings.Cut(w.Token, " ")
	token, name, _ := strings.Cut(rest, " ")
	switch {
	case ok && kind == workGroup && w.Group != nil:
		return s.finishGroup(ctx, w, token, name)
	case !ok || kind != workWill && kind != workEnd:
		return fmt.Errorf("%w: finish: the token is none of Due's", sessionstore.ErrInvalid)
	}
	if err := w.Key.Validate(); err != nil {
		return err
	}
	k := s.keys(w.Key)
	reply, err := s.do(ctx, s.laneOf(w.Key), &step{
		key: w.Key, script: finishScript, confirm: true, keys: []string{k[6], k[0]}, size: len(w.Key.ClientID),
		args: []any{strconv.FormatUint(w.Epoch, 10) + ":" + kind, token},
	})
	if err != nil {
		return err
	}
	switch n, _ := reply.(int64); n {
	case 0:
		return sessionstore.ErrFenced
	case 2:
		s.dropHint(hint{w.Key, name})
	}
	return nil
}
