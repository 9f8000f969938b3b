package client

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"go.uber.org/zap"

	"sluice/amqp"
	"sluice/amqp/topology"
)

// artemisNeeds tells an operator what Artemis has to allow. Tried with 2.55: with just these all works. Without the reply queue's Artemis carries an
// operation out and keeps the answer to itself.
const artemisNeeds = "send and manage on activemq.management; send, consume, createNonDurableQueue, deleteNonDurableQueue and createAddress on temporary " +
	"queues (temporary-queue-namespace names them); send, consume, createDurableQueue, deleteDurableQueue, createAddress and deleteAddress on " +
	"sluice.inbox.#; send, createAddress and deleteAddress on the root of the topics, mqtt.#"

// family is what this bus wants of its clients: known from the options, or from what the bus calls itself on the first connection.
type family struct {
	client            *Client
	bindings, diverts topology.Family

	known chan struct{} // closed when kind and topology are set
	once  sync.Once
	kind  topology.Kind
	topology.Family

	prepared chan struct{} // closed when topology.Family.Setup has succeeded: nothing is sent or received before
	mu       sync.Mutex
	last     error // of Setup
}

func newFamily(c *Client) (*family, error) {
	f := &family{client: c, known: make(chan struct{}), prepared: make(chan struct{}), bindings: topology.NewBindings(c.management, c.options.Exchange)}
	var err error
	if f.diverts, err = topology.NewDiverts(c.management, c.options.Root); err != nil {
		return nil, err
	}
	switch c.options.Kind {
	case "":
	case topology.Bindings, topology.Diverts, topology.ServiceBus, topology.EventHubs:
		f.choose(c.options.Kind)
	default:
		return nil, fmt.Errorf("amqp/client: Kind is %q; use %q, %q, %q, %q, or nothing to ask the bus",
			c.options.Kind, topology.Bindings, topology.Diverts, topology.ServiceBus, topology.EventHubs)
	}
	return f, nil
}

// choose settles the kind. All but the first call do nothing. It is called by Open and by what runs under a supervisor.
func (f *family) choose(kind topology.Kind) {
	f.once.Do(func() {
		f.kind, f.Family = kind, f.bindings
		switch {
		case kind == topology.Diverts:
			f.Family = f.diverts
		case kind.Static():
			f.Family = topology.NewStatic()
		}
		close(f.known)
		if kind != topology.Diverts {
			close(f.prepared)
			return
		}
		f.client.running.Go(f.upkeep)
	})
}

// wait gives the family, once the bus has been heard of.
func (f *family) wait(ctx context.Context) (topology.Family, error) {
	limit := time.NewTimer(managementWait)
	defer limit.Stop()
	select {
	case <-f.known:
		return f.Family, nil
	case <-limit.C:
		return nil, orError(f.client.management.ready())
	case <-ctx.Done():
		return nil, failure("connect to the bus", "", ctx.Err())
	case <-f.client.closing.Done():
		return nil, failure("connect to the bus", "", errClosed)
	}
}

// now gives the family without waiting; before the bus has been heard of it is the one of RabbitMQ.
func (f *family) now() topology.Family {
	if isClosed(f.known) {
		return f.Family
	}
	return f.bindings
}

// hasOwnOutcomes: what the bus answers a publisher has to be translated.
func (f *family) hasOwnOutcomes() bool { return isClosed(f.known) && f.kind != topology.Bindings }

// usable waits until the bus is set up. False: c has ended, or the client closes.
func (f *family) usable(c *connection) bool {
	select {
	case <-f.prepared:
		return true
	case <-c.done():
	case <-f.client.closing.Done():
	}
	return false
}

func (f *family) ready() error {
	if isClosed(f.prepared) {
		return nil
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	return failure("set up the bus", "", errors.Join(amqp.ErrUnavailable, f.last))
}

// upkeep sets the bus up, and sweeps it from time to time for as long as the client is open.
func (f *family) upkeep() {
	ctx, log := f.client.closing, f.client.options.Logger
	var wait backoff
	for {
		err := f.Setup(ctx)
		if err == nil {
			close(f.prepared)
			break
		}
		f.mu.Lock()
		f.last = err
		f.mu.Unlock()
		if ctx.Err() == nil {
			log.Warn("the bus could not be set up, trying on; if it never can, look at what its user may do", zap.String("needs", artemisNeeds), zap.Error(err))
		}
		if !wait.wait(ctx, nil) {
			return
		}
	}
	tick := time.NewTicker(sweepEvery)
	defer tick.Stop()
	for {
		if err := f.Sweep(ctx); err != nil && ctx.Err() == nil {
			log.Warn("what expired inboxes have left on the bus could not be removed", zap.Error(err))
		}
		select {
		case <-tick.C:
		case <-ctx.Done():
			return
		}
	}
}
