package chaos

import (
	"context"
	"errors"
	"net"
	"time"

	"sluice/mqtt/packet"
)

// connection is one network connection of a device.
type connection struct {
	d     *device
	conn  *net.TCPConn
	stint stint

	attempt int // for the trace
	in      chan packet.Packet
	done    chan struct{} // closed when the reader has ended
	stop    chan struct{} // tells the reader to end

	answers delayed // of a slow device
}

var errSilent = errors.New("no answer in time")

func (c *connection) start() {
	c.in, c.done, c.stop = make(chan packet.Packet, 16), make(chan struct{}), make(chan struct{})
	go c.read()
}

// read passes packets on until the connection ends.
func (c *connection) read() {
	defer close(c.done)
	r := packet.NewReader(c.conn, packet.MaxPacketSize)
	r.SetVersion(c.d.version)
	for {
		p, err := r.ReadPacket()
		if err != nil {
			if packetErr := (*packet.Error)(nil); errors.As(err, &packetErr) {
				c.d.book.violation("malformed", "device %d: %v", c.d.number, err)
			}
			return
		}
		if p.Type() != packet.PINGRESP {
			c.d.trace.add(c.attempt, "<- %s", text(p))
		}
		select {
		case c.in <- p:
		case <-c.stop:
			return
		}
	}
}

func (c *connection) close() {
	_ = c.conn.Close()
	close(c.stop)
	<-c.done
}

// die cuts the connection as a device does that has lost its power: no DISCONNECT.
func (c *connection) die() { _ = c.conn.SetLinger(0) }

func (c *connection) write(packets ...packet.Packet) error {
	var b []byte
	for _, p := range packets {
		var err error
		if b, err = packet.Append(b, p, c.d.version); err != nil {
			return err
		}
		if p.Type() != packet.PINGREQ {
			c.d.trace.add(c.attempt, "-> %s", text(p))
		}
	}
	_ = c.conn.SetWriteDeadline(time.Now().Add(writeWait))
	_, err := c.conn.Write(b)
	return err
}

// open sends CONNECT and waits for CONNACK.
func (c *connection) open(ctx context.Context, p *packet.Connect) (*packet.Connack, error) {
	if err := c.write(p); err != nil {
		return nil, err
	}
	limit := time.NewTimer(connackWait)
	defer limit.Stop()
	select {
	case p := <-c.in:
		connack, ok := p.(*packet.Connack)
		if !ok {
			c.d.book.violation("stray", "device %d: %v before CONNACK", c.d.number, p.Type())
			return nil, errSilent
		}
		return connack, nil
	case <-c.done:
		return nil, net.ErrClosed
	case <-limit.C:
		return nil, errSilent
	case <-ctx.Done():
		return nil, ctx.Err()
	}
}

// serve is the life of an established connection. It reports whether it was the device's last.
func (c *connection) serve(ctx context.Context) (last bool) {
	if err := c.resume(); err != nil {
		return c.ended(byNode)
	}
	publish := time.NewTicker(c.d.fleet.interval)
	defer publish.Stop()
	ping := time.NewTicker(pingEvery)
	defer ping.Stop()
	move := c.d.habits.move()
	heard := time.Now()
	for {
		c.d.state.Store(&deviceState{connected: true, attempt: c.attempt, node: c.stint.node, open: len(c.d.session.open) + len(c.d.session.holding) + len(c.answers.due)})
		var err error
		select {
		case <-c.answers.next(time.Now()):
			err = c.write(c.answers.take(time.Now())...)
		case <-move:
			if c.d.fleet.loaded.Load() {
				return c.wander()
			}
		case p := <-c.in:
			heard = time.Now()
			err = c.handle(p)
		case <-c.done:
			return c.drained()
		case <-publish.C:
			err = c.publish()
		case <-ping.C:
			if time.Since(heard) > silence {
				return c.ended(bySilence)
			}
			err = c.write(&packet.Pingreq{})
		case order := <-c.d.commands:
			if last, err = c.obey(order); last {
				return true
			}
		case <-ctx.Done():
			c.ended(byDevice)
			return true
		}
		if err != nil {
			return c.ended(bySilence)
		}
	}
}

// wander ends the connection for a nap or for another network.
func (c *connection) wander() bool {
	if c.d.habits.roams {
		return c.ended(byRoaming)
	}
	_ = c.write(&packet.Disconnect{}) // if it does not get through, that is the node's fault and shows as a Will
	return c.ended(byDevice)
}

// drained handles what came before the end of the connection: acknowledgements, or the node's last words.
func (c *connection) drained() bool {
	for {
		select {
		case p := <-c.in:
			_ = c.handle(p) // the answer cannot arrive
		default:
			return c.ended(byNode)
		}
	}
}

func (c *connection) ended(how ending) bool {
	c.stint.how = how
	return false
}

// resume sends again what is not complete, then subscribes if that has never been confirmed.
func (c *connection) resume() error {
	packets := c.d.session.resume(time.Now())
	select {
	case <-c.d.subscribed:
	default:
		filter := packet.Subscription{Filter: c.d.names.downFilter(c.d.number), QoS: 2}
		packets = append(packets, &packet.Subscribe{ID: c.d.session.freeID(), Subscriptions: []packet.Subscription{filter}})
	}
	if len(packets) == 0 {
		return nil
	}
	return c.write(packets...)
}

func (c *connection) handle(p packet.Packet) error {
	switch p := p.(type) {
	case *packet.Suback:
		if p.Reasons[0] != packet.GrantedQoS2 {
			c.d.book.violation("refused", "device %d: SUBACK %v", c.d.number, p.Reasons[0])
			return nil
		}
		select {
		case <-c.d.subscribed:
		default:
			close(c.d.subscribed)
		}
	case *packet.Disconnect:
		c.stint.reason = p.Reason
	default:
		answer := c.d.session.handle(p, time.Now())
		if answer == nil {
			return nil
		}
		if !c.d.habits.slow {
			return c.write(answer)
		}
		if c.answers.add(answer, time.Now()); len(c.answers.due) > delayedMax {
			c.d.book.violation("flood", "device %d owes %d answers", c.d.number, len(c.answers.due))
		}
	}
	return nil
}

// publish sends the next message if there is load and the window has room.
func (c *connection) publish() error {
	if !c.d.fleet.loaded.Load() || len(c.d.session.open) >= window {
		return nil
	}
	return c.next(1 + uint8(c.d.sequence[1]+c.d.sequence[2])%2)
}

func (c *connection) next(qos uint8) error {
	c.d.sequence[qos]++
	id := identity{direction: up, device: c.d.number, qos: qos, sequence: c.d.sequence[qos]}
	return c.write(c.d.session.begin(id, c.d.names.topic(id), time.Now()))
}

// obey reports whether the order ends the device.
func (c *connection) obey(order command) (last bool, err error) {
	switch order {
	case die:
		c.ended(byDeath)
		c.die()
		return true, nil
	case leave:
		c.ended(byDevice)
		return true, c.leave()
	}
	if err := c.next(1); err != nil {
		return false, err
	}
	return false, c.next(2)
}

// leave ends connection and session, so that bus and store keep nothing. MQTT 5 says so in DISCONNECT; a 3.1.1 session ends with a clean one that
// takes its place.
func (c *connection) leave() error {
	p := &packet.Disconnect{}
	if c.d.version == packet.V5 {
		p.Properties.SetSessionExpiry(0)
	}
	return c.write(p)
}
