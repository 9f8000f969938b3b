package embedded_test

import (
	"context"
	"fmt"
	"net"
	"testing"
	"time"

	"github.com/Azure/go-amqp"
	"go.uber.org/goleak"

	"sluice/amqp/embedded"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// bench is a broker on a loopback port, and a client connection when asked for.
type bench struct {
	t      testing.TB
	broker *embedded.Broker
	url    string
	ctx    context.Context
}

func newBench(t testing.TB, o embedded.Options) *bench {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(context.Background(), 60*time.Second)
	b := &bench{t: t, broker: embedded.New(o), url: "amqp://" + l.Addr().String(), ctx: ctx}
	served := make(chan error, 1)
	go func() { served <- b.broker.Serve(l) }()
	t.Cleanup(func() {
		b.broker.Close()
		if err := <-served; err != nil {
			t.Errorf("Serve: %v", err)
		}
		cancel()
	})
	return b
}

func (b *bench) dial(o *amqp.ConnOptions) *amqp.Conn {
	b.t.Helper()
	conn, err := amqp.Dial(b.ctx, b.url, o)
	if err != nil {
		b.t.Fatal(err)
	}
	b.t.Cleanup(func() { _ = conn.Close() })
	return conn
}

func (b *bench) session(conn *amqp.Conn) *amqp.Session {
	b.t.Helper()
	s, err := conn.NewSession(b.ctx, nil)
	if err != nil {
		b.t.Fatal(err)
	}
	return s
}

func (b *bench) sender(s *amqp.Session, target string, o *amqp.SenderOptions) *amqp.Sender {
	b.t.Helper()
	l, err := s.NewSender(b.ctx, target, o)
	if err != nil {
		b.t.Fatal(err)
	}
	return l
}

func (b *bench) receiver(s *amqp.Session, source string, o *amqp.ReceiverOptions) *amqp.Receiver {
	b.t.Helper()
	l, err := s.NewReceiver(b.ctx, source, o)
	if err != nil {
		b.t.Fatal(err)
	}
	return l
}

// publish sends one message and gives its outcome.
func (b *bench) publish(s *amqp.Sender, m *amqp.Message) amqp.DeliveryState {
	b.t.Helper()
	receipt, err := s.SendWithReceipt(b.ctx, m, nil)
	if err != nil {
		b.t.Fatal(err)
	}
	state, err := receipt.Wait(b.ctx)
	if err != nil {
		b.t.Fatal(err)
	}
	return state
}

func (b *bench) receive(r *amqp.Receiver) *amqp.Message {
	b.t.Helper()
	m, err := r.Receive(b.ctx, nil)
	if err != nil {
		b.t.Fatal(err)
	}
	return m
}

// manager is the client's end of a management link pair.
type manager struct {
	*bench
	requests *amqp.Sender
	replies  *amqp.Receiver
	next     uint64
}

// manager opens the pair of links to /management. A bus ends the session of a request that comes before the credit for its answer, and the library sends that
// when it gets round to it, so the first request is tried until it is answered.
func (b *bench) manager(conn *amqp.Conn) *manager {
	b.t.Helper()
	for {
		m := b.pair(conn)
		_, _, err := m.ask("GET", "/queues/there-is-none", nil)
		if err == nil {
			return m
		}
		if b.ctx.Err() != nil {
			b.t.Fatal(err)
		}
	}
}

func (b *bench) pair(conn *amqp.Conn) *manager {
	b.t.Helper()
	s := b.session(conn)
	settled, paired := amqp.SenderSettleModeSettled, map[string]any{"paired": true}
	m := &manager{bench: b}
	m.replies = b.receiver(s, "/management", &amqp.ReceiverOptions{
		Name: "pair", TargetAddress: "$me", Properties: paired, Credit: 8, RequestedSenderSettleMode: &settled,
	})
	m.requests = b.sender(s, "/management", &amqp.SenderOptions{
		Name: "pair", SourceAddress: "$me", Properties: paired, SettlementMode: &settled,
	})
	return m
}

// do makes a request and gives status and body of its answer.
func (m *manager) do(method, path string, body any) (string, any) {
	m.t.Helper()
	status, answer, err := m.ask(method, path, body)
	if err != nil {
		m.t.Fatal(err)
	}
	return status, answer
}

func (m *manager) ask(method, path string, body any) (status string, content any, err error) {
	m.next++
	back := "$me"
	if body == nil {
		body = amqp.Null{} // without it go-amqp writes no body section
	}
	err = m.requests.Send(m.ctx, &amqp.Message{
		Properties: &amqp.MessageProperties{MessageID: m.next, To: &path, Subject: &method, ReplyTo: &back},
		Value:      body,
	}, nil)
	if err != nil {
		return "", nil, err
	}
	answer, err := m.replies.Receive(m.ctx, nil)
	if err != nil {
		return "", nil, err
	}
	if answer.Properties.CorrelationID != m.next || answer.ApplicationProperties["http:response"] != "1.1" {
		return "", nil, fmt.Errorf("answer %+v does not belong to request %d", answer.Properties, m.next)
	}
	return *answer.Properties.Subject, answer.Value, nil
}

// want makes a request and fails unless its status is the wanted one.
func (m *manager) want(status, method, path string, body any) any {
	m.t.Helper()
	got, answer := m.do(method, path, body)
	if got != status {
		m.t.Fatalf("%s %s: status %s (%v), want %s", method, path, got, answer, status)
	}
	return answer
}

func (m *manager) queue(name string, arguments map[string]any) {
	m.t.Helper()
	m.want("201", "PUT", "/queues/"+name, map[string]any{"arguments": arguments})
}

func (m *manager) bind(exchange, queue, key string) {
	m.t.Helper()
	m.want("204", "POST", "/bindings", map[string]any{"source": exchange, "destination_queue": queue, "binding_key": key})
}
