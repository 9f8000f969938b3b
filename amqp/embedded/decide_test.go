package embedded_test

import (
	"bytes"
	"context"
	"fmt"
	"testing"
	"time"

	"github.com/Azure/go-amqp"

	"sluice/amqp/embedded"
	"sluice/amqp/message"
)

// Decide is asked for each message that no rule fits, with what the message says.
func TestDecide(t *testing.T) {
	r := newRig(t, embedded.Options{})
	r.queue("q", nil)
	sender := r.sender(r.s, "", nil)
	f := r.broker.Faults()
	f.Answer(embedded.Answer{Count: 1, Outcome: message.Outcome{Kind: message.Modified}})
	f.Decide(func(a embedded.Arrival) *embedded.Answer {
		if a.Address != "/queues/q" {
			t.Errorf("address %q", a.Address)
		}
		if bytes.Contains(a.Message, []byte("bad")) {
			return &embedded.Answer{Outcome: message.Outcome{Kind: message.Rejected, Error: &message.Error{Condition: "x:bad"}}}
		}
		return nil
	})
	for i, c := range []struct{ text, want string }{{"bad", "modified false false"}, {"good", "accepted"}, {"bad", "rejected x:bad <nil>"}} {
		if got := outcome(r.publish(sender, text("/queues/q", c.text))); got != c.want {
			t.Errorf("publish %d: %q, want %q", i, got, c.want)
		}
	}
	f.Clear()
	if got := outcome(r.publish(sender, text("/queues/q", "bad"))); got != "accepted" {
		t.Errorf("after Clear: %s", got)
	}
}

// What a message takes down with it: its outcome comes first, unless it is withheld, and then the sender is at its end.
func TestLosses(t *testing.T) {
	for _, loss := range []embedded.Loss{embedded.LoseLink, embedded.LoseSession, embedded.LoseConnection, embedded.LoseTransport} {
		for _, never := range []bool{false, true} {
			t.Run(fmt.Sprintf("loss %d, never %t", loss, never), func(t *testing.T) {
				r := newRig(t, embedded.Options{})
				r.queue("q", nil)
				sender := r.sender(r.s, "/queues/q", nil)
				r.broker.Faults().Answer(embedded.Answer{Count: 1, Loss: loss, Never: never})
				// The send itself may be told of the end, once the message is out.
				if receipt, err := sender.SendWithReceipt(r.ctx, text("", "x"), nil); err == nil {
					state, err := await(r.ctx, receipt)
					switch {
					case never && err == nil:
						t.Errorf("the outcome is %s", outcome(state))
					case !never && err == nil && outcome(state) != "accepted", !never && err != nil && loss == embedded.LoseLink:
						// Where session or connection end, the library may leave what came before it.
						t.Errorf("%v, %v", state, err)
					}
				}
				if err := sender.Send(r.ctx, text("", "y"), nil); err == nil {
					t.Error("the link works")
				}
			})
		}
	}
}

// await gives a receipt's outcome if there is one. Where the link's end is there too, the library picks one of both at random, so it is asked again.
func await(ctx context.Context, receipt amqp.SendReceipt) (state amqp.DeliveryState, err error) {
	for range 64 {
		if state, err = receipt.Wait(ctx); err == nil {
			return state, nil
		}
	}
	return nil, err
}

// An outcome for a delivery whose link has ended must not be taken for one of the next link.
func TestStrayOutcome(t *testing.T) {
	r := newRig(t, embedded.Options{})
	r.queue("q", nil)
	sender := r.sender(r.s, "/queues/q", nil)
	f := r.broker.Faults()
	f.Answer(embedded.Answer{Count: 1, Delay: 20 * time.Millisecond, Stray: true, Loss: embedded.LoseLink})
	receipt, err := sender.SendWithReceipt(r.ctx, text("", "x"), nil)
	if err != nil {
		t.Fatal(err)
	}
	if state, err := receipt.Wait(r.ctx); err == nil {
		t.Errorf("the outcome is %s", outcome(state))
	}
	f.Answer(embedded.Answer{Count: 1, Delay: 50 * time.Millisecond, Outcome: message.Outcome{Kind: message.Released}})
	if got := outcome(r.publish(r.sender(r.s, "/queues/q", nil), text("", "y"))); got != "released" {
		t.Errorf("the next link's message: %s", got)
	}
}
