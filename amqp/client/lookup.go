package client

import (
	"context"

	goamqp "github.com/Azure/go-amqp"
)

// Lookup implements amqp.Bus: it attaches a sender to the address and detaches it again. It has a session of its own, since RabbitMQ ends the session of an
// attach that it refuses. It takes at most attachTimeout, whatever ctx says.
func (c *Client) Lookup(ctx context.Context, address string) error {
	if _, err := c.family.wait(ctx); err != nil {
		return err
	}
	if e, static := c.publishers[0].(*entities); static {
		return e.lookup(address)
	}
	conn := c.management.sup.connection()
	if conn == nil {
		return orError(c.management.sup.ready())
	}
	session, err := conn.newSession()
	if err != nil {
		return failure("begin a session", "", err)
	}
	defer conn.endSession(session)
	err = conn.within("attach", func() error {
		_, err := session.NewSender(context.Background(), address, &goamqp.SenderOptions{})
		return err
	})
	if err != nil {
		return failure("send to", address, err)
	}
	return nil
}
