package gateway

import (
	"context"
	"sync"
	"time"

	"go.uber.org/zap"

	"sluice/amqp"
	"sluice/gateway/bridge"
	"sluice/mapping"
	"sluice/mqtt/topic"
)

// nodeLane brings QoS 0 subscriptions (design: node lane): one inbox per node, bound once to each filter that any of its devices wants, and
// fanned out here. However many devices listen, the bus sends the node one message.
type nodeLane struct {
	gw    *Gateway
	inbox amqp.Inbox
	trie  topic.Trie[*device]

	mu       sync.Mutex
	filters  map[string]*nodeFilter
	receiver amqp.Receiver
	markers  map[string]chan struct{} // by name: those under way, nil once they have come
}

// nodeFilter counts the devices that want a filter. Its lock is held while the bus binds or unbinds it, so that changes of one filter come one
// after the other and those of different filters do not wait for each other.
type nodeFilter struct {
	mu     sync.Mutex
	wanted bool // some device subscribes to it
	bound  bool // the bus sends what matches it
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
		filters: map[string]*nodeFilter{},
		markers: map[string]chan struct{}{},
	}
}

// add subscribes d to the filters. Messages can come before it returns. After an error some filters may be bound; remove is safe.
func (n *nodeLane) add(ctx context.Context, d *device, filters []string) error {
	for _, f := range filters {
		if err := n.addOne(ctx, d, f); err != nil {
			return err
		}
	}
	return nil
}

func (n *nodeLane) addOne(ctx context.Context, d *device, filter string) error {
	f := n.enter(filter)
	f.mu.Lock()
	defer f.mu.Unlock()
	if !f.bound {
		if err := n.start(ctx); err != nil {
			return err
		}
		if err := n.gw.opt.Bus.Subscribe(ctx, n.inbox.Name, []string{n.gw.opt.Bridge.Dialect.Pattern(filter)}); err != nil {
			return err
		}
		f.bound = true
	}
	n.trie.Add(filter, d)
	f.wanted = true
	return nil
}

// remove ends d's subscriptions. Unbinding what nobody wants any more is a saving, not a duty: when the bus is out of reach the binding stays,
// and what it brings matches nobody.
func (n *nodeLane) remove(ctx context.Context, d *device, filters []string) {
	for _, filter := range filters {
		f := n.enter(filter)
		f.mu.Lock()
		if n.trie.Remove(filter, d) {
			f.wanted = false
		}
		if !f.wanted && f.bound {
			if err := n.gw.opt.Bus.Unsubscribe(ctx, n.inbox.Name, []string{n.gw.opt.Bridge.Dialect.Pattern(filter)}); err != nil {
				n.gw.log.Debug("a filter of the node lane stays bound", zap.String("filter", filter), zap.Error(err))
			} else {
				f.bound = false
			}
		}
		gone := !f.wanted && !f.bound
		f.mu.Unlock()
		if gone {
			n.leave(filter, f)
		}
	}
}

func (n *nodeLane) enter(filter string) *nodeFilter {
	n.mu.Lock()
	defer n.mu.Unlock()
	f := n.filters[filter]
	if f == nil {
		f = &nodeFilter{}
		n.filters[filter] = f
	}
	return f
}

func (n *nodeLane) leave(filter string, f *nodeFilter) {
	n.mu.Lock()
	defer n.mu.Unlock()
	f.mu.Lock()
	defer f.mu.Unlock()
	if n.filters[filter] == f && !f.wanted && !f.bound {
		delete(n.filters, filter)
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

// prepare makes the inbox again with all its filters: it has expired, or the bus has lost it.
func (n *nodeLane) prepare(ctx context.Context) error {
	if err := n.gw.opt.Bus.EnsureInbox(ctx, n.inbox); err != nil {
		return err
	}
	n.mu.Lock()
	patterns := make([]string, 0, len(n.filters))
	for filter := range n.filters {
		patterns = append(patterns, n.gw.opt.Bridge.Dialect.Pattern(filter))
	}
	n.mu.Unlock()
	return n.gw.opt.Bus.Subscribe(ctx, n.inbox.Name, patterns)
}

// Attached implements amqp.Handler.
func (n *nodeLane) Attached() {}

// Detached implements amqp.Handler.
func (n *nodeLane) Detached(err error) bool {
	n.gw.log.Debug("node lane detached", zap.Error(err))
	return true
}

// Delivered implements amqp.Handler: it maps the message once and hands it to each device that wants it.
func (n *nodeLane) Delivered(d amqp.Delivery) {
	if d.Malformed != nil {
		n.undeliverable(d.Malformed)
		return
	}
	if name := mapping.MarkerName(d.Message); name != "" {
		n.markerCame(name)
		return
	}
	m, _, err := mapping.Downlink(d.Message, mapping.DownlinkOptions{
		Dialect: n.gw.opt.Bridge.Dialect, Now: time.Now(), Rules: n.gw.opt.Bridge.Rules.Resolver(), SkipIdentity: true})
	if err != nil {
		n.undeliverable(err)
		return
	}
	for _, dev := range n.trie.Match(nil, m.Publish.Topic) {
		dev.postQoS0(bridge.FanoutArrived{Message: &m})
	}
}

func (n *nodeLane) undeliverable(err error) {
	n.gw.metrics.undeliverable.Inc()
	n.gw.log.Warn("message of the bus cannot be delivered over MQTT; dropped (QoS 0)", zap.Error(err))
}

// close detaches and removes the inbox; a node that dies instead leaves it to expire.
func (n *nodeLane) close(ctx context.Context) {
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
		n.gw.log.Warn("the node's inbox stays on the bus until it expires", zap.String("inbox", n.inbox.Name), zap.Error(err))
	}
}
