package redis

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"strconv"

	"sluice/sessionstore"
)

// Claim: see sessionstore.Store. The session is registered for the node's life before the step, so that it is found if the node dies at once.
func (s *Store) Claim(ctx context.Context, req sessionstore.ClaimRequest) (sessionstore.Claimed, error) {
	if err := req.Validate(); err != nil {
		return sessionstore.Claimed{}, err
	}
	l, _ := s.lives.of(req.Node)
	r := registration{life: l, key: req.Key, token: rand.Text()}
	// Asked before, so that a claim that cannot be confirmed takes the session from nobody.
	if err := s.enough(ctx, req.Key); err != nil {
		return sessionstore.Claimed{}, err
	}
	reply, err := s.claim(ctx, req, r)
	if errors.Is(err, sessionstore.ErrNotReplicated) && reply != nil {
		s.undo(req, r.token, reply)
	}
	if err != nil {
		return sessionstore.Claimed{}, err
	}
	if n, _ := reply.(int64); n == -1 {
		return sessionstore.Claimed{}, fmt.Errorf("%w: %d pieces of work wait for this session", sessionstore.ErrFull, sessionstore.MaxWork)
	}
	answer, err := decodeClaimed(req.Key, reply)
	if err != nil {
		return sessionstore.Claimed{}, unavailable(err)
	}
	if answer.made {
		if err := s.setHint(ctx, hint{req.Key, r.token}, "0", true); err != nil {
			return sessionstore.Claimed{}, err
		}
	}
	if answer.needless.name != "" {
		s.dropHint(answer.needless)
	}
	if answer.registered {
		s.unregister(answer.before)
	}
	return answer.Claimed, nil
}

// claim sends the registration and the step; on one server in one round trip, since its commands do not overtake each other.
func (s *Store) claim(ctx context.Context, req sessionstore.ClaimRequest, r registration) (reply any, err error) {
	claim := s.claimStep(req, r)
	if r.life.id == "" {
		return s.do(ctx, s.laneOf(req.Key), claim)
	}
	lane := s.laneOf(req.Key)
	registered, err := s.begin(ctx, lane, &step{
		// A key of its own, so that it goes in the batch of the claim behind it or an earlier one.
		key: sessionstore.Key{ClientID: "register " + r.token}, script: registerScript, keys: s.lifeKeys(r.life)[1:], args: []any{r.member()}, size: 2 * len(req.Key.ClientID),
	})
	if err != nil {
		return nil, err
	}
	alive := func() error {
		n, err := registered()
		if err == nil && n == int64(0) {
			_, err = s.do(ctx, s.laneOf(nodeKey(r.life)), s.knownStep("SADD", r.life))
		}
		return err
	}
	if s.spread {
		if err := alive(); err != nil {
			return nil, err
		}
		return s.do(ctx, lane, claim)
	}
	wait, err := s.begin(ctx, lane, claim)
	if err != nil {
		return nil, err
	}
	if err := alive(); err != nil {
		return nil, err
	}
	return wait()
}

func (s *Store) claimStep(req sessionstore.ClaimRequest, r registration) *step {
	will := sessionstore.Will{}
	if req.Will != nil {
		will = *req.Will
	}
	return &step{
		key: req.Key, script: claimScript, confirm: true, keys: s.keys(req.Key), size: len(req.Key.ClientID) + len(will.Message), args: []any{
			r.token, req.Node, boolArg(req.Clean), strconv.FormatUint(uint64(req.Expiry), 10), req.Now.UnixMilli(),
			(s.grace + claimRepeat).Milliseconds(), s.prefix + "node:", req.Key.String(), r.field(),
			boolArg(req.Will != nil), strconv.FormatUint(uint64(will.Delay), 10), will.Message, s.times.Lease.Milliseconds(),
			sessionstore.MaxWork, sessionstore.MaxAside,
		},
	}
}

// claimAnswer is what claim.lua gives.
type claimAnswer struct {
	sessionstore.Claimed
	made       bool         // work, which needs a hint
	needless   hint         // of the release before
	registered bool         // the owner before had registered the session
	before     registration // so
}

func decodeClaimed(key sessionstore.Key, reply any) (out claimAnswer, err error) {
	parts, ok := reply.([]any)
	if !ok || len(parts) != 9 {
		return out, fmt.Errorf("%w: answer to a claim", errRecord)
	}
	present, _ := parts[0].(int64)
	node, _ := parts[1].(string)
	epoch, _ := parts[2].(string)
	now, _ := parts[3].([]any)
	before, _ := parts[4].([]any)
	work, _ := parts[5].(int64)
	reg, _ := parts[7].(string)
	name, _ := parts[8].(string)
	out.Present, out.Work, out.made = present == 1, work > 0, parts[6] == int64(1)
	out.needless = hint{key, name}
	out.before, out.registered = registrationOf(key, node, reg)
	if node != "" {
		out.Previous = &sessionstore.Owner{Node: node}
		if out.Previous.Epoch, err = strconv.ParseUint(epoch, 10, 64); err != nil {
			return out, fmt.Errorf("%w: previous epoch", errRecord)
		}
	}
	if out.Session, err = decodeSession(key, now); err != nil {
		return out, err
	}
	if len(before) > 0 {
		gone, err := decodeSession(key, before)
		if err != nil {
			return out, err
		}
		out.Discarded = &gone
	}
	return out, nil
}
