package gateway

import (
	"context"
	"maps"
	"slices"
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
	bindings map[amqp.Binding]*nodeBinding
	receiver amqp.Receiver
	markers  map[string]chan struct{} // by name: those under way, nil once they have come
}

// nodeFilter is a filter that some device has, or is about to have. Its lock is held while the bus binds or unbinds it, so that changes of one filter come
// one after the other and those of different filters do not wait for each other.
type nodeFilter struct {
	users int // goroutines that have it in hand; nodeLane.mu guards it

	mu     sync.Mutex
	wanted bool // some device subscribes to it
	held   int  // of its bindings, in the order of Gateway.bindings: those that it keeps on the bus
}

// nodeBinding is what one or more filters need on the bus. Its lock is held while the bus makes or removes it, inside that of a filter.
type nodeBinding struct {
	users int // as in nodeFilter

	mu      sync.Mutex
	holders int // filters
	bound   bool
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
	defer n.leave(filter, f)
	f.mu.Lock()
	defer f.mu.Unlock()
	for list := n.gw.bindings([]string{filter}); f.held < len(list); f.held++ {
		if err := n.hold(ctx, list[f.held]); err != nil {
			return err
		}
	}
	n.trie.Add(filter, d)
	f.wanted = true
	return nil
}

func (n *nodeLane) hold(ctx context.Context, binding amqp.Binding) error {
	b := n.enterBinding(binding)
	defer n.leaveBinding(binding, b)
	b.mu.Lock()
	defer b.mu.Unlock()
	if !b.bound {
		if err := n.start(ctx); err != nil {
			return err
		}
		if err := n.gw.bind(ctx, n.inbox.Name, []amqp.Binding{binding}); err != nil {
			return err
		}
		b.bound = true
	}
	b.holders++
	return nil
}

// remove ends d's subscriptions. Unbinding what nobody wants any more is a saving, not a duty: when the bus is out of reach the binding stays,
// and what it brings matches nobody.
func (n *nodeLane) remove(ctx context.Context, d *device, filters []string) {
	for _, filter := range filters {
		n.removeOne(ctx, d, filter)
	}
}

func (n *nodeLane) removeOne(ctx context.Context, d *device, filter string) {
	f := n.enter(filter)
	defer n.leave(filter, f)
	f.mu.Lock()
	defer f.mu.Unlock()
	if n.trie.Remove(filter, d) {
		f.wanted = false
	}
	if f.wanted {
		return
	}
	for list := n.gw.bindings([]string{filter}); f.held > 0; f.held-- {
		n.release(ctx, list[f.held-1])
	}
}

func (n *nodeLane) release(ctx context.Context, binding amqp.Binding) {
	b := n.enterBinding(binding)
	defer n.leaveBinding(binding, b)
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.holders--; b.holders > 0 {
		return
	}
	if err := n.gw.opt.Bus.Unsubscribe(ctx, n.inbox.Name, []amqp.Binding{binding}); err != nil {
		n.gw.log.Debug("the node lane stays bound", zap.String("exchange", binding.Exchange), zap.String("pattern", binding.Pattern), zap.Error(err))
		return
	}
	b.bound = false
}

func (n *nodeLane) enter(filter string) *nodeFilter {
	n.mu.Lock()
	defer n.mu.Unlock()
	f := n.filters[filter]
	if f == nil {
		f = &nodeFilter{}
		n.filters[filter] = f
	}
	f.users++
	return f
}

func (n *nodeLane) leave(filter string, f *nodeFilter) {
	n.mu.Lock()
	defer n.mu.Unlock()
	if f.users--; f.users == 0 && !f.wanted && f.held == 0 {
		delete(n.filters, filter)
	}
}

func (n *nodeLane) enterBinding(binding amqp.Binding) *nodeBinding {
	n.mu.Lock()
	defer n.mu.Unlock()
	b := n.bindings[binding]
	if b == nil {
		b = &nodeBinding{}
		n.bindings[binding] = b
	}
	b.users++
	return b
}

func (n *nodeLane) leaveBinding(binding amqp.Binding, b *nodeBinding) {
	n.mu.Lock()
	defer n.mu.Unlock()
	if b.users--; b.users == 0 && b.holders == 0 && !b.bound {
		delete(n.bindings, binding)
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
		n.gw.log.Warn("the node's inbox stays on the bus until it expires", zap.String("inbox", n.inbox.Name), zap.Error(err))
	}
}
