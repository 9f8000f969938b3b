package gateway

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"

	"go.uber.org/zap"

	"sluice/amqp"
	"sluice/mapping"
	"sluice/mapping/rules"
)

// targets watches the exchanges and queues that mapping rules name. When a node starts they must be there (CheckTargets). One that goes away later is told of,
// and costs its own messages only; when it comes back, the inboxes are bound to it again, since bindings go with their exchange.
type targets struct {
	gw   *Gateway
	list []rules.Target

	mu      sync.Mutex
	missing map[string]bool // by address
}

func newTargets(gw *Gateway) *targets {
	return &targets{gw: gw, list: gw.opt.Bridge.Rules.Targets(), missing: map[string]bool{}}
}

func targetAddress(dialect mapping.Dialect, t rules.Target) string {
	if t.Queue != "" {
		return dialect.ToQueue(t.Queue)
	}
	return dialect.To(t.Exchange, "")
}

// CheckTargets looks whether all that the rules name is on the bus. The error names what is not, or wraps amqp.ErrUnavailable when the bus does not say.
func CheckTargets(ctx context.Context, bus amqp.Bus, dialect mapping.Dialect, table *rules.Table) error {
	var faults []string
	for _, t := range table.Targets() {
		err := retryUntil(ctx, func(ctx context.Context) error { return bus.Lookup(ctx, targetAddress(dialect, t)) })
		switch {
		case err == nil:
		case errors.Is(err, amqp.ErrNotFound):
			faults = append(faults, fmt.Sprintf("%s is not on the bus; make it there (an exchange as a durable topic exchange), or change the rule", t))
		case errors.Is(err, amqp.ErrRefused):
			faults = append(faults, fmt.Sprintf("%s cannot be sent to: %v; permit this user to write there, or change the rule", t, err))
		default:
			return fmt.Errorf("rules: %s could not be looked for: %w", t, err)
		}
	}
	if len(faults) > 0 {
		return errors.New("rules: " + strings.Join(faults, "\nrules: "))
	}
	return nil
}

// miss notes exchanges that were found missing by using them.
func (t *targets) miss(exchanges []string) {
	t.mu.Lock()
	defer t.mu.Unlock()
	for _, name := range exchanges {
		t.missing[targetAddress(t.gw.opt.Bridge.Dialect, rules.Target{Exchange: name})] = true
	}
}

// watch looks once for each target, and does what a change asks for.
func (t *targets) watch(ctx context.Context) bool {
	back := false
	for _, target := range t.list {
		address := targetAddress(t.gw.opt.Bridge.Dialect, target)
		err := t.gw.opt.Bus.Lookup(ctx, address)
		if err != nil && !errors.Is(err, amqp.ErrNotFound) {
			continue // the bus is away, or says something else: nothing is known
		}
		t.mu.Lock()
		before := t.missing[address]
		t.missing[address] = err != nil
		t.mu.Unlock()
		switch {
		case err != nil && !before:
			t.gw.log.Error("what a rule names is not on the bus any more; messages by this rule fail until it is back", zap.Stringer("target", target))
		case err == nil && before:
			t.gw.log.Info("what a rule names is on the bus again", zap.Stringer("target", target))
			back = back || target.Exchange != ""
		}
	}
	if back {
		t.gw.bindAgain(ctx)
	}
	return false
}

// bindAgain has all inboxes of this node bound to what the rules ask for.
func (gw *Gateway) bindAgain(ctx context.Context) {
	if err := gw.nodes.bindAgain(ctx); err != nil {
		gw.log.Warn("the node's inbox was not bound again; the next subscription at QoS 0 or a restart does it", zap.Error(err))
	}
	for _, d := range gw.directory.connections() {
		d.laneOps.add(d.bindAgain)
	}
}

// bindAgain binds the device's inboxes to what the rules ask for.
func (d *device) bindAgain() {
	err := d.retry(func(ctx context.Context) error {
		if l := d.lanes.own(); l != nil && l.made {
			if err := d.bindFromRules(ctx, l.inbox, l.filters.list()); err != nil {
				return err
			}
		}
		for _, l := range d.lanes.groups() {
			if err := d.bindFromRules(ctx, l.inbox, []string{l.topics()}); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil && !d.ended() {
		d.log().Warn("inboxes were not bound again to what rules ask for; the device's next connection does it", zap.Error(err))
	}
}

func (d *device) bindFromRules(ctx context.Context, inbox string, filters []string) error {
	list := d.gw.fromRules(filters)
	if len(list) == 0 {
		return nil
	}
	err := d.gw.bind(ctx, inbox, list)
	if errors.Is(err, amqp.ErrNotFound) {
		return nil // the lane makes it again, with its bindings
	}
	return err
}
