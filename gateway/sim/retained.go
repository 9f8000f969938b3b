package sim

import (
	"context"
	"errors"
	"strconv"
	"time"

	"sluice/amqp"
	"sluice/amqp/message"
	"sluice/gateway/bridge"
	"sluice/gateway/records"
	"sluice/mapping"
	"sluice/mapping/failure"
	"sluice/mqtt/packet"
	"sluice/mqtt/topic"
	"sluice/sessionstore"
)

// Retained messages, as gateway/retained.go has them: stored once the bus has taken them, copied into the inbox of a session that subscribes at QoS 1
// or 2, and sent from the store for a subscription of QoS 0.

func (sh *shell) storeRetained(e bridge.StoreRetained) {
	r := sessionstore.Retained{Topic: e.Packet.Topic, Principal: sh.key.Principal, ClientID: sh.key.ClientID, Epoch: sh.epoch}
	if len(e.Packet.Payload) > 0 {
		var err error
		if r.Message, err = records.EncodePublish(e.Packet); err != nil {
			panic(err)
		}
	}
	sh.n.store.putRetained(sh, r, e.Packet, func(err error) {
		result := bridge.RetainedStored{Token: e.Token}
		switch {
		case err == nil:
		case errors.Is(err, sessionstore.ErrFull), errors.Is(err, sessionstore.ErrInvalid):
			result.Result, result.Why = bridge.RetainedRefused, failure.RetainedQuota
		default:
			result.Result = bridge.RetainedLost
		}
		if e.Token != 0 {
			sh.post(result)
		}
	})
}

// eachRetained gives the retained messages that a filter matches, page by page, while the connection lasts.
func (sh *shell) eachRetained(filter string, yield func(r sessionstore.Retained, p *packet.Publish), then func(error)) {
	from, to := topic.Span(filter)
	forever := func(op func(done func(error)), then func(error)) {
		r := &retrying{n: sh.n, until: sh.w.now.Add(time.Hour), scope: &sh.scope}
		r.run(op, then)
	}
	var page func()
	page = func() {
		var names []string
		forever(func(done func(error)) {
			sh.n.store.retainedTopics(sh.key.Tenant, from, to, func(found []string, err error) {
				names = found
				done(err)
			})
		}, func(err error) {
			if err != nil {
				then(err)
				return
			}
			var matching []string
			for _, n := range names {
				if topic.Match(filter, n) {
					matching = append(matching, n)
				}
			}
			var found []sessionstore.Retained
			forever(func(done func(error)) {
				sh.n.store.getRetained(sh.key.Tenant, matching, func(list []sessionstore.Retained, err error) {
					found = list
					done(err)
				})
			}, func(err error) {
				if err != nil {
					then(err)
					return
				}
				for _, r := range found {
					p, err := records.DecodePublish(r.Message)
					if err != nil {
						panic(err)
					}
					yield(r, p)
				}
				if len(names) < retainedPage {
					then(nil)
					return
				}
				from = names[len(names)-1] + "\x00"
				page()
			})
		})
	}
	page()
}

// sendRetained brings the device the retained messages of QoS 0 subscriptions, one filter after the other.
func (sh *shell) sendRetained(filters []string, then func()) {
	if len(filters) == 0 {
		then()
		return
	}
	filter := filters[0]
	sh.eachRetained(filter, func(r sessionstore.Retained, p *packet.Publish) {
		sh.post(bridge.Fanout(&mapping.DownlinkMessage{
			Publish: *p, Expires: r.Expires, For: filter, Retained: true,
			Publisher: mapping.Publisher{Tenant: sh.key.Tenant, Principal: r.Principal, ClientID: r.ClientID},
		}))
	}, func(error) { sh.sendRetained(filters[1:], then) })
}

// copyRetained puts copies of what the filters match into the session's inbox, and is done when the bus has answered for each.
func (sh *shell) copyRetained(filters []string, then func(error)) {
	c := &copies{sh: sh, then: then, underWay: 1}
	var next func()
	next = func() {
		if len(filters) == 0 || c.err != nil {
			c.answered(nil)
			return
		}
		filter := filters[0]
		filters = filters[1:]
		sh.eachRetained(filter, func(r sessionstore.Retained, p *packet.Publish) { c.put(filter, r, p) }, func(err error) {
			if err != nil {
				c.answered(err)
				return
			}
			next()
		})
	}
	next()
}

// copies are those of one SUBSCRIBE on their way to the inbox.
type copies struct {
	sh       *shell
	underWay int // and one while there may be more
	err      error
	then     func(error)
}

func (c *copies) answered(err error) {
	if c.err == nil {
		c.err = err
	}
	if c.underWay--; c.underWay == 0 {
		c.then(c.err)
	}
}

func (c *copies) put(filter string, r sessionstore.Retained, p *packet.Publish) {
	sh := c.sh
	if c.err != nil || sh.scope.ended {
		return
	}
	c.underWay++
	sh.copies++
	m, _ := mapping.Uplink(mapping.UplinkMessage{
		Publish:   p,
		From:      mapping.NewProvenance(sh.key.Tenant, r.Principal, r.ClientID, ""),
		MessageID: messageIDPrefix(sh.key.ClientID, sh.incarnation, sh.epoch) + "r" + strconv.FormatUint(sh.copies, 36),
		Received:  sh.w.now,
	})
	mapping.Direct(m, mapping.RabbitMQ, mapping.RabbitMQ.ToQueue(sh.lane.inbox), filter)
	sh.w.oracle.copiesRetained(sh, p, filter)
	c.send(m, sh.w.now, retryFirst)
}

func (c *copies) send(m *message.Message, since time.Time, pause time.Duration) {
	sh := c.sh
	sh.n.bus.publish(m, false, func(o message.Outcome) {
		switch {
		case o.Kind == message.Accepted:
			c.answered(nil)
		case mapping.Classify(o, mapping.OutcomeRule{}).Class == mapping.Refused:
			c.answered(amqp.ErrRefused)
		case sh.scope.ended:
			c.answered(context.Canceled)
		case sh.w.now.Sub(since) > grace:
			c.answered(amqp.ErrUnavailable)
		default:
			sh.n.after(pause, func() { c.send(m, since, min(2*pause, retryMax)) })
		}
	})
}
