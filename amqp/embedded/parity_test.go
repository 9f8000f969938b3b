package embedded_test

import (
	"context"
	"errors"
	"fmt"
	"sort"
	"strings"
	"testing"
	"time"

	"github.com/Azure/go-amqp"
	"github.com/google/go-cmp/cmp"

	"sluice/amqp/embedded"
)

// TestParityWithRabbitMQ runs the same steps against RabbitMQ and against the embedded broker; what a client sees must be the same.
func TestParityWithRabbitMQ(t *testing.T) {
	url := environment(t, "SLUICE_TEST_RABBITMQ_URL")
	ctx, cancel := context.WithTimeout(context.Background(), 60*time.Second)
	defer cancel()
	real := transcript(t, &bench{t: t, url: url, ctx: ctx})
	ours := transcript(t, newBench(t, embedded.Options{}))
	if diff := cmp.Diff(real, ours); diff != "" {
		t.Errorf("the embedded broker differs (-RabbitMQ +embedded):\n%s", diff)
	}
}

// transcript is what a client sees of a broker.
func transcript(t *testing.T, b *bench) []string {
	t.Helper()
	var lines []string
	say := func(format string, args ...any) { lines = append(lines, fmt.Sprintf(format, args...)) }
	conn := b.dial(nil)
	m := b.manager(conn)
	m.transcript(say)
	s := b.session(conn)
	sender := b.sender(s, "", nil)
	for _, to := range []string{
		"/queues/sluice-parity", "/queues/none", "/exchanges/amq.topic/parity.a", "/exchanges/amq.topic/parity", "/exchanges/amq.topic/nobody",
		"/exchanges/amq.topic", "/exchanges/amq.topic/parity.b%2Fc", "/exchanges/none/a", "/exchanges/amq.topic/a/b", "/nonsense", "foo",
		"/queues/sluice-parity-full", "/queues/%zz",
	} {
		say("publish to %s: %s", to, outcome(b.publish(sender, text(to, to))))
	}
	for _, address := range []string{"/queues/none", "/exchanges/none", "/exchanges/none/k", "foo"} {
		_, err := s.NewSender(b.ctx, address, nil)
		say("sender to %s: %s", address, condition(err))
		if lost(err) {
			s = b.session(conn)
		}
	}
	for _, address := range []string{"/queues/none", "/nonsense"} {
		_, err := s.NewReceiver(b.ctx, address, nil)
		say("receiver from %s: %s", address, condition(err))
		if lost(err) {
			s = b.session(conn)
		}
	}
	consumeParity(t, b, s, say)
	for _, queue := range []string{"sluice-parity", "sluice-parity-full"} {
		m.want("200", "DELETE", "/queues/"+queue, nil)
	}
	return lines
}

// transcript of management requests; the queues stay for the rest.
func (m *manager) transcript(say func(string, ...any)) {
	m.t.Helper()
	for _, queue := range []string{"sluice-parity", "sluice-parity-full"} {
		m.do("DELETE", "/queues/"+queue, nil)
	}
	args := map[string]any{"x-queue-type": "classic", "x-expires": uint64(600000)}
	binding := map[string]any{"source": "amq.topic", "destination_queue": "sluice-parity", "binding_key": "parity.#", "arguments": map[string]any{}}
	unbind := "/bindings/src=amq.topic;dstq=sluice-parity;key=parity.%23;args="
	for _, r := range []struct {
		method, path string
		body         any
	}{
		{"PUT", "/queues/sluice-parity", map[string]any{"durable": true, "exclusive": false, "auto_delete": false, "arguments": args}},
		{"PUT", "/queues/sluice-parity", map[string]any{"durable": true, "exclusive": false, "auto_delete": false, "arguments": args}},
		{"PUT", "/queues/sluice-parity", map[string]any{"durable": true, "arguments": map[string]any{}}},
		{"PUT", "/queues/sluice-parity-full", map[string]any{"arguments": map[string]any{"x-queue-type": "classic", "x-max-length": uint64(0), "x-overflow": "reject-publish"}}},
		{"PUT", "/queues/amq.reserved", map[string]any{}},
		{"POST", "/bindings", binding},
		{"POST", "/bindings", binding},
		{"GET", "/bindings?src=amq.topic&dstq=sluice-parity&key=parity.%23", nil},
		{"DELETE", unbind, nil},
		{"DELETE", unbind, nil},
		{"POST", "/bindings", binding},
		{"DELETE", "/queues/sluice-parity/messages", nil},
		{"DELETE", "/queues/sluice-absent", nil},
		{"GET", "/queues/sluice-absent", nil},
		{"PUT", "/exchanges/sluice-parity", map[string]any{"type": "fanout", "durable": true, "auto_delete": false, "internal": false, "arguments": map[string]any{}}},
		{"PUT", "/exchanges/sluice-parity", map[string]any{"type": "topic", "durable": true, "auto_delete": false, "internal": false, "arguments": map[string]any{}}},
		{"DELETE", "/exchanges/sluice-parity", nil},
		{"DELETE", "/exchanges/sluice-parity", nil},
	} {
		status, body := m.do(r.method, r.path, r.body)
		if strings.HasPrefix(status, "4") {
			body = nil // a text for people
		}
		if info, ok := body.(map[string]any); ok {
			var keys []string
			for key := range info {
				keys = append(keys, key)
			}
			sort.Strings(keys)
			body = keys
		}
		say("%s %s: %s %v", r.method, r.path, status, body)
	}
}

func consumeParity(t *testing.T, b *bench, s *amqp.Session, say func(string, ...any)) {
	t.Helper()
	r := b.receiver(s, "/queues/sluice-parity", &amqp.ReceiverOptions{Credit: -1})
	show := func(what string, m *amqp.Message) {
		first, count := true, uint32(0)
		if m.Header != nil {
			first, count = m.Header.FirstAcquirer, m.Header.DeliveryCount
		}
		say("%s %s: first-acquirer %v, delivery-count %d, %v %v", what, m.GetData(), first, count, m.Annotations["x-exchange"], m.Annotations["x-routing-key"])
	}
	manual(4, t, r)
	var held []*amqp.Message
	for range 4 {
		m := b.receive(r)
		show("got", m)
		held = append(held, m)
	}
	for _, err := range []error{
		r.ReleaseMessage(b.ctx, held[0]), r.AcceptMessage(b.ctx, held[1]), r.RejectMessage(b.ctx, held[2], nil), r.ModifyMessage(b.ctx, held[3], nil),
	} {
		if err != nil {
			t.Fatal(err)
		}
	}
	manual(2, t, r)
	for range 2 {
		m := b.receive(r)
		show("again", m)
		if err := r.AcceptMessage(b.ctx, m); err != nil {
			t.Fatal(err)
		}
	}
}

func condition(err error) string {
	var refused *amqp.Error
	switch {
	case err == nil:
		return "attached"
	case errors.As(err, &refused):
		return string(refused.Condition)
	}
	return err.Error()
}

func lost(err error) bool {
	var ended *amqp.SessionError
	return errors.As(err, &ended)
}
