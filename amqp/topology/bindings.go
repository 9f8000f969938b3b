package topology

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"sluice/amqp"
	"sluice/amqp/message"
)

// DefaultExchange is where RabbitMQ's own MQTT support publishes, so that its devices and ours hear each other.
const DefaultExchange = "amq.topic"

// bindings is the family of RabbitMQ 4 and of the embedded bus: an inbox is a queue, and each binding one of the bus's own. However many bindings of a
// queue match, it gets one copy.
//
// Binding and routing keys are not bound to AMQP 0-9-1's 255 bytes here: RabbitMQ 4.3.6 takes 60,000 and more over AMQP 1.0, in bindings, in
// properties.to and in x-routing-key. Queue names it takes beyond 255 too; ours are kept within, for the sake of other protocols and tools.
type bindings struct {
	requester Requester
	exchange  string
}

// NewBindings gives the family "bindings". An empty exchange is DefaultExchange.
func NewBindings(r Requester, exchange string) Family {
	if exchange == "" {
		exchange = DefaultExchange
	}
	return &bindings{requester: r, exchange: exchange}
}

// Source implements Family.
func (b *bindings) Source(inbox string) string { return queuePath(inbox) }

// TellsFirstAcquirer implements Family. Seen on RabbitMQ 4.3.6, classic queues: true with the first delivery, false after a release, a closed link
// and a lost connection alike.
func (b *bindings) TellsFirstAcquirer() bool { return true }

// Settling implements Family.
func (b *bindings) Settling(o message.Outcome) message.Outcome { return o }

// Setup implements Family: there is nothing to be made.
func (b *bindings) Setup(context.Context) error { return nil }

// Sweep implements Family: bindings go with their queue.
func (b *bindings) Sweep(context.Context) error { return nil }

// Arrived implements Family: a queue gets one copy, as it was sent.
func (b *bindings) Arrived(*message.Message) (Original, bool) { return Original{}, false }

// Refused implements Family: RabbitMQ says itself what it does not take.
func (b *bindings) Refused(string) *message.Error { return nil }

// Outcome implements Family: RabbitMQ releases what is sent to a queue that is not there.
func (b *bindings) Outcome(_ string, o message.Outcome) message.Outcome { return o }

// EnsureInbox declares the queue: 201 when it is new, 200 when it was there with the same arguments.
func (b *bindings) EnsureInbox(ctx context.Context, inbox amqp.Inbox) error {
	if err := checkName(inbox.Name); err != nil {
		return err
	}
	put := Request{Method: "PUT", Path: queuePath(inbox.Name), Body: queueBody(inbox)}
	responses, err := b.requester.Do(ctx, []Request{put})
	if err != nil {
		return err
	}
	if responses[0].Status == 409 {
		return b.conflict(ctx, inbox, responses[0])
	}
	return check(put, responses[0])
}

// conflict asks for what is there, so that the error names both argument sets. RabbitMQ 4.3.6 answers 409 also to an argument that it does not
// take at all; then there is no queue.
func (b *bindings) conflict(ctx context.Context, inbox amqp.Inbox, refused Response) error {
	there := fmt.Sprintf("others (%v)", refused.Body)
	responses, err := b.requester.Do(ctx, []Request{{Method: "GET", Path: queuePath(inbox.Name)}})
	if err == nil && responses[0].Status == 404 {
		return fmt.Errorf("%w: inbox %q with %s: %v", amqp.ErrRefused, inbox.Name, show(queueArguments(inbox)), refused.Body)
	}
	if err == nil && responses[0].Status == 200 {
		if info, ok := responses[0].Body.(map[string]any); ok {
			if args, ok := info["arguments"].(map[string]any); ok {
				there = show(args)
			}
		}
	}
	return fmt.Errorf("%w: inbox %q is there with %s, wanted %s (version %d); remove it, or use another name",
		amqp.ErrConflict, inbox.Name, there, show(queueArguments(inbox)), Version)
}

// Subscribe makes each binding. Making it again is no error at the bus.
func (b *bindings) Subscribe(ctx context.Context, inbox string, bindings []amqp.Binding) error {
	if len(bindings) == 0 {
		return nil
	}
	requests := make([]Request, len(bindings))
	for i, w := range bindings {
		requests[i] = Request{Method: "POST", Path: "/bindings", Body: map[string]any{
			"source": b.source(w), "destination_queue": inbox, "binding_key": w.Pattern, "arguments": map[string]any{}}}
	}
	responses, err := b.requester.Do(ctx, requests)
	if err != nil {
		return err
	}
	var absent amqp.MissingExchanges
	for i, r := range responses {
		refused := check(requests[i], r)
		switch {
		case refused == nil:
		case bindings[i].Exchange != "" && (r.Status == 400 || r.Status == 404):
			// All that can be wrong with it but for the queue, which missing looks for.
			if len(absent.Names) == 0 {
				absent.Words = fmt.Sprint(r.Body)
			}
			if !slices.Contains(absent.Names, bindings[i].Exchange) {
				absent.Names = append(absent.Names, bindings[i].Exchange)
			}
		case errors.Is(refused, amqp.ErrRefused):
			return b.missing(ctx, inbox, refused)
		default:
			return refused
		}
	}
	if len(absent.Names) > 0 {
		return b.missing(ctx, inbox, &absent)
	}
	return nil
}

func (b *bindings) source(w amqp.Binding) string {
	if w.Exchange == "" {
		return b.exchange
	}
	return w.Exchange
}

// missing tells a refused binding whose queue is not there from others: RabbitMQ 4.3 answers 400 to all of them.
func (b *bindings) missing(ctx context.Context, inbox string, refused error) error {
	get := Request{Method: "GET", Path: queuePath(inbox)}
	responses, err := b.requester.Do(ctx, []Request{get})
	if err == nil && responses[0].Status == 404 {
		return check(get, responses[0])
	}
	return refused
}

// Unsubscribe removes each binding. Bindings have no arguments, so that their path can be built without asking for it.
func (b *bindings) Unsubscribe(ctx context.Context, inbox string, bindings []amqp.Binding) error {
	requests := make([]Request, len(bindings))
	for i, w := range bindings {
		requests[i] = Request{Method: "DELETE", Path: bindingPath(b.source(w), inbox, w.Pattern)}
	}
	return b.all(ctx, requests, 404)
}

// DeleteInbox removes the queue with its messages and bindings. RabbitMQ 4.3.6 answers 200 with no messages when there is none.
func (b *bindings) DeleteInbox(ctx context.Context, inbox string) error {
	return b.all(ctx, []Request{{Method: "DELETE", Path: queuePath(inbox)}}, 404)
}

// Receivers asks for the queue. RabbitMQ 4.3.6 and the embedded bus tell consumer_count as uint.
func (b *bindings) Receivers(ctx context.Context, inbox string) (int, error) {
	get := Request{Method: "GET", Path: queuePath(inbox)}
	responses, err := b.requester.Do(ctx, []Request{get})
	if err != nil || responses[0].Status == 404 {
		return 0, err
	}
	if err := check(get, responses[0]); err != nil {
		return 0, err
	}
	info, _ := responses[0].Body.(map[string]any)
	n, ok := info["consumer_count"].(uint32)
	if !ok {
		return 0, fmt.Errorf("%w: %s %s: no consumer_count in %v", amqp.ErrUnavailable, get.Method, get.Path, responses[0].Body)
	}
	return int(n), nil
}

// all performs requests and gives the first refusal; the status absent counts as success.
func (b *bindings) all(ctx context.Context, requests []Request, absent int) error {
	if len(requests) == 0 {
		return nil
	}
	responses, err := b.requester.Do(ctx, requests)
	if err != nil {
		return err
	}
	for i, r := range responses {
		if r.Status == absent {
			continue
		}
		if err := check(requests[i], r); err != nil {
			return err
		}
	}
	return nil
}

// check turns a status into an error that callers can act on.
func check(q Request, r Response) error {
	var kind error
	switch {
	case r.Status >= 200 && r.Status < 300:
		return nil
	case r.Status == 404:
		kind = amqp.ErrNotFound
	case r.Status == 409:
		kind = amqp.ErrConflict
	case r.Status >= 400 && r.Status < 500:
		kind = amqp.ErrRefused
	default:
		kind = amqp.ErrUnavailable
	}
	if r.Body == nil {
		return fmt.Errorf("%w: %s %s: status %d", kind, q.Method, q.Path, r.Status)
	}
	return fmt.Errorf("%w: %s %s: status %d: %v", kind, q.Method, q.Path, r.Status, r.Body)
}
