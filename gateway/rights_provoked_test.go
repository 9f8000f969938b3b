package gateway

import (
	"testing"
	"time"

	"sluice/gateway/permit"
	"sluice/mapping/failure"
	"sluice/mqtt/packet"
)

const someDenied = `rules:
  - deny: closed
    do: [publish, subscribe]
    topics: denied/#
  - allow: unretained
    do: publish
    topics: plain
    retain: false
  - allow: rest
    do: [publish, subscribe]
    topics: "#"
`

// alsoDenied is someDenied, and more.
const alsoDenied = `rules:
  - deny: closed-too
    do: [publish, subscribe]
    topics: [denied/#, a]
  - allow: rest
    do: [publish, subscribe]
    topics: "#"
`

func mustPolicy(t testing.TB, text string) *permit.Policy {
	t.Helper()
	p, err := permit.Parse([]byte(text))
	if err != nil {
		t.Fatal(err)
	}
	return p
}

// denials are what the rules deny.
func denials() []provocation {
	denied := func(f *failure.Failure, provoke func(w *failing) (*caller, *caller)) provocation {
		return provocation{failure: f, provoke: provoke, change: func(o *Options) {
			p, err := permit.Parse([]byte(someDenied))
			if err != nil {
				panic(err)
			}
			o.Policy = p
		}}
	}
	return []provocation{
		denied(failure.WillDenied, func(w *failing) (*caller, *caller) {
			c := w.dial()
			c.connect("dev", func(p *packet.Connect) { p.Will = &packet.Will{Topic: "denied/will", QoS: 1} })
			return c, nil
		}),
		denied(failure.PublishDenied, func(w *failing) (*caller, *caller) {
			c := w.device()
			c.publish("denied/x", 1)
			return w.same(c, true)
		}),
		denied(failure.RetainDenied, func(w *failing) (*caller, *caller) {
			c := w.device()
			c.publish("plain", 1)
			c.publish("plain", 1, retained)
			return w.same(c, true)
		}),
		denied(failure.SubscribeDenied, func(w *failing) (*caller, *caller) {
			c := w.device()
			c.subscribe("denied/x")
			return c, c
		}),
		denied(failure.SubscriptionEnded, func(w *failing) (*caller, *caller) {
			c := w.device()
			c.subscribe("a", "b")
			w.node.SetPolicy(mustPolicy(w.t, alsoDenied))
			return c, c
		}),
		denied(failure.WillWithheld, func(w *failing) (*caller, *caller) {
			c := w.device(func(p *packet.Connect) { p.Will = &packet.Will{Topic: "a", QoS: 1, Payload: []byte("x")} })
			w.node.SetPolicy(mustPolicy(w.t, alsoDenied))
			_ = c.conn.Close()
			w.pass(5 * time.Second)
			back := w.back()
			return back, back
		}),
	}
}
