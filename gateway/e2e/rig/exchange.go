package rig

import (
	"context"
	"fmt"
	"net/url"
	"strings"
	"testing"

	"github.com/Azure/go-amqp"
)

// Exchange makes a topic exchange for as long as the test runs. On the embedded bus the node does it that has a rule for it.
func Exchange(t testing.TB, b Backend, name string) {
	t.Helper()
	if b.busURL == "" {
		return
	}
	MakeExchange(t, b.busURL, name)
	t.Cleanup(func() { RemoveExchange(t, b.busURL, name) })
}

// RuleQueue makes a queue that a rule names, as Exchange does an exchange.
func RuleQueue(t testing.TB, b Backend, name string) {
	t.Helper()
	if b.busURL == "" {
		return
	}
	if !b.Dialect.HasExchanges() {
		b.inbox(t, name)
		return
	}
	path := "/queues/" + url.PathEscape(name)
	manage(t, b.busURL, "PUT", path, map[string]any{"durable": true})
	t.Cleanup(func() { manage(t, b.busURL, "DELETE", path, nil) })
}

// MakeExchange makes a topic exchange on the bus at this URL.
func MakeExchange(t testing.TB, busURL, name string) {
	t.Helper()
	manage(t, busURL, "PUT", "/exchanges/"+url.PathEscape(name), map[string]any{"type": "topic"})
}

// RemoveExchange removes an exchange with its bindings; an absent one is no fault.
func RemoveExchange(t testing.TB, busURL, name string) {
	t.Helper()
	manage(t, busURL, "DELETE", "/exchanges/"+url.PathEscape(name), nil)
}

// manage makes a request of the bus's management node, as an operator's tool does: over a connection of its own. It is made until it succeeds: RabbitMQ
// ends the session when the request is there before the credit for its answer, and the library does not tell when that has been sent.
func manage(t testing.TB, busURL, method, path string, body any) {
	t.Helper()
	Eventually(t, method+" "+path+" succeeds", func() error { return request(Context(t), busURL, method, path, body) })
}

func request(ctx context.Context, busURL, method, path string, body any) error {
	conn, err := amqp.Dial(ctx, busURL, nil)
	if err != nil {
		return err
	}
	defer func() { _ = conn.Close() }()
	session, err := conn.NewSession(ctx, nil)
	if err != nil {
		return err
	}
	const node, me = "/management", "$me"
	paired, settled := map[string]any{"paired": true}, amqp.SenderSettleModeSettled
	// The receiver first, and both of one name: that makes them a pair.
	receiver, err := session.NewReceiver(ctx, node, &amqp.ReceiverOptions{Name: "manage", TargetAddress: me, Properties: paired, RequestedSenderSettleMode: &settled})
	if err != nil {
		return err
	}
	sender, err := session.NewSender(ctx, node, &amqp.SenderOptions{Name: "manage", SourceAddress: me, Properties: paired, SettlementMode: &settled})
	if err != nil {
		return err
	}
	if body == nil {
		body = amqp.Null{}
	}
	reply := me
	if err := sender.Send(ctx, &amqp.Message{Properties: &amqp.MessageProperties{MessageID: "1", To: &path, Subject: &method, ReplyTo: &reply}, Value: body}, nil); err != nil {
		return err
	}
	answer, err := receiver.Receive(ctx, nil)
	if err != nil {
		return err
	}
	if status := answer.Properties.Subject; status == nil || !strings.HasPrefix(*status, "2") {
		return fmt.Errorf("the bus answers %v", answer.Value)
	}
	return nil
}
