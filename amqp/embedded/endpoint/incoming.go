package endpoint

import "sluice/amqp/frame"

// partialDelivery is a delivery of which more transfers are to come.
type partialDelivery struct {
	open    bool
	id      uint32
	tag     []byte
	format  uint32
	settled bool
	payload []byte
}

// receive takes one transfer of a link on which the peer sends.
func (l *Link) receive(p *frame.Transfer, payload []byte) {
	c := l.session.conn
	if !l.partial.open {
		if !l.begin(p) {
			return
		}
	} else if p.DeliveryID.Set && p.DeliveryID.Value != l.partial.id {
		c.DetachLink(l, Errorf(NotAllowed, "delivery %d began before delivery %d was complete", p.DeliveryID.Value, l.partial.id))
		return
	}
	d := &l.partial
	d.settled = d.settled || p.Settled
	if p.Aborted {
		// The delivery never was; nobody learns of it [AMQP 2.6.14].
		c.partialBytes -= len(d.payload)
		*d = partialDelivery{}
		l.topUp()
		return
	}
	if size := uint64(len(d.payload) + len(payload)); l.maxMessageSize > 0 && size > l.maxMessageSize {
		c.DetachLink(l, Errorf(MessageSizeExceeded, "the message is larger than the link's max-message-size of %d bytes", l.maxMessageSize))
		return
	}
	if p.More {
		if c.partialBytes += len(payload); c.partialBytes > c.cfg.MaxPartialBytes {
			c.partialBytes -= len(payload)
			c.DetachLink(l, Errorf(ResourceLimitExceeded, "unfinished messages of this connection hold more than %d bytes", c.cfg.MaxPartialBytes))
			return
		}
		d.payload = append(d.payload, payload...)
		return
	}
	l.complete(payload)
}

// begin starts a delivery: the transfer that costs one credit [AMQP 2.6.7].
func (l *Link) begin(p *frame.Transfer) bool {
	c := l.session.conn
	switch {
	case !p.DeliveryID.Set:
		c.DetachLink(l, Errorf(InvalidField, "the first transfer of a delivery needs a delivery-id [AMQP 2.7.5]"))
		return false
	case p.DeliveryTag == nil && !p.Settled:
		c.DetachLink(l, Errorf(InvalidField, "the first transfer of a delivery needs a delivery-tag [AMQP 2.7.5]"))
		return false
	case l.session.incoming[p.DeliveryID.Value] != nil:
		l.session.End(Errorf(NotAllowed, "delivery-id %d is still unsettled", p.DeliveryID.Value))
		return false
	case !frame.SerialLess(l.deliveryCount, l.limit):
		c.DetachLink(l, Errorf(TransferLimitExceeded, "a delivery without credit"))
		return false
	}
	l.deliveryCount++
	l.partial = partialDelivery{
		open: true, id: p.DeliveryID.Value, tag: append([]byte(nil), p.DeliveryTag...), format: p.MessageFormat.Or(0),
	}
	return true
}

// complete hands the delivery to the broker.
func (l *Link) complete(last []byte) {
	s, d := l.session, l.partial
	l.partial = partialDelivery{}
	e := MessageReceived{Link: l, Delivery: d.id, Tag: d.tag, Format: d.format, Settled: d.settled, Payload: last}
	if d.payload != nil {
		s.conn.partialBytes -= len(d.payload)
		e.Payload, e.Owned = append(d.payload, last...), true
	}
	if !d.settled {
		s.incoming[d.id] = l
		l.unsettled++
	}
	s.conn.effect(e)
	l.topUp()
}

// topUp renews the credit once half of it is used, and never lets unsettled deliveries and credit together grow beyond twice the window.
func (l *Link) topUp() {
	if l.state != attached || l.stalled || l.unsettled >= l.window {
		return
	}
	if left := frame.SerialDiff(l.granted, l.deliveryCount); left > 0 && uint32(left) > l.window/2 {
		return
	}
	l.grant(l.window)
}

// grant sets the peer's credit.
func (l *Link) grant(credit uint32) {
	l.granted = l.deliveryCount + credit
	if frame.SerialLess(l.limit, l.granted) {
		l.limit = l.granted
	}
	f := l.session.flowFrame()
	f.Handle, f.DeliveryCount, f.LinkCredit = frame.Some(l.handle), frame.Some(l.deliveryCount), frame.Some(credit)
	l.session.conn.send(l.session.channel, f)
}

// Stall stops renewing the credit of a receiving link, or lets it flow again. revoke also takes back what is left of it: what the peer sends
// before it sees that is still taken. Not every client survives a revocation (go-amqp 1.7 counts below zero), so it is for tests.
func (c *Connection) Stall(l *Link, stall, revoke bool) {
	if l.role != frame.RoleReceiver || l.state != attached {
		return
	}
	l.stalled = stall
	switch {
	case !stall:
		l.topUp()
	case revoke && frame.SerialLess(l.deliveryCount, l.granted):
		l.grant(0)
	}
}

// Settle answers a received delivery with an outcome. A delivery whose link is gone is ignored: nobody waits for it.
func (c *Connection) Settle(l *Link, delivery uint32, state frame.DeliveryState) {
	s := l.session
	if l.state != attached || s.incoming[delivery] != l {
		return
	}
	delete(s.incoming, delivery)
	l.unsettled--
	s.collect(delivery, state)
	l.topUp()
}

// SettleStray sends an outcome for a delivery whose link has ended, while its session stands. No broker owes one; tests want to see what a peer makes of it.
func (c *Connection) SettleStray(l *Link, delivery uint32, state frame.DeliveryState) {
	if s := l.session; l.state != attached && !s.endSent && c.phase == opened {
		s.collect(delivery, state)
	}
}

// pendingDisposition collects neighbouring deliveries with the same plain outcome, so that a batch costs one frame.
type pendingDisposition struct {
	set         bool
	first, last uint32
	state       frame.DeliveryState
}

func (s *Session) collect(delivery uint32, state frame.DeliveryState) {
	p := &s.pending
	if p.set && delivery == p.last+1 && plain(state) && plain(p.state) && state.Descriptor() == p.state.Descriptor() {
		p.last = delivery
		return
	}
	s.flushDispositions()
	*p = pendingDisposition{set: true, first: delivery, last: delivery, state: state}
	if !s.listed {
		s.listed = true
		s.conn.dirty = append(s.conn.dirty, s)
	}
}

// plain outcomes have no content, so one of them may stand for many deliveries.
func plain(state frame.DeliveryState) bool {
	switch state.(type) {
	case *frame.Accepted, *frame.Released:
		return true
	}
	return false
}

func (s *Session) flushDispositions() {
	s.listed = false
	p := s.pending
	if !p.set {
		return
	}
	s.pending = pendingDisposition{}
	d := &frame.Disposition{Role: frame.RoleReceiver, First: p.first, Settled: true, State: p.state}
	if p.last != p.first {
		d.Last = frame.Some(p.last)
	}
	s.conn.send(s.channel, d)
}
