package gateway

import (
	"context"
	"crypto/rand"
	"errors"
	"time"

	"sluice/amqp"
	"sluice/amqp/message"
	"sluice/mapping"
)

// flush returns when all that the bus had put into the node's inbox before the call has been handed to the devices it is for. It sends a marker
// behind it and waits until that comes. A marker can be lost, as anything on the node lane; then another one of the same name is sent, until ctx
// ends. shard is the link it is sent on.
//
// Where a queue may get what was routed before a marker a little after it (mapping.Dialect.RoutesLate), another one follows after a pause.
func (n *nodeLane) flush(ctx context.Context, shard uint32) error {
	if !n.started() {
		return nil
	}
	if err := n.flushOnce(ctx, shard); err != nil || !n.gw.opt.Bridge.Dialect.RoutesLate() {
		return err
	}
	if !sleep(ctx, lateRouting) {
		return amqp.ErrUnavailable
	}
	return n.flushOnce(ctx, shard)
}

func (n *nodeLane) flushOnce(ctx context.Context, shard uint32) error {
	name := rand.Text() // nobody else's, also when a node of our name has left its own in the inbox
	came := n.expectMarker(name)
	defer n.forgetMarker(name)
	return retryUntil(ctx, func(ctx context.Context) error {
		if err := n.sendMarker(ctx, shard, name); err != nil {
			return err
		}
		t := time.NewTimer(markerWait)
		defer t.Stop()
		select {
		case <-came:
			return nil
		case <-t.C:
		case <-ctx.Done():
		}
		return amqp.ErrUnavailable
	})
}

func (n *nodeLane) sendMarker(ctx context.Context, shard uint32, name string) error {
	outcome := make(chan message.Outcome, 1)
	bus := n.gw.opt.Bus
	bus.Publish(shard, mapping.Marker(n.gw.opt.Bridge.Dialect, bus.InboxAddress(n.inbox.Name), name), false, func(o message.Outcome) { outcome <- o })
	select {
	case o := <-outcome:
		if o.Kind == message.Accepted {
			return nil
		}
		if mapping.Classify(o, mapping.OutcomeRule{}).Class == mapping.Refused {
			return errors.Join(amqp.ErrRefused, outcomeError(o))
		}
	case <-ctx.Done():
	}
	return amqp.ErrUnavailable // or the inbox is just being made again
}

func (n *nodeLane) started() bool {
	n.mu.Lock()
	defer n.mu.Unlock()
	return n.receiver != nil
}

// expectMarker gives what is closed when the marker comes. There are at most as many as devices, since each changes its lanes once at a time.
func (n *nodeLane) expectMarker(name string) <-chan struct{} {
	n.mu.Lock()
	defer n.mu.Unlock()
	came := make(chan struct{})
	n.markers[name] = came
	return came
}

func (n *nodeLane) forgetMarker(name string) {
	n.mu.Lock()
	defer n.mu.Unlock()
	delete(n.markers, name)
}

// markerCame takes a marker. One that nobody waits for any more is nothing.
func (n *nodeLane) markerCame(name string) {
	n.mu.Lock()
	defer n.mu.Unlock()
	if came := n.markers[name]; came != nil {
		close(came)
		n.markers[name] = nil // it may come twice
	}
}
