package client

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"net"
	"os"
	"sync"
	"testing"
	"time"

	"go.uber.org/goleak"
	"go.uber.org/zap"

	"sluice/amqp"
	"sluice/amqp/embedded"
	"sluice/amqp/message"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// rabbitURL is a real RabbitMQ 4.3. Tests that need it fail without.
func rabbitURL(t testing.TB) string {
	t.Helper()
	url := os.Getenv("SLUICE_TEST_RABBITMQ_URL")
	if url == "" {
		t.Fatal("SLUICE_TEST_RABBITMQ_URL is not set; scripts/services up provides a RabbitMQ and prints it")
	}
	return url
}

// eachBus runs f against a real RabbitMQ and against the embedded bus: the same client drives both.
func eachBus(t *testing.T, f func(t *testing.T, url string)) {
	t.Run("rabbitmq", func(t *testing.T) { f(t, rabbitURL(t)) })
	t.Run("embedded", func(t *testing.T) { f(t, embeddedURL(t)) })
}

// embeddedURL starts an embedded bus for the test.
func embeddedURL(t testing.TB) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	b := embedded.New(embedded.Options{})
	served := make(chan struct{})
	go func() {
		defer close(served)
		_ = b.Serve(l)
	}()
	t.Cleanup(func() {
		b.Close()
		_ = l.Close()
		<-served
	})
	return "amqp://" + l.Addr().String()
}

// patience is how long a test waits for what should happen, on a machine that is busy with other things too. A test that passes never waits for it.
const patience = time.Minute

func deadline(t testing.TB) context.Context {
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	t.Cleanup(cancel)
	return ctx
}

// open opens a client that is ready, and closes it with the test.
func open(t testing.TB, o Options) *Client {
	t.Helper()
	if o.URLs == nil {
		o.URLs = []string{rabbitURL(t)}
	}
	if o.Logger == nil && os.Getenv("SLUICE_TEST_LOG") != "" {
		o.Logger, _ = zap.NewDevelopment()
	}
	c, err := Open(o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := c.Close(deadline(t)); err != nil {
			t.Errorf("Close: %v", err)
		}
	})
	eventually(t, "the client is ready", func() error { return c.Ready(deadline(t)) })
	return c
}

// eventually polls until f returns nil.
func eventually(t testing.TB, what string, f func() error) {
	t.Helper()
	end := time.NewTimer(patience)
	defer end.Stop()
	tick := time.NewTicker(2 * time.Millisecond)
	defer tick.Stop()
	for {
		err := f()
		if err == nil {
			return
		}
		select {
		case <-tick.C:
		case <-end.C:
			t.Fatalf("waiting until %s: %v", what, err)
		}
	}
}

// uniqueName gives an inbox name that no other run uses.
func uniqueName(t testing.TB) string {
	return "sluice.test." + rand.Text()
}

// newInbox makes an inbox, subscribed to its own name as pattern, that is removed with the test.
func newInbox(t testing.TB, c *Client, inbox amqp.Inbox) string {
	t.Helper()
	if inbox.Name == "" {
		inbox.Name = uniqueName(t)
	}
	if err := c.EnsureInbox(deadline(t), inbox); err != nil {
		t.Fatal(err)
	}
	removeLater(t, c, inbox.Name)
	if err := c.Subscribe(deadline(t), inbox.Name, amqp.Topics(inbox.Name)); err != nil {
		t.Fatal(err)
	}
	return inbox.Name
}

func removeLater(t testing.TB, c *Client, name string) {
	t.Cleanup(func() {
		if err := c.DeleteInbox(deadline(t), name); err != nil {
			t.Errorf("removing inbox %s: %v", name, err)
		}
	})
}

// to is the address that reaches the inbox of newInbox.
func to(name string) string { return topicPrefix + name }

// What differs from bus to bus. The tests that run on Artemis set them; tests of this package run one after the other.
var (
	topicPrefix      = "/exchanges/amq.topic/"
	tellsRedelivered = true // the bus always says what it has delivered before
)

func textMessage(address, text string) *message.Message {
	return &message.Message{
		Header:     message.Header{Durable: true, Priority: message.DefaultPriority},
		Properties: message.Properties{To: address},
		Data:       [][]byte{[]byte(text)},
	}
}

// publish sends and waits for the outcome.
func publish(t testing.TB, c *Client, shard uint32, m *message.Message) message.Outcome {
	t.Helper()
	done := make(chan message.Outcome, 1)
	c.Publish(shard, m, false, func(o message.Outcome) { done <- o })
	select {
	case o := <-done:
		return o
	case <-time.After(patience):
		t.Fatal("no outcome")
		return message.Outcome{}
	}
}

func mustAccept(t testing.TB, c *Client, m *message.Message) {
	t.Helper()
	if o := publish(t, c, 0, m); o.Kind != message.Accepted {
		t.Fatalf("outcome %v (%v), want accepted", o.Kind, o.Error)
	}
}

// recorder is a Handler that keeps what it is told.
type recorder struct {
	mu         sync.Mutex
	attached   int
	detached   []error
	deliveries []amqp.Delivery
	again      bool // attach again after a loss
	onAttached func()
	onDelivery func(amqp.Delivery)
	calls      int // under way
	overlapped bool
}

func (r *recorder) enter() func() {
	r.mu.Lock()
	r.calls++
	r.overlapped = r.overlapped || r.calls > 1
	r.mu.Unlock()
	return func() {
		r.mu.Lock()
		r.calls--
		r.mu.Unlock()
	}
}

func (r *recorder) Attached() {
	defer r.enter()()
	r.mu.Lock()
	r.attached++
	f := r.onAttached
	r.mu.Unlock()
	if f != nil {
		f()
	}
}

func (r *recorder) Delivered(d amqp.Delivery) {
	defer r.enter()()
	r.mu.Lock()
	r.deliveries = append(r.deliveries, d)
	f := r.onDelivery
	r.mu.Unlock()
	if f != nil {
		f(d)
	}
}

func (r *recorder) Detached(err error) bool {
	defer r.enter()()
	r.mu.Lock()
	defer r.mu.Unlock()
	r.detached = append(r.detached, err)
	return r.again
}

func (r *recorder) snapshot() (attached int, detached []error, deliveries []amqp.Delivery) {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.attached, append([]error(nil), r.detached...), append([]amqp.Delivery(nil), r.deliveries...)
}

// waitDeliveries waits until n deliveries have come.
func (r *recorder) waitDeliveries(t testing.TB, n int) []amqp.Delivery {
	t.Helper()
	var got []amqp.Delivery
	eventually(t, fmt.Sprintf("%d deliveries have come", n), func() error {
		_, _, got = r.snapshot()
		if len(got) < n {
			return fmt.Errorf("%d are there", len(got))
		}
		return nil
	})
	return got
}

func (r *recorder) waitAttached(t testing.TB, n int) {
	t.Helper()
	eventually(t, fmt.Sprintf("attached %d times", n), func() error {
		attached, detached, _ := r.snapshot()
		if attached < n {
			return fmt.Errorf("%d times, detached %v", attached, detached)
		}
		return nil
	})
}

func text(d amqp.Delivery) string {
	if d.Message == nil {
		return fmt.Sprintf("malformed: %v", d.Malformed)
	}
	var s string
	for _, b := range d.Message.Data {
		s += string(b)
	}
	return s
}

func texts(ds []amqp.Delivery) []string {
	var all []string
	for _, d := range ds {
		all = append(all, text(d))
	}
	return all
}

func closeReceiver(t testing.TB, r amqp.Receiver) {
	t.Helper()
	if err := r.Close(deadline(t)); err != nil && !errors.Is(err, amqp.ErrUnavailable) {
		t.Fatalf("closing a receiver: %v", err)
	}
}
