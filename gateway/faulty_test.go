package gateway

import (
	"context"
	"encoding/json"
	"errors"
	"sync"

	"sluice/amqp"
	"sluice/amqp/message"
	"sluice/sessionstore"
)

// faultyBus stands in front of the bus of a node. It reads the events, and does what the broker's fault switches cannot: those act on the wire.
type faultyBus struct {
	amqp.Bus

	mu        sync.Mutex
	events    []found
	busy      bool // settled messages find no room
	subscribe error
}

func (b *faultyBus) Publish(shard uint32, m *message.Message, settled bool, done func(message.Outcome)) {
	b.mu.Lock()
	busy := b.busy && settled
	if m.Properties.To == eventsTo {
		var e struct{ Data found }
		if err := json.Unmarshal(m.Data[0], &e); err == nil && e.Data.Name != "" {
			b.events = append(b.events, e.Data)
		}
		b.mu.Unlock()
		done(message.Outcome{Kind: message.Accepted})
		return
	}
	b.mu.Unlock()
	if busy {
		done(message.Outcome{Kind: message.Busy})
		return
	}
	b.Bus.Publish(shard, m, settled, done)
}

func (b *faultyBus) Subscribe(ctx context.Context, inbox string, list []amqp.Binding) error {
	b.mu.Lock()
	err := b.subscribe
	b.mu.Unlock()
	if err != nil {
		return err
	}
	return b.Bus.Subscribe(ctx, inbox, list)
}

func (b *faultyBus) set(change func(*faultyBus)) {
	b.mu.Lock()
	defer b.mu.Unlock()
	change(b)
}

func (b *faultyBus) told(name string) (all []found) {
	b.mu.Lock()
	defer b.mu.Unlock()
	for _, e := range b.events {
		if e.Name == name {
			all = append(all, e)
		}
	}
	return all
}

// faultyStore fails as a test wants it to.
type faultyStore struct {
	sessionstore.Store

	mu       sync.Mutex
	claim    error
	write    error // of subscriptions
	retain   error
	join     error
	lease    error // once
	anew     bool  // each Join finds another group
	renewing uint64
	// revocations is what reading the list of them gives.
	revocations error
}

func (s *faultyStore) set(change func(*faultyStore)) {
	s.mu.Lock()
	defer s.mu.Unlock()
	change(s)
}

func (s *faultyStore) Claim(ctx context.Context, req sessionstore.ClaimRequest) (sessionstore.Claimed, error) {
	s.mu.Lock()
	err := s.claim
	s.mu.Unlock()
	if err != nil {
		return sessionstore.Claimed{}, err
	}
	return s.Store.Claim(ctx, req)
}

func (s *faultyStore) Revocations(ctx context.Context, known uint64) ([]sessionstore.Revocation, uint64, error) {
	s.mu.Lock()
	err := s.revocations
	s.mu.Unlock()
	if err != nil {
		return nil, 0, err
	}
	return s.Store.Revocations(ctx, known)
}

func (s *faultyStore) Write(f sessionstore.Fence, ops []sessionstore.Op, done func(error)) {
	s.mu.Lock()
	err := s.write
	s.mu.Unlock()
	for _, op := range ops {
		if _, ok := op.(sessionstore.PutSubscription); ok && err != nil {
			done(err)
			return
		}
	}
	s.Store.Write(f, ops, done)
}

func (s *faultyStore) PutRetained(tenant string, r sessionstore.Retained, done func(error)) {
	s.mu.Lock()
	err := s.retain
	s.mu.Unlock()
	if err != nil {
		done(err)
		return
	}
	s.Store.PutRetained(tenant, r, done)
}

func (s *faultyStore) Join(ctx context.Context, g sessionstore.Group, f sessionstore.Fence) (uint64, error) {
	s.mu.Lock()
	err, anew := s.join, s.anew
	s.renewing++
	n := s.renewing
	s.mu.Unlock()
	if err != nil {
		return 0, err
	}
	incarnation, err := s.Store.Join(ctx, g, f)
	if anew {
		incarnation += n
	}
	return incarnation, err
}

func (s *faultyStore) KeepLease(ctx context.Context, node string) error {
	s.mu.Lock()
	err := s.lease
	s.lease = nil
	s.mu.Unlock()
	return errors.Join(err, s.Store.KeepLease(ctx, node))
}
