package queues

import (
	"slices"
	"testing"
	"time"

	"pgregory.net/rapid"
)

// queueModel says what one queue with competing consumers must do; every message is identified by its position.
type queueModel struct {
	t         *rapid.T
	store     *Store
	now       time.Time
	published uint64
	ready     []uint64 // sorted
	consumers []*consumerModel
	counts    map[uint64]uint32 // failed deliveries by position
	seen      map[uint64]bool   // delivered before
}

type consumerModel struct {
	*Consumer
	demand int
	held   []uint64
}

// TestOrderAndPossession: under any sequence of publishes, outcomes and lost consumers, messages come in order, none is lost, none is held twice.
func TestOrderAndPossession(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		m := &queueModel{t: t, store: New(Options{}), now: start, counts: map[uint64]uint32{}, seen: map[uint64]bool{}}
		if _, err := m.store.DeclareQueue(m.now, me, "q", QueueSpec{}); err != nil {
			t.Fatal(err)
		}
		t.Repeat(map[string]func(*rapid.T){
			"":        func(*rapid.T) { m.deliver() },
			"publish": func(t *rapid.T) { m.publish(rapid.IntRange(1, 5).Draw(t, "n")) },
			"consume": func(*rapid.T) { m.consume() },
			"demand": func(t *rapid.T) {
				if c := m.pick(t); c != nil {
					c.demand = rapid.IntRange(0, 4).Draw(t, "credit")
					c.Demand(m.now, c.demand)
				}
			},
			"settle": m.settle,
			"cancel": func(t *rapid.T) { m.cancel(m.pick(t), rapid.Bool().Draw(t, "failed")) },
		})
		m.finish()
	})
}

func (m *queueModel) pick(t *rapid.T) *consumerModel {
	if len(m.consumers) == 0 {
		return nil
	}
	return rapid.SampledFrom(m.consumers).Draw(t, "consumer")
}

func (m *queueModel) publish(n int) {
	for range n {
		if _, err := m.store.Publish(m.now, "", "q", text("x")); err != nil {
			m.t.Fatal(err)
		}
		m.ready = append(m.ready, m.published)
		m.published++
	}
}

func (m *queueModel) consume() {
	if len(m.consumers) == 4 {
		return
	}
	c, err := m.store.Consume(me, "q", ConsumerSpec{})
	if err != nil {
		m.t.Fatal(err)
	}
	m.consumers = append(m.consumers, &consumerModel{Consumer: c})
}

func (m *queueModel) settle(t *rapid.T) {
	c := m.pick(t)
	if c == nil || len(c.held) == 0 {
		return
	}
	i := rapid.IntRange(0, len(c.held)-1).Draw(t, "which")
	token := c.held[i]
	c.held = slices.Delete(c.held, i, i+1)
	o := Outcome{Kind: rapid.SampledFrom([]OutcomeKind{Accepted, Rejected, Released, Modified}).Draw(t, "outcome")}
	o.DeliveryFailed = o.Kind == Modified && rapid.Bool().Draw(t, "failed")
	switch {
	case o.DeliveryFailed:
		m.counts[token]++
		m.putBack(token)
	case o.Kind == Released, o.Kind == Modified:
		m.putBack(token)
	}
	c.Settle(m.now, token, o)
	c.Settle(m.now, token, Outcome{Kind: Released}) // a second outcome changes nothing
}

func (m *queueModel) putBack(token uint64) {
	i, _ := slices.BinarySearch(m.ready, token)
	m.ready = slices.Insert(m.ready, i, token)
}

func (m *queueModel) cancel(c *consumerModel, failed bool) {
	if c == nil {
		return
	}
	c.Cancel(m.now, failed)
	for _, token := range c.held {
		if failed {
			m.counts[token]++
		}
		m.putBack(token)
	}
	m.consumers = slices.DeleteFunc(m.consumers, func(x *consumerModel) bool { return x == c })
}

// deliver collects from all consumers and compares with the model: the oldest messages went out, to those who asked.
func (m *queueModel) deliver() {
	var got []uint64
	wanted := 0
	for _, c := range m.consumers {
		wanted += c.demand
		out, gone := c.Collect(m.now, 1<<20, 1<<30, nil)
		if gone != nil {
			m.t.Fatal(gone)
		}
		if c.demand -= len(out); c.demand < 0 {
			m.t.Fatalf("a consumer got %d more than it asked for", -c.demand)
		}
		for i, d := range out {
			if i > 0 && out[i-1].Token >= d.Token {
				m.t.Fatalf("position %d after %d", d.Token, out[i-1].Token)
			}
			if d.DeliveryCount != m.counts[d.Token] || d.Redelivered != m.seen[d.Token] {
				m.t.Fatalf("position %d: count %d, redelivered %v; want %d, %v", d.Token, d.DeliveryCount, d.Redelivered, m.counts[d.Token], m.seen[d.Token])
			}
			m.seen[d.Token] = true
			c.held = append(c.held, d.Token)
			got = append(got, d.Token)
		}
	}
	slices.Sort(got)
	n := min(wanted, len(m.ready))
	if !slices.Equal(got, m.ready[:n]) {
		m.t.Fatalf("delivered %v, want the oldest %d of %v", got, n, m.ready)
	}
	m.ready = slices.Clone(m.ready[n:])
	held := 0
	for _, c := range m.consumers {
		held += len(c.held)
	}
	snap := m.store.Snapshot()
	info, _ := snap.Queue("q")
	if info.Ready != len(m.ready) || info.Unsettled != held {
		m.t.Fatalf("the queue counts %d ready and %d unsettled, want %d and %d", info.Ready, info.Unsettled, len(m.ready), held)
	}
	if want := int64(len(m.ready)+held) * (entryOverhead + 1); snap.Bytes != want {
		m.t.Fatalf("%d bytes are counted, want %d", snap.Bytes, want)
	}
}

// finish takes all that is left.
func (m *queueModel) finish() {
	for len(m.consumers) > 0 {
		m.cancel(m.consumers[0], false)
	}
	m.consume()
	m.consumers[0].demand = 1 << 20
	m.consumers[0].Demand(m.now, 1<<20)
	m.deliver()
	if len(m.ready) != 0 {
		m.t.Fatalf("%v were never delivered", m.ready)
	}
}
