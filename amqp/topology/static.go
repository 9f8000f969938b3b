package topology

import (
	"context"
	"fmt"

	"sluice/amqp"
	"sluice/amqp/message"
)

// static is the family of Azure Service Bus and Event Hubs: what there is to send to and to receive from is made outside AMQP. So there are no inboxes to be
// made; the name of an inbox is the address of an entity that is there, such as "devices/Subscriptions/node-1".
type static struct{}

// NewStatic gives the family of the kinds that are Static.
func NewStatic() Family { return static{} }

func noInbox(what, inbox string) error {
	return fmt.Errorf("%w: %s %q: on Service Bus and Event Hubs entities are made in the portal or by the management API, not by their clients", amqp.ErrRefused, what, inbox)
}

// EnsureInbox implements Family: it is refused.
func (static) EnsureInbox(_ context.Context, inbox amqp.Inbox) error {
	return noInbox("make inbox", inbox.Name)
}

// Subscribe implements Family: it is refused.
func (static) Subscribe(_ context.Context, inbox string, _ []amqp.Binding) error {
	return noInbox("subscribe inbox", inbox)
}

// Unsubscribe implements Family: nothing was ever subscribed.
func (static) Unsubscribe(context.Context, string, []amqp.Binding) error { return nil }

// DeleteInbox implements Family: nothing was ever made, and what others have made is not ours to remove.
func (static) DeleteInbox(context.Context, string) error { return nil }

// Receivers implements Family. Nobody is counted, since nothing is ever deleted.
func (static) Receivers(context.Context, string) (int, error) { return 0, nil }

// Setup implements Family: all is there.
func (static) Setup(context.Context) error { return nil }

// Sweep implements Family: nothing is left behind.
func (static) Sweep(context.Context) error { return nil }

// Source implements Family: the entity's own address.
func (static) Source(inbox string) string { return inbox }

// TellsFirstAcquirer implements Family: Service Bus leaves it at the standard's default and counts deliveries.
func (static) TellsFirstAcquirer() bool { return false }

// Arrived implements Family: an entity gives each message once.
func (static) Arrived(*message.Message) (Original, bool) { return Original{}, false }

// Settling implements Family: the service counts every delivery.
func (static) Settling(o message.Outcome) message.Outcome { return o }

// Refused implements Family: the service says itself what it does not take.
func (static) Refused(string) *message.Error { return nil }

// Outcome implements Family. A topic without subscriptions accepts, so released never means that nobody is interested: it is an answer for later.
func (static) Outcome(_ string, o message.Outcome) message.Outcome {
	if o.Kind == message.Released {
		o.Kind = message.Modified
	}
	return o
}
