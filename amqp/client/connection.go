package client

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"sync/atomic"
	"time"

	goamqp "github.com/Azure/go-amqp"

	"sluice/amqp"
	"sluice/amqp/topology"
)

// connection is one open AMQP connection.
type connection struct {
	conn    *goamqp.Conn
	net     *netConn
	address string
	info    amqp.Info
	attach  chan struct{} // bounds the attaches under way
	killed  atomic.Pointer[error]

	sessions atomic.Int32 // begun and not ended
	login    login        // with which tokens are made, on a bus of static entities
	single   bool         // one session at a time: so it is documented for Service Bus
}

// dial opens TCP, TLS, SASL and AMQP within dialTimeout.
func dial(ctx context.Context, o *Options, e endpoint, container string) (*connection, error) {
	ctx, cancel := context.WithTimeout(ctx, dialTimeout)
	defer cancel()
	raw, err := o.Dial(ctx, "tcp", e.address)
	if err != nil {
		return nil, err
	}
	if e.tls {
		if raw, err = handshake(ctx, raw, o.TLS, e.host); err != nil {
			return nil, err
		}
	}
	c := &connection{net: newNetConn(raw), address: e.address, attach: make(chan struct{}, attachConcurrency)}
	if o.Kind.Static() {
		c.single, c.login = true, o.loginAt(e)
		e.sasl = c.login.sasl()
	}
	// The library takes the deadline for the socket during the handshake only; afterwards ctx is no longer looked at.
	c.conn, err = goamqp.NewConn(ctx, c.net, &goamqp.ConnOptions{
		ContainerID:  container,
		HostName:     e.hostname,
		IdleTimeout:  o.IdleTimeout,
		MaxFrameSize: maxFrameSize,
		MaxSessions:  maxSessions + 1, // never reached: slots are counted by us, the library would close the connection
		SASLType:     e.sasl,
		Properties:   map[string]any{"product": "Sluice"},
	})
	if err != nil {
		c.net.abort(err)
		<-c.net.flushed
		if c.net.peer().loginRefused {
			return nil, ErrLogin
		}
		return nil, err
	}
	properties := c.conn.Properties()
	c.info.Product, _ = properties["product"].(string)
	c.info.Version, _ = properties["version"].(string)
	if kind, known := topology.KindOf(c.info.Product); known && o.Kind != "" && o.Kind != kind {
		_ = c.conn.Close()
		<-c.net.flushed
		return nil, fmt.Errorf("%w: the bus calls itself %s, and is expected to be of another kind (%s)", amqp.ErrRefused, c.info.Product, o.Kind)
	}
	return c, nil
}

func handshake(ctx context.Context, raw net.Conn, config *tls.Config, host string) (net.Conn, error) {
	if config == nil {
		config = &tls.Config{MinVersion: tls.VersionTLS12}
	}
	if config.ServerName == "" && !config.InsecureSkipVerify {
		config = config.Clone()
		config.ServerName = host
	}
	conn := tls.Client(raw, config)
	if err := conn.HandshakeContext(ctx); err != nil {
		_ = raw.Close()
		return nil, fmt.Errorf("TLS: %w", err)
	}
	return conn, nil
}

// done is closed when the connection has ended.
func (c *connection) done() <-chan struct{} { return c.conn.Done() }

// alive reports whether the connection has not ended yet.
func (c *connection) alive() bool {
	select {
	case <-c.done():
		return false
	default:
		return true
	}
}

// kill closes the socket at once, for a reason that err gives.
func (c *connection) kill(err error) {
	c.killed.CompareAndSwap(nil, &err)
	c.net.abort(err)
}

// reason tells why the connection has ended.
func (c *connection) reason() error {
	if p := c.killed.Load(); p != nil {
		return *p
	}
	if err := c.conn.Err(); err != nil {
		return err
	}
	return errors.New("closed")
}

// within runs f, and kills the connection if f takes longer than attachTimeout. f's own context only ends with the connection's owner: a
// deadline in it would be nothing that the library can take back.
func (c *connection) within(what string, f func() error) error {
	t := time.AfterFunc(attachTimeout, func() {
		c.kill(fmt.Errorf("the bus did not answer a %s within %v", what, attachTimeout))
	})
	defer t.Stop()
	return f()
}

// newSession begins a session that takes at most maxLinks links. The caller ends it with endSession. Sessions are counted here: the library
// would close the connection when it runs out of channels.
func (c *connection) newSession() (s *goamqp.Session, err error) {
	if n := c.sessions.Add(1); int(n) > c.maxSessions() {
		c.sessions.Add(-1)
		return nil, fmt.Errorf("%w: the bus allows %d sessions on a connection, and all are in use", amqp.ErrUnavailable, c.maxSessions())
	}
	err = c.within("begin", func() error {
		s, err = c.conn.NewSession(context.Background(), &goamqp.SessionOptions{MaxLinks: maxLinks + 1})
		return err
	})
	if err != nil {
		c.sessions.Add(-1)
	}
	return s, err
}

// endSession ends a session and waits for the bus's end; nothing is to be waited for if the bus has ended it first, or the connection is gone.
func (c *connection) endSession(s *goamqp.Session) {
	_ = c.within("end", func() error { return s.Close(context.Background()) })
	c.sessions.Add(-1)
}

// maxSessions is how many sessions we may have here.
func (c *connection) maxSessions() int {
	if c.single {
		return 1
	}
	return int(min(maxSessions, c.net.peer().channelMax+1))
}

// maxLinks is how many links we may have on each session.
func (c *connection) maxLinks() int { return int(min(maxLinks, uint64(c.net.peer().handleMax)+1)) }
