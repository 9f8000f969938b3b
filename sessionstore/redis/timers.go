package redis

import (
	"context"
	"hash/fnv"
	"math"
	"strconv"
	"strings"

	"sluice/sessionstore"
)

// hint is an entry of a timer shard: "<session key> <name>". It says when to look at a session, never what to do: that the session's record
// decides. Each event sets a hint of its own, so that nobody who moves or removes one that it has looked at takes another's away.
type hint struct {
	key  sessionstore.Key
	name string
}

func (h hint) member() string { return h.key.String() + " " + h.name }

func parseHint(member string) (h hint, ok bool) {
	key, name, ok := strings.Cut(member, " ")
	if !ok {
		return h, false
	}
	h.name = name
	var err error
	h.key, err = sessionstore.ParseKey(key)
	return h, err == nil
}

// timers gives the key of a shard.
func (s *Store) timers(shard uint32) string {
	return s.prefix + "{timers:" + strconv.FormatUint(uint64(shard), 10) + "}"
}

// shardOf is the same on every node and in every version.
func shardOf(key sessionstore.Key) uint32 {
	h := fnv.New32a()
	_, _ = h.Write([]byte(key.String()))
	return h.Sum32() % timerShards
}

// hintStep sets a hint, moves it when only is "XX" and it is there, or removes it when due is empty. It follows the steps of its session.
func (s *Store) hintStep(h hint, due, only string) *step {
	return &step{
		key: h.key, script: hintScript, keys: []string{s.timers(shardOf(h.key))}, args: []any{h.member(), due, only}, size: 2 * len(h.key.ClientID),
	}
}

// setHint returns once the hint is there: what it points to is found then, whoever dies.
func (s *Store) setHint(ctx context.Context, h hint, due string, confirm bool) error {
	st := s.hintStep(h, due, "")
	st.confirm = confirm
	_, err := s.do(ctx, s.laneOf(h.key), st)
	return err
}

// dropHint removes a hint that nobody needs any more, some time. One that stays is looked at in vain, once.
func (s *Store) dropHint(h hint) { s.later(s.hintStep(h, "", "")) }

// later queues a step for whose answer nobody waits.
func (s *Store) later(st *step) {
	_, _ = s.begin(s.ctx, s.laneOf(st.key), st)
}

// due gives hints whose time has come, the oldest first.
func (s *Store) due(ctx context.Context, most int) ([]hint, error) {
	steps := make([]*step, timerShards)
	for i := range steps {
		steps[i] = &step{
			key: sessionstore.Key{ClientID: "timers " + strconv.Itoa(i)}, script: peekScript, keys: []string{s.timers(uint32(i))},
			args: []any{most},
		}
	}
	replies, err := s.all(ctx, steps)
	if err != nil {
		return nil, err
	}
	var found []dated
	for _, reply := range replies {
		list, _ := reply.([]any)
		for i := 0; i+1 < len(list); i += 2 {
			member, _ := list[i].(string)
			text, _ := list[i+1].(string)
			at, err := strconv.ParseFloat(text, 64)
			if err != nil {
				at = math.Inf(-1)
			}
			found = append(found, dated{member, at})
		}
	}
	return s.oldest(found, most), nil
}
