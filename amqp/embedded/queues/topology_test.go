package queues

import (
	"testing"
	"time"
)

func TestDeclare(t *testing.T) {
	s := New(Options{Limits: Limits{MaxQueues: 3}})
	spec := func(change func(*QueueSpec)) QueueSpec {
		q := QueueSpec{Durable: true, Arguments: map[string]any{"x-expires": int64(1000), "x-foo": "bar"}}
		if change != nil {
			change(&q)
		}
		return q
	}
	args := func(key string, value any) func(*QueueSpec) {
		return func(q *QueueSpec) { q.Arguments = map[string]any{key: value} }
	}
	for _, c := range []struct {
		name    string
		owner   uint64
		queue   string
		spec    QueueSpec
		kind    Kind
		created bool
	}{
		{"new", me, "q", spec(nil), 0, true},
		{"same", other, "q", spec(func(q *QueueSpec) { q.Arguments["x-expires"] = uint32(1000) }), 0, false},
		{"other value", me, "q", spec(func(q *QueueSpec) { q.Arguments["x-expires"] = 1001 }), Conflict, false},
		{"argument less", me, "q", spec(func(q *QueueSpec) { delete(q.Arguments, "x-foo") }), Conflict, false},
		{"argument more", me, "q", spec(func(q *QueueSpec) { q.Arguments["x-bar"] = true }), Conflict, false},
		{"not durable", me, "q", spec(func(q *QueueSpec) { q.Durable = false }), Conflict, false},
		{"auto-delete", me, "q", spec(func(q *QueueSpec) { q.AutoDelete = true }), Conflict, false},
		{"exclusive", me, "mine", spec(func(q *QueueSpec) { q.Exclusive = true }), 0, true},
		{"exclusive again", me, "mine", spec(func(q *QueueSpec) { q.Exclusive = true }), 0, false},
		{"exclusive to another", other, "mine", spec(func(q *QueueSpec) { q.Exclusive = true }), Locked, false},
		{"reserved", me, "amq.q", spec(nil), Forbidden, false},
		{"no name", me, "", spec(nil), Invalid, false},
		{"long name", me, string(make([]byte, 256)), spec(nil), Invalid, false},
		{"line break", me, "a\nb", spec(nil), Invalid, false},
		{"bad expires", me, "x", spec(args("x-expires", 0)), Conflict, false},
		{"bad ttl", me, "x", spec(args("x-message-ttl", -1)), Conflict, false},
		{"bad length", me, "x", spec(args("x-max-length", "many")), Conflict, false},
		{"bad bytes", me, "x", spec(args("x-max-length-bytes", -5)), Conflict, false},
		{"bad overflow", me, "x", spec(args("x-overflow", "drop-tail")), Conflict, false},
		{"bad active", me, "x", spec(args("x-single-active-consumer", 1)), Conflict, false},
		{"bad type", me, "x", spec(args("x-queue-type", "stream")), Conflict, false},
		{"key without exchange", me, "x", spec(args("x-dead-letter-routing-key", "k")), Conflict, false},
		{"third", me, "x", spec(nil), 0, true},
		{"too many", me, "y", spec(nil), Exhausted, false},
	} {
		created, err := s.DeclareQueue(start, c.owner, c.queue, c.spec)
		kind := Kind(0)
		if err != nil {
			kind = err.Kind
		}
		if kind != c.kind || created != c.created {
			t.Errorf("%s: created %v, error %v; want %v, kind %d", c.name, created, err, c.created, c.kind)
		}
	}
}

func TestExclusiveQueueGoesWithItsConnection(t *testing.T) {
	s := New(Options{})
	if _, err := s.DeclareQueue(start, me, "q", QueueSpec{Exclusive: true}); err != nil {
		t.Fatal(err)
	}
	if _, err := s.Consume(other, "q", ConsumerSpec{}); err == nil || err.Kind != Locked {
		t.Errorf("another connection may consume: %v", err)
	}
	if _, err := s.DeleteQueue(other, "q"); err == nil || err.Kind != Locked {
		t.Errorf("another connection may delete: %v", err)
	}
	bind(t, s, "amq.topic", "q", "#")
	s.ConnectionGone(other)
	if !s.HasQueue("q") {
		t.Fatal("gone with another connection")
	}
	s.ConnectionGone(me)
	if snap := s.Snapshot(); s.HasQueue("q") || snap.Bindings != 0 {
		t.Errorf("left over: %+v", snap)
	}
}

func TestAutoDelete(t *testing.T) {
	s := New(Options{})
	if _, err := s.DeclareQueue(start, me, "q", QueueSpec{AutoDelete: true}); err != nil {
		t.Fatal(err)
	}
	if err := s.DeclareExchange("x", ExchangeSpec{Type: "fanout", AutoDelete: true}); err != nil {
		t.Fatal(err)
	}
	bind(t, s, "x", "q", "")
	a, b := consume(t, s, start, "q", 1), consume(t, s, start, "q", 1)
	publish(t, s, start, "x", "", text("1"))
	a.Cancel(start, false)
	if !s.HasQueue("q") {
		t.Fatal("deleted while a consumer is left")
	}
	b.Cancel(start, false)
	if s.HasQueue("q") || s.HasExchange("x") {
		t.Error("the queue, or the exchange that it was the last one bound to, is still there")
	}
	if got := s.Snapshot().Bytes; got != 0 {
		t.Errorf("%d bytes left", got)
	}
}

func TestDeletionTellsConsumers(t *testing.T) {
	s := New(Options{})
	declare(t, s, "q", nil)
	told := 0
	c, err := s.Consume(me, "q", ConsumerSpec{Notify: func() { told++ }})
	if err != nil {
		t.Fatal(err)
	}
	publish(t, s, start, "", "q", text("1"))
	publish(t, s, start, "", "q", text("2"))
	c.Demand(start, 1)
	got := collect(t, c, start)
	if n, err := s.DeleteQueue(me, "q"); n != 2 || err != nil {
		t.Errorf("deleted with %d messages, %v", n, err)
	}
	if _, gone := c.Collect(start, 1, 1<<30, nil); gone == nil || told != 2 {
		t.Errorf("the consumer was told %d times, %v", told, gone)
	}
	c.Settle(start, got[0].Token, Outcome{Kind: Released}) // too late, and harmless
	c.Cancel(start, true)
	if got := s.Snapshot().Bytes; got != 0 {
		t.Errorf("%d bytes left", got)
	}
	if n, err := s.DeleteQueue(me, "q"); n != 0 || err != nil {
		t.Errorf("deleting an absent queue: %d, %v", n, err)
	}
}

func TestExchanges(t *testing.T) {
	s := New(Options{})
	topic := ExchangeSpec{Type: "topic", Durable: true}
	for _, c := range []struct {
		name string
		spec ExchangeSpec
		kind Kind
	}{
		{"x", topic, 0}, {"x", topic, 0}, {"x", ExchangeSpec{Type: "direct", Durable: true}, Conflict},
		{"h", ExchangeSpec{Type: "headers"}, Invalid}, {"", topic, Forbidden}, {"amq.new", topic, Forbidden}, {"amq.topic", topic, 0},
	} {
		err := s.DeclareExchange(c.name, c.spec)
		if err == nil && c.kind != 0 || err != nil && err.Kind != c.kind {
			t.Errorf("%q %+v: %v, want kind %d", c.name, c.spec, err, c.kind)
		}
	}
	declare(t, s, "q", nil)
	bind(t, s, "x", "q", "a")
	bind(t, s, "x", "q", "a")
	if err := s.Bind(me, Binding{Exchange: "x", Queue: "q", Key: "a", Arguments: map[string]any{"n": 1}}); err != nil {
		t.Fatal(err)
	}
	if got := len(s.Bindings("x", "q", nil)); got != 2 {
		t.Errorf("%d bindings, want 2", got)
	}
	if err := s.Bind(me, Binding{Exchange: "none", Queue: "q"}); err == nil || err.Kind != NotFound {
		t.Error(err)
	}
	if err := s.Bind(me, Binding{Exchange: "x", Queue: "none"}); err == nil || err.Kind != NotFound {
		t.Error(err)
	}
	if err := s.DeleteExchange("amq.topic"); err == nil || err.Kind != Forbidden {
		t.Error(err)
	}
	if err := s.DeleteExchange("x"); err != nil {
		t.Error(err)
	}
	if _, err := s.Publish(start, "x", "a", text("1")); err == nil || err.Kind != NotFound {
		t.Error(err)
	}
	if got := s.Snapshot().Bindings; got != 0 {
		t.Errorf("%d bindings left", got)
	}
}

func TestMemoryBound(t *testing.T) {
	var alarms []bool
	s := New(Options{Limits: Limits{MaxBytes: 100 * 1024}, Pressure: func(full bool) { alarms = append(alarms, full) }})
	declare(t, s, "q", nil)
	declare(t, s, "p", nil)
	bind(t, s, "amq.fanout", "q", "")
	bind(t, s, "amq.fanout", "p", "")
	n := 0
	for {
		m := &Message{Bare: make([]byte, 1024)}
		if got := publish(t, s, start, "amq.fanout", "", m); got.RefusedBy != "" {
			if got.Reason != "unavailable" {
				t.Errorf("refused with %q", got.Reason)
			}
			break
		}
		n++
	}
	// A message in two queues counts its bytes once.
	if want := 100 * 1024 / (1024 + 2*entryOverhead); n != want || !s.Full() {
		t.Errorf("%d messages fitted, want %d; full %v", n, want, s.Full())
	}
	for _, queue := range []string{"q", "p"} {
		if _, err := s.PurgeQueue(me, queue); err != nil {
			t.Fatal(err)
		}
	}
	if len(alarms) != 2 || !alarms[0] || alarms[1] || s.Full() || s.Snapshot().Bytes != 0 {
		t.Errorf("alarms %v, %d bytes left", alarms, s.Snapshot().Bytes)
	}
}

func TestTimersForgetDeletedQueues(t *testing.T) {
	told := 0
	s := New(Options{Due: func() { told++ }})
	for i := range 5 {
		declare(t, s, string(rune('a'+i)), map[string]any{"x-expires": 1000 * (5 - i)})
	}
	if told != 5 {
		t.Errorf("told %d times that something is due earlier, want 5", told)
	}
	if _, err := s.DeleteQueue(me, "e"); err != nil {
		t.Fatal(err)
	}
	if next := s.Tick(start); !next.Equal(start.Add(2 * time.Second)) {
		t.Errorf("due at %v", next.Sub(start))
	}
	if next := s.Tick(start.Add(time.Minute)); !next.IsZero() || len(s.Snapshot().Queues) != 0 {
		t.Errorf("left over: %v", s.Snapshot().Queues)
	}
}
