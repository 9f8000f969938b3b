package redis

import (
	"context"
	"fmt"
	"strconv"
	"sync/atomic"
	"time"

	goredis "github.com/redis/go-redis/v9"

	"sluice/sessionstore"
)

// step is one atomic step, waiting in a lane or under way.
type step struct {
	key    sessionstore.Key // the session, or what else has its steps in order
	script *script
	keys   []string // of the script; nil: meta, subs, in, out of the session
	args   []any
	cmd    []any // a command instead of a script; safe to repeat
	// confirm: not answered before replicas have it, if they are asked.
	confirm bool
	// numbered: a copy that arrives late must be told from the step's repeat. Its script gets the number of the attempt before its arguments, and
	// the key that keeps the last number of the lane as its last.
	numbered bool
	write    *write // set when the script is apply: its arguments are made when it is sent
	size     int    // bytes on the wire, about

	deadline  time.Time
	abandoned atomic.Bool // the caller no longer waits
	// doubtful: an earlier attempt may have been applied.
	doubtful bool
	short    atomic.Bool // too few replicas confirmed an attempt
	eval     bool        // the server did not know the script: send its text
	finish   func(reply any, err error)
}

// write is what a Write asks.
type write struct {
	epoch uint64
	seq   uint64 // rising in the order of the Write calls of this store
	ops   []any  // three each: what, field, value
	puts  int    // subscriptions among them
}

// call is what a lane sends for a session in one pipeline: one step, or several Writes of one owner as one.
type call struct {
	steps []*step
	ops   int
	shut  bool // a step of the session had to be left: those behind it stay, too
}

// join adds a Write to a call of the same owner. One that puts subscriptions stays alone: the script may refuse it for the session being
// full, and that must not refuse others.
func (c *call) join(st *step) bool {
	first := c.steps[0].write
	if c.shut || first == nil || st.write == nil || first.epoch != st.write.epoch || first.puts+st.write.puts > 0 ||
		c.ops+len(st.write.ops)/3 > callOps {
		c.shut = true
		return false
	}
	c.steps = append(c.steps, st)
	c.ops += len(st.write.ops) / 3
	return true
}

// name is for the log.
func (st *step) name() string {
	if st.cmd != nil {
		return fmt.Sprint(st.cmd[0])
	}
	return st.script.name
}

// gaveUp is what the caller gets when its time is over.
func (st *step) gaveUp(cause error) error {
	if st.short.Load() {
		return fmt.Errorf("%w: redis: %w", sessionstore.ErrNotReplicated, cause)
	}
	return unavailable(cause)
}

// confirm: a call is one step, or Writes that all want it.
func (c *call) confirm() bool { return c.steps[0].confirm }

// queue puts the call into a pipeline.
func (c *call) queue(ctx context.Context, pipe goredis.Pipeliner, s *Store) *goredis.Cmd {
	first := c.steps[0]
	if first.cmd != nil {
		return pipe.Do(ctx, first.cmd...)
	}
	args := first.args
	switch {
	case first.write != nil:
		args = s.applyArgs(c.steps)
	case first.numbered:
		args = append([]any{strconv.FormatUint(s.sent.Add(1), 10)}, args...)
	}
	keys := first.keys
	if keys == nil {
		keys = s.keys(first.key)[:4]
	}
	if first.eval {
		return pipe.Eval(ctx, first.script.text, keys, args...)
	}
	return pipe.EvalSha(ctx, first.script.sha, keys, args...)
}

// applyArgs joins the ops of the steps under the sequence number of the last: what was applied before by an earlier, shorter call is
// applied again, with nothing between, which changes nothing.
func (s *Store) applyArgs(steps []*step) []any {
	first, last := steps[0].write, steps[len(steps)-1].write
	args := make([]any, 0, 5+len(steps)*len(first.ops))
	args = append(args, strconv.FormatUint(first.epoch, 10), s.writer, strconv.FormatUint(last.seq, 10),
		sessionstore.MaxSubscriptions, first.puts)
	for _, st := range steps {
		args = append(args, st.write.ops...)
	}
	return args
}

// encodeOps gives the ops as apply.lua reads them, how many subscriptions they put, and their size.
func encodeOps(ops []sessionstore.Op) (out []any, puts, size int) {
	out = make([]any, 0, 3*len(ops))
	add := func(what, field, value string) {
		out = append(out, what, field, value)
		size += len(what) + len(field) + len(value)
	}
	id := func(n uint16) string { return strconv.FormatUint(uint64(n), 10) }
	for _, op := range ops {
		switch op := op.(type) {
		case sessionstore.PutSubscription:
			add("s+", op.Subscription.Filter, encodeSubscription(op.Subscription))
			puts++
		case sessionstore.DeleteSubscription:
			add("s-", op.Filter, "")
		case sessionstore.PutInbound:
			add("i+", id(op.Record.PacketID), encodeInbound(op.Record))
		case sessionstore.AcceptInbound:
			add("i!", id(op.PacketID), encodeInbound(sessionstore.Inbound{MessageID: op.MessageID, Accepted: true}))
		case sessionstore.DeleteInbound:
			add("i-", id(op.PacketID), "")
		case sessionstore.PutOutbound:
			add("o+", id(op.Record.PacketID), encodeOutbound(op.Record))
		case sessionstore.DeleteOutbound:
			add("o-", id(op.PacketID), "")
		case sessionstore.SetInbox:
			add("m", "inbox", op.Name)
		case sessionstore.SetExpiry:
			add("m", "expiry", strconv.FormatUint(uint64(op.Seconds), 10))
		}
	}
	return out, puts, size
}
