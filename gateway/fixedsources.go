package gateway

import (
	"context"
	"errors"
	"sync"

	"go.uber.org/zap"

	"sluice/amqp"
)

// fixedSources bring messages from entities that are there, on a bus without inboxes: to the devices of this node, through its node lane. They are
// received from as long as the node runs, also while no device subscribes: what was sent before a subscription is not for it.
type fixedSources struct {
	gw        *Gateway
	receivers []amqp.Receiver
}

// newFixedSources attaches to all sources; the bus need not be there yet.
func newFixedSources(gw *Gateway) *fixedSources {
	f := &fixedSources{gw: gw}
	for _, source := range gw.opt.Sources {
		f.receivers = append(f.receivers, gw.opt.Bus.Attach(amqp.Source{Inbox: source, Settled: true, Credit: nodeLaneCredit}, &fixedSource{lane: gw.nodes, name: source}))
	}
	return f
}

// close detaches.
func (f *fixedSources) close(ctx context.Context) {
	for _, r := range f.receivers {
		if err := r.Close(ctx); err != nil {
			f.gw.log.Debug("a source not closed in time", zap.Error(err))
		}
	}
}

// fixedSource is one of them.
type fixedSource struct {
	lane *nodeLane
	name string

	mu   sync.Mutex
	told bool // that it cannot be received from
}

// Attached implements amqp.Handler.
func (s *fixedSource) Attached() {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.told {
		s.lane.gw.log.Info("messages are received again", zap.String("entity", s.name))
	}
	s.told = false
}

// Delivered implements amqp.Handler.
func (s *fixedSource) Delivered(d amqp.Delivery) { s.lane.Delivered(d) }

// Detached implements amqp.Handler. What an operator has to mend is told, once; what comes back by itself is not.
func (s *fixedSource) Detached(err error) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if mend := errors.Is(err, amqp.ErrNotFound) || errors.Is(err, amqp.ErrRefused); mend && !s.told {
		s.told = true
		s.lane.gw.log.Error("no messages are received from an entity of bus.azure.receive; trying on", zap.String("entity", s.name), zap.Error(err))
	}
	return true
}
