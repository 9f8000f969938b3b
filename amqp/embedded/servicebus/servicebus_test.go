package servicebus

import (
	"errors"
	"fmt"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"sluice/amqp/embedded/queues"
)

// start is the beginning of time in these tests.
var start = time.Unix(1_000_000, 0)

func newNamespace(t testing.TB, o Options) *Namespace {
	t.Helper()
	n, err := New(o, queues.New(queues.Options{}))
	if err != nil {
		t.Fatal(err)
	}
	return n
}

func plain(map[string]any) (*queues.Message, error) { return &queues.Message{Bare: []byte("x")}, nil }

func TestDeclaredTwice(t *testing.T) {
	for _, o := range []Options{
		{Queues: []Queue{{Name: "a"}, {Name: "A"}}},
		{Queues: []Queue{{Name: ""}}},
		{Queues: []Queue{{Name: "a"}}, Topics: []Topic{{Name: "a"}}},
		{Hubs: []Hub{{Name: "h", ConsumerGroups: []string{"$default"}}}},
	} {
		if _, err := New(o, queues.New(queues.Options{})); err == nil {
			t.Errorf("%+v is taken", o)
		}
	}
}

func TestCovers(t *testing.T) {
	for _, c := range []struct {
		granted, path string
		want          bool
	}{
		{"", "q", true}, {"q", "q", true}, {"q", "q/$deadletterqueue", true}, {"q", "q2", false}, {"q/x", "q", false}, {"t/subscriptions/a", "t", false},
	} {
		if got := covers(c.granted, c.path); got != c.want {
			t.Errorf("covers(%q, %q) = %v", c.granted, c.path, got)
		}
	}
	for address, want := range map[string]string{"amqps://host:5671/Q": "q", "sb://host/": "", "/q/": "q", "Q/$cbs": "q/$cbs"} {
		if got := entityPath(address); got != want {
			t.Errorf("entityPath(%q) = %q, want %q", address, got, want)
		}
	}
}

// TestDuplicateWindow compares with the rule as Azure tells it: an id is refused for a window after it was last taken, and forgotten then.
func TestDuplicateWindow(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		const window = 10 * time.Second
		n, err := New(Options{Queues: []Queue{{Name: "q", DuplicateWindow: window}}}, queues.New(queues.Options{}))
		if err != nil {
			t.Fatal(err)
		}
		node, f := n.Target("q")
		if f != nil {
			t.Fatal(f)
		}
		now, taken := start, map[string]time.Time{}
		for range rapid.IntRange(1, 60).Draw(t, "messages") {
			now = now.Add(time.Duration(rapid.IntRange(0, 6000).Draw(t, "pause")) * time.Millisecond)
			id := fmt.Sprint(rapid.IntRange(0, 4).Draw(t, "id"))
			at, known := taken[id]
			duplicate := known && now.Sub(at) < window
			result, err := n.Publish(now, node, Submission{MessageID: id, Encode: plain})
			if err != nil || (result.Queues == 0) != duplicate {
				t.Fatalf("id %s at %v, taken at %v: %+v, %v", id, now.Sub(start), at.Sub(start), result, err)
			}
			if !duplicate {
				taken[id] = now
			}
		}
	})
}

func TestWhatIsNotTakenIsNotRemembered(t *testing.T) {
	n := newNamespace(t, Options{Queues: []Queue{{Name: "q", DuplicateWindow: time.Minute}}})
	node, _ := n.Target("q")
	broken := errors.New("cannot be encoded")
	_, err := n.Publish(start, node, Submission{MessageID: "a", Encode: func(map[string]any) (*queues.Message, error) { return nil, broken }})
	if !errors.Is(err, broken) {
		t.Fatal(err)
	}
	var annotations map[string]any
	result, err := n.Publish(start, node, Submission{MessageID: "a", Encode: func(a map[string]any) (*queues.Message, error) {
		annotations = a
		return plain(nil)
	}})
	if err != nil || result.Queues != 1 {
		t.Errorf("%+v, %v", result, err)
	}
	if diff := cmp.Diff(map[string]any{sequenceNumber: int64(1), enqueuedTime: start}, annotations); diff != "" {
		t.Error(diff)
	}
}

func TestHubForgetsTheOldest(t *testing.T) {
	n := newNamespace(t, Options{Hubs: []Hub{{Name: "h", Retention: 3}}})
	to, _ := n.Target("h")
	for range 5 {
		if _, err := n.Publish(start, to, Submission{Encode: plain}); err != nil {
			t.Fatal(err)
		}
	}
	from, _ := n.Source("h/consumergroups/$default/partitions/0")
	for filter, want := range map[string]int{
		"": 3, "amqp.annotation.x-opt-offset > '3'": 1, "amqp.annotation.x-opt-sequence-number >= '3'": 2, "amqp.annotation.x-opt-offset > '@latest'": 0,
		"amqp.annotation.x-opt-enqueued-time > '" + fmt.Sprint(start.UnixMilli()-1) + "'": 3, "amqp.annotation.x-opt-offset > '-1'": 3,
	} {
		name, temporary, err := n.Queue(start, 1, from, filter)
		if err != nil || !temporary {
			t.Fatal(err)
		}
		c, refusal := n.store.Consume(1, name, queues.ConsumerSpec{})
		if refusal != nil {
			t.Fatal(refusal)
		}
		c.Demand(start, 100)
		if got := c.Assigned(); got != want {
			t.Errorf("%q: %d events, want %d", filter, got, want)
		}
	}
}

func TestWatchBoundsTokens(t *testing.T) {
	w := newNamespace(t, Options{}).Watch(start, false)
	for i := range maxAudiences {
		if !w.grant(fmt.Sprint(i), start) {
			t.Fatal(i)
		}
	}
	if w.grant("one more", start) || !w.grant("7", start.Add(1)) {
		t.Error("the bound is not held, or keeps a token from being renewed")
	}
}
