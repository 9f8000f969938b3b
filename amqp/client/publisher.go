package client

import (
	"context"
	"fmt"
	"sync"
)

// publishing is one connection that publishes: over anonymous links (publisher), or over a link for each entity (entities).
type publishing interface {
	// publish sends a message; those with the same slot, settled and address keep their order.
	publish(slot int, settled bool, p publication)
	ready() error
	// largest is the largest message that the bus takes, in bytes; zero: not known, or no limit.
	largest() uint64
	// stop ends it in peace: what is in flight still gets its outcome.
	stop()
}

// publisher is a publishing connection with anonymous links: a supervisor and its lanes.
type publisher struct {
	supervisor *supervisor
	unsettled  []*lane
	settled    []*lane
}

func (c *Client) startPublisher(i int, supervise supervise) {
	name := fmt.Sprintf("publish-%d", i)
	if c.options.Kind.Static() {
		e := newEntities(name, &c.options)
		e.supervisor = supervise(name, func(ctx context.Context, conn *connection) {
			c.learn(conn.info)
			e.serve(ctx, conn, c.closing.Done())
		})
		c.publishers = append(c.publishers, e)
		c.supervise(e.supervisor)
		return
	}
	p := &publisher{}
	for j := range c.options.Lanes {
		p.unsettled = append(p.unsettled, newLane(fmt.Sprintf("%s/unsettled-%d", name, j), false, &c.options))
		p.settled = append(p.settled, newLane(fmt.Sprintf("%s/settled-%d", name, j), true, &c.options))
	}
	p.supervisor = supervise(name, func(ctx context.Context, conn *connection) {
		c.learn(conn.info)
		if c.family.usable(conn) {
			p.serve(ctx, conn, &c.options, c.closing.Done())
		}
	})
	c.publishers = append(c.publishers, p)
	c.supervise(p.supervisor)
}

func (p *publisher) publish(slot int, settled bool, m publication) {
	lanes := p.unsettled
	if settled {
		lanes = p.settled
	}
	lanes[slot%len(lanes)].publish(m)
}

// serve runs all lanes over conn.
func (p *publisher) serve(ctx context.Context, conn *connection, o *Options, stopping <-chan struct{}) {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	var lanes, watching sync.WaitGroup
	for _, l := range p.lanes() {
		lanes.Go(func() { l.serve(ctx, conn, stopping) })
	}
	watching.Go(func() { watch(ctx, conn, func() []*lane { return p.unsettled }, o.SendTimeout) })
	lanes.Wait()
	cancel()
	watching.Wait()
}

func (p *publisher) lanes() []*lane {
	return append(p.unsettled[:len(p.unsettled):len(p.unsettled)], p.settled...)
}

func (p *publisher) ready() error {
	if err := p.supervisor.ready(); err != nil {
		return err
	}
	for _, l := range p.lanes() {
		if err := l.ready(); err != nil {
			return err
		}
	}
	return nil
}

func (p *publisher) largest() uint64 { return p.unsettled[0].maxMessageSize.Load() }

func (p *publisher) stop() {
	for _, l := range p.lanes() {
		l.stop()
	}
}
