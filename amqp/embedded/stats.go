package embedded

import (
	"context"
	"fmt"
	"sync"
	"sync/atomic"
)

// Stats counts events since the broker was made. Each counter is read by itself; together they are no snapshot.
type Stats struct {
	Connections uint64 // opened: after the peer's open
	Disconnects uint64
	Attached    uint64 // links accepted, the management pairs included
	Detached    uint64
	Received    uint64 // messages published, whatever came of them
	Accepted    uint64 // outcomes given to publishers
	Rejected    uint64
	Released    uint64
	Modified    uint64
	Withheld    uint64 // outcomes held back for now or for ever by Faults
	Delivered   uint64 // messages sent to consumers
	Settled     uint64 // outcomes that consumers gave
	Requests    uint64 // management requests
}

// statistics are the counters and those who wait for them.
type statistics struct {
	connections, disconnects, attached, detached  atomic.Uint64
	received, accepted, rejected, released        atomic.Uint64
	modified, withheld, delivered, settled, asked atomic.Uint64

	waiters atomic.Int32
	mu      sync.Mutex
	changed chan struct{} // closed at the next change
}

func (s *statistics) init() { s.changed = make(chan struct{}) }

func (s *statistics) read() Stats {
	return Stats{
		Connections: s.connections.Load(), Disconnects: s.disconnects.Load(), Attached: s.attached.Load(), Detached: s.detached.Load(),
		Received: s.received.Load(), Accepted: s.accepted.Load(), Rejected: s.rejected.Load(), Released: s.released.Load(),
		Modified: s.modified.Load(), Withheld: s.withheld.Load(), Delivered: s.delivered.Load(), Settled: s.settled.Load(),
		Requests: s.asked.Load(),
	}
}

// count adds one and wakes who waits; without waiters it costs two atomic operations.
func (s *statistics) count(counter *atomic.Uint64) {
	counter.Add(1)
	if s.waiters.Load() == 0 {
		return
	}
	s.mu.Lock()
	close(s.changed)
	s.changed = make(chan struct{})
	s.mu.Unlock()
}

func (s *statistics) await(ctx context.Context, condition func(Stats) bool) error {
	s.waiters.Add(1)
	defer s.waiters.Add(-1)
	for {
		s.mu.Lock()
		changed := s.changed
		s.mu.Unlock()
		if condition(s.read()) {
			return nil
		}
		select {
		case <-changed:
		case <-ctx.Done():
			return fmt.Errorf("embedded: still waiting, with %+v: %w", s.read(), ctx.Err())
		}
	}
}
