package sim

import (
	"context"
	"fmt"

	"sluice/mqtt/packet"
	"sluice/sessionstore"
)

// The store's steps for groups and retained messages. Those of one topic, and those of one session's memberships, are applied in order.

func (c *storeClient) join(g sessionstore.Group, f sessionstore.Fence, done func(incarnation uint64, err error)) {
	var incarnation uint64
	c.lane(f.Key).add(fmt.Sprintf("%s join %s/%d %s", c.n.id, f.Key.ClientID, f.Epoch, g.Filter), grace, func() (err error) {
		if incarnation, err = c.n.w.store.held.Join(context.Background(), g, f); err == nil {
			c.n.w.oracle.joined(g, incarnation)
		}
		return err
	}, func(err error) { done(incarnation, err) })
}

func (c *storeClient) leave(g sessionstore.Group, f sessionstore.Fence, done func(work bool, err error)) {
	work := false
	c.lane(f.Key).add(fmt.Sprintf("%s leave %s/%d %s", c.n.id, f.Key.ClientID, f.Epoch, g.Filter), grace, func() (err error) {
		due, err := c.n.w.store.held.Leave(context.Background(), g, f)
		work = work || due
		return err
	}, func(err error) { done(work, err) })
}

func (c *storeClient) take(g sessionstore.Group, incarnation uint64, identity string, by sessionstore.Member, done func(sessionstore.Member, error)) {
	var taker sessionstore.Member
	what := fmt.Sprintf("%s take %s of %s/%d for %s/%d", c.n.id, identity, g.Filter, incarnation, by.Key.ClientID, by.Incarnation)
	c.lane(sessionstore.Key{ClientID: g.Filter}).add(what, grace, func() (err error) {
		taker, err = c.n.w.store.held.Take(context.Background(), g, incarnation, identity, by)
		return err
	}, func(err error) { done(taker, err) })
}

func (c *storeClient) putRetained(sh *shell, r sessionstore.Retained, p *packet.Publish, done func(error)) {
	key := payloadKey(p.Topic, p.Payload)
	c.lane(sessionstore.Key{ClientID: "retained " + r.Topic}).add(fmt.Sprintf("%s retain %s", c.n.id, key), grace, func() (err error) {
		c.n.w.store.held.PutRetained(sh.key.Tenant, r, func(e error) { err = e })
		if err == nil {
			c.n.w.oracle.storesRetained(sh, key)
		}
		return err
	}, done)
}

func (c *storeClient) retainedTopics(tenant, from, to string, done func([]string, error)) {
	var names []string
	c.lane(sessionstore.Key{ClientID: "topics"}).add(c.n.id+" topics", grace, func() (err error) {
		names, err = c.n.w.store.held.RetainedTopics(context.Background(), tenant, from, to, retainedPage)
		return err
	}, func(err error) { done(names, err) })
}

func (c *storeClient) getRetained(tenant string, names []string, done func([]sessionstore.Retained, error)) {
	var found []sessionstore.Retained
	c.lane(sessionstore.Key{ClientID: "topics"}).add(fmt.Sprintf("%s get %q", c.n.id, names), grace, func() (err error) {
		found, err = c.n.w.store.held.GetRetained(context.Background(), tenant, names)
		return err
	}, func(err error) { done(found, err) })
}
