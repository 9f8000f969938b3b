package topology

import (
	"context"
	"errors"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"sluice/amqp"
)

// script answers requests from a list and keeps what it was asked.
type script struct {
	asked   []Request
	answers []Response
	err     error
}

func (s *script) Do(_ context.Context, requests []Request) ([]Response, error) {
	s.asked = append(s.asked, requests...)
	if s.err != nil {
		return nil, s.err
	}
	n := len(requests)
	answers := s.answers[:n]
	s.answers = s.answers[n:]
	return answers, nil
}

func statuses(codes ...int) *script {
	s := &script{}
	for _, c := range codes {
		s.answers = append(s.answers, Response{Status: c})
	}
	return s
}

func TestEnsureInboxRequest(t *testing.T) {
	for _, tt := range []struct {
		inbox amqp.Inbox
		args  map[string]any
	}{
		{amqp.Inbox{Name: "a"}, map[string]any{"x-queue-type": "classic"}},
		{amqp.Inbox{Name: "a", Expires: 5, SingleActive: true},
			map[string]any{"x-queue-type": "classic", "x-expires": uint64(5), "x-single-active-consumer": true}},
		{amqp.Inbox{Name: "a", Expires: 1<<32 - 1}, map[string]any{"x-queue-type": "classic", "x-expires": uint64(1<<32 - 1)}},
		{amqp.Inbox{Name: "a", Expires: 1 << 32}, map[string]any{"x-queue-type": "classic"}},
		{amqp.Inbox{Name: "a", MaxLength: 7}, map[string]any{"x-queue-type": "classic", "x-max-length": uint64(7), "x-overflow": "reject-publish"}},
		{amqp.Inbox{Name: "a", MaxLength: 7, DropOldest: true},
			map[string]any{"x-queue-type": "classic", "x-max-length": uint64(7), "x-overflow": "drop-head"}},
	} {
		for _, status := range []int{200, 201} {
			s := statuses(status)
			if err := NewBindings(s, "").EnsureInbox(context.Background(), tt.inbox); err != nil {
				t.Fatal(err)
			}
			want := []Request{{Method: "PUT", Path: "/queues/a", Body: map[string]any{
				"durable": true, "exclusive": false, "auto_delete": false, "arguments": tt.args}}}
			if d := cmp.Diff(want, s.asked); d != "" {
				t.Errorf("-want +asked\n%s", d)
			}
		}
	}
}

func TestSubscriptionRequests(t *testing.T) {
	s := statuses(204, 204, 204)
	f := NewBindings(s, "my exchange")
	if err := f.Subscribe(context.Background(), "in%box", amqp.Topics("a.*", "b;c=d/ü")); err != nil {
		t.Fatal(err)
	}
	if err := f.Unsubscribe(context.Background(), "in%box", amqp.Topics("b;c=d/ü#")); err != nil {
		t.Fatal(err)
	}
	bind := func(key string) Request {
		return Request{Method: "POST", Path: "/bindings", Body: map[string]any{
			"source": "my exchange", "destination_queue": "in%box", "binding_key": key, "arguments": map[string]any{}}}
	}
	want := []Request{bind("a.*"), bind("b;c=d/ü"),
		{Method: "DELETE", Path: "/bindings/src=my%20exchange;dstq=in%25box;key=b%3Bc%3Dd%2F%C3%BC%23;args="}}
	if d := cmp.Diff(want, s.asked); d != "" {
		t.Errorf("-want +asked\n%s", d)
	}
	if got := f.Source("a/b c"); got != "/queues/a%2Fb%20c" {
		t.Errorf("source %q", got)
	}
}

func TestNothingToDoAsksNothing(t *testing.T) {
	s := statuses()
	f := NewBindings(s, "")
	if err := errors.Join(f.Subscribe(context.Background(), "x", nil), f.Unsubscribe(context.Background(), "x", nil)); err != nil || len(s.asked) > 0 {
		t.Errorf("%v, asked %v", err, s.asked)
	}
}

func TestStatusesBecomeErrors(t *testing.T) {
	ctx := context.Background()
	subscribe := func(f Family) error { return f.Subscribe(ctx, "q", amqp.Topics("a", "b")) }
	others := func(f Family) error {
		return f.Subscribe(ctx, "q", append(amqp.Topics("a"), amqp.Binding{Exchange: "e", Pattern: "b"}))
	}
	unsubscribe := func(f Family) error { return f.Unsubscribe(ctx, "q", amqp.Topics("a")) }
	remove := func(f Family) error { return f.DeleteInbox(ctx, "q") }
	receivers := func(f Family) error { _, err := f.Receivers(ctx, "q"); return err }
	ensure := func(f Family) error { return f.EnsureInbox(ctx, amqp.Inbox{Name: "q"}) }
	for _, tt := range []struct {
		name  string
		do    func(Family) error
		codes []int
		want  error
	}{
		{"subscribe", subscribe, []int{204, 204}, nil},
		{"subscribe, inbox missing as RabbitMQ says it", subscribe, []int{204, 400, 404}, amqp.ErrNotFound},
		{"subscribe, inbox missing", subscribe, []int{404, 404}, amqp.ErrNotFound},
		{"subscribe, bad pattern", subscribe, []int{204, 400, 200}, amqp.ErrRefused},
		{"subscribe, exchange missing as RabbitMQ says it", others, []int{204, 400, 200}, amqp.ErrRefused},
		{"subscribe, exchange and inbox missing", others, []int{400, 400, 404}, amqp.ErrNotFound},
		{"subscribe, exchange missing and bus in trouble", others, []int{503, 404}, amqp.ErrUnavailable},
		{"subscribe, bus in trouble", subscribe, []int{204, 503}, amqp.ErrUnavailable},
		{"unsubscribe", unsubscribe, []int{204}, nil},
		{"unsubscribe, absent", unsubscribe, []int{404}, nil},
		{"unsubscribe, refused", unsubscribe, []int{403}, amqp.ErrRefused},
		{"delete", remove, []int{200}, nil},
		{"delete, absent", remove, []int{404}, nil},
		{"delete, refused", remove, []int{403}, amqp.ErrRefused},
		{"receivers, no inbox", receivers, []int{404}, nil},
		{"receivers, not told", receivers, []int{200}, amqp.ErrUnavailable},
		{"receivers, refused", receivers, []int{403}, amqp.ErrRefused},
		{"ensure, reserved name", ensure, []int{403}, amqp.ErrRefused},
		{"ensure, arguments that the bus does not take", ensure, []int{409, 404}, amqp.ErrRefused},
		{"ensure, other arguments that cannot be shown", ensure, []int{409, 500}, amqp.ErrConflict},
	} {
		s := statuses(tt.codes...)
		err := tt.do(NewBindings(s, ""))
		if !errors.Is(err, tt.want) {
			t.Errorf("%s: %v, want %v", tt.name, err, tt.want)
		}
		if len(s.answers) != 0 {
			t.Errorf("%s: %d answers were not asked for", tt.name, len(s.answers))
		}
	}
	if err := subscribe(NewBindings(&script{err: amqp.ErrUnavailable}, "")); !errors.Is(err, amqp.ErrUnavailable) {
		t.Errorf("no answer: %v", err)
	}
}

// What is wrong with exchanges says so, of all at once, and is told from what is wrong with a binding to the exchange of all topics.
func TestMissingExchanges(t *testing.T) {
	subscribe := func(codes []int, exchanges ...string) error {
		var list []amqp.Binding
		for _, e := range exchanges {
			list = append(list, amqp.Binding{Exchange: e, Pattern: "a"})
		}
		return NewBindings(statuses(codes...), "").Subscribe(context.Background(), "q", list)
	}
	var missing *amqp.MissingExchanges
	if err := subscribe([]int{404, 204, 404, 400, 200}, "e", "there", "e", "f"); !errors.As(err, &missing) || !slices.Equal(missing.Names, []string{"e", "f"}) {
		t.Errorf("two exchanges that are missing: %v", err)
	}
	if err := subscribe([]int{404, 200}, ""); errors.As(err, &missing) {
		t.Errorf("the exchange of all topics: %v", err)
	}
}

func TestConflictNamesBothArgumentSets(t *testing.T) {
	s := &script{answers: []Response{{Status: 409, Body: "inequivalent arg"},
		{Status: 200, Body: map[string]any{"arguments": map[string]any{"x-queue-type": "quorum"}}}}}
	err := NewBindings(s, "").EnsureInbox(context.Background(), amqp.Inbox{Name: "q", Expires: 5})
	if !errors.Is(err, amqp.ErrConflict) {
		t.Fatal(err)
	}
	for _, want := range []string{`"q"`, "{x-queue-type=quorum}", "{x-expires=5 x-queue-type=classic}"} {
		if !strings.Contains(err.Error(), want) {
			t.Errorf("%q does not name %s", err, want)
		}
	}
}

func TestInboxNames(t *testing.T) {
	for name, ok := range map[string]bool{
		"sluice.default.abc~%41": true, strings.Repeat("q", 255): true,
		"": false, strings.Repeat("q", 256): false, "a/b": false, "a b": false, "ü": false, "a\n": false,
	} {
		s := statuses(201)
		err := NewBindings(s, "").EnsureInbox(context.Background(), amqp.Inbox{Name: name})
		if ok != (err == nil) || !ok && (!errors.Is(err, amqp.ErrRefused) || len(s.asked) > 0) {
			t.Errorf("%q: %v", name, err)
		}
	}
}
