package client

import (
	"context"
	"errors"
	"fmt"
	"os"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"sluice/amqp"
	"sluice/amqp/message"
	"sluice/amqp/topology"
)

// artemisURL is a real ActiveMQ Artemis. Tests that need it fail without.
func artemisURL(t testing.TB) string {
	t.Helper()
	url := os.Getenv("SLUICE_TEST_ARTEMIS_URL")
	if url == "" {
		t.Fatal("SLUICE_TEST_ARTEMIS_URL is not set; scripts/services up artemis starts one, and scripts/services env prints it")
	}
	topicPrefix, tellsRedelivered = topology.DefaultRoot+".", false
	t.Cleanup(func() { topicPrefix, tellsRedelivered = "/exchanges/amq.topic/", true })
	return url
}

func openArtemis(t testing.TB) *Client {
	t.Helper()
	return open(t, Options{URLs: []string{artemisURL(t)}})
}

// What every bus does alike.
func TestArtemisAsAnyBus(t *testing.T) {
	for _, tt := range []struct {
		name string
		f    func(*testing.T, string)
	}{
		{"ManualCreditIsExact", testManualCreditIsExact},
		{"ReleaseRestoresPosition", testReleaseRestoresPosition},
		{"ToppedUpCredit", testToppedUpCredit},
		{"ManyReceiversOverSessions", testManyReceiversOverSessions},
		{"CutConnection", testCutConnection},
		{"SingleActiveHandsOverInOrder", testSingleActiveHandsOverInOrder},
		{"PrepareMakesMissingInbox", testPrepareMakesMissingInbox},
		{"MissingInboxWithoutPrepare", testMissingInboxWithoutPrepare},
		{"NoCallAfterClose", testNoCallAfterClose},
		{"SessionRotation", testSessionRotation},
		{"PipelinedPublishesKeepOrder", testPipelinedPublishesKeepOrder},
		{"SettledFailureHarmsNobodyElse", testSettledFailureHarmsNobodyElse},
		{"CutWhilePublishingLosesNothing", testCutWhilePublishingLosesNothing},
		{"OutageIsToldAndOvercome", testOutageIsToldAndOvercome},
		{"SilentBusIsGivenUp", testSilentBusIsGivenUp},
		{"RemovingAnInboxThatIsBeingLeftHarmsNobody", testRemovingAnInboxThatIsBeingLeftHarmsNobody},
	} {
		t.Run(tt.name, func(t *testing.T) { tt.f(t, artemisURL(t)) })
	}
}

func TestArtemisIsFoundByItsProduct(t *testing.T) {
	c := openArtemis(t)
	if info := c.Info(); info.Product != "apache-activemq-artemis" || info.Version == "" || c.family.kind != topology.Diverts {
		t.Errorf("Info %+v, kind %s", info, c.family.kind)
	}
}

func TestArtemisOutcomes(t *testing.T) {
	c := openArtemis(t)
	there := newInbox(t, c, amqp.Inbox{})
	for _, tt := range []struct {
		name, to string
		want     message.OutcomeKind
	}{
		{"a topic with a subscriber", to(there), message.Accepted},
		{"a topic that nobody subscribes", to(uniqueName(t)), message.Accepted}, // it has no word for that
		{"an inbox", c.InboxAddress(there), message.Accepted},
		{"no such inbox", c.InboxAddress(uniqueName(t)), message.Released},
		{"a wildcard", to("a.*"), message.Rejected},
	} {
		if o := publish(t, c, 0, textMessage(tt.to, tt.name)); o.Kind != tt.want {
			t.Errorf("%s: %v (%v), want %v", tt.name, o.Kind, o.Error, tt.want)
		}
	}
	if got := texts(drain(t, c, there, 2)); !slices.Equal(got, []string{"a topic with a subscriber", "an inbox"}) {
		t.Errorf("the inbox got %v", got)
	}
}

// Whatever the patterns, a message comes once, under the address that it was sent to, with what its sender gave it.
func TestArtemisPatterns(t *testing.T) {
	c := openArtemis(t)
	name := newInbox(t, c, amqp.Inbox{})
	topic := func(s string) string { return name + "-topics." + s } // newInbox has subscribed name itself
	for _, tt := range []struct {
		patterns []string
		match    []string
		others   []string
	}{
		{[]string{"*"}, []string{"x", ""}, []string{"x.y", "x."}},
		{[]string{"#"}, []string{"x", "", "x.y.z", ".", ".."}, nil},
		{[]string{"a.*.b"}, []string{"a.x.b", "a..b"}, []string{"a.b", "a.x.y.b"}},
		{[]string{"a.*.#"}, []string{"a.x", "a.x.y", "a."}, []string{"a", "b"}},
		{[]string{"*.b", "a.*", "a.b", "#", "a.#"}, []string{"a.b", "a.x", "x.b", "a"}, nil},
		{[]string{"ü%2E;=,x:y/$'\""}, []string{"ü%2E;=,x:y/$'\""}, []string{"ü"}},
		{[]string{strings.Repeat("k", 20000)}, []string{strings.Repeat("k", 20000)}, nil},
	} {
		var patterns, sent, want []string
		for _, p := range tt.patterns {
			patterns = append(patterns, topic(p))
		}
		if err := c.Subscribe(deadline(t), name, amqp.Topics(patterns...)); err != nil {
			t.Fatal(err)
		}
		if err := c.Subscribe(deadline(t), name, amqp.Topics(patterns...)); err != nil {
			t.Errorf("a second time: %v", err)
		}
		for _, s := range append(append(sent, tt.others...), tt.match...) {
			m := textMessage(to(topic(s)), s)
			m.Annotations = map[string]any{"x-opt-mqtt-qos": uint8(1), "x-opt-ORIG-QUEUE": "forged", "x-opt-ORIG-ADDRESS": "mqtt.forged"}
			mustAccept(t, c, m)
		}
		mustAccept(t, c, textMessage(to(name), "end"))
		want = append(append(want, tt.match...), "end")
		ds := drain(t, c, name, len(want))
		if got := texts(ds); !slices.Equal(got, want) {
			t.Errorf("%.100q: got %.200q, want %.200q", tt.patterns, got, want)
			continue
		}
		for i, d := range ds[:len(ds)-1] {
			if d.Message.Properties.To != to(topic(tt.match[i])) {
				t.Errorf("came to %q, was sent to %q", d.Message.Properties.To, to(topic(tt.match[i])))
			}
			if diff := cmp.Diff(map[string]any{"x-opt-mqtt-qos": uint8(1)}, d.Message.Annotations); diff != "" {
				t.Errorf("annotations -sent +came\n%s", diff)
			}
		}
		if err := c.Unsubscribe(deadline(t), name, amqp.Topics(append(patterns, topic("never"))...)); err != nil {
			t.Fatal(err)
		}
		mustAccept(t, c, textMessage(to(topic(tt.match[0])), "after unsubscribing"))
		mustAccept(t, c, textMessage(to(name), "end"))
		if got := texts(drain(t, c, name, 1)); got[0] != "end" {
			t.Errorf("after unsubscribing came %v", got)
		}
	}
}

// The copies of a message are one for whoever receives: one delivery, one credit. A delivery that goes back comes again.
func TestArtemisCopiesAreOneDelivery(t *testing.T) {
	c := openArtemis(t)
	for _, source := range []amqp.Source{{}, {Credit: 4}, {Settled: true, Credit: 4}} {
		name := newInbox(t, c, amqp.Inbox{SingleActive: true})
		source.Inbox = name
		wild := "*.*" + name[strings.LastIndexByte(name, '.'):] // for it alone: others use the broker too
		if err := c.Subscribe(deadline(t), name, amqp.Topics(name+".#", "#."+name, wild)); err != nil {
			t.Fatal(err)
		}
		fill(t, c, name, 10)
		r := &recorder{}
		rcv := c.Attach(source, r)
		r.waitAttached(t, 1)
		if source.Credit == 0 {
			rcv.IssueCredit(3)
			ds := r.waitDeliveries(t, 3)
			rcv.Settle(ds[1].Tag, message.Outcome{Kind: message.Released})
			rcv.Settle(ds[0].Tag, message.Outcome{Kind: message.Released})
			rcv.IssueCredit(2)
			if got := texts(r.waitDeliveries(t, 5)); !slices.Equal(got, []string{"0", "1", "2", "0", "1"}) {
				t.Errorf("got %v", got)
			}
			closeReceiver(t, rcv)
			if got := texts(drain(t, c, name, 10)); !slices.Equal(got, numbers(0, 10)) {
				t.Errorf("after Close came %v", got)
			}
			continue
		}
		seen := 0
		eventually(t, "all have come", func() error {
			_, _, ds := r.snapshot()
			for _, d := range ds[seen:] {
				rcv.Settle(d.Tag, message.Outcome{Kind: message.Accepted})
			}
			if seen = len(ds); seen < 10 {
				return fmt.Errorf("%d have", seen)
			}
			return nil
		})
		closeReceiver(t, rcv)
		_, _, ds := r.snapshot()
		if got := texts(ds); !slices.Equal(got, numbers(0, 10)) {
			t.Errorf("%+v: got %v", source, got)
		}
		if ds[9].More { // the copies behind it are dropped, and whoever is told of more waits for it
			t.Error("the last one says that there is another one")
		}
	}
}

// As on any bus, but for undeliverable-here: another receiver gets such a message, and it waits for one.
func TestArtemisSettleKinds(t *testing.T) {
	c := openArtemis(t)
	name := newInbox(t, c, amqp.Inbox{SingleActive: true})
	fill(t, c, name, 5)
	r := &recorder{}
	rcv := c.Attach(amqp.Source{Inbox: name}, r)
	r.waitAttached(t, 1)
	rcv.IssueCredit(5)
	ds := r.waitDeliveries(t, 5)
	for i, o := range []message.Outcome{
		{Kind: message.Accepted},
		{Kind: message.Rejected, Error: &message.Error{Condition: "sluice:test", Description: "no"}},
		{Kind: message.Released},
		{Kind: message.Modified, DeliveryFailed: true},
		{Kind: message.Modified, UndeliverableHere: true},
	} {
		rcv.Settle(ds[i].Tag, o)
	}
	closeReceiver(t, rcv)
	got := drain(t, c, name, 3)
	if !slices.Equal(texts(got), []string{"2", "3", "4"}) || !got[0].Redelivered || !got[1].Redelivered {
		t.Errorf("back came %v, redelivered %v and %v", texts(got), got[0].Redelivered, got[1].Redelivered)
	}
	eventually(t, "the rejected one is a dead letter", func() error {
		if dead := deadLetters(t, c, name); dead != 1 {
			return fmt.Errorf("%v dead letters", dead)
		}
		return nil
	})
}

func TestArtemisTopology(t *testing.T) {
	c := openArtemis(t)
	ctx := deadline(t)
	inbox := amqp.Inbox{Name: uniqueName(t) + "*#,:ü"[:4], Expires: 60000, MaxLength: 1000, DropOldest: true, SingleActive: true}
	if err := c.Subscribe(ctx, inbox.Name, amqp.Topics("a")); !errors.Is(err, amqp.ErrNotFound) {
		t.Errorf("subscribing a missing inbox: %v", err)
	}
	if err := c.EnsureInbox(ctx, inbox); err != nil {
		t.Fatal(err)
	}
	removeLater(t, c, inbox.Name)
	if err := c.EnsureInbox(ctx, inbox); err != nil {
		t.Errorf("a second time: %v", err)
	}
	for _, change := range []func(*amqp.Inbox){
		func(i *amqp.Inbox) { i.Expires = 70000 }, func(i *amqp.Inbox) { i.MaxLength = 999 }, func(i *amqp.Inbox) { i.SingleActive = false },
	} {
		other := inbox
		change(&other)
		if err := c.EnsureInbox(ctx, other); !errors.Is(err, amqp.ErrConflict) || !strings.Contains(err.Error(), `"auto-delete-delay":60000`) {
			t.Errorf("with other arguments: %v", err)
		}
	}
	if err := c.Subscribe(ctx, inbox.Name, amqp.Topics("left.#")); err != nil {
		t.Fatal(err)
	}
	if err := c.Subscribe(ctx, inbox.Name, amqp.Topics("a::b")); !errors.Is(err, amqp.ErrRefused) {
		t.Errorf("a pattern with a full queue name: %v", err)
	}
	if err := c.DeleteInbox(ctx, inbox.Name); err != nil {
		t.Error(err)
	}
	if err := c.DeleteInbox(ctx, inbox.Name); err != nil {
		t.Errorf("removing an absent inbox: %v", err)
	}
	if err := c.Unsubscribe(ctx, inbox.Name, amqp.Topics("x")); err != nil {
		t.Errorf("unsubscribing an absent inbox: %v", err)
	}
	if left := divertsLeft(t, c, inbox.Name); len(left) > 0 {
		t.Errorf("left over: %v", left)
	}
	if o := publish(t, c, 0, textMessage(c.InboxAddress(inbox.Name), "x")); o.Kind != message.Released {
		t.Errorf("to the removed inbox: %v", o.Kind)
	}
}

// deadLetters counts the messages of an inbox at the broker's dead letter address, which our settings for inboxes leave as
// it is. Every test of the broker shares that address.
func deadLetters(t testing.TB, c *Client, inbox string) float64 {
	t.Helper()
	filter := fmt.Sprintf("_AMQ_ORIG_QUEUE LIKE '%%%s'", inbox)
	responses, err := c.management.Do(deadline(t), []topology.Request{{Method: "countMessages", Path: "queue.DLQ", Body: []any{filter}}})
	if err != nil || responses[0].Status != 200 {
		t.Fatal(responses, err)
	}
	return responses[0].Body.(float64)
}

// divertsLeft names the diverts of an inbox.
func divertsLeft(t testing.TB, c *Client, inbox string) (left []string) {
	t.Helper()
	for _, name := range ask(t, c, "getDivertNames").([]any) {
		if strings.Contains(name.(string), strings.TrimRight(inbox, "*#,:")) {
			left = append(left, name.(string))
		}
	}
	return left
}

// ask performs one operation of the broker.
func ask(t testing.TB, c *Client, operation string, arguments ...any) any {
	t.Helper()
	if arguments == nil {
		arguments = []any{}
	}
	responses, err := c.management.Do(deadline(t), []topology.Request{{Method: operation, Path: "broker", Body: arguments}})
	if err != nil || responses[0].Status != 200 {
		t.Fatalf("%s: %v %v", operation, responses, err)
	}
	return responses[0].Body
}

// What is left of an inbox that the bus has removed by itself goes with the next sweep, or when it is made again.
func TestArtemisSweep(t *testing.T) {
	c := openArtemis(t)
	keep := newInbox(t, c, amqp.Inbox{})
	expired, again := newInbox(t, c, amqp.Inbox{}), newInbox(t, c, amqp.Inbox{})
	queue := func(inbox string) string { return strings.Split(c.InboxAddress(inbox), "::")[0] }
	for _, name := range []string{expired, again} {
		ask(t, c, "destroyQueue", queue(name), true, true) // as an expiry would
	}
	if err := c.EnsureInbox(deadline(t), amqp.Inbox{Name: again}); err != nil {
		t.Fatal(err)
	}
	if left := divertsLeft(t, c, again); len(left) > 0 {
		t.Errorf("the new inbox inherits %v", left)
	}
	if err := c.Subscribe(deadline(t), again, amqp.Topics(again)); err != nil {
		t.Fatal(err)
	}
	if err := c.family.Sweep(deadline(t)); err != nil {
		t.Fatal(err)
	}
	if a, b, k := divertsLeft(t, c, expired), divertsLeft(t, c, again), divertsLeft(t, c, keep); len(a) != 0 || len(b) != 1 || len(k) != 1 {
		t.Errorf("left after the sweep: %v, %v and %v", a, b, k)
	}
	fill(t, c, keep, 1)
	fill(t, c, again, 1)
	drain(t, c, keep, 1)
	drain(t, c, again, 1)
}

// The oldest make room for the newest, and no sender is refused.
func TestArtemisDropsTheOldest(t *testing.T) {
	c := openArtemis(t)
	name := newInbox(t, c, amqp.Inbox{MaxLength: 5, DropOldest: true})
	fill(t, c, name, 20)
	if got := texts(drain(t, c, name, 5)); !slices.Equal(got, numbers(15, 20)) {
		t.Errorf("left were %v", got)
	}
}

// What makes QoS 2 exactly-once: a message that is sent again under the same id is accepted and not delivered again.
func TestArtemisDuplicateID(t *testing.T) {
	c := openArtemis(t)
	name := newInbox(t, c, amqp.Inbox{})
	for i := range 3 {
		m := textMessage(to(name), fmt.Sprint(i))
		m.ApplicationProperties = map[string]any{"_AMQ_DUPL_ID": name + fmt.Sprint(i/2)}
		mustAccept(t, c, m)
	}
	if got := texts(drain(t, c, name, 2)); !slices.Equal(got, []string{"0", "2"}) {
		t.Errorf("came %v", got)
	}
}

// With such ids nothing is lost and nothing comes twice, though connections break while sends are in flight and every send without an answer is
// repeated.
func TestArtemisExactlyOnce(t *testing.T) {
	const n, cuts = 2000, 5
	url := artemisURL(t)
	proxy := newFaultProxy()
	steady := open(t, Options{URLs: []string{url}})
	name := newInbox(t, steady, amqp.Inbox{})
	c := open(t, Options{URLs: []string{url}, Dial: proxy.dial, Connections: 1, Lanes: 1})
	lost, cut := 0, 0 // messages before number cut have seen their connection break
	for next := 0; next < n; {
		batch := min(n/cuts, n-next)
		kinds := make([]message.OutcomeKind, batch)
		for pending := batch; pending > 0; {
			outcomes := make(chan func(), batch)
			sent := 0
			for i, kind := range kinds {
				if kind == message.Accepted {
					continue
				}
				m := textMessage(to(name), fmt.Sprint(next+i))
				m.ApplicationProperties = map[string]any{"_AMQ_DUPL_ID": fmt.Sprint(name, next+i)}
				sent++
				c.Publish(0, m, false, func(o message.Outcome) { outcomes <- func() { kinds[i] = o.Kind } })
				if i == batch/2 && cut <= next {
					proxy.cut()
					cut = next + batch
				}
			}
			for range sent {
				(<-outcomes)()
			}
			pending = 0
			for _, kind := range kinds {
				if kind == message.Lost {
					lost++
				}
				if kind != message.Accepted {
					pending++
				}
			}
			eventually(t, "the client is ready again", func() error { return c.Ready(deadline(t)) })
		}
		next += batch
	}
	if lost == 0 {
		t.Error("no send was without an answer, so that this shows nothing")
	}
	mustAccept(t, steady, textMessage(to(name), "end"))
	seen := map[string]int{}
	for _, d := range drain(t, steady, name, n+1) {
		seen[text(d)]++
	}
	if len(seen) != n+1 {
		t.Errorf("%d different messages have come, want %d", len(seen), n+1)
	}
	for s, times := range seen {
		if times != 1 {
			t.Errorf("message %s came %d times", s, times)
		}
	}
}

// An operation that fails leaves the pair of links as it is, and says what failed.
func TestArtemisFailedOperations(t *testing.T) {
	c := openArtemis(t)
	requests := []topology.Request{
		{Method: "nosuch", Path: "broker", Body: []any{}}, {Method: "getConsumerCount", Path: "queue.nosuch", Body: []any{}},
		{Method: "getQueueNames", Path: "broker", Body: []any{}},
	}
	responses, err := c.management.Do(deadline(t), requests)
	if err != nil {
		t.Fatal(err)
	}
	for i, want := range []int{500, 500, 200} {
		if responses[i].Status != want {
			t.Errorf("%s: %v", requests[i].Method, responses[i])
		}
	}
	if err := c.family.ready(); err != nil {
		t.Error(err)
	}
}

// Before the bus has been heard of nothing is guessed: operations wait for it.
func TestArtemisOutOfReach(t *testing.T) {
	proxy := newFaultProxy()
	proxy.setRefuse(true)
	c, err := Open(Options{URLs: []string{artemisURL(t)}, Dial: proxy.dial})
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = c.Close(context.Background()) }()
	name := uniqueName(t)
	done := make(chan error, 1)
	go func() { done <- c.EnsureInbox(deadline(t), amqp.Inbox{Name: name}) }()
	proxy.setRefuse(false)
	if err := <-done; err != nil {
		t.Fatal(err)
	}
	if err := c.DeleteInbox(deadline(t), name); err != nil {
		t.Fatal(err)
	}
}
