package client

import (
	"context"
	"fmt"
	"sync"

	"go.uber.org/zap"

	"sluice/amqp"
)

// supervisor keeps one connection up until its context ends: dial, serve, and again after a jittered wait. It logs one line when the
// connection is lost, or cannot be made, and one when it is back.
type supervisor struct {
	name      string
	options   *Options
	endpoints []endpoint
	log       *zap.Logger
	// serve uses the connection. It returns soon after the connection has ended or ctx has, whichever comes first.
	serve func(ctx context.Context, c *connection)
	// changed is told of each change between up and down.
	changed func()

	mu   sync.Mutex
	live *connection
	last error // why there is none
}

// run ends when ctx does. closing is ended before ctx and lets serve finish what is under way.
func (s *supervisor) run(ctx, closing context.Context) {
	var wait backoff
	down := true // nothing was ever up, so that the first success is told as well
	told := false
	for attempt := 0; closing.Err() == nil; attempt++ {
		e := s.endpoints[attempt%len(s.endpoints)]
		container := ""
		if s.options.ContainerID != "" {
			container = s.options.ContainerID + "/" + s.name
		}
		c, err := dial(closing, s.options, e, container)
		if err != nil {
			if closing.Err() != nil {
				return
			}
			s.set(nil, fmt.Errorf("%s: %w", e.address, err))
			if !told {
				s.log.Warn("bus not reachable, trying on", zap.String("connection", s.name), zap.String("address", e.address), zap.Error(err))
				told = true
			}
			wait.wait(closing, nil)
			continue
		}
		if down {
			s.log.Info("bus connected", zap.String("connection", s.name), zap.String("address", e.address),
				zap.String("product", c.info.Product), zap.String("version", c.info.Version))
		}
		wait.reset()
		s.serveOne(ctx, closing, c)
		if closing.Err() != nil {
			return
		}
		s.log.Warn("bus connection lost, reconnecting", zap.String("connection", s.name), zap.String("address", e.address), zap.Error(c.reason()))
		down, told = true, true
		wait.wait(closing, nil)
	}
}

// serveOne has the connection used until it ends, and closes it.
func (s *supervisor) serveOne(ctx, closing context.Context, c *connection) {
	defer context.AfterFunc(ctx, func() { c.kill(errClosed) })()
	s.set(c, nil)
	s.serve(ctx, c)
	s.set(nil, c.reason())
	_ = c.conn.Close()
	<-c.net.flushed
}

func (s *supervisor) set(c *connection, err error) {
	s.mu.Lock()
	s.live, s.last = c, err
	s.mu.Unlock()
	if s.changed != nil {
		s.changed()
	}
}

// ready tells why there is no connection right now, nil when there is.
func (s *supervisor) ready() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	switch {
	case s.live != nil:
		return nil
	case s.last != nil:
		return failure("connect to", "", s.last)
	}
	return &opError{op: "connect to the bus", kind: amqp.ErrUnavailable, cause: errConnecting}
}

// connection is the one that is up; nil: none.
func (s *supervisor) connection() *connection {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.live
}

// recycle ends the connection, if there is one, so that another is made.
func (s *supervisor) recycle(why error) {
	if live := s.connection(); live != nil {
		live.kill(why)
	}
}
