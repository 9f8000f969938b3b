package gateway

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"testing"

	"github.com/google/go-cmp/cmp"
	"go.uber.org/zap"

	"sluice/amqp"
	"sluice/gateway/bridge"
	"sluice/mapping"
	"sluice/mapping/rules"
)

// boundBus is a bus that only knows what is bound.
type boundBus struct {
	amqp.Bus
	mu     sync.Mutex
	bound  map[amqp.Binding]bool
	refuse map[string]error // by exchange

	requests int   // changes
	lost     error // answers Unsubscribe, which is carried out
}

func (b *boundBus) EnsureInbox(context.Context, amqp.Inbox) error { return nil }

func (b *boundBus) Attach(amqp.Source, amqp.Handler) amqp.Receiver { return struct{ amqp.Receiver }{} }

func (b *boundBus) Subscribe(_ context.Context, _ string, list []amqp.Binding) (err error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.requests++
	for _, w := range list {
		if why := b.refuse[w.Exchange]; why != nil {
			err = why
		} else {
			b.bound[w] = true
		}
	}
	return err
}

func (b *boundBus) Unsubscribe(_ context.Context, _ string, list []amqp.Binding) error {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.requests++
	for _, w := range list {
		delete(b.bound, w)
	}
	return b.lost
}

func (b *boundBus) list() []string {
	b.mu.Lock()
	defer b.mu.Unlock()
	list := []string{}
	for w := range b.bound {
		list = append(list, w.Exchange+" "+w.Pattern)
	}
	slices.Sort(list)
	return list
}

func bindingGateway(t *testing.T, list ...rules.Rule) (*Gateway, *boundBus) {
	t.Helper()
	table, err := rules.Compile(list, mapping.RabbitMQ)
	if err != nil {
		t.Fatal(err)
	}
	bus := &boundBus{bound: map[amqp.Binding]bool{}, refuse: map[string]error{}}
	gw := &Gateway{log: zap.NewNop(), opt: Options{NodeID: "n", Bus: bus, Logger: zap.NewNop(), Bridge: bridge.Config{Dialect: mapping.RabbitMQ, Rules: table}}}
	gw.nodes, gw.targets = newNodeLane(gw), newTargets(gw)
	return gw, bus
}

// byID is a rule whose key says a part of the topic only, so that several filters need one binding.
var byID = rules.Rule{Topic: "meter/{id}/{what}", Exchange: "meters", Key: new("{id}")}

// A binding goes with the last filter that needs it.
func TestBindingsThatFiltersShare(t *testing.T) {
	gw, _ := bindingGateway(t, byID)
	for _, c := range []struct {
		gone, kept []string
		want       []amqp.Binding
	}{
		{[]string{"meter/7/a"}, nil, []amqp.Binding{{Pattern: "meter.7.a"}, {Exchange: "meters", Pattern: "7"}}},
		{[]string{"meter/7/a"}, []string{"meter/7/b"}, []amqp.Binding{{Pattern: "meter.7.a"}}},
		{[]string{"meter/7/a", "meter/7/b"}, []string{"other"}, []amqp.Binding{{Pattern: "meter.7.a"}, {Exchange: "meters", Pattern: "7"}, {Pattern: "meter.7.b"}}},
		{[]string{"other"}, []string{"meter/7/a"}, []amqp.Binding{{Pattern: "other"}}},
	} {
		if diff := cmp.Diff(c.want, gw.unneeded(c.gone, c.kept)); diff != "" {
			t.Errorf("%v without %v (-want +got):\n%s", c.gone, c.kept, diff)
		}
	}
	if diff := cmp.Diff([]amqp.Binding{{Exchange: "meters", Pattern: "7"}}, gw.fromRules([]string{"meter/7/a", "other", "meter/7/b"})); diff != "" {
		t.Errorf("from rules (-want +got):\n%s", diff)
	}
	plain, _ := bindingGateway(t)
	if got := plain.fromRules([]string{"a"}); got != nil {
		t.Errorf("without rules: %v", got)
	}
}

// The node lane keeps a binding as long as a filter of any device needs it, whatever fails in between, and whoever comes and goes at the same time.
func TestTheNodeLaneCountsBindings(t *testing.T) {
	gw, bus := bindingGateway(t, byID)
	ctx := t.Context()
	a, b := &device{gw: gw}, &device{gw: gw}
	add := func(d *device, filter string) {
		t.Helper()
		if err := gw.nodes.add(ctx, d, []string{filter}); err != nil {
			t.Fatal(err)
		}
	}
	want := func(what string, list ...string) {
		t.Helper()
		if diff := cmp.Diff(append([]string{}, list...), bus.list()); diff != "" {
			t.Errorf("%s (-want +got):\n%s", what, diff)
		}
	}
	bus.refuse["meters"] = amqp.ErrUnavailable
	if err := gw.nodes.add(ctx, a, []string{"meter/7/a"}); !errors.Is(err, amqp.ErrUnavailable) {
		t.Fatalf("the bus is away: %v", err)
	}
	delete(bus.refuse, "meters")
	add(a, "meter/7/a")
	add(b, "meter/7/a")
	add(b, "meter/7/b")
	want("three subscriptions", " meter.7.a", " meter.7.b", "meters 7")
	gw.nodes.remove(ctx, a, []string{"meter/7/a"})
	gw.nodes.remove(ctx, b, []string{"meter/7/a"})
	want("one filter is left", " meter.7.b", "meters 7")
	gw.nodes.remove(ctx, b, []string{"meter/7/b"})
	gw.nodes.remove(ctx, b, []string{"meter/7/b"})
	want("none is left")
	if n := len(gw.nodes.filters) + len(gw.nodes.bindings); n != 0 {
		t.Errorf("%d filters and bindings are remembered", n)
	}

	bus.refuse["meters"] = &amqp.MissingExchanges{Names: []string{"meters"}, Words: "gone"}
	add(a, "meter/7/a")
	want("without the exchange", " meter.7.a")
	if !gw.targets.missing[targetAddress(gw.opt.Bridge.Dialect, rules.Target{Exchange: "meters"})] {
		t.Error("the exchange is not watched for")
	}
	delete(bus.refuse, "meters")
	if err := gw.nodes.bindAgain(ctx); err != nil {
		t.Fatal(err)
	}
	want("once it is back", " meter.7.a", "meters 7")

	var together sync.WaitGroup
	for i := range 8 {
		together.Go(func() {
			d := &device{gw: gw}
			filter := []string{fmt.Sprintf("meter/7/%d", i%2)}
			for range 200 {
				if err := gw.nodes.add(ctx, d, filter); err != nil {
					t.Error(err)
				}
				if list := bus.list(); !slices.Contains(list, "meters 7") || !slices.Contains(list, " meter.7."+fmt.Sprint(i%2)) {
					t.Errorf("not bound while %v is wanted: %v", filter, list)
				}
				gw.nodes.remove(ctx, d, filter)
			}
		})
	}
	together.Wait()
	want("after all have gone", " meter.7.a", "meters 7")
}

// Many filters are one request, of those that are new or not needed any more; and who changes the same ones in another order does not stand in the way.
func TestTheNodeLaneBindsTogether(t *testing.T) {
	gw, bus := bindingGateway(t, byID)
	ctx := t.Context()
	var filters []string
	for i := range 100 {
		filters = append(filters, fmt.Sprintf("meter/%d/%d", i%10, i))
	}
	a, b := &device{gw: gw}, &device{gw: gw}
	step := func(what string, requests, bound int, change func() error) {
		t.Helper()
		before := bus.requests
		if err := change(); err != nil {
			t.Fatalf("%s: %v", what, err)
		}
		if got := bus.requests - before; got != requests || len(bus.bound) != bound {
			t.Errorf("%s: %d requests, %d bindings, want %d and %d", what, got, len(bus.bound), requests, bound)
		}
	}
	add := func(d *device, list []string) func() error {
		return func() error { return gw.nodes.add(ctx, d, list) }
	}
	remove := func(d *device, list []string) func() error {
		return func() error { gw.nodes.remove(ctx, d, list); return nil }
	}
	step("half of them", 1, 50+10, add(a, filters[:50]))
	step("all, some twice", 1, 100+10, add(b, append(slices.Clone(filters), filters[:7]...)))
	step("what is there", 0, 100+10, add(a, filters[50:]))
	step("still needed", 0, 100+10, remove(b, filters))
	bus.lost = amqp.ErrUnavailable // the answer, not the request
	step("not needed", 1, 0, remove(a, filters))
	bus.lost = nil
	step("again", 1, 100+10, add(a, filters))
	step("the end", 1, 0, remove(a, filters))

	var together sync.WaitGroup
	for i := range 8 {
		together.Go(func() {
			d, list := &device{gw: gw}, slices.Clone(filters[:20])
			if i%2 > 0 {
				slices.Reverse(list)
			}
			for range 50 {
				if err := gw.nodes.add(ctx, d, list); err != nil {
					t.Error(err)
				}
				gw.nodes.remove(ctx, d, list)
			}
		})
	}
	together.Wait()
	if n := len(bus.bound) + len(gw.nodes.filters) + len(gw.nodes.bindings); n != 0 {
		t.Errorf("%d bindings and filters are left", n)
	}
}

// What is missing is told, by all its rules; a bus that is away is not taken for one that lacks something.
func TestCheckTargets(t *testing.T) {
	table, err := rules.Compile([]rules.Rule{byID, {Name: "q", Topic: "q", Queue: "a b"}, {Topic: "s", Exchange: "secret"}}, mapping.RabbitMQ)
	if err != nil {
		t.Fatal(err)
	}
	there := map[string]error{}
	check := func() error { return CheckTargets(t.Context(), &lookupBus{there: there}, mapping.RabbitMQ, table) }
	if err := check(); err != nil {
		t.Errorf("all is there: %v", err)
	}
	there["/exchanges/meters/"], there["/queues/a%20b"], there["/exchanges/secret/"] = amqp.ErrNotFound, amqp.ErrNotFound, amqp.ErrRefused
	const want = `rules: the exchange "meters" of rule 1 is not on the bus; make it there (an exchange as a durable topic exchange), or change the rule
rules: the queue "a b" of rule 2 (q) is not on the bus; make it there (an exchange as a durable topic exchange), or change the rule
rules: the exchange "secret" of rule 3 cannot be sent to: amqp: refused by the bus; permit this user to write there, or change the rule`
	if err := check(); err == nil || err.Error() != want {
		t.Errorf("got %v", err)
	}
	clear(there)
	there["/queues/a%20b"] = context.Canceled
	if err := check(); !errors.Is(err, context.Canceled) {
		t.Errorf("the bus does not say: %v", err)
	}
}

// lookupBus knows what is there.
type lookupBus struct {
	amqp.Bus
	there map[string]error
}

func (b *lookupBus) Lookup(_ context.Context, address string) error { return b.there[address] }
