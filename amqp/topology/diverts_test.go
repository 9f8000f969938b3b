package topology

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"sluice/amqp"
	"sluice/amqp/message"
)

// artemis is a broker's management as far as the family uses it: queues by name, diverts by name.
type artemis struct {
	nextID  int64
	queues  map[string]map[string]any
	diverts map[string]string // address by name
	setting string
	asked   []string // "operation name"
	refuse  map[string]string
	failed  error
	largest int // requests handed over at once
}

func newArtemis() *artemis {
	return &artemis{queues: map[string]map[string]any{}, diverts: map[string]string{}, refuse: map[string]string{}}
}

func (a *artemis) Do(_ context.Context, requests []Request) (all []Response, err error) {
	if a.failed != nil {
		return nil, a.failed
	}
	a.largest = max(a.largest, len(requests))
	for _, r := range requests {
		body, failure := a.refuse[r.Method], any(nil)
		if body == "" {
			failure, body = a.do(r)
		}
		if body != "" {
			all = append(all, Response{Status: 500, Body: body})
			continue
		}
		all = append(all, Response{Status: 200, Body: failure})
	}
	return all, nil
}

// do performs a request and gives its result, or the bus's word on why not.
func (a *artemis) do(r Request) (result any, refused string) {
	arguments := r.Body.([]any)
	a.asked = append(a.asked, r.Method)
	switch r.Method {
	case "getAddressSettingsAsJSON":
		return a.setting, ""
	case "addAddressSettings":
		a.setting = arguments[1].(string)
		return a.setting, ""
	case "getDivertNames":
		return anyOf(a.diverts), ""
	case "getQueueNames":
		return anyOf(a.queues), ""
	case "destroyDivert":
		name := arguments[0].(string)
		if _, there := a.diverts[name]; !there {
			return nil, "AMQ229012: No binding for divert " + name
		}
		delete(a.diverts, name)
		return nil, ""
	case "destroyQueue":
		return nil, a.remove(arguments[0].(string))
	case "getConsumerCount":
		if a.queues[strings.TrimPrefix(r.Path, "queue.")] == nil {
			return nil, "AMQ229067: Cannot find resource with name " + r.Path
		}
		return float64(3), ""
	}
	var c map[string]any
	if err := json.Unmarshal([]byte(arguments[0].(string)), &c); err != nil {
		return nil, err.Error()
	}
	name := c["name"].(string)
	switch r.Method {
	case "createDivert":
		a.diverts[name] = c["address"].(string)
		return nil, ""
	case "createQueue":
		if a.queues[name] != nil {
			return nil, "AMQ229019: Queue " + name + " already exists"
		}
		a.nextID++
		c["id"] = a.nextID
		a.queues[name] = c
	case "updateQueue":
		if a.queues[name] == nil {
			return nil, "AMQ229017: Queue " + name + " does not exist"
		}
	default:
		return nil, "AMQ229069: no operation " + r.Method
	}
	return encode(a.queues[name]), ""
}

func (a *artemis) remove(queue string) (refused string) {
	if a.queues[queue] == nil {
		return "AMQ229017: Queue " + queue + " does not exist"
	}
	delete(a.queues, queue)
	return ""
}

func anyOf[V any](m map[string]V) []any {
	names := []any{}
	for name := range m {
		names = append(names, name)
	}
	return names
}

func newDiverts(t *testing.T, r Requester) Family {
	t.Helper()
	f, err := NewDiverts(r, "")
	if err != nil {
		t.Fatal(err)
	}
	return f
}

func TestDivertsInboxConfiguration(t *testing.T) {
	for _, tt := range []struct {
		inbox amqp.Inbox
		want  map[string]any
	}{
		{amqp.Inbox{Name: "a"}, nil},
		{amqp.Inbox{Name: "a", SingleActive: true}, map[string]any{"exclusive": true}},
		{amqp.Inbox{Name: "a", Expires: 5}, map[string]any{"auto-delete": true, "auto-delete-delay": 5.0, "auto-delete-message-count": -1.0}},
		{amqp.Inbox{Name: "a", Expires: 1 << 32}, nil}, // kept rather than removed too early
		{amqp.Inbox{Name: "a", MaxLength: 7, DropOldest: true}, map[string]any{"ring-size": 7.0}},
		{amqp.Inbox{Name: "a", MaxLength: 7}, nil}, // Artemis cannot refuse for one queue
	} {
		a := newArtemis()
		f := newDiverts(t, a)
		for range 2 {
			if err := f.EnsureInbox(context.Background(), tt.inbox); err != nil {
				t.Fatal(err)
			}
		}
		want := map[string]any{"id": int64(1), "name": "sluice.inbox.a", "address": "sluice.inbox.a", "routing-type": "ANYCAST", "durable": true,
			"exclusive": false, "auto-delete": false, "auto-delete-delay": 0.0, "auto-delete-message-count": 0.0, "ring-size": -1.0, "auto-create-address": true}
		for k, v := range tt.want {
			want[k] = v
		}
		if d := cmp.Diff(want, a.queues["sluice.inbox.a"]); d != "" {
			t.Errorf("%+v: -want +made\n%s", tt.inbox, d)
		}
	}
}

func TestDivertsConflictNamesBoth(t *testing.T) {
	f := newDiverts(t, newArtemis())
	if err := f.EnsureInbox(context.Background(), amqp.Inbox{Name: "a", Expires: 5}); err != nil {
		t.Fatal(err)
	}
	err := f.EnsureInbox(context.Background(), amqp.Inbox{Name: "a", Expires: 6})
	if !errors.Is(err, amqp.ErrConflict) || !strings.Contains(err.Error(), `"auto-delete-delay":5`) || !strings.Contains(err.Error(), `"auto-delete-delay":6`) {
		t.Error(err)
	}
}

func TestDivertsAndTheirNames(t *testing.T) {
	ctx := context.Background()
	a := newArtemis()
	f := newDiverts(t, a)
	const inbox = "x*,:#"
	if err := f.EnsureInbox(ctx, amqp.Inbox{Name: inbox}); err != nil {
		t.Fatal(err)
	}
	long := strings.Repeat("k", maxShownPattern+1)
	if err := f.Subscribe(ctx, inbox, amqp.Topics("a.*", "b.#", "c/d:e", long)); err != nil {
		t.Fatal(err)
	}
	want := map[string]string{
		"sluice.inbox.x%2A%2C%3A%23/1/a.%2A":     "mqtt.a.*",
		"sluice.inbox.x%2A%2C%3A%23/1/b.%23":     "mqtt.b.#",
		"sluice.inbox.x%2A%2C%3A%23/1/c%2Fd%3Ae": "mqtt.c/d:e",
	}
	digested := false
	for name, address := range a.diverts {
		if address == "mqtt."+long {
			digested = len(name) < 150
			delete(a.diverts, name)
		}
	}
	if d := cmp.Diff(want, a.diverts); d != "" || !digested {
		t.Errorf("-want +made\n%s\nthe long one has a short name: %v", d, digested)
	}
	if got := f.Source(inbox); got != "sluice.inbox.x%2A%2C%3A%23::sluice.inbox.x%2A%2C%3A%23" {
		t.Errorf("source %q", got)
	}
	if err := f.Unsubscribe(ctx, inbox, amqp.Topics("a.*", "never")); err != nil {
		t.Fatal(err)
	}
	if len(a.diverts) != 2 || a.diverts["sluice.inbox.x%2A%2C%3A%23/1/b.%23"] == "" {
		t.Errorf("after unsubscribing: %v", a.diverts)
	}
	if n, err := f.Receivers(ctx, inbox); n != 3 || err != nil {
		t.Errorf("receivers: %d, %v", n, err)
	}
	if n, err := f.Receivers(ctx, "absent"); n != 0 || err != nil {
		t.Errorf("receivers of an absent inbox: %d, %v", n, err)
	}
}

// However an inbox went, nothing of it leads to the next one of its name, and nothing of others is touched.
func TestDivertsOfGoneInboxesGo(t *testing.T) {
	ctx := context.Background()
	for _, how := range []string{"DeleteInbox", "Sweep", "EnsureInbox"} {
		a := newArtemis()
		f := newDiverts(t, a)
		for _, inbox := range []string{"a", "ab"} {
			if err := errors.Join(f.EnsureInbox(ctx, amqp.Inbox{Name: inbox}), f.Subscribe(ctx, inbox, amqp.Topics("x", "y"))); err != nil {
				t.Fatal(err)
			}
		}
		a.diverts["somebody's"] = "else"
		var err error
		switch how {
		case "DeleteInbox":
			err = f.DeleteInbox(ctx, "a")
		case "Sweep":
			a.remove("sluice.inbox.a")
			err = f.Sweep(ctx)
		case "EnsureInbox":
			a.remove("sluice.inbox.a")
			err = f.EnsureInbox(ctx, amqp.Inbox{Name: "a"})
		}
		if err != nil {
			t.Fatal(err)
		}
		want := map[string]string{"sluice.inbox.ab/2/x": "mqtt.x", "sluice.inbox.ab/2/y": "mqtt.y", "somebody's": "else"}
		if d := cmp.Diff(want, a.diverts); d != "" {
			t.Errorf("%s: -want +left\n%s", how, d)
		}
	}
}

// The sweep lists diverts before queues: an inbox that is made again meanwhile keeps its new diverts.
func TestDivertsSweepOrder(t *testing.T) {
	a := newArtemis()
	if err := newDiverts(t, a).Sweep(context.Background()); err != nil {
		t.Fatal(err)
	}
	if !slices.Equal(a.asked, []string{"getDivertNames", "getQueueNames"}) {
		t.Errorf("asked %v", a.asked)
	}
}

func TestDivertsSetupOnce(t *testing.T) {
	a := newArtemis()
	a.setting = `{"autoCreateQueues":true,"autoCreateAddresses":false}`
	f := newDiverts(t, a)
	for range 2 {
		if err := f.Setup(context.Background()); err != nil {
			t.Fatal(err)
		}
	}
	if a.setting != inboxSettings || !slices.Equal(a.asked, []string{"getAddressSettingsAsJSON", "addAddressSettings", "getAddressSettingsAsJSON"}) {
		t.Errorf("asked %v, settings %s", a.asked, a.setting)
	}
}

func TestDivertsFailures(t *testing.T) {
	ctx := context.Background()
	ensure := func(f Family) error { return f.EnsureInbox(ctx, amqp.Inbox{Name: "q"}) }
	subscribe := func(f Family) error { return f.Subscribe(ctx, "q", amqp.Topics("a")) }
	for _, tt := range []struct {
		name      string
		do        func(Family) error
		operation string
		answer    string
		want      error
	}{
		{"subscribe, no inbox", subscribe, "", "", amqp.ErrNotFound},
		{"subscribe, full queue name", func(f Family) error { return f.Subscribe(ctx, "q", amqp.Topics("a::b")) }, "", "", amqp.ErrRefused},
		{"subscribe, another exchange", func(f Family) error { return f.Subscribe(ctx, "q", []amqp.Binding{{Exchange: "e", Pattern: "a"}}) }, "", "", amqp.ErrRefused},
		{"subscribe, nothing", func(f Family) error { return f.Subscribe(ctx, "q", nil) }, "", "", nil},
		{"unsubscribe, no inbox", func(f Family) error { return f.Unsubscribe(ctx, "q", amqp.Topics("a")) }, "", "", nil},
		{"delete, no inbox", func(f Family) error { return f.DeleteInbox(ctx, "q") }, "", "", nil},
		{"ensure, no permission", ensure, "createQueue", "AMQ229032: User: x does not have permission='CREATE_DURABLE_QUEUE'", amqp.ErrRefused},
		{"ensure, what nobody knows", ensure, "createQueue", "java.lang.NullPointerException", amqp.ErrUnavailable},
		{"ensure, bad name", func(f Family) error { return f.EnsureInbox(ctx, amqp.Inbox{Name: "a b"}) }, "", "", amqp.ErrRefused},
		{"sweep, not allowed", func(f Family) error { return f.Sweep(ctx) }, "getQueueNames", "AMQ229213: User: x", amqp.ErrRefused},
	} {
		a := newArtemis()
		if tt.operation != "" {
			a.refuse[tt.operation] = tt.answer
		}
		if err := tt.do(newDiverts(t, a)); !errors.Is(err, tt.want) {
			t.Errorf("%s: %v, want %v", tt.name, err, tt.want)
		}
	}
	if err := ensure(newDiverts(t, &artemis{failed: amqp.ErrUnavailable})); !errors.Is(err, amqp.ErrUnavailable) {
		t.Errorf("no answer: %v", err)
	}
}

func TestDivertsRequestsComeInBatches(t *testing.T) {
	ctx := context.Background()
	a := newArtemis()
	f := newDiverts(t, a)
	var patterns []string
	for i := range 3*requestBatch + 1 {
		patterns = append(patterns, fmt.Sprint(i))
	}
	if err := errors.Join(f.EnsureInbox(ctx, amqp.Inbox{Name: "q"}), f.Subscribe(ctx, "q", amqp.Topics(patterns...))); err != nil {
		t.Fatal(err)
	}
	if a.largest != requestBatch || len(a.diverts) != len(patterns) {
		t.Errorf("%d diverts, %d requests at once", len(a.diverts), a.largest)
	}
	if err := f.DeleteInbox(ctx, "q"); err != nil || len(a.diverts) != 0 {
		t.Errorf("%d diverts are left, %v", len(a.diverts), err)
	}
}

// An address with thousands of levels would keep Artemis from ever starting again.
func TestDivertsRefuseDepth(t *testing.T) {
	f := newDiverts(t, newArtemis())
	if err := f.EnsureInbox(t.Context(), amqp.Inbox{Name: "q"}); err != nil {
		t.Fatal(err)
	}
	for _, tt := range []struct {
		name    string
		key     string
		refused bool
	}{
		{"as deep as can be", strings.Repeat("x.", maxLevels-2) + "x", false},
		{"one deeper", strings.Repeat("x.", maxLevels-1) + "x", true},
		{"deep in empty levels", strings.Repeat(".", maxLevels), true},
		{"long and flat", strings.Repeat("x", 65535), false},
	} {
		if r := f.Refused("mqtt." + tt.key); (r != nil) != tt.refused {
			t.Errorf("%s: sending is refused with %v", tt.name, r)
		}
		if err := f.Subscribe(t.Context(), "q", []amqp.Binding{{Pattern: tt.key}}); errors.Is(err, amqp.ErrRefused) != tt.refused {
			t.Errorf("%s: subscribing: %v", tt.name, err)
		}
	}
	for _, to := range []string{"orders.*", "orders.#", "orders.x::sluice.inbox.q"} {
		if f.Refused(to) == nil {
			t.Errorf("%s may be sent to", to)
		}
	}
	if r := f.Refused(f.Source("q")); r != nil {
		t.Errorf("an inbox: %v", r)
	}
}

func TestDivertsSettling(t *testing.T) {
	f := newDiverts(t, newArtemis())
	if o := f.Settling(message.Outcome{Kind: message.Released}); o.Kind != message.Modified || !o.DeliveryFailed || o.UndeliverableHere {
		t.Errorf("released: %+v, want modified, so that Artemis counts it", o)
	}
	if o := f.Settling(message.Outcome{Kind: message.Accepted}); o.Kind != message.Accepted {
		t.Errorf("accepted: %+v", o)
	}
}

func TestDivertsRoots(t *testing.T) {
	for root, ok := range map[string]bool{
		"": true, "mqtt": true, "plant.north": true, "sluices": true,
		"sluice": false, "sluice.inbox": false, "activemq": false, "activemq.management": false, "$sys": false,
		"a.*": false, "#": false, "a::b": false, "a,b": false, ".a": false,
	} {
		if _, err := NewDiverts(newArtemis(), root); ok != (err == nil) {
			t.Errorf("root %q: %v", root, err)
		}
	}
}

func TestDivertsArrived(t *testing.T) {
	f := newDiverts(t, newArtemis())
	annotations := func(queue, address string, id any) map[string]any {
		return map[string]any{"x-opt-ORIG-QUEUE": queue, "x-opt-ORIG-ADDRESS": address, "x-opt-ORIG-MESSAGE-ID": id, "x-opt-routing-type": int8(1), "x-opt-keep": "k"}
	}
	for _, tt := range []struct {
		name        string
		annotations map[string]any
		copied      bool
	}{
		{"diverted", annotations("sluice.inbox.a/1/x.%23", "mqtt.x.y", int64(7)), true},
		{"sent to the inbox", nil, false},
		{"by a divert of somebody else", annotations("theirs", "mqtt.x.y", int64(7)), false},
		{"from elsewhere", annotations("sluice.inbox.a/1/x", "sluice.inbox.b", int64(7)), false},
		{"without id", annotations("sluice.inbox.a/1/x", "mqtt.x.y", "7"), false},
	} {
		m := &message.Message{Annotations: tt.annotations, Properties: message.Properties{To: "sluice.inbox.a"}}
		had := len(tt.annotations)
		of, copied := f.Arrived(m)
		if copied != tt.copied {
			t.Errorf("%s: copied %v", tt.name, copied)
		}
		if !copied && (len(m.Annotations) != had || m.Properties.To != "sluice.inbox.a") {
			t.Errorf("%s: changed to %+v", tt.name, m)
		}
		if copied && (of != Original{7, "mqtt.x.y"} || m.Properties.To != "mqtt.x.y" || len(m.Annotations) != 1) {
			t.Errorf("%s: %+v, %+v", tt.name, of, m)
		}
	}
}

func TestDivertsOutcome(t *testing.T) {
	f := newDiverts(t, newArtemis())
	rejected := func(description string) message.Outcome {
		return message.Outcome{Kind: message.Rejected, Error: &message.Error{Condition: "failed", Description: description}}
	}
	for _, tt := range []struct {
		to   string
		o    message.Outcome
		want message.OutcomeKind
	}{
		{f.Source("a"), message.Outcome{Kind: message.Accepted}, message.Accepted},
		{f.Source("a"), rejected("AMQ119002: target address sluice.inbox.a does not exist"), message.Released},
		{f.Source("a"), rejected("AMQ229102: Address is full."), message.Rejected},
		{f.Source("a"), message.Outcome{Kind: message.Rejected}, message.Rejected},
		{"mqtt.a", rejected("AMQ119002: target address mqtt.a does not exist"), message.Rejected},
	} {
		if got := f.Outcome(tt.to, tt.o); got.Kind != tt.want {
			t.Errorf("%s %+v: %v", tt.to, tt.o, got.Kind)
		}
	}
}
