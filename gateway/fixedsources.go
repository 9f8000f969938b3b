package gateway

import (
	"context"
	"errors"
	"fmt"
	"sync"

	"go.uber.org/zap"

	"sluice/amqp"
)

// fixedSources bring messages from entities that are there, on a bus without inboxes: to the devices of this node, through its node lane. They are
// received from as long as the node runs, also while no device subscribes: what was sent before a subscription is not for it.
type fixedSources struct {
	gw        *Gateway
	sources   []*fixedSource
	receivers []amqp.Receiver
}

// newFixedSources attaches to all sources; the bus need not be there yet.
func newFixedSources(gw *Gateway) *fixedSources {
	f := &fixedSources{gw: gw}
	for _, name := range gw.opt.Sources {
		source := &fixedSource{lane: gw.nodes, name: name}
		f.sources = append(f.sources, source)
		f.receivers = append(f.receivers, gw.opt.Bus.Attach(amqp.Source{Inbox: name, Settled: true, Credit: nodeLaneCredit}, source))
	}
	return f
}

// ready is an error until every source has been attached to once, or has turned out to be the operator's to mend: a device that comes before would miss what
// is sent after its SUBACK, since an event hub is read from the moment of attaching.
func (f *fixedSources) ready() error {
	for _, s := range f.sources {
		if !s.hasBeenTried() {
			return fmt.Errorf("not attached to %s yet", s.name)
		}
	}
	return nil
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

	mu    sync.Mutex
	tried bool // see fixedSources.ready
	told  bool // that it cannot be received from
}

func (s *fixedSource) hasBeenTried() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.tried
}

// Attached implements amqp.Handler.
func (s *fixedSource) Attached() {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.told {
		s.lane.gw.log.Info("messages are received again", zap.String("entity", s.name))
	}
	s.tried, s.told = true, false
}

// Delivered implements amqp.Handler.
func (s *fixedSource) Delivered(d amqp.Delivery) { s.lane.Delivered(d) }

// Detached implements amqp.Handler. What an operator has to mend is told, once; what comes back by itself is not.
func (s *fixedSource) Detached(err error) bool {
	s.lane.out.flush()
	s.mu.Lock()
	defer s.mu.Unlock()
	if mend := errors.Is(err, amqp.ErrNotFound) || errors.Is(err, amqp.ErrRefused); mend && !s.told {
		s.tried, s.told = true, true
		s.lane.gw.log.Error("no messages are received from an entity of bus.azure.receive; trying on", zap.String("entity", s.name), zap.Error(err))
	}
	return true
}
