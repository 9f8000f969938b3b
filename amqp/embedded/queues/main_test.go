package queues

import (
	"testing"
	"time"

	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// start is the beginning of time in these tests.
var start = time.Unix(1_000_000, 0)

const me, other = uint64(1), uint64(2) // connections

func declare(t testing.TB, s *Store, name string, args map[string]any) {
	t.Helper()
	if _, err := s.DeclareQueue(start, me, name, QueueSpec{Durable: true, Arguments: args}); err != nil {
		t.Fatal(err)
	}
}

func bind(t testing.TB, s *Store, exchange, queue, key string) {
	t.Helper()
	if err := s.Bind(me, Binding{Exchange: exchange, Queue: queue, Key: key}); err != nil {
		t.Fatal(err)
	}
}

func text(body string) *Message { return &Message{Bare: []byte(body), Priority: 4} }

func publish(t testing.TB, s *Store, now time.Time, exchange, key string, m *Message) Result {
	t.Helper()
	result, err := s.Publish(now, exchange, key, m)
	if err != nil {
		t.Fatal(err)
	}
	return result
}

func consume(t testing.TB, s *Store, now time.Time, queue string, demand int) *Consumer {
	t.Helper()
	c, err := s.Consume(me, queue, ConsumerSpec{})
	if err != nil {
		t.Fatal(err)
	}
	c.Demand(now, demand)
	return c
}

// collect takes what is assigned.
func collect(t testing.TB, c *Consumer, now time.Time) []Delivery {
	t.Helper()
	out, gone := c.Collect(now, 1<<20, 1<<30, nil)
	if gone != nil {
		t.Fatal(gone)
	}
	return out
}

// bodies puts deliveries into words.
func bodies(list []Delivery) string {
	s := ""
	for i, d := range list {
		if i > 0 {
			s += " "
		}
		s += string(d.Message.Bare)
	}
	return s
}

func depth(t testing.TB, s *Store, queue string) (ready, unsettled int) {
	t.Helper()
	info, ok := s.Snapshot().Queue(queue)
	if !ok {
		t.Fatalf("no queue %q", queue)
	}
	return info.Ready, info.Unsettled
}
