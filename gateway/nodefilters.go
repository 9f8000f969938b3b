package gateway

import (
	"cmp"
	"context"
	"slices"
	"sync"

	"go.uber.org/zap"

	"sluice/amqp"
)

// nodeFilter is a filter that some device has, or is about to have. Its lock is held while the bus binds or unbinds it, so that changes of one filter come
// one after the other and those of different filters do not wait for each other.
type nodeFilter struct {
	name  string
	users int // goroutines that have it in hand; nodeLane.mu guards it

	mu     sync.Mutex
	wanted bool // some device subscribes to it; then its bindings are on the bus
}

// nodeBinding is what one or more filters need on the bus. Its lock is held while the bus makes or removes it.
type nodeBinding struct {
	what  amqp.Binding
	users int // as in nodeFilter

	mu      sync.Mutex
	holders int // filters
	bound   bool
}

// add subscribes d to the filters, with one request to the bus for all that are new. Messages can come before it returns. After an error nothing is
// subscribed; some may be bound all the same, and what they bring matches nobody.
//
// Filters are locked in the order of their names, then bindings in theirs: two changes that have several in common do not wait for each other in a ring.
func (n *nodeLane) add(ctx context.Context, d *device, filters []string) error {
	list := n.lockFilters(filters)
	defer n.unlockFilters(list)
	var fresh []string
	for _, f := range list {
		if !f.wanted {
			fresh = append(fresh, f.name)
		}
	}
	if err := n.hold(ctx, fresh); err != nil {
		return err
	}
	for _, f := range list {
		n.trie.Add(f.name, d)
		f.wanted = true
	}
	return nil
}

// remove ends d's subscriptions. Unbinding what nobody wants any more is a saving, not a duty: when the bus is out of reach the binding stays,
// and what it brings matches nobody.
func (n *nodeLane) remove(ctx context.Context, d *device, filters []string) {
	list := n.lockFilters(filters)
	defer n.unlockFilters(list)
	var gone []string
	for _, f := range list {
		if f.wanted && n.trie.Remove(f.name, d) {
			f.wanted = false
			gone = append(gone, f.name)
		}
	}
	n.release(ctx, gone)
}

// hold makes the bindings of filters that nobody had.
func (n *nodeLane) hold(ctx context.Context, filters []string) error {
	needs := n.needs(filters)
	list := n.lockBindings(needs)
	defer n.unlockBindings(list)
	var missing []amqp.Binding
	for _, b := range list {
		if !b.bound {
			missing = append(missing, b.what)
		}
	}
	if len(missing) > 0 {
		if err := n.start(ctx); err != nil {
			return err
		}
		if err := n.gw.bind(ctx, n.inbox.Name, missing); err != nil {
			return err
		}
	}
	for _, b := range list {
		b.bound = true
		b.holders += needs[b.what]
	}
	return nil
}

// release removes those bindings of filters that no other filter needs.
func (n *nodeLane) release(ctx context.Context, filters []string) {
	needs := n.needs(filters)
	list := n.lockBindings(needs)
	defer n.unlockBindings(list)
	var gone []amqp.Binding
	for _, b := range list {
		if b.holders -= needs[b.what]; b.holders == 0 {
			b.bound = false // also after an error, which does not say what the bus has done; whoever needs it binds again
			gone = append(gone, b.what)
		}
	}
	if len(gone) == 0 || n.gw.isStopping() {
		return // when a node stops they go with its inbox: RabbitMQ 4.3 takes 0.35 ms for each then, and 9 ms for one that is unbound
	}
	if err := n.gw.opt.Bus.Unsubscribe(ctx, n.inbox.Name, gone); err != nil {
		n.gw.log.Debug("the node lane stays bound", zap.Int("bindings", len(gone)), zap.String("exchange", gone[0].Exchange), zap.String("pattern", gone[0].Pattern), zap.Error(err))
	}
}

// needs says how many of the filters need each binding.
func (n *nodeLane) needs(filters []string) map[amqp.Binding]int {
	needs := make(map[amqp.Binding]int, len(filters))
	for _, f := range filters {
		for _, b := range n.gw.bindings([]string{f}) {
			needs[b]++
		}
	}
	return needs
}

func (n *nodeLane) lockFilters(filters []string) []*nodeFilter {
	names := slices.Compact(slices.Sorted(slices.Values(filters)))
	list := make([]*nodeFilter, len(names))
	n.mu.Lock()
	for i, name := range names {
		f := n.filters[name]
		if f == nil {
			f = &nodeFilter{name: name}
			n.filters[name] = f
		}
		f.users++
		list[i] = f
	}
	n.mu.Unlock()
	for _, f := range list {
		f.mu.Lock()
	}
	return list
}

func (n *nodeLane) unlockFilters(list []*nodeFilter) {
	n.mu.Lock()
	defer n.mu.Unlock()
	for _, f := range list {
		if f.users--; f.users == 0 && !f.wanted {
			delete(n.filters, f.name)
		}
		f.mu.Unlock()
	}
}

func (n *nodeLane) lockBindings(needs map[amqp.Binding]int) []*nodeBinding {
	list := make([]*nodeBinding, 0, len(needs))
	n.mu.Lock()
	for what := range needs {
		b := n.bindings[what]
		if b == nil {
			b = &nodeBinding{what: what}
			n.bindings[what] = b
		}
		b.users++
		list = append(list, b)
	}
	n.mu.Unlock()
	slices.SortFunc(list, func(a, b *nodeBinding) int {
		return cmp.Or(cmp.Compare(a.what.Exchange, b.what.Exchange), cmp.Compare(a.what.Pattern, b.what.Pattern))
	})
	for _, b := range list {
		b.mu.Lock()
	}
	return list
}

func (n *nodeLane) unlockBindings(list []*nodeBinding) {
	n.mu.Lock()
	defer n.mu.Unlock()
	for _, b := range list {
		if b.users--; b.users == 0 && !b.bound {
			delete(n.bindings, b.what)
		}
		b.mu.Unlock()
	}
}
