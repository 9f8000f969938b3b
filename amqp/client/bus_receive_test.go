package client

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"sync/atomic"
	"testing"

	"sluice/amqp"
	"sluice/amqp/message"
)

func numbers(from, to int) (all []string) {
	for i := from; i < to; i++ {
		all = append(all, fmt.Sprint(i))
	}
	return all
}

// fill sends the messages "0" to "n-1" to an inbox of newInbox.
func fill(t testing.TB, c *Client, name string, n int) {
	t.Helper()
	for i := range n {
		mustAccept(t, c, textMessage(to(name), fmt.Sprint(i)))
	}
}

func TestManualCreditIsExact(t *testing.T) { eachBus(t, testManualCreditIsExact) }

func testManualCreditIsExact(t *testing.T, url string) {
	c := open(t, Options{URLs: []string{url}})
	name := newInbox(t, c, amqp.Inbox{})
	fill(t, c, name, 10)
	r := &recorder{}
	rcv := c.Attach(amqp.Source{Inbox: name}, r)
	r.waitAttached(t, 1)
	rcv.IssueCredit(3)
	r.waitDeliveries(t, 3)
	// Another receiver gets the fourth, so that it is certain that the first was not sent it.
	other := &recorder{}
	rcv2 := c.Attach(amqp.Source{Inbox: name}, other)
	other.waitAttached(t, 1)
	rcv2.IssueCredit(7)
	if got := texts(other.waitDeliveries(t, 7)); !slices.Equal(got, numbers(3, 10)) {
		t.Errorf("the second receiver got %v", got)
	}
	if got := texts(r.waitDeliveries(t, 3)); !slices.Equal(got, numbers(0, 3)) {
		t.Errorf("3 credits brought %v", got)
	}
	closeReceiver(t, rcv)
	closeReceiver(t, rcv2)
}

// On a classic queue of 4.3.6 a released message goes back to its old place, whatever the order of releasing, and comes again with
// first-acquirer false; the first delivery has it true.
func TestReleaseRestoresPosition(t *testing.T) { eachBus(t, testReleaseRestoresPosition) }

func testReleaseRestoresPosition(t *testing.T, url string) {
	c := open(t, Options{URLs: []string{url}})
	name := newInbox(t, c, amqp.Inbox{})
	fill(t, c, name, 10)
	r := &recorder{}
	rcv := c.Attach(amqp.Source{Inbox: name}, r)
	r.waitAttached(t, 1)
	rcv.IssueCredit(5)
	first := r.waitDeliveries(t, 5)
	for _, d := range first {
		if d.Redelivered {
			t.Errorf("%s is redelivered at first", text(d))
		}
	}
	released := message.Outcome{Kind: message.Released}
	rcv.Settle(first[3].Tag, released)
	rcv.Settle(first[1].Tag, released)
	rcv.IssueCredit(3)
	again := r.waitDeliveries(t, 8)[5:]
	if got := texts(again); !slices.Equal(got, []string{"1", "3", "5"}) {
		t.Errorf("after releasing 3 and 1 came %v", got)
	}
	if tellsRedelivered && (!again[0].Redelivered || !again[1].Redelivered) || again[2].Redelivered {
		t.Error("redelivered is not told")
	}
	closeReceiver(t, rcv)
	if got := texts(drain(t, c, name, 10)); !slices.Equal(got, numbers(0, 10)) {
		t.Errorf("after Close came %v", got)
	}
}

// drain accepts n messages through a receiver of its own.
func drain(t testing.TB, c *Client, name string, n int) []amqp.Delivery {
	t.Helper()
	r := &recorder{again: true}
	rcv := c.Attach(amqp.Source{Inbox: name}, r)
	r.waitAttached(t, 1)
	rcv.IssueCredit(uint32(n))
	ds := r.waitDeliveries(t, n)
	for _, d := range ds {
		rcv.Settle(d.Tag, message.Outcome{Kind: message.Accepted})
	}
	closeReceiver(t, rcv)
	return ds
}

func TestSettleKinds(t *testing.T) { eachBus(t, testSettleKinds) }

func testSettleKinds(t *testing.T, url string) {
	c := open(t, Options{URLs: []string{url}})
	name := newInbox(t, c, amqp.Inbox{})
	fill(t, c, name, 5)
	r := &recorder{}
	rcv := c.Attach(amqp.Source{Inbox: name}, r)
	r.waitAttached(t, 1)
	rcv.IssueCredit(5)
	ds := r.waitDeliveries(t, 5)
	for i, o := range []message.Outcome{
		{Kind: message.Accepted},
		{Kind: message.Rejected, Error: &message.Error{Condition: "sluice:test", Description: "no", Info: map[string]any{"code": uint8(0x83)}}},
		{Kind: message.Released},
		{Kind: message.Modified, DeliveryFailed: true, Annotations: map[string]any{"x-opt-test": "1"}},
		{Kind: message.Modified, UndeliverableHere: true},
	} {
		rcv.Settle(ds[i].Tag, o)
		rcv.Settle(ds[i].Tag, message.Outcome{Kind: message.Accepted}) // the second settlement is ignored
	}
	closeReceiver(t, rcv)
	got := drain(t, c, name, 2)
	if !slices.Equal(texts(got), []string{"2", "3"}) {
		t.Errorf("back came %v, want what was released and modified delivery-failed", texts(got))
	}
	fill(t, c, name, 1) // nothing older is left
	if got := texts(drain(t, c, name, 1)); !slices.Equal(got, []string{"0"}) {
		t.Errorf("left over were %v", got)
	}
}

func TestToppedUpCredit(t *testing.T) { eachBus(t, testToppedUpCredit) }

func testToppedUpCredit(t *testing.T, url string) {
	c := open(t, Options{URLs: []string{url}})
	name := newInbox(t, c, amqp.Inbox{})
	fill(t, c, name, 100)
	r := &recorder{}
	var rcv amqp.Receiver
	var mu sync.Mutex
	mu.Lock()
	r.onDelivery = func(d amqp.Delivery) {
		mu.Lock()
		defer mu.Unlock()
		rcv.Settle(d.Tag, message.Outcome{Kind: message.Accepted})
	}
	rcv = c.Attach(amqp.Source{Inbox: name, Credit: 10}, r)
	mu.Unlock()
	if got := texts(r.waitDeliveries(t, 100)); !slices.Equal(got, numbers(0, 100)) {
		t.Errorf("got %v", got)
	}
	closeReceiver(t, rcv)
}

func TestManyReceiversOverSessions(t *testing.T) { eachBus(t, testManyReceiversOverSessions) }

func testManyReceiversOverSessions(t *testing.T, url string) {
	const n = 310
	c := open(t, Options{URLs: []string{url}, ReceiveConnections: 1})
	names := make([]string, n)
	receivers := make([]amqp.Receiver, n)
	recorders := make([]*recorder, n)
	for i := range n {
		names[i] = newInbox(t, c, amqp.Inbox{})
		recorders[i] = &recorder{}
		receivers[i] = c.Attach(amqp.Source{Inbox: names[i]}, recorders[i])
	}
	for i := range n {
		recorders[i].waitAttached(t, 1)
		receivers[i].IssueCredit(1)
	}
	sessions, links := 0, 0
	c.pool.mu.Lock()
	for _, s := range c.pool.conns[0].slots {
		sessions++
		links += s.links
	}
	c.pool.mu.Unlock()
	if sessions < n/spreadLinks || links != n {
		t.Errorf("%d links on %d sessions", links, sessions)
	}
	for i := range n {
		c.Publish(uint32(i), textMessage(to(names[i]), names[i]), false, func(o message.Outcome) {
			if o.Kind != message.Accepted {
				t.Errorf("outcome %v", o)
			}
		})
	}
	for i := range n {
		if got := texts(recorders[i].waitDeliveries(t, 1)); got[0] != names[i] {
			t.Errorf("receiver %d got %v", i, got)
		}
	}
	for _, r := range receivers {
		closeReceiver(t, r)
	}
}

func TestCutConnection(t *testing.T) { eachBus(t, testCutConnection) }

func testCutConnection(t *testing.T, url string) {
	proxy := newFaultProxy()
	c := open(t, Options{URLs: []string{url}, Dial: proxy.dial})
	steady := open(t, Options{URLs: []string{url}})
	name := newInbox(t, steady, amqp.Inbox{SingleActive: true})
	fill(t, steady, name, 20)
	r := &recorder{again: true}
	rcv := c.Attach(amqp.Source{Inbox: name}, r)
	r.waitAttached(t, 1)
	rcv.IssueCredit(10)
	first := r.waitDeliveries(t, 10)
	for _, d := range first[:4] {
		rcv.Settle(d.Tag, message.Outcome{Kind: message.Accepted})
	}
	rcv.IssueCredit(1) // goes behind the settlements, so that they have been seen when it is answered
	r.waitDeliveries(t, 11)
	proxy.cut()
	r.waitAttached(t, 2)
	rcv.Settle(first[4].Tag, message.Outcome{Kind: message.Accepted}) // of a link that is gone: ignored
	rcv.IssueCredit(16)
	ds := r.waitDeliveries(t, 27)
	if got := texts(ds[11:]); !slices.Equal(got, numbers(4, 20)) {
		t.Errorf("after the cut came %v", got)
	}
	tags := map[uint64]bool{}
	for i, d := range ds {
		if tags[d.Tag] {
			t.Errorf("tag %d came twice", d.Tag)
		}
		tags[d.Tag] = true
		if want := i >= 11 && i < 18; d.Redelivered != want && (tellsRedelivered || !want) {
			t.Errorf("delivery %d (%s): redelivered %v", i, text(d), d.Redelivered)
		}
	}
	if r.overlapped {
		t.Error("handler calls overlapped")
	}
	closeReceiver(t, rcv)
}

// A second consumer of a queue with x-single-active-consumer takes over what the first had unsettled, in the original order, both when the first
// closes and when it dies. It is what fences two nodes that own a session one after the other.
func TestSingleActiveHandsOverInOrder(t *testing.T) { eachBus(t, testSingleActiveHandsOverInOrder) }

func testSingleActiveHandsOverInOrder(t *testing.T, url string) {
	for _, how := range []string{"close", "die"} {
		t.Run(how, func(t *testing.T) {
			proxy := newFaultProxy()
			first := open(t, Options{URLs: []string{url}, Dial: proxy.dial})
			second := open(t, Options{URLs: []string{url}})
			name := newInbox(t, second, amqp.Inbox{SingleActive: true})
			fill(t, second, name, 20)
			r1, r2 := &recorder{}, &recorder{}
			rcv1 := first.Attach(amqp.Source{Inbox: name}, r1)
			r1.waitAttached(t, 1)
			rcv1.IssueCredit(7)
			r1.waitDeliveries(t, 7)
			rcv2 := second.Attach(amqp.Source{Inbox: name}, r2)
			r2.waitAttached(t, 1)
			rcv2.IssueCredit(20)
			if _, _, got := r2.snapshot(); len(got) > 0 {
				t.Errorf("the waiting consumer got %v", texts(got))
			}
			if how == "close" {
				closeReceiver(t, rcv1)
			} else {
				proxy.setRefuse(true)
				proxy.cut()
			}
			if got := texts(r2.waitDeliveries(t, 20)); !slices.Equal(got, numbers(0, 20)) {
				t.Errorf("the second consumer got %v", got)
			}
			closeReceiver(t, rcv1)
			closeReceiver(t, rcv2)
		})
	}
}

func TestPrepareMakesMissingInbox(t *testing.T) { eachBus(t, testPrepareMakesMissingInbox) }

func testPrepareMakesMissingInbox(t *testing.T, url string) {
	c := open(t, Options{URLs: []string{url}})
	name := uniqueName(t)
	removeLater(t, c, name)
	var prepared atomic.Int32
	r := &recorder{again: true}
	rcv := c.Attach(amqp.Source{Inbox: name, Prepare: func(ctx context.Context) error {
		prepared.Add(1)
		if err := c.EnsureInbox(ctx, amqp.Inbox{Name: name}); err != nil {
			return err
		}
		return c.Subscribe(ctx, name, amqp.Topics(name))
	}}, r)
	r.waitAttached(t, 1)
	if _, detached, _ := r.snapshot(); prepared.Load() != 1 || len(detached) != 0 {
		t.Errorf("prepared %d times, detached %v", prepared.Load(), detached)
	}
	// The inbox is removed under the link: Detached hears of it, and it is made again.
	if err := c.DeleteInbox(deadline(t), name); err != nil {
		t.Fatal(err)
	}
	r.waitAttached(t, 2)
	if _, detached, _ := r.snapshot(); len(detached) != 1 || !errors.Is(detached[0], amqp.ErrNotFound) || prepared.Load() != 2 {
		t.Errorf("prepared %d times, detached %v", prepared.Load(), detached)
	}
	rcv.IssueCredit(1)
	mustAccept(t, c, textMessage(to(name), "hello"))
	r.waitDeliveries(t, 1)
	closeReceiver(t, rcv)
}

func TestMissingInboxWithoutPrepare(t *testing.T) { eachBus(t, testMissingInboxWithoutPrepare) }

func testMissingInboxWithoutPrepare(t *testing.T, url string) {
	c := open(t, Options{URLs: []string{url}})
	r := &recorder{}
	rcv := c.Attach(amqp.Source{Inbox: uniqueName(t)}, r)
	eventually(t, "Detached is told", func() error {
		if _, detached, _ := r.snapshot(); len(detached) == 0 {
			return errors.New("not yet")
		} else if !errors.Is(detached[0], amqp.ErrNotFound) {
			t.Fatalf("Detached(%v)", detached[0])
		}
		return nil
	})
	closeReceiver(t, rcv)
	if attached, detached, _ := r.snapshot(); attached != 0 || len(detached) != 1 {
		t.Errorf("attached %d times, detached %v", attached, detached)
	}
}

func TestNoCallAfterClose(t *testing.T) { eachBus(t, testNoCallAfterClose) }

func testNoCallAfterClose(t *testing.T, url string) {
	c := open(t, Options{URLs: []string{url}})
	name := newInbox(t, c, amqp.Inbox{})
	fill(t, c, name, 200)
	r := &recorder{}
	rcv := c.Attach(amqp.Source{Inbox: name}, r)
	r.waitAttached(t, 1)
	rcv.IssueCredit(200)
	r.waitDeliveries(t, 1)
	closeReceiver(t, rcv)
	attached, detached, before := r.snapshot()
	drain(t, c, name, 200)
	if a, d, after := r.snapshot(); a != attached || len(d) != len(detached) || len(after) != len(before) {
		t.Error("the handler was called after Close")
	}
}

func TestSessionRotation(t *testing.T) { eachBus(t, testSessionRotation) }

func testSessionRotation(t *testing.T, url string) {
	c := open(t, Options{URLs: []string{url}, rotate: 50})
	name := newInbox(t, c, amqp.Inbox{})
	r := &recorder{again: true}
	var rcv amqp.Receiver
	var mu sync.Mutex
	mu.Lock()
	r.onAttached = func() {
		mu.Lock()
		defer mu.Unlock()
		rcv.IssueCredit(1000)
	}
	r.onDelivery = func(d amqp.Delivery) {
		mu.Lock()
		defer mu.Unlock()
		rcv.Settle(d.Tag, message.Outcome{Kind: message.Accepted})
	}
	rcv = c.Attach(amqp.Source{Inbox: name}, r)
	mu.Unlock()
	// One lane: what is published while its session is replaced waits for the next.
	var wg sync.WaitGroup
	for i := range 200 {
		wg.Add(1)
		c.Publish(0, textMessage(to(name), fmt.Sprint(i)), false, func(o message.Outcome) {
			defer wg.Done()
			if o.Kind != message.Accepted {
				t.Errorf("message %d: %v", i, o)
			}
		})
	}
	wg.Wait()
	seen := map[string]bool{}
	eventually(t, "all have come", func() error {
		_, _, ds := r.snapshot()
		for _, d := range ds {
			seen[text(d)] = true
		}
		if len(seen) < 200 {
			return fmt.Errorf("%d have", len(seen))
		}
		return nil
	})
	if attached, detached, _ := r.snapshot(); attached != 1 || len(detached) != 0 {
		t.Errorf("a receiver's numbers may wrap, but it attached %d times, detached %v", attached, detached)
	}
	closeReceiver(t, rcv)
}

// A settled delivery says whether another one is there; of those that have come the last one never does.
func TestMoreIsToldOfSettledDeliveries(t *testing.T) { eachBus(t, testMoreIsToldOfSettledDeliveries) }

func testMoreIsToldOfSettledDeliveries(t *testing.T, url string) {
	c := open(t, Options{URLs: []string{url}})
	name := newInbox(t, c, amqp.Inbox{})
	// While the first of each twenty is handed out, the others are sent.
	filled := make(chan struct{})
	r := &recorder{onDelivery: func(d amqp.Delivery) {
		if text(d) == "0" {
			<-filled
		}
	}}
	rcv := c.Attach(amqp.Source{Inbox: name, Settled: true, Credit: 100}, r)
	r.waitAttached(t, 1)
	sent := 0
	eventually(t, "one is told that there are more", func() error {
		fill(t, c, name, 20)
		filled <- struct{}{}
		sent += 20
		got := r.waitDeliveries(t, sent)
		if got[sent-1].More {
			t.Errorf("delivery %d says that there is another one", sent)
		}
		if !slices.ContainsFunc(got, func(d amqp.Delivery) bool { return d.More }) {
			return fmt.Errorf("of %d none is", sent)
		}
		return nil
	})
	_, _, got := r.snapshot()
	for i, d := range got {
		if want := fmt.Sprint(i % 20); text(d) != want {
			t.Fatalf("delivery %d is %s, not %s", i, text(d), want)
		}
	}
	closeReceiver(t, rcv)
}
