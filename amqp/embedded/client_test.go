package embedded_test

import (
	"testing"

	"github.com/Azure/go-amqp"

	"sluice/amqp/embedded"
)

func TestPublishRouteConsume(t *testing.T) {
	b := newBench(t, embedded.Options{})
	conn := b.dial(nil)
	m := b.manager(conn)
	m.queue("q", nil)
	m.bind("amq.topic", "q", "a.*")
	s := b.session(conn)
	sender := b.sender(s, "", nil)
	to := "/exchanges/amq.topic/a.b"
	state := b.publish(sender, &amqp.Message{Properties: &amqp.MessageProperties{To: &to}, Data: [][]byte{[]byte("hello")}})
	if _, ok := state.(*amqp.StateAccepted); !ok {
		t.Fatalf("outcome %T", state)
	}
	r := b.receiver(s, "/queues/q", nil)
	msg := b.receive(r)
	if got := string(msg.GetData()); got != "hello" {
		t.Fatalf("body %q", got)
	}
	if msg.Annotations["x-exchange"] != "amq.topic" || msg.Annotations["x-routing-key"] != "a.b" {
		t.Fatalf("annotations %v", msg.Annotations)
	}
	if err := r.AcceptMessage(b.ctx, msg); err != nil {
		t.Fatal(err)
	}
}
