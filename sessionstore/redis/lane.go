package redis

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"sync"
	"time"

	goredis "github.com/redis/go-redis/v9"
	"go.uber.org/zap"

	"sluice/sessionstore"
)

// lane is a bounded queue of steps and the goroutine that sends them. A step that failed goes back to the front: nothing of its session
// can pass it.
type lane struct {
	store *Store
	id    int

	mu     sync.Mutex
	wake   *sync.Cond
	queue  []*step
	bytes  int
	closed bool
}

func newLane(s *Store, id int) *lane {
	l := &lane{store: s, id: id}
	l.wake = sync.NewCond(&l.mu)
	return l
}

var errLaneFull = errors.New("too many steps wait for the store")

// add queues a step, or reports why it cannot wait here. prepare runs under the lane's lock, in queue order.
func (l *lane) add(st *step, prepare func()) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	switch {
	case l.closed:
		return errClosed
	case len(l.queue) >= laneSteps || l.bytes+st.size > laneBytes:
		return errLaneFull
	}
	if prepare != nil {
		prepare()
	}
	l.queue = append(l.queue, st)
	l.bytes += st.size
	l.wake.Signal()
	return nil
}

// run sends what is queued until close; then it answers what is left.
func (l *lane) run() {
	failures := 0
	for {
		calls, late, open := l.take(time.Now())
		for _, st := range late {
			st.finish(nil, st.gaveUp(l.store.outage.because(errGrace)))
		}
		if !open {
			return
		}
		if len(calls) == 0 {
			continue
		}
		back, cause := l.send(calls)
		l.putBack(back)
		if cause == nil {
			failures = 0
			l.store.outage.over(l.id)
			continue
		}
		if l.store.ctx.Err() == nil {
			l.store.outage.begin(l.id, cause)
		}
		failures++
		l.pause(failures)
	}
}

var errGrace = errors.New("the store did not answer within the grace")

// take waits for steps and gives the next batch: at most one call per session. late are those whose time is over. Not open means closed:
// late are all that waited.
func (l *lane) take(now time.Time) (calls []*call, late []*step, open bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for len(l.queue) == 0 && !l.closed {
		l.wake.Wait()
		now = time.Now()
	}
	if l.closed {
		late, l.queue, l.bytes = l.queue, nil, 0
		return nil, late, false
	}
	bySession := make(map[sessionstore.Key]*call)
	rest := l.queue[:0]
	size := 0
	for i, st := range l.queue {
		if size >= batchBytes || len(calls) >= batchCalls {
			rest = append(rest, l.queue[i:]...)
			break
		}
		c, seen := bySession[st.key]
		switch {
		case st.abandoned.Load() || !now.Before(st.deadline):
			late = append(late, st)
			l.bytes -= st.size
			continue
		case !seen:
			c = &call{steps: []*step{st}}
			if st.write != nil {
				c.ops = len(st.write.ops) / 3
			}
			bySession[st.key] = c
			calls = append(calls, c)
		case !c.join(st):
			rest = append(rest, st)
			continue
		}
		size += st.size
		l.bytes -= st.size
	}
	clear(l.queue[len(rest):])
	l.queue = rest
	return calls, late, true
}

// putBack returns steps to the front, in order. The bound is not asked: they were within it when they came.
func (l *lane) putBack(steps []*step) {
	if len(steps) == 0 {
		return
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	l.queue = append(steps, l.queue...)
	for _, st := range steps {
		l.bytes += st.size
	}
}

// send makes one round trip and finishes the steps that got an answer. It gives back those to repeat, and the cause to wait for first: nil
// when the store works.
func (l *lane) send(calls []*call) (back []*step, cause error) {
	s := l.store
	ctx, cancel := s.attempt()
	defer cancel()
	pipe := s.client.Pipeline()
	cmds := make([]*goredis.Cmd, len(calls))
	for i, c := range calls {
		cmds[i] = c.queue(ctx, pipe, s)
	}
	confirmed := s.replication.ask(ctx, pipe, calls)
	_, execErr := pipe.Exec(ctx)
	missing := confirmed()
	for i, c := range calls {
		reply, err := cmds[i].Result()
		if err == nil && reply == nil {
			err = execErr // never sent: no reply of ours is nil
		}
		if err == nil && c.confirm() {
			err = missing
		}
		retry, wait := l.settle(c, reply, err)
		if retry {
			back = append(back, c.steps...)
		}
		if wait != nil {
			cause = wait
		}
	}
	return back, cause
}

// settle finishes the steps of a call, or says that they are to be repeated and what to wait for.
func (l *lane) settle(c *call, reply any, err error) (retry bool, wait error) {
	switch judge(err) {
	case answered:
		for _, st := range c.steps {
			st.finish(reply, nil)
		}
		return false, nil
	case unknown:
		if c.steps[0].eval {
			return true, err // the text was sent and is not known: wait, do not spin
		}
		for _, st := range c.steps {
			st.eval = true
		}
		return true, nil
	case full:
		if first := c.steps[0]; first.script == claimScript || first.script == bindScript || first.script == retainScript && !first.doubtful {
			// The device is told; what is stored matters more than one session, one binding or one retained message more.
			first.finish(nil, fmt.Errorf("%w: redis: %w", sessionstore.ErrFull, err))
			return false, nil
		}
		return true, err
	case short:
		if c.steps[0].script == claimScript {
			c.steps[0].finish(reply, err) // it is taken back
			return false, err
		}
		for _, st := range c.steps {
			st.doubtful = true
			st.short.Store(true)
		}
		return true, err
	case again:
		for _, st := range c.steps {
			st.doubtful = true
		}
		return true, err
	}
	l.store.log.Error("redis refuses a step of the session store", zap.String("step", c.steps[0].name()), zap.Error(err))
	for _, st := range c.steps {
		st.finish(nil, unavailable(err))
	}
	return false, nil
}

// pause waits before the next attempt: longer each time, never in step with the other lanes.
func (l *lane) pause(failures int) {
	wait := backoffMax
	if failures < 8 {
		wait = min(wait, backoffMin<<failures)
	}
	timer := time.NewTimer(wait/2 + rand.N(wait/2))
	defer timer.Stop()
	select {
	case <-timer.C:
	case <-l.store.ctx.Done():
	}
}

// close refuses new steps and makes run end.
func (l *lane) close() {
	l.mu.Lock()
	l.closed = true
	l.wake.Broadcast()
	l.mu.Unlock()
}
