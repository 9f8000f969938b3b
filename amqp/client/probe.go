package client

import (
	"context"

	"sluice/amqp"
)

// Probe connects once and asks the bus what it is. It tries the hosts in their order and tries on until one answers or ctx ends; the error is
// that of the last attempt, or says which option is wrong.
func Probe(ctx context.Context, o Options) (amqp.Info, error) {
	o.setDefaults()
	if err := o.check(); err != nil {
		return amqp.Info{}, err
	}
	endpoints, err := parseEndpoints(o.URLs)
	if err != nil {
		return amqp.Info{}, err
	}
	var wait backoff
	var last error // that says more than that time ran out
	for attempt := 0; ; attempt++ {
		c, err := dial(ctx, &o, endpoints[attempt%len(endpoints)], o.ContainerID)
		if err == nil {
			_ = c.conn.Close()
			<-c.net.flushed
			return c.info, nil
		}
		if last == nil || ctx.Err() == nil {
			last = err
		}
		if ctx.Err() != nil || !wait.wait(ctx, nil) {
			return amqp.Info{}, failure("connect to the bus", "", last)
		}
	}
}
