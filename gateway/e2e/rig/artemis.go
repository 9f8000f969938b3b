package rig

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/url"
	"strings"
	"sync"
	"testing"

	goamqp "github.com/Azure/go-amqp"

	"sluice/amqp"
	"sluice/amqp/client"
	"sluice/mapping"
	"sluice/mqtt/topic"
)

// artemis is an operator of ActiveMQ Artemis: a connection to its management address.
type artemis struct {
	mu       sync.Mutex // one operation at a time
	conn     *goamqp.Conn
	sender   *goamqp.Sender
	receiver *goamqp.Receiver
}

// operator opens the connection with its first use. It ends with the test.
func (b *Bus) operator() *artemis {
	b.t.Helper()
	b.adminMu.Lock()
	defer b.adminMu.Unlock()
	if b.admin != nil {
		return b.admin
	}
	ctx := Context(b.t)
	a := &artemis{}
	var session *goamqp.Session
	var err error
	if a.conn, err = goamqp.Dial(ctx, b.url, nil); err != nil {
		b.t.Fatal(err)
	}
	b.t.Cleanup(func() { _ = a.conn.Close() })
	if session, err = a.conn.NewSession(ctx, nil); err != nil {
		b.t.Fatal(err)
	}
	if a.receiver, err = session.NewReceiver(ctx, "", &goamqp.ReceiverOptions{DynamicAddress: true, SourceCapabilities: []string{"temporary-queue"}}); err != nil {
		b.t.Fatal(err)
	}
	if a.sender, err = session.NewSender(ctx, "activemq.management", nil); err != nil {
		b.t.Fatal(err)
	}
	b.admin = a
	return a
}

// perform carries out an operation of the broker and decodes its result, if one is wanted.
func (a *artemis) perform(ctx context.Context, result any, operation string, arguments ...any) error {
	a.mu.Lock()
	defer a.mu.Unlock()
	body, err := json.Marshal(append([]any{}, arguments...))
	if err != nil {
		return err
	}
	reply := a.receiver.Address()
	request := &goamqp.Message{Value: string(body), Properties: &goamqp.MessageProperties{ReplyTo: &reply},
		ApplicationProperties: map[string]any{"_AMQ_ResourceName": "broker", "_AMQ_OperationName": operation}}
	if err := a.sender.Send(ctx, request, nil); err != nil {
		return err
	}
	answer, err := a.receiver.Receive(ctx, nil)
	if err != nil {
		return err
	}
	if err := a.receiver.AcceptMessage(ctx, answer); err != nil {
		return err
	}
	text, _ := answer.Value.(string)
	if ok, _ := answer.ApplicationProperties["_AMQ_OperationSucceeded"].(bool); !ok {
		return fmt.Errorf("%s: %s", operation, text)
	}
	if result == nil {
		return nil
	}
	return json.Unmarshal([]byte(text), &[]any{result})
}

// expectNoDivert waits until no inbox has a divert for a topic. The names of diverts end with their pattern.
func (b *Bus) expectNoDivert(name string) {
	b.t.Helper()
	admin := b.operator()
	Eventually(b.t, "nothing on the bus is subscribed to "+name, func() error {
		var diverts []string
		if err := admin.perform(Context(b.t), &diverts, "getDivertNames"); err != nil {
			b.t.Fatal(err)
		}
		for _, divert := range diverts {
			if filter := filterOf(b.t, b.dialect, divert); topic.Match(filter, name) {
				return errors.New("there is the divert " + divert)
			}
		}
		return nil
	})
}

// filterOf is the topic filter of a divert, as amqp/topology names them.
func filterOf(t testing.TB, dialect mapping.Dialect, divert string) string {
	t.Helper()
	pattern, err := url.PathUnescape(divert[strings.LastIndexByte(divert, '/')+1:])
	if err != nil {
		t.Fatalf("the divert %s: %v", divert, err)
	}
	words := strings.Split(pattern, ".")
	for i, word := range words {
		if word == "*" {
			words[i] = "+"
		} else if word != "#" {
			words[i] = dialect.Topic(word)
		}
	}
	return strings.Join(words, "/")
}

// inbox makes an inbox as a node would: a queue with an address of its own (Backend.QueueName). It goes with the test.
func (b Backend) inbox(t testing.TB, name string) {
	t.Helper()
	c, err := client.Open(client.Options{URLs: []string{b.busURL}, Logger: Logger(t), Connections: 1, Lanes: 1})
	if err != nil {
		t.Fatal(err)
	}
	Eventually(t, "the operator is connected", func() error { return c.Ready(Context(t)) })
	if err := c.EnsureInbox(Context(t), amqp.Inbox{Name: name}); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := errors.Join(c.DeleteInbox(Context(t), name), c.Close(Context(t))); err != nil {
			t.Errorf("removing the queue %s: %v", name, err)
		}
	})
}

// multicastQueue makes a queue at the addresses of a filter and gives its full name. It goes with the test.
func (b *Bus) multicastQueue(name, filter string) string {
	b.t.Helper()
	admin := b.operator()
	address := b.dialect.To(b.dialect.Exchange(), b.dialect.Pattern(filter))
	configuration, err := json.Marshal(map[string]any{"name": name, "address": address, "routing-type": "MULTICAST", "durable": true, "auto-create-address": true, "auto-delete": false})
	if err != nil {
		b.t.Fatal(err)
	}
	if err := admin.perform(Context(b.t), nil, "createQueue", string(configuration), false); err != nil {
		b.t.Fatal(err)
	}
	b.t.Cleanup(func() {
		if err := admin.perform(Context(b.t), nil, "destroyQueue", name, true, true); err != nil {
			b.t.Errorf("removing the queue %s: %v", name, err)
		}
	})
	return address + "::" + name
}
