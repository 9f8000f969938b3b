package endpoint

import (
	"maps"
	"slices"

	"sluice/amqp/frame"
)

// Session is one session with its windows, links and unsettled deliveries.
type Session struct {
	conn    *Connection
	channel uint16
	endSent bool // ended by either side; if by us, it stands until the peer's end
	links   map[uint32]*Link
	past    map[uint32]bool // handles that a link once had; handle-max bounds it

	// Incoming transfers.
	nextIncomingID uint32
	incomingLimit  uint32             // the transfer id up to which the peer was ever allowed to send, exclusive
	advertised     uint32             // window in our last flow or begin, counted from advertisedAt
	advertisedAt   uint32             // nextIncomingID at that time
	incoming       map[uint32]*Link   // unsettled deliveries that await the broker's outcome, by delivery-id
	pending        pendingDisposition // outcomes not yet written
	listed         bool               // in the connection's dirty list

	// Outgoing transfers.
	nextOutgoingID uint32
	nextDeliveryID uint32
	peerWindow     uint32 // transfers that the peer takes now
	outgoing       map[uint32]outgoing
	waiting        []waitingTransfer // in order, while the window is closed
}

// outgoing is a delivery that the peer holds unsettled.
type outgoing struct {
	link  *Link
	token uint64
}

func newSession(c *Connection, channel uint16, p *frame.Begin) *Session {
	s := &Session{
		conn: c, channel: channel, links: make(map[uint32]*Link), past: make(map[uint32]bool),
		nextIncomingID: p.NextOutgoingID, incoming: make(map[uint32]*Link),
		incomingLimit: p.NextOutgoingID, peerWindow: p.IncomingWindow, outgoing: make(map[uint32]outgoing),
	}
	s.advertise()
	return s
}

// window is the incoming window that the peer gets now.
func (s *Session) window() uint32 {
	if s.conn.windowHeld {
		return 0
	}
	return s.conn.cfg.IncomingWindow
}

// advertise remembers the window that the next flow or begin tells.
func (s *Session) advertise() {
	s.advertised, s.advertisedAt = s.window(), s.nextIncomingID
	if limit := s.nextIncomingID + s.advertised; frame.SerialLess(s.incomingLimit, limit) {
		s.incomingLimit = limit
	}
}

// flowFrame is a flow with the session's part filled in.
func (s *Session) flowFrame() *frame.Flow {
	s.advertise()
	return &frame.Flow{
		NextIncomingID: frame.Some(s.nextIncomingID), IncomingWindow: s.advertised,
		NextOutgoingID: s.nextOutgoingID, OutgoingWindow: outgoingWindow,
	}
}

func (s *Session) sendWindow() { s.conn.send(s.channel, s.flowFrame()) }

func (s *Session) handle(p frame.Performative, payload []byte) {
	if s.endSent {
		// Discarded until the peer's end comes [AMQP 2.5.5].
		if _, ok := p.(*frame.End); ok {
			delete(s.conn.sessions, s.channel)
		}
		return
	}
	switch p := p.(type) {
	case *frame.Attach:
		s.attach(p)
	case *frame.Transfer:
		s.transfer(p, payload)
	case *frame.Disposition:
		s.disposition(p)
	case *frame.Flow:
		s.flow(p)
	case *frame.Detach:
		if l := s.links[p.Handle]; l != nil {
			l.peerDetached(p)
			return
		}
		s.End(Errorf(UnattachedHandle, "detach of handle %d, which is not attached", p.Handle))
	case *frame.End:
		s.flushDispositions()
		s.endSent = true
		s.endLinks(p.Error, false)
		s.conn.send(s.channel, &frame.End{})
		delete(s.conn.sessions, s.channel)
	default:
		s.conn.Close(Errorf(NotAllowed, "%T is not allowed here", p))
	}
}

// End ends the session with an error; nil is an orderly end.
func (s *Session) End(e *frame.Error) {
	if s.endSent || s.conn.phase != opened {
		return
	}
	s.flushDispositions()
	s.endSent = true
	s.conn.send(s.channel, &frame.End{Error: e})
	s.endLinks(e, false)
}

// endLinks reports the end of all links and forgets what was unsettled.
func (s *Session) endLinks(e *frame.Error, lost bool) {
	for _, handle := range slices.Sorted(maps.Keys(s.links)) {
		s.links[handle].over(e, lost)
	}
	clear(s.links)
	clear(s.incoming)
	clear(s.outgoing)
	s.waiting, s.pending = nil, pendingDisposition{}
}

func (s *Session) attach(p *frame.Attach) {
	switch {
	case p.Handle > s.conn.cfg.HandleMax:
		s.conn.Close(Errorf(FramingError, "handle %d is above handle-max %d", p.Handle, s.conn.cfg.HandleMax))
		return
	case s.links[p.Handle] != nil:
		s.End(Errorf(HandleInUse, "handle %d is attached already, to link %q", p.Handle, s.links[p.Handle].name))
		return
	}
	l := &Link{session: s, handle: p.Handle, name: p.Name, role: !p.Role, senderMode: p.SenderSettleMode}
	s.links[p.Handle], s.past[p.Handle] = l, true
	if p.Coordinator != nil {
		s.conn.RefuseLink(l, Errorf(NotImplemented, "transactions are not supported"))
		return
	}
	if p.Role == frame.RoleSender {
		l.deliveryCount = p.InitialDeliveryCount.Or(0) // the decoder refuses a sender without it
		l.limit = l.deliveryCount
	} else if p.Source != nil {
		l.defaultOutcome = keepable(p.Source.DefaultOutcome)
	}
	s.conn.effect(LinkRequested{Link: l, Attach: p})
}

func (s *Session) transfer(p *frame.Transfer, payload []byte) {
	if !frame.SerialLess(s.nextIncomingID, s.incomingLimit) {
		s.End(Errorf(WindowViolation, "a transfer beyond the incoming window"))
		return
	}
	s.nextIncomingID++
	l := s.links[p.Handle]
	switch {
	case l == nil:
		s.End(Errorf(UnattachedHandle, "transfer on handle %d, which is not attached", p.Handle))
		return
	case l.role != frame.RoleReceiver:
		s.End(Errorf(NotAllowed, "transfer on link %q, on which you are the receiver", l.name))
		return
	case l.state == attached:
		l.receive(p, payload)
	}
	if used := s.nextIncomingID - s.advertisedAt; !s.endSent && s.window() > 0 && used >= s.advertised/2 {
		s.sendWindow()
	}
}

func (s *Session) flow(p *frame.Flow) {
	blocked := s.Blocked()
	// What the peer can take, counted from the transfers that it had seen when it wrote the flow [AMQP 2.5.6].
	seen := p.NextIncomingID.Or(0)
	room := int32(seen + p.IncomingWindow - s.nextOutgoingID)
	s.peerWindow = uint32(max(room, 0))
	s.pump()
	if blocked && !s.Blocked() {
		s.conn.effect(Unblocked{Session: s})
	}
	if !p.Handle.Set {
		if p.Echo {
			s.sendWindow()
		}
		return
	}
	l := s.links[p.Handle.Value]
	if l == nil && s.past[p.Handle.Value] {
		// go-amqp 1.7 may write a link's flow behind its detach; ending the session for it, as [AMQP 2.7.4] says, would hurt the other links.
		return
	}
	if l == nil {
		s.End(Errorf(UnattachedHandle, "flow for handle %d, which is not attached", p.Handle.Value))
		return
	}
	if l.state == attached {
		l.flow(p)
	}
}

// Blocked: the session takes no delivery now, since earlier frames wait for the peer's window, or it is closed.
func (s *Session) Blocked() bool { return s.endSent || len(s.waiting) > 0 || s.peerWindow == 0 }
