package main

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"sluice/amqp"
	"sluice/amqp/message"
	"sluice/mapping"
)

// browser reads a queue without taking anything from it: what is not settled goes back to its place when the browser is closed.
type browser struct {
	receiver   amqp.Receiver
	deliveries chan amqp.Delivery
	attached   chan struct{}
	lost       chan error
}

// browse attaches to a queue, made by prepare if it is missing. Without prepare a missing queue is an error.
func browse(bus amqp.Bus, queue string, prepare func(context.Context) error) *browser {
	b := &browser{deliveries: make(chan amqp.Delivery, browseMax), attached: make(chan struct{}, 1), lost: make(chan error, 1)}
	b.receiver = bus.Attach(amqp.Source{Inbox: queue, Prepare: prepare}, (*browserHandler)(b))
	return b
}

// begin waits until the bus may bring messages, at most n.
func (b *browser) begin(ctx context.Context, n uint32) error {
	select {
	case <-b.attached:
		b.receiver.IssueCredit(n)
		return nil
	case err := <-b.lost:
		return err
	case <-ctx.Done():
		return errors.New("the bus did not open the queue in time")
	}
}

func (b *browser) close() {
	ctx, cancel := context.WithTimeout(context.Background(), leaveWait)
	defer cancel()
	_ = b.receiver.Close(ctx)
}

func (b *browser) accept(d amqp.Delivery) {
	b.receiver.Settle(d.Tag, message.Outcome{Kind: message.Accepted})
}

// browserHandler keeps the methods of amqp.Handler off browser.
type browserHandler browser

// Attached implements amqp.Handler.
func (b *browserHandler) Attached() {
	select {
	case b.attached <- struct{}{}:
	default:
	}
}

// Delivered implements amqp.Handler. No more come than there is credit for.
func (b *browserHandler) Delivered(d amqp.Delivery) { b.deliveries <- d }

// Detached implements amqp.Handler. It does not come back: what was held is the queue's again, and would be seen twice.
func (b *browserHandler) Detached(err error) bool {
	select {
	case b.lost <- err:
	default:
	}
	return false
}

// queueOf is the queue that a setting names, which is a name or an address.
func queueOf(key, setting string) (string, error) {
	if setting == "" {
		return "", fmt.Errorf("%s is off; set it to the name that the nodes use", key)
	}
	if !strings.HasPrefix(setting, "/") {
		return setting, nil
	}
	if a, ok := mapping.RabbitMQ.ParseAddress(setting); ok && a.Queue != "" {
		return a.Queue, nil
	}
	return "", fmt.Errorf("%s is %s, which is no queue: read from the queue that you have bound to it", key, setting)
}
