package gateway

import (
	"context"
	"maps"
	"slices"
	"sync"
	"time"

	"go.uber.org/zap"

	"sluice/amqp"
	"sluice/mapping"
	"sluice/mqtt/topic"
)

// nodeLane brings QoS 0 subscriptions (design: node lane): one inbox per node, bound once to each filter that any of its devices wants, and
// fanned out here. However many devices listen, the bus sends the node one message.
type nodeLane struct {
	gw    *Gateway
	inbox amqp.Inbox
	trie  topic.Trie[*device]
	out   fanout

	mu       sync.Mutex
	filters  map[string]*nodeFilter
	bindings map[amqp.Binding]*nodeBinding
	receiver amqp.Receiver
	markers  map[string]chan struct{} // by name: those under way, nil once they have come
}

func newNodeLane(gw *Gateway) *nodeLane {
	return &nodeLane{
		gw: gw,
		inbox: amqp.Inbox{
			Name:       "sluice.node." + inboxName(gw.opt.NodeID),
			Expires:    nodeInboxExpires,
			MaxLength:  nodeInboxLength,
			DropOldest: true,
		},
		filters:  map[string]*nodeFilter{},
		bindings: map[amqp.Binding]*nodeBinding{},
		markers:  map[string]chan struct{}{},
	}
}

// start makes the inbox and attaches to it, once.
func (n *nodeLane) start(ctx context.Context) error {
	if n.started() {
		return nil
	}
	if err := n.gw.opt.Bus.EnsureInbox(ctx, n.inbox); err != nil {
		return err
	}
	n.mu.Lock()
	defer n.mu.Unlock()
	if n.receiver == nil {
		n.receiver = n.gw.opt.Bus.Attach(amqp.Source{Inbox: n.inbox.Name, Settled: true, Credit: nodeLaneCredit, Prepare: n.prepare}, n)
	}
	return nil
}

// prepare makes the inbox again with all its bindings: it has expired, or the bus has lost it.
func (n *nodeLane) prepare(ctx context.Context) error {
	if err := n.gw.opt.Bus.EnsureInbox(ctx, n.inbox); err != nil {
		return err
	}
	return n.bindAgain(ctx)
}

// bindAgain makes all bindings that filters hold, or are about to: some may be gone.
func (n *nodeLane) bindAgain(ctx context.Context) error {
	n.mu.Lock()
	list := slices.Collect(maps.Keys(n.bindings))
	n.mu.Unlock()
	if len(list) == 0 {
		return nil
	}
	return n.gw.bind(ctx, n.inbox.Name, list)
}

// Attached implements amqp.Handler.
func (n *nodeLane) Attached() {}

// Detached implements amqp.Handler.
func (n *nodeLane) Detached(err error) bool {
	n.out.flush()
	n.gw.log.Debug("node lane detached", zap.Error(err))
	return true
}

// Delivered implements amqp.Handler: it maps the message once and hands it to each device that wants it, together with those that are right behind it.
func (n *nodeLane) Delivered(d amqp.Delivery) {
	n.out.mu.Lock()
	defer n.out.mu.Unlock()
	n.take(d)
	if !d.More || n.out.full() {
		n.out.handOut()
	}
}

func (n *nodeLane) take(d amqp.Delivery) {
	if d.Malformed != nil {
		n.undeliverable(d.Malformed)
		return
	}
	if name := mapping.MarkerName(d.Message); name != "" {
		n.out.handOut() // it says that this is done
		n.markerCame(name)
		return
	}
	m, _, err := mapping.Downlink(d.Message, mapping.DownlinkOptions{
		Dialect: n.gw.opt.Bridge.Dialect, Now: time.Now(), Rules: n.gw.opt.Bridge.Rules.Resolver(), SkipIdentity: true})
	if err != nil {
		n.undeliverable(err)
		return
	}
	n.out.add(&m, &n.trie)
}

func (n *nodeLane) undeliverable(err error) {
	n.gw.metrics.undeliverable.Inc()
	n.gw.log.Warn("message of the bus cannot be delivered over MQTT; dropped (QoS 0)", zap.Error(err))
}

// close detaches and removes the inbox, in the time that a bus that works needs; a node that dies instead leaves it to expire.
func (n *nodeLane) close(ctx context.Context) {
	ctx, cancel := context.WithTimeout(ctx, closeWait)
	defer cancel()
	n.mu.Lock()
	r := n.receiver
	n.mu.Unlock()
	if r == nil {
		return
	}
	if err := r.Close(ctx); err != nil {
		n.gw.log.Debug("node lane not closed in time", zap.Error(err))
	}
	if err := n.gw.opt.Bus.DeleteInbox(ctx, n.inbox.Name); err != nil {
		n.gw.log.Warn("the bus has not said that the node's inbox is removed; if it is not, it expires", zap.String("inbox", n.inbox.Name), zap.Error(err))
	}
}
