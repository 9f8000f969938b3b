package queues

import (
	"fmt"
	"testing"
	"time"
)

func TestOneCopyPerQueue(t *testing.T) {
	s := New(Options{})
	declare(t, s, "q", nil)
	declare(t, s, "p", nil)
	for _, key := range []string{"a.#", "a.*", "#", "a.b"} {
		bind(t, s, "amq.topic", "q", key)
	}
	bind(t, s, "amq.topic", "p", "a.b")
	if got := publish(t, s, start, "amq.topic", "a.b", text("x")); got.Queues != 2 {
		t.Errorf("routed to %d queues, want 2", got.Queues)
	}
	if ready, _ := depth(t, s, "q"); ready != 1 {
		t.Errorf("%d copies, want 1", ready)
	}
	if err := s.Unbind(me, "amq.topic", "q", "#", ""); err != nil {
		t.Fatal(err)
	}
	if got := publish(t, s, start, "amq.topic", "b", text("x")); got.Queues != 0 {
		t.Errorf("routed to %d queues after unbind, want 0", got.Queues)
	}
}

func TestRoundRobin(t *testing.T) {
	s := New(Options{})
	declare(t, s, "q", nil)
	a, b, c := consume(t, s, start, "q", 10), consume(t, s, start, "q", 2), consume(t, s, start, "q", 10)
	for i := range 9 {
		publish(t, s, start, "", "q", text(fmt.Sprint(i)))
	}
	for _, x := range []struct {
		c    *Consumer
		want string
	}{{a, "0 3 6 8"}, {b, "1 4"}, {c, "2 5 7"}} {
		if got := bodies(collect(t, x.c, start)); got != x.want {
			t.Errorf("got %q, want %q", got, x.want)
		}
	}
}

// TestRoundRobinGoesOnWhenOneLeaves: the turn stays where it was.
func TestRoundRobinGoesOnWhenOneLeaves(t *testing.T) {
	s := New(Options{})
	declare(t, s, "q", nil)
	a, b, c := consume(t, s, start, "q", 10), consume(t, s, start, "q", 10), consume(t, s, start, "q", 10)
	publish(t, s, start, "", "q", text("0"))
	publish(t, s, start, "", "q", text("1"))
	collect(t, a, start)
	a.Settle(start, 0, Outcome{Kind: Accepted})
	a.Cancel(start, false)
	publish(t, s, start, "", "q", text("2"))
	if got := bodies(collect(t, c, start)); got != "2" {
		t.Errorf("the consumer whose turn it was got %q", got)
	}
	if got := bodies(collect(t, b, start)); got != "1" {
		t.Errorf("the other got %q", got)
	}
}

func TestSettledConsumerHoldsNothing(t *testing.T) {
	s := New(Options{})
	declare(t, s, "q", nil)
	c, err := s.Consume(me, "q", ConsumerSpec{Settled: true})
	if err != nil {
		t.Fatal(err)
	}
	publish(t, s, start, "", "q", text("a"))
	publish(t, s, start, "", "q", text("b"))
	c.Demand(start, 2)
	if out, _ := c.Collect(start, 1, 1<<30, nil); bodies(out) != "a" {
		t.Fatalf("collected %q", bodies(out))
	}
	c.Cancel(start, true)
	next := consume(t, s, start, "q", 2)
	// b was assigned and never collected: it is not lost and was never seen.
	if got := collect(t, next, start); bodies(got) != "b" || got[0].Redelivered || got[0].DeliveryCount != 0 {
		t.Errorf("got %+v", got)
	}
}

func TestCollectStopsAtBytes(t *testing.T) {
	s := New(Options{})
	declare(t, s, "q", nil)
	c := consume(t, s, start, "q", 10)
	for range 4 {
		publish(t, s, start, "", "q", text("12345"))
	}
	for _, want := range []int{2, 2, 0} {
		if out, _ := c.Collect(start, 10, 6, nil); len(out) != want {
			t.Errorf("collected %d, want %d", len(out), want)
		}
	}
}

func TestSingleActiveConsumer(t *testing.T) {
	s := New(Options{})
	declare(t, s, "q", map[string]any{"x-single-active-consumer": true})
	first, second := consume(t, s, start, "q", 2), consume(t, s, start, "q", 10)
	for i := range 4 {
		publish(t, s, start, "", "q", text(fmt.Sprint(i)))
	}
	if got := bodies(collect(t, first, start)); got != "0 1" {
		t.Errorf("the active consumer got %q", got)
	}
	if got := bodies(collect(t, second, start)); got != "" {
		t.Errorf("the passive consumer got %q", got)
	}
	first.Cancel(start, true)
	got := collect(t, second, start)
	if bodies(got) != "0 1 2 3" || got[0].DeliveryCount != 1 || got[2].Redelivered {
		t.Errorf("the next consumer got %q: %+v", bodies(got), got)
	}
}

func TestMaxLength(t *testing.T) {
	s := New(Options{})
	declare(t, s, "drop", map[string]any{"x-max-length": int32(2), "x-dead-letter-exchange": "", "x-dead-letter-routing-key": "dead"})
	declare(t, s, "refuse", map[string]any{"x-max-length": uint8(2), "x-overflow": "reject-publish"})
	declare(t, s, "bytes", map[string]any{"x-max-length-bytes": 5})
	declare(t, s, "dead", nil)
	for _, queue := range []string{"drop", "refuse", "bytes"} {
		bind(t, s, "amq.fanout", queue, "")
	}
	for i := range 4 {
		got := publish(t, s, start, "amq.fanout", "", text(fmt.Sprint(i, i)))
		want := Result{Queues: 3}
		if i >= 2 {
			want.RefusedBy, want.Reason = "refuse", "maxlen"
		}
		if got != want {
			t.Errorf("message %d: %+v, want %+v", i, got, want)
		}
	}
	for queue, want := range map[string]string{"drop": "2 2 3 3", "refuse": "0 0 1 1", "bytes": "3 3", "dead": "0 0 1 1"} {
		got := collect(t, consume(t, s, start, queue, 10), start)
		if bodies(got) != want {
			t.Errorf("%s: %q, want %q", queue, bodies(got), want)
		}
		if queue == "dead" && got[0].Annotations["x-first-death-reason"] != "maxlen" {
			t.Errorf("dead letter: %v", got[0].Annotations)
		}
	}
	// What consumers hold does not count.
	if got := publish(t, s, start, "", "refuse", text("x")); got.RefusedBy != "" {
		t.Errorf("refused although all are held: %+v", got)
	}
}

func TestExpiry(t *testing.T) {
	s := New(Options{})
	declare(t, s, "q", map[string]any{"x-dead-letter-exchange": "amq.direct", "x-dead-letter-routing-key": "gone"})
	declare(t, s, "dead", nil)
	bind(t, s, "amq.direct", "dead", "gone")
	for i, ttl := range []time.Duration{time.Second, 0, 3 * time.Second} {
		m := text(fmt.Sprint(i))
		m.TTL = ttl
		publish(t, s, start, "", "q", m)
	}
	if next := s.Tick(start); !next.Equal(start.Add(time.Second)) {
		t.Errorf("the next expiry is at %v", next.Sub(start))
	}
	if next := s.Tick(start.Add(time.Second)); !next.IsZero() {
		t.Errorf("a message behind one without expiry is due at %v", next.Sub(start))
	}
	if ready, _ := depth(t, s, "q"); ready != 2 {
		t.Errorf("%d messages left, want 2", ready)
	}
	now := start.Add(2 * time.Second)
	c := consume(t, s, now, "q", 1)
	collect(t, c, now)
	c.Demand(now, 1)
	got := collect(t, c, now)
	if bodies(got) != "2" || got[0].TTL != time.Second {
		t.Errorf("got %q with %v to live", bodies(got), got)
	}
	// One that comes back after its time is not delivered again.
	c.Demand(now, 5)
	c.Settle(start.Add(3*time.Second), got[0].Token, Outcome{Kind: Released})
	if got := collect(t, c, start.Add(3*time.Second)); len(got) != 0 {
		t.Errorf("expired message delivered: %q", bodies(got))
	}
	dead := collect(t, consume(t, s, now, "dead", 5), now)
	if bodies(dead) != "0 2" || dead[0].TTL != 0 || dead[0].Annotations["x-first-death-reason"] != "expired" {
		t.Errorf("dead letters %q: %+v", bodies(dead), dead)
	}
}

// The publisher and the consumer read their clocks at different moments; a message never gains time by it.
func TestTTLDoesNotGrow(t *testing.T) {
	s, now := New(Options{}), time.Now()
	declare(t, s, "q", nil)
	c := consume(t, s, now, "q", 1)
	m := text("1")
	m.TTL = time.Minute
	publish(t, s, now.Add(3*time.Millisecond), "", "q", m)
	if got := collect(t, c, now); len(got) != 1 || got[0].TTL != time.Minute {
		t.Errorf("got %+v, want one delivery with a minute to live", got)
	}
}

func TestQueueTTLAndDeliveryLimit(t *testing.T) {
	s := New(Options{})
	declare(t, s, "q", map[string]any{"x-message-ttl": 1000, "x-delivery-limit": 1})
	publish(t, s, start, "", "q", text("a"))
	c := consume(t, s, start, "q", 10)
	for range 2 {
		got := collect(t, c, start)
		if bodies(got) != "a" {
			t.Fatalf("got %q", bodies(got))
		}
		c.Settle(start, got[0].Token, Outcome{Kind: Modified, DeliveryFailed: true})
	}
	if got := collect(t, c, start); len(got) != 0 {
		t.Errorf("delivered beyond the limit: %q", bodies(got))
	}
	c.Demand(start, 0)
	publish(t, s, start, "", "q", text("b"))
	s.Tick(start.Add(time.Second))
	if snap := s.Snapshot(); snap.Bytes != 0 {
		t.Errorf("%d bytes left", snap.Bytes)
	}
}

func TestDeadLetterCycle(t *testing.T) {
	s := New(Options{})
	declare(t, s, "a", map[string]any{"x-message-ttl": 10, "x-dead-letter-exchange": "", "x-dead-letter-routing-key": "b"})
	declare(t, s, "b", map[string]any{"x-message-ttl": 10, "x-dead-letter-exchange": "", "x-dead-letter-routing-key": "a"})
	publish(t, s, start, "", "a", text("x"))
	now := start
	for range 10 {
		now = now.Add(20 * time.Millisecond)
		s.Tick(now)
	}
	if snap := s.Snapshot(); snap.Bytes != 0 {
		t.Errorf("the message still goes round: %+v", snap.Queues)
	}
}

func TestQueueExpires(t *testing.T) {
	s := New(Options{})
	declare(t, s, "q", map[string]any{"x-expires": 1000})
	c := consume(t, s, start, "q", 1)
	s.Tick(start.Add(time.Hour))
	if !s.HasQueue("q") {
		t.Fatal("a consumed queue expired")
	}
	now := start.Add(time.Hour)
	c.Cancel(now, false)
	if next := s.Tick(now); !next.Equal(now.Add(time.Second)) {
		t.Errorf("due at %v", next.Sub(now))
	}
	declareAgain := now.Add(500 * time.Millisecond)
	if _, err := s.DeclareQueue(declareAgain, me, "q", QueueSpec{Durable: true, Arguments: map[string]any{"x-expires": uint64(1000)}}); err != nil {
		t.Fatal(err)
	}
	s.Tick(now.Add(time.Second))
	if !s.HasQueue("q") {
		t.Error("a declaration did not renew the period")
	}
	s.Tick(declareAgain.Add(time.Second))
	if s.HasQueue("q") {
		t.Error("the queue did not expire")
	}
}
