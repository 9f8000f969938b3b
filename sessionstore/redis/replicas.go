package redis

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync/atomic"
	"time"

	goredis "github.com/redis/go-redis/v9"
	"go.uber.org/zap"

	"sluice/sessionstore"
)

// replication is what has to confirm a change before it is answered. The question is one command at the end of a pipeline, on the
// connection that wrote, outside of scripts: there it would not wait.
type replication struct {
	replicas int // none: nobody is asked
	timeout  time.Duration
	aof      atomic.Bool // ask for the append-only files, here and there
	mark     string      // the key of the write that stands for those before
}

// ask puts the question into a pipeline, if one of its calls wants it, and gives the function that reads the answer once it is there: nil,
// or why the calls are not confirmed.
func (r *replication) ask(ctx context.Context, pipe goredis.Pipeliner, calls []*call) (read func() error) {
	wanted, doubtful := false, false
	for _, c := range calls {
		wanted = wanted || c.confirm()
		doubtful = doubtful || c.steps[0].doubtful
	}
	if r.replicas == 0 || !wanted {
		return func() error { return nil }
	}
	// The server waits for what this connection wrote. A repeat changes nothing, and what its first copy wrote came over another: a write of
	// ours behind it has its place in the stream after both.
	if doubtful {
		pipe.Set(ctx, r.mark, "1", time.Hour)
	}
	answer := pipe.Do(ctx, r.words()...)
	return func() error {
		reply, err := answer.Result()
		if err != nil {
			return err
		}
		return r.judge(reply)
	}
}

func (r *replication) words() []any {
	if r.aof.Load() {
		return []any{"WAITAOF", 1, r.replicas, r.timeout.Milliseconds()}
	}
	return r.plain()
}

func (r *replication) plain() []any { return []any{"WAIT", r.replicas, r.timeout.Milliseconds()} }

// judge reads the count that WAIT or WAITAOF gives.
func (r *replication) judge(reply any) error {
	var local, n int64 = 1, 0
	switch reply := reply.(type) {
	case int64:
		n = reply
	case []any:
		if len(reply) == 2 {
			local, _ = reply[0].(int64)
			n, _ = reply[1].(int64)
		}
	}
	switch {
	case n < int64(r.replicas):
		return fmt.Errorf("%w: %d of %d within %v", sessionstore.ErrNotReplicated, n, r.replicas, r.timeout)
	case local < 1:
		return fmt.Errorf("%w: the primary did not write its append-only file within %v", sessionstore.ErrNotReplicated, r.timeout)
	}
	return nil
}

// enough asks whether there are as many replicas as have to confirm, before something is begun that they have to.
func (s *Store) enough(ctx context.Context, key sessionstore.Key) error {
	if s.replication.replicas == 0 {
		return nil
	}
	reply, err := s.do(ctx, s.laneOf(key), &step{key: key, cmd: s.replication.plain()})
	if err != nil {
		return err
	}
	return s.replication.judge(reply)
}

// undo gives back what a claim took that too few replicas confirmed: a session that goes on without an owner, or none.
func (s *Store) undo(req sessionstore.ClaimRequest, token string, reply any) {
	answer, err := decodeClaimed(req.Key, reply)
	if err == nil {
		ctx, cancel := context.WithTimeout(s.ctx, s.grace)
		defer cancel()
		f := sessionstore.Fence{Key: req.Key, Epoch: answer.Session.Epoch}
		if answer.made {
			err = s.setHint(ctx, hint{req.Key, token}, "0", false)
		}
		back := sessionstore.ReleaseRequest{Now: req.Now, End: !answer.Present, Will: sessionstore.WillDropped}
		_, released := s.release(ctx, f, back, false)
		err = errors.Join(err, released)
	}
	if err != nil && !errors.Is(err, sessionstore.ErrFenced) {
		s.log.Error("a claim that too few replicas confirmed was not taken back; the session has an owner without a connection until the next claim",
			zap.Stringer("session", req.Key), zap.Error(err))
	}
}

// setReplication takes the options over, or says why they cannot be kept.
func (s *Store) setReplication(opts Options) error {
	if opts.Replicas < 0 {
		return fmt.Errorf("redis: %d replicas: want zero or more", opts.Replicas)
	}
	if opts.Replicas > 0 && s.spread {
		return errors.New("redis: answers that wait for replicas need one server or Sentinel; with redis+cluster:// each primary would have to " +
			"be asked on its own, which this version does not do: set the replicas to 0 or use redis+sentinel://")
	}
	if opts.ReplicaTimeout <= 0 {
		opts.ReplicaTimeout = DefaultReplicaTimeout
	}
	if opts.ReplicaTimeout > attemptTime/2 {
		return fmt.Errorf("redis: a replica timeout of %v: at most %v, since a connection that is silent for %v is given up",
			opts.ReplicaTimeout, attemptTime/2, attemptTime)
	}
	s.replication = replication{replicas: opts.Replicas, timeout: min(opts.ReplicaTimeout, s.trip/2), mark: opts.Prefix + "{replication}"}
	return nil
}

// checkDurable refuses a server that may forget what it confirmed. After a failover it is not asked again: the servers of a group are to be
// configured alike.
func (s *Store) checkDurable(ctx context.Context, opts Options) error {
	if opts.Replicas == 0 {
		return nil
	}
	policy, err := s.infoField(ctx, "memory", "maxmemory_policy")
	if err != nil {
		return err
	}
	if policy != "noeviction" {
		return fmt.Errorf("redis: maxmemory-policy is %s: a server that is full would drop sessions it has confirmed; "+
			"set maxmemory-policy noeviction, or ask for no replicas", policy)
	}
	if !opts.AOF {
		return nil
	}
	if on, err := s.infoField(ctx, "persistence", "aof_enabled"); err != nil || on != "1" {
		return errors.Join(err, errors.New("redis: the append-only file is to confirm, but appendonly is not yes: set it, or do not ask for the file"))
	}
	known, err := s.client.Do(ctx, "COMMAND", "INFO", "WAITAOF").Slice()
	if err != nil {
		return fmt.Errorf("redis: COMMAND INFO, to check for WAITAOF: %w", err)
	}
	if len(known) == 1 && known[0] != nil {
		s.replication.aof.Store(true)
		return nil
	}
	s.log.Warn("the server does not know WAITAOF (Redis 7.2): replicas confirm that they have a change, not that it is in their files")
	return nil
}

func (s *Store) infoField(ctx context.Context, section, name string) (string, error) {
	info, err := s.client.Info(ctx, section).Result()
	if err != nil {
		return "", fmt.Errorf("redis: INFO %s, to check %s: %w", section, name, err)
	}
	for line := range strings.Lines(info) {
		if value, ok := strings.CutPrefix(line, name+":"); ok {
			return strings.TrimSpace(value), nil
		}
	}
	return "", fmt.Errorf("redis: INFO %s does not tell %s", section, name)
}
