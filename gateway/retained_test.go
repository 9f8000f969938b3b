package gateway

import (
	"context"
	"testing"
	"time"

	"sluice/mqtt/mqtttest"
	"sluice/mqtt/packet"
	"sluice/sessionstore"
)

// forgetful is a store that does not tell what is retained.
type forgetful struct{ sessionstore.Store }

func (forgetful) RetainedTopics(context.Context, string, string, string, int) ([]string, error) {
	return nil, sessionstore.ErrUnavailable
}

// A SUBSCRIBE whose retained messages cannot be had is not answered, and does not wait longer than for anything else.
func TestASubscriptionDoesNotWaitForEverForRetainedMessages(t *testing.T) {
	inBubble(t, func(b *bubble) {
		n := b.start("n", forgetful{b.store})
		d, _ := n.connect("d", packet.V5)
		d.SetTimeout(2 * n.opt.Bridge.Grace)
		began := time.Now()
		d.Send(&packet.Subscribe{ID: 1, Subscriptions: []packet.Subscription{{Filter: "a", QoS: 1}}})
		if p := mqtttest.Expect[*packet.Disconnect](d); p.Reason != packet.ServerBusy || time.Since(began) < n.opt.Bridge.Grace {
			b.t.Errorf("DISCONNECT %v after %v", p.Reason, time.Since(began))
		}
		d.ExpectClosed()
	})
}
