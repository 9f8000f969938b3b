package client

import (
	"context"
	"fmt"

	"sluice/amqp"
)

// Probe connects once and asks the bus what it is. It tries each host once, in their order; the error is that of the last, or says which option is wrong.
func Probe(ctx context.Context, o Options) (amqp.Info, error) {
	o.setDefaults()
	if err := o.check(); err != nil {
		return amqp.Info{}, err
	}
	endpoints, err := parseEndpoints(o.URLs)
	if err != nil {
		return amqp.Info{}, err
	}
	var last error
	for _, e := range endpoints {
		c, err := dial(ctx, &o, e, o.ContainerID)
		if err == nil {
			_ = c.conn.Close()
			<-c.net.flushed
			return c.info, nil
		}
		if last == nil || ctx.Err() == nil { // it says more than that time ran out
			last = fmt.Errorf("%s: %w", e.address, err)
		}
	}
	return amqp.Info{}, failure("connect to the bus", "", last)
}
