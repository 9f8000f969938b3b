package gateway

import (
	"context"
	"errors"
	"fmt"
	"time"

	"sluice/amqp"
	"sluice/amqp/embedded"
	"sluice/amqp/message"
	"sluice/gateway/access"
	"sluice/gateway/auth"
	"sluice/mapping"
	"sluice/mapping/failure"
	"sluice/mapping/rules"
	"sluice/mqtt/packet"
	"sluice/mqtt/session"
	"sluice/sessionstore"
)

func connections() []provocation {
	return []provocation{
		{failure: failure.ProtocolVersion, provoke: func(w *failing) (*caller, *caller) {
			c := w.dial()
			if w.v == packet.V5 {
				c.raw(0x10, 0x0d, 0, 4, 'M', 'Q', 'T', 'T', 6, 2, 0, 60, 0, 0, 0)
			} else {
				c.raw(0x10, 0x0c, 0, 4, 'M', 'Q', 'T', 'T', 3, 2, 0, 60, 0, 0)
			}
			return c, nil
		}},
		{failure: failure.ClientID, only: packet.V311, provoke: func(w *failing) (*caller, *caller) {
			c := w.dial()
			c.connect("")
			return c, nil
		}},
		{failure: failure.AuthMethod, only: packet.V5, provoke: func(w *failing) (*caller, *caller) {
			c := w.dial()
			c.connect("dev", func(p *packet.Connect) { p.Properties.SetAuthMethod("telepathy") })
			return c, nil
		}},
		{failure: failure.ConnectTimeout, provoke: func(w *failing) (*caller, *caller) {
			c := w.dial()
			w.pass(11 * time.Second)
			return c, nil
		}},
		{failure: failure.TooManyConnections, change: func(o *Options) { o.ConnectionsMax = 1 }, provoke: func(w *failing) (*caller, *caller) {
			w.device()
			c := w.dial()
			c.connect("other")
			return c, nil
		}},
		refusedAs(failure.BadCredentials, &access.Refused{Reason: "wrong-password", Detail: "secret"}),
		refusedAs(failure.NotAuthorized, access.ErrNotMine),
		refusedAs(failure.TooManyAttempts, &access.Refused{Reason: auth.ReasonSlowed}),
		refusedAs(failure.AuthUnavailable, errors.New("secret")),
		{failure: failure.TooManySessions, provoke: func(w *failing) (*caller, *caller) {
			w.store.set(func(s *faultyStore) { s.claim = sessionstore.ErrFull })
			c := w.dial()
			c.connect("dev")
			return c, nil
		}},
		{failure: failure.ConnectRate, change: func(o *Options) { o.ConnectRate = 1 }, provoke: func(w *failing) (*caller, *caller) {
			first := w.dial()
			w.pass(time.Millisecond)
			c := w.dial()
			first.connect("dev")
			c.connect("other")
			return c, nil
		}},
	}
}

func tooManyProperties(p *packet.Publish) {
	for range packet.UserPropertiesMax + 1 {
		p.Properties.AddUser("", "")
	}
}

// endings end a connection that was open, but for the last.
func endings() []provocation {
	violation := func(f *failure.Failure, name string, only packet.Version, change func(*Options), do func(c *caller)) provocation {
		return provocation{f, name, only, change, func(w *failing) (*caller, *caller) {
			c := w.device()
			do(c)
			w.pass(100 * time.Millisecond)
			return c, w.back()
		}}
	}
	offer := func(change func(*session.Config)) func(*Options) {
		return func(o *Options) { change(&o.Bridge.Session) }
	}
	return []provocation{
		violation(failure.Malformed, "", 0, nil, func(c *caller) { c.raw(0x80, 0) }),
		violation(failure.Protocol, "", 0, nil, func(c *caller) { c.connect("dev") }),
		violation(failure.PacketTooLarge, "", 0, offer(func(s *session.Config) { s.MaximumPacketSize = 2000 }), func(c *caller) {
			c.publish("a", 0, func(p *packet.Publish) { p.Payload = make([]byte, 3000) })
		}),
		violation(failure.TopicName, "", packet.V311, nil, func(c *caller) { c.raw(0x30, 5, 0, 3, 'a', '/', '+') }),
		violation(failure.TopicName, "", packet.V5, nil, func(c *caller) { c.raw(0x30, 6, 0, 3, 'a', '/', '+', 0) }),
		violation(failure.FilterMalformed, "", packet.V311, nil, func(c *caller) { c.raw(0x82, 5, 0, 9, 0, 0, 0) }),
		violation(failure.FilterMalformed, "", packet.V5, nil, func(c *caller) { c.raw(0x82, 6, 0, 9, 0, 0, 0, 0) }),
		violation(failure.QoSNotSupported, "", 0, offer(func(s *session.Config) { s.MaximumQoS = 1 }), func(c *caller) { c.publish("a", 2) }),
		violation(failure.RetainNotSupported, "", 0, offer(func(s *session.Config) { s.RetainAvailable = false }), func(c *caller) { c.publish("a", 1, retained) }),
		violation(failure.TooManyProperties, "", packet.V5, nil, func(c *caller) { c.publish("a", 0, tooManyProperties) }),
		violation(failure.TopicAlias, "", packet.V5, nil, func(c *caller) {
			c.publish("a", 0, func(p *packet.Publish) { p.Properties.SetTopicAlias(5) })
		}),
		violation(failure.ReceiveMaximum, "", packet.V5, offer(func(s *session.Config) { s.ReceiveMaximum = 2 }), func(c *caller) {
			c.w.broker.Faults().Answer(embedded.Answer{Address: "/exchanges/amq.topic/p", Never: true})
			for range 3 {
				c.publish("p", 1)
			}
		}),
		{failure: failure.TooManyUnderWay, change: offer(func(s *session.Config) { s.ReceiveMaximum, s.InboundQoS2Max = 2, 2 }),
			provoke: func(w *failing) (*caller, *caller) {
				c := w.device()
				c.publish("a", 2)
				c.publish("a", 2)
				_ = c.conn.Close()
				w.pass(time.Second)
				again := w.back()
				again.id = 9
				again.publish("a", 2)
				return again, w.back()
			}},
		{failure: failure.AnswerTooLarge, only: packet.V5, change: offer(func(s *session.Config) { s.SubscriptionsMax = 100 }), provoke: func(w *failing) (*caller, *caller) {
			_ = w.device().conn.Close()
			w.pass(time.Second)
			c := w.dial()
			c.connect("dev", func(p *packet.Connect) { p.Properties.SetMaximumPacketSize(40) })
			many := make([]string, 50)
			for i := range many {
				many[i] = fmt.Sprint("f/", i)
			}
			c.subscribe(many...)
			return c, w.back()
		}},
		{failure: failure.KeepAlive, provoke: func(w *failing) (*caller, *caller) {
			c := w.device(func(p *packet.Connect) { p.KeepAlive = 10 })
			w.pass(16 * time.Second)
			return c, w.back()
		}},
		{failure: failure.SessionTaken, provoke: func(w *failing) (*caller, *caller) {
			c := w.device()
			return c, w.back()
		}},
		{failure: failure.ShuttingDown, provoke: stopped},
		{failure: failure.AnotherServer, change: func(o *Options) { o.ServerReference = "elsewhere" }, provoke: stopped},
		{failure: failure.StoreUnavailable, provoke: func(w *failing) (*caller, *caller) {
			c := w.device()
			w.store.set(func(s *faultyStore) { s.write = sessionstore.ErrUnavailable })
			c.subscribe("a")
			w.store.set(func(s *faultyStore) { s.write = nil })
			return c, w.back()
		}},
		{failure: failure.StoreUnavailable, name: " for CONNECT", provoke: func(w *failing) (*caller, *caller) {
			w.store.set(func(s *faultyStore) { s.claim = sessionstore.ErrUnavailable })
			c := w.dial()
			c.connect("dev")
			w.pass(time.Minute) // until the claim without an answer is looked after
			return c, nil
		}},
		{failure: failure.BusUnavailable, provoke: func(w *failing) (*caller, *caller) {
			c := w.device()
			w.broker.Faults().Answer(embedded.Answer{Address: "/exchanges/amq.topic/p", Outcome: message.Outcome{Kind: message.Modified, DeliveryFailed: true}})
			c.publish("p", 1)
			w.pass(40 * time.Second)
			return c, w.back()
		}},
		{failure: failure.NodeFenced, provoke: func(w *failing) (*caller, *caller) {
			c := w.device()
			w.store.set(func(s *faultyStore) { s.lease = sessionstore.ErrFenced })
			w.pass(4 * time.Second)
			return c, w.back()
		}},
		{failure: failure.GroupAnew, provoke: func(w *failing) (*caller, *caller) {
			c := w.device()
			c.subscribe("$share/g/s")
			w.store.set(func(s *faultyStore) { s.anew = true })
			l := w.node.directory.connections()[0].lanes.sharedLane("$share/g/s")
			if err := w.bus.DeleteInbox(w.t.Context(), l.inbox); err != nil {
				w.t.Fatal(err)
			}
			w.pass(5 * time.Second)
			w.store.set(func(s *faultyStore) { s.anew = false })
			return c, w.back()
		}},
		{failure: failure.Certificate, provoke: func(w *failing) (*caller, *caller) {
			c := w.device()
			w.node.directory.connections()[0].holds = func() error { return errors.New("revoked") }
			w.node.Recheck()
			w.pass(time.Second)
			return c, w.back()
		}},
		{failure: failure.CredentialGone, provoke: func(w *failing) (*caller, *caller) {
			j := &judge{}
			w.auth.Methods = []auth.Method{{Name: "judge", Authenticator: j}}
			c := w.device()
			j.set(func() { j.gone = errors.New("secret") })
			w.node.Recheck()
			w.pass(time.Second)
			j.set(func() { j.gone = nil })
			return c, w.back()
		}},
		{failure: failure.AuthExpired, provoke: func(w *failing) (*caller, *caller) {
			j := &judge{who: passing(10 * time.Second)}
			w.auth.Methods = []auth.Method{{Name: "judge", Authenticator: j}}
			c := w.device()
			w.pass(10 * time.Second)
			j.set(func() { j.who = passing(time.Hour) })
			return c, w.back()
		}},
		refusedAs(failure.AuthExpired, &access.Refused{Reason: "token-expired", Detail: "secret", Expired: true}).named("at once"),
		againRefusedAs(failure.ReauthFailed, "refused", &access.Refused{Reason: "token-expired", Detail: "secret"}),
		againRefusedAs(failure.ReauthFailed, "another principal", nil),
		againRefusedAs(failure.ReauthUnavailable, "", errors.New("secret")),
		{failure: failure.Internal, provoke: func(w *failing) (*caller, *caller) {
			c := w.device()
			w.node.directory.connections()[0].post("no event that anybody knows")
			w.pass(time.Second)
			return c, w.back()
		}},
	}
}

// stopped stops the node; the device comes back to another.
func stopped(w *failing) (told, back *caller) {
	c := w.device()
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	w.node.stop(ctx)
	first := w.node
	change := w.change
	w.change, w.inFront = nil, nil
	w.node = w.start("other", w.bubble.store)
	back = w.back()
	w.pass(time.Second)
	w.node, w.change = first, change
	return c, back
}

// rejectedWith is an answer of the bus to what is sent to the topics p and below.
func rejectedWith(condition string, info map[string]any) embedded.Answer {
	return embedded.Answer{Address: "/exchanges/amq.topic/p", Outcome: message.Outcome{Kind: message.Rejected, Error: &message.Error{
		Condition: condition, Description: "secret-host: queue 'secret'", Info: info,
	}}}
}

// refusedPublishes are those that the bus refuses.
func refusedPublishes() (all []provocation) {
	for _, r := range []struct {
		failure *failure.Failure
		answer  embedded.Answer
	}{
		{failure.Refused, rejectedWith("amqp:internal-error", nil)},
		{failure.Refused, embedded.Answer{Address: "/exchanges/amq.topic/p", Outcome: message.Outcome{Kind: message.Modified, UndeliverableHere: true}}},
		{failure.QueueFull, rejectedWith("amqp:resource-limit-exceeded", map[string]any{"reason": "maxlen"})},
		{failure.BusNotAuthorized, rejectedWith("amqp:unauthorized-access", nil)},
		{failure.AddressNotFound, rejectedWith("amqp:not-found", nil)},
		{failure.AddressNotUsable, rejectedWith("amqp:precondition-failed", nil)},
		{failure.BusLimit, rejectedWith("amqp:resource-limit-exceeded", nil)},
		{failure.MessageTooLarge, rejectedWith("amqp:link:message-size-exceeded", nil)},
		{failure.BusCannotRead, rejectedWith("amqp:decode-error", nil)},
		{failure.PropertyNotTaken, rejectedWith("amqp:invalid-field", nil)},
	} {
		for _, qos := range []packet.QoS{1, 2} {
			all = append(all, provocation{failure: r.failure, name: fmt.Sprintf(" %v QoS %d", r.answer.Outcome.Kind, qos), provoke: func(w *failing) (*caller, *caller) {
				c := w.device()
				w.broker.Faults().Answer(r.answer)
				c.publish("p", qos)
				return w.same(c, true)
			}})
		}
	}
	return all
}

// otherPublishes are refused for other reasons.
func otherPublishes() []provocation {
	retaining := func(f *failure.Failure, err error, qos packet.QoS, closes bool) provocation {
		return provocation{failure: f, provoke: func(w *failing) (*caller, *caller) {
			c := w.device()
			w.store.set(func(s *faultyStore) { s.retain = err })
			c.publish("a", qos, retained)
			return w.same(c, closes)
		}}
	}
	return []provocation{
		{failure: failure.NoRoute, change: func(o *Options) {
			table, err := rules.Compile([]rules.Rule{{Topic: "r/#", RequireRoute: true}}, o.Bridge.Dialect)
			if err != nil {
				panic(err)
			}
			o.Bridge.Rules = table
		}, provoke: func(w *failing) (*caller, *caller) {
			c := w.device()
			c.publish("r/1", 1)
			return w.same(c, true)
		}},
		{failure: failure.TopicReserved, provoke: func(w *failing) (*caller, *caller) {
			c := w.device()
			c.publish("$sluice/errors", 1)
			return w.same(c, true)
		}},
		retaining(failure.RetainedQuota, sessionstore.ErrFull, 1, true),
		retaining(failure.RetainedTooLarge, sessionstore.ErrInvalid, 1, true),
		retaining(failure.QoS0NotRetained, sessionstore.ErrUnavailable, 0, false),
		{failure: failure.PacketIDInUse, only: packet.V5, provoke: func(w *failing) (*caller, *caller) {
			c := w.device()
			c.publish("a", 2)
			c.id--
			c.publish("a", 1)
			return c, c
		}},
		{failure: failure.QoS0Dropped, provoke: func(w *failing) (*caller, *caller) {
			c := w.device()
			w.bus.set(func(b *faultyBus) { b.busy = true })
			c.publish("a", 0)
			w.pass(5 * time.Second)
			return c, c
		}},
		{failure: failure.WillRefused, provoke: func(w *failing) (*caller, *caller) {
			w.broker.Faults().Answer(rejectedWith("amqp:unauthorized-access", nil))
			c := w.device(func(p *packet.Connect) { p.Will = &packet.Will{Topic: "p/will", QoS: 1, Payload: []byte("x")} })
			_ = c.conn.Close()
			w.pass(5 * time.Second)
			back := w.back()
			return back, back
		}},
	}
}

func filters() []provocation {
	refused := func(f *failure.Failure, filter string, change func(*Options), before func(w *failing)) provocation {
		return provocation{failure: f, change: change, provoke: func(w *failing) (*caller, *caller) {
			c := w.device()
			if before != nil {
				before(w)
			}
			c.subscribe(filter)
			return c, c
		}}
	}
	return []provocation{
		refused(failure.FilterNotValid, "a/#/b", nil, nil),
		refused(failure.FilterReserved, "$sluice/#", nil, nil),
		refused(failure.SharedNotSupported, "$share/g/a", func(o *Options) { o.Bridge.Session.SharedAvailable = false }, nil),
		refused(failure.TooManySubscriptions, "a", func(o *Options) { o.Bridge.Session.SubscriptionsMax = 1 }, nil),
		refused(failure.SubscriptionQuota, "$share/g/a", nil, func(w *failing) { w.store.set(func(s *faultyStore) { s.join = sessionstore.ErrFull }) }),
		refused(failure.SubscriptionRefused, "a", nil, func(w *failing) { w.bus.set(func(b *faultyBus) { b.subscribe = amqp.ErrRefused }) }),
	}
}

func deliveries() []provocation {
	delivered := func(f *failure.Failure, only packet.Version, m func(w *failing) *message.Message) provocation {
		return provocation{failure: f, only: only, provoke: func(w *failing) (*caller, *caller) {
			c := w.device(func(p *packet.Connect) {
				if f == failure.DeliveryTooLarge {
					p.Properties.SetMaximumPacketSize(1000)
				}
			})
			c.subscribe("a/#")
			c.mu.Lock()
			c.refuse = f == failure.DeliveryRefused
			c.mu.Unlock()
			w.bus.Publish(0, m(w), false, func(message.Outcome) {})
			w.pass(time.Second)
			if f == failure.DeliveryRefused {
				return c, nil // it was the device that said so
			}
			return c, c
		}}
	}
	to := func(size int) *message.Message {
		return &message.Message{Header: message.Header{Durable: true}, Properties: message.Properties{MessageID: "m-1", To: "/exchanges/amq.topic/a.b"}, Data: [][]byte{make([]byte, size)}}
	}
	return []provocation{
		delivered(failure.Undeliverable, 0, func(*failing) *message.Message {
			m := to(1)
			m.Data, m.Sequence = nil, [][]any{{int32(1)}}
			return m
		}),
		delivered(failure.DeliveryTooLarge, packet.V5, func(*failing) *message.Message { return to(2000) }),
		delivered(failure.DeliveryExpired, 0, func(*failing) *message.Message {
			m := to(1)
			m.Properties.AbsoluteExpiry = time.Now().Add(-time.Second)
			return m
		}),
		delivered(failure.DeliveryUnmatched, 0, func(w *failing) *message.Message {
			m := to(1)
			m.Properties.To = w.bus.InboxAddress(w.node.directory.connections()[0].lanes.session.inbox)
			m.Annotations = map[string]any{mapping.AnnotationTopic: "elsewhere"}
			return m
		}),
		{failure: failure.DeliveryPoisonous, change: func(o *Options) { o.Bridge.Session.PoisonAfter = 2 }, provoke: func(w *failing) (*caller, *caller) {
			c := w.device()
			c.ignore("a/b")
			c.subscribe("a/#")
			w.bus.Publish(0, to(1), false, func(message.Outcome) {})
			for range 2 {
				w.pass(time.Second)
				_ = c.conn.Close()
				w.pass(time.Second)
				c = w.dial()
				c.ignore("a/b")
				c.connect("dev")
			}
			return c, c
		}},
		delivered(failure.DeliveryRefused, packet.V5, func(*failing) *message.Message { return to(1) }),
	}
}
