package endpoint

import "sluice/amqp/frame"

// linkState is where a link stands.
type linkState uint8

const (
	requested linkState = iota // the peer attached, the broker has not answered
	attached
	detachSent // we detached and wait for the peer's detach
	gone
)

// Link is one link. Its role is ours: a receiver gets the peer's messages, a sender gives it ours.
type Link struct {
	// Owner is the caller's own; the endpoint never looks at it.
	Owner any

	session    *Session
	handle     uint32
	name       string
	role       frame.Role
	state      linkState
	senderMode frame.SenderSettleMode

	deliveryCount uint32 // the sender's, as we know it [AMQP 2.6.7]

	// Receiver.
	limit          uint32 // delivery-count up to which credit was ever granted
	granted        uint32 // delivery-count up to which it stands now; below limit after a stall
	window         uint32 // credit that is kept up
	stalled        bool
	unsettled      uint32
	maxMessageSize uint64
	partial        partialDelivery

	// Sender.
	credit         uint32
	draining       bool
	defaultOutcome frame.DeliveryState
}

// Name is the link's name.
func (l *Link) Name() string { return l.name }

// Role is our role on the link.
func (l *Link) Role() frame.Role { return l.role }

// Session is the session that the link belongs to.
func (l *Link) Session() *Session { return l.session }

// Attached tells whether the link is in use.
func (l *Link) Attached() bool { return l.state == attached }

// SenderSettleMode is what was agreed.
func (l *Link) SenderSettleMode() frame.SenderSettleMode { return l.senderMode }

// Credit is how many deliveries the peer takes now; only for a sender.
func (l *Link) Credit() uint32 { return l.credit }

// Draining: the peer wants all that is there, and its remaining credit back [AMQP 2.6.7]; only for a sender.
func (l *Link) Draining() bool { return l.draining }

// Accept is the broker's side of an attach.
type Accept struct {
	Source *frame.Source // echoed to the peer; not nil on a sending link
	Target *frame.Target // not nil on a receiving link
	// Window is the credit that a receiving link keeps up; zero grants none.
	Window uint32
	// Stalled withholds the window until Stall gives it back.
	Stalled        bool
	MaxMessageSize uint64 // bytes, of a receiving link
	Properties     frame.Map
}

// AcceptLink answers an attach.
func (c *Connection) AcceptLink(l *Link, a Accept) {
	if l.state != requested {
		return
	}
	l.state = attached
	l.window, l.stalled, l.maxMessageSize = a.Window, a.Stalled, a.MaxMessageSize
	reply := l.attachFrame()
	reply.Source, reply.Target, reply.MaxMessageSize, reply.Properties = a.Source, a.Target, a.MaxMessageSize, a.Properties
	c.send(l.session.channel, reply)
	if l.role == frame.RoleReceiver {
		l.topUp()
	}
}

// RefuseLink answers an attach that cannot be: an attach without the terminus that would be ours, then a detach [AMQP 2.6.3].
func (c *Connection) RefuseLink(l *Link, e *frame.Error) {
	if l.state != requested {
		return
	}
	l.state = detachSent
	c.send(l.session.channel, l.attachFrame())
	c.send(l.session.channel, &frame.Detach{Handle: l.handle, Closed: true, Error: e})
}

// attachFrame is our attach without termini. The peer's settle modes are echoed, also in a refusal: go-amqp compares them. We are never a
// receiver that settles second.
func (l *Link) attachFrame() *frame.Attach {
	a := &frame.Attach{Name: l.name, Handle: l.handle, Role: l.role, SenderSettleMode: l.senderMode, ReceiverSettleMode: frame.ReceiverFirst}
	if l.role == frame.RoleSender {
		a.InitialDeliveryCount = frame.Some(l.deliveryCount)
	}
	return a
}

// DetachLink ends a link with an error; nil is an orderly end.
func (c *Connection) DetachLink(l *Link, e *frame.Error) {
	switch l.state {
	case requested:
		c.RefuseLink(l, e)
		return
	case detachSent, gone:
		return
	}
	l.session.flushDispositions()
	l.drop()
	c.send(l.session.channel, &frame.Detach{Handle: l.handle, Closed: true, Error: e})
	l.state = detachSent
	c.effect(LinkEnded{Link: l, Error: e})
}

// peerDetached answers the peer's detach, or takes it as the answer to ours.
func (l *Link) peerDetached(p *frame.Detach) {
	s := l.session
	if l.state == attached {
		// Outcomes that the broker has given go out before our detach; later ones would hit a handle that the peer has freed.
		s.flushDispositions()
		l.drop()
		s.conn.send(s.channel, &frame.Detach{Handle: l.handle, Closed: p.Closed})
		s.conn.effect(LinkEnded{Link: l, Error: p.Error})
	}
	l.state = gone
	delete(s.links, l.handle)
}

// over ends the link with its session.
func (l *Link) over(e *frame.Error, lost bool) {
	if l.state == attached {
		l.session.conn.partialBytes -= len(l.partial.payload)
		l.partial = partialDelivery{}
		l.session.conn.effect(LinkEnded{Link: l, Error: e, Lost: lost})
	}
	l.state = gone
}

// drop forgets the link's deliveries.
func (l *Link) drop() {
	s := l.session
	s.conn.partialBytes -= len(l.partial.payload)
	l.partial = partialDelivery{}
	for id, owner := range s.incoming {
		if owner == l {
			delete(s.incoming, id)
		}
	}
	for id, d := range s.outgoing {
		if d.link == l {
			delete(s.outgoing, id)
		}
	}
	// A delivery of which frames were sent ends here unfinished: the detach that follows tells the peer to forget it.
	kept := s.waiting[:0]
	for _, w := range s.waiting {
		if w.link != l {
			kept = append(kept, w)
		}
	}
	clear(s.waiting[len(kept):])
	s.waiting = kept
}
