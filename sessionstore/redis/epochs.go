package redis

import (
	"context"
	"fmt"
	"strconv"

	"sluice/sessionstore"
)

// Epochs: see sessionstore.Store. It is a command for each session, side by side in a pipeline of each lane: behind what waits there.
func (s *Store) Epochs(ctx context.Context, keys []sessionstore.Key) ([]uint64, error) {
	if err := sessionstore.ValidateEpochs(keys); err != nil {
		return nil, err
	}
	steps := make([]*step, len(keys))
	for i, key := range keys {
		// Not HGET: its answer to nothing is nil, which a lane takes for a command that was never sent.
		steps[i] = &step{key: key, cmd: []any{"HMGET", s.meta(key), "epoch"}, size: len(key.ClientID)}
	}
	replies, err := s.all(ctx, steps)
	if err != nil {
		return nil, err
	}
	out := make([]uint64, len(keys))
	for i, reply := range replies {
		values, _ := reply.([]any)
		if len(values) != 1 {
			return nil, unavailable(fmt.Errorf("%w: the epoch of a session", errRecord))
		}
		text, there := values[0].(string)
		if !there {
			continue
		}
		if out[i], err = strconv.ParseUint(text, 10, 64); err != nil {
			return nil, unavailable(fmt.Errorf("%w: meta field epoch", errRecord))
		}
	}
	return out, nil
}
