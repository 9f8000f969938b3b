package client

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"sluice/amqp"
	"sluice/amqp/frame"
	"sluice/amqp/message"
	"sluice/amqp/topology"
)

// request is one that the fake management node got.
type request struct {
	session *fakeSession
	m       *message.Message
}

// node collects the requests that come to the fake bus.
type node struct {
	mu       sync.Mutex
	requests []request
}

func (n *node) attachTo(t testing.TB, b *fakeBus) {
	b.onTransfer = func(s *fakeSession, tr *frame.Transfer, payload []byte) {
		got, err := decodeMessage(slices.Clone(payload))
		if err != nil {
			t.Errorf("a request: %v", err)
			return
		}
		n.mu.Lock()
		defer n.mu.Unlock()
		n.requests = append(n.requests, request{s, got.message})
	}
}

// wait waits until n requests have come in all, and gives them.
func (n *node) wait(t testing.TB, want int) []request {
	t.Helper()
	var got []request
	eventually(t, fmt.Sprintf("%d requests have come", want), func() error {
		n.mu.Lock()
		defer n.mu.Unlock()
		if got = slices.Clone(n.requests); len(got) < want {
			return fmt.Errorf("%d have", len(got))
		}
		return nil
	})
	return got
}

// answer sends an answer to a request.
func (r request) answer(t testing.TB, id uint32, status string) {
	t.Helper()
	m, err := new(encoder).encode(&message.Message{HasValue: true, Properties: message.Properties{CorrelationID: r.m.Properties.MessageID, Subject: status}})
	if err != nil {
		t.Fatal(err)
	}
	b, err := m.MarshalBinary()
	if err != nil {
		t.Fatal(err)
	}
	r.session.bus.mu.Lock()
	var handle uint32
	for _, l := range r.session.bus.links {
		if l.session == r.session && l.receiver {
			handle = l.handle
		}
	}
	r.session.bus.mu.Unlock()
	r.session.send(&frame.Transfer{Handle: handle, DeliveryID: frame.Some(id), DeliveryTag: []byte{byte(id)}, MessageFormat: frame.Some(uint32(0)),
		Settled: true}, b)
}

func requests(n int) (all []topology.Request) {
	for i := range n {
		all = append(all, topology.Request{Method: "GET", Path: fmt.Sprintf("/queues/%d", i)})
	}
	return all
}

func TestManagementPipelinesAndMatchesAnswers(t *testing.T) {
	b := newFakeBus(t)
	n := &node{}
	n.attachTo(t, b)
	c := open(t, oneLane(b))
	type result struct {
		responses []topology.Response
		err       error
	}
	done := make(chan result)
	go func() {
		r, err := c.management.Do(deadline(t), requests(10))
		done <- result{r, err}
	}()
	first := n.wait(t, managementPipeline)
	for i, r := range first {
		if p := r.m.Properties; p.To != fmt.Sprintf("/queues/%d", i) || p.Subject != "GET" || p.ReplyTo != "$me" || !r.m.HasValue {
			t.Errorf("request %d: %+v", i, r.m)
		}
	}
	for i := range first { // backwards: answers are matched by correlation-id
		first[len(first)-1-i].answer(t, uint32(i), fmt.Sprint(200+len(first)-1-i))
	}
	for i, r := range n.wait(t, 10)[8:] {
		r.answer(t, uint32(8+i), fmt.Sprint(208+i))
	}
	got := <-done
	if got.err != nil {
		t.Fatal(got.err)
	}
	for i, r := range got.responses {
		if r.Status != 200+i {
			t.Errorf("response %d has status %d", i, r.Status)
		}
	}
}

// RabbitMQ ends the session for a request that is not permitted. The oldest unanswered request is the one; the others may be made again.
func TestManagementSessionEnd(t *testing.T) {
	b := newFakeBus(t)
	n := &node{}
	n.attachTo(t, b)
	c := open(t, oneLane(b))
	errs := [2]error{}
	var wg sync.WaitGroup
	for i := range errs {
		wg.Go(func() { _, errs[i] = c.management.Do(deadline(t), requests(1)) })
		n.wait(t, i+1)
	}
	n.wait(t, 2)[0].session.send(&frame.End{Error: &frame.Error{Condition: "amqp:unauthorized-access", Description: "no"}}, nil)
	wg.Wait()
	if !errors.Is(errs[0], amqp.ErrRefused) || !errors.Is(errs[1], amqp.ErrUnavailable) {
		t.Errorf("the culprit got %v, the other %v", errs[0], errs[1])
	}
	eventually(t, "the links are back", func() error { return c.Ready(context.Background()) })
	wg.Go(func() { _, errs[0] = c.management.Do(deadline(t), requests(1)) })
	n.wait(t, 3)[2].answer(t, 0, "200")
	wg.Wait()
	if errs[0] != nil {
		t.Error(errs[0])
	}
}

func TestManagementSilenceCostsItsConnection(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newFakeBus(t)
		n := &node{}
		n.attachTo(t, b)
		c := open(t, oneLane(b))
		connections, start := b.accepted.Load(), time.Now()
		_, err := c.management.Do(context.Background(), requests(1))
		if waited := time.Since(start); !errors.Is(err, amqp.ErrUnavailable) || waited != managementTimeout {
			t.Errorf("after %v: %v", waited, err)
		}
		eventually(t, "another connection is made", func() error {
			if b.accepted.Load() != connections+1 {
				return fmt.Errorf("%d are", b.accepted.Load()-connections)
			}
			return c.Ready(context.Background())
		})
	})
}

func TestManagementRequestTooLarge(t *testing.T) {
	b := newFakeBus(t)
	c := open(t, oneLane(b))
	large := topology.Request{Method: "PUT", Path: "/queues/x", Body: map[string]any{"k": string(make([]byte, maxManagementRequest))}}
	if _, err := c.management.Do(deadline(t), []topology.Request{large}); !errors.Is(err, amqp.ErrRefused) {
		t.Errorf("%v", err)
	}
}
