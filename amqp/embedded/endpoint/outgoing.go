package endpoint

import (
	"encoding/binary"
	"slices"

	"sluice/amqp/frame"
)

// Message is a delivery to the peer.
type Message struct {
	// Token comes back in DeliverySettled.
	Token uint64
	// Payload is the encoded message. It is copied if it has to wait.
	Payload []byte
	Format  uint32
	Settled bool
}

// transferOverhead is room for a transfer's own fields, in bytes; it only decides about copying early, never about cutting.
const transferOverhead = 128

// Ready is how many deliveries a sending link can be given now.
func (l *Link) Ready() uint32 {
	if l.state != attached || l.role != frame.RoleSender || l.session.Blocked() {
		return 0
	}
	return l.credit
}

// Deliver sends a message; false means that the link was not Ready and the message was not taken.
func (c *Connection) Deliver(l *Link, m Message) bool {
	s := l.session
	if l.state != attached || l.role != frame.RoleSender || l.credit == 0 {
		return false
	}
	l.deliveryCount++
	l.credit--
	whole := len(m.Payload)+transferOverhead <= int(c.maxFrame)
	if s.Blocked() || !whole {
		m.Payload = slices.Clone(m.Payload)
	}
	w := waitingTransfer{link: l, message: m}
	if !s.Blocked() && !s.advance(&w) {
		return true
	}
	if !w.done() {
		s.waiting = append(s.waiting, w)
	}
	return true
}

// waitingTransfer is a delivery of which frames remain to be sent.
type waitingTransfer struct {
	link     *Link
	message  Message
	begun    bool
	splitter frame.Splitter
}

func (w *waitingTransfer) done() bool { return w.begun && w.splitter.Done() }

// begin gives the delivery its id: not before the first frame goes out, since ids must come without gaps and a delivery that waits
// may be dropped with its link [AMQP 2.7.5].
func (s *Session) begin(w *waitingTransfer) {
	id := s.nextDeliveryID
	s.nextDeliveryID++
	if !w.message.Settled {
		s.outgoing[id] = outgoing{link: w.link, token: w.message.Token}
	}
	w.begun = true
	w.splitter = frame.NewSplitter(frame.Transfer{
		Handle: w.link.handle, DeliveryID: frame.Some(id), DeliveryTag: binary.BigEndian.AppendUint32(make([]byte, 0, 4), id),
		MessageFormat: frame.Some(w.message.Format), Settled: w.message.Settled,
	}, w.message.Payload, s.conn.maxFrame)
}

// advance sends frames of a delivery as far as the peer's window allows; false means that the connection is over.
func (s *Session) advance(w *waitingTransfer) bool {
	if !w.begun && s.peerWindow > 0 {
		s.begin(w)
	}
	for s.peerWindow > 0 && !w.done() {
		out, err := w.splitter.Append(s.conn.out, s.channel)
		if err != nil {
			s.conn.unencodable(err)
			return false
		}
		s.conn.out = out
		s.nextOutgoingID++
		s.peerWindow--
	}
	return true
}

// pump sends what waits as far as the peer's window allows.
func (s *Session) pump() {
	for len(s.waiting) > 0 && s.peerWindow > 0 {
		if w := &s.waiting[0]; !s.advance(w) || !w.done() {
			return
		}
		s.waiting[0] = waitingTransfer{}
		s.waiting = s.waiting[1:]
	}
	if len(s.waiting) == 0 {
		s.waiting = nil
	}
}

// flow takes the peer's link state.
func (l *Link) flow(p *frame.Flow) {
	s := l.session
	if l.role == frame.RoleReceiver {
		// The sender may have given up credit; it cannot take more than it had.
		if n := p.DeliveryCount; n.Set && frame.SerialLess(l.deliveryCount, n.Value) && !frame.SerialLess(l.limit, n.Value) {
			l.deliveryCount = n.Value
			l.topUp()
		}
		if p.Echo {
			l.sendFlow()
		}
		return
	}
	if p.LinkCredit.Set {
		// Credit counts from the delivery-count that the peer had seen [AMQP 2.6.7].
		left := int32(p.DeliveryCount.Or(0) + p.LinkCredit.Value - l.deliveryCount)
		if p.LinkCredit.Value > 1<<31-1 {
			left = 1<<31 - 1 // "unlimited" credit would look like none in serial arithmetic
		}
		l.credit = uint32(max(left, 0))
	}
	l.draining = p.Drain
	s.conn.effect(CreditChanged{Link: l})
	if p.Echo && !p.Drain {
		l.sendFlow()
	}
}

// Drained ends a drain: there is nothing more to send, so the rest of the credit is used up [AMQP 2.6.7].
func (c *Connection) Drained(l *Link) {
	if l.state != attached || !l.draining {
		return
	}
	l.deliveryCount += l.credit
	l.credit, l.draining = 0, false
	f := l.stateFlow()
	f.Drain = true
	c.send(l.session.channel, f)
}

func (l *Link) sendFlow() { l.session.conn.send(l.session.channel, l.stateFlow()) }

// stateFlow is a flow with our view of the link.
func (l *Link) stateFlow() *frame.Flow {
	f := l.session.flowFrame()
	count, credit, waiting := l.deliveryCount, l.credit, uint32(0)
	if l.role == frame.RoleReceiver {
		credit = uint32(max(frame.SerialDiff(l.granted, l.deliveryCount), 0))
	}
	for i := range l.session.waiting {
		if w := &l.session.waiting[i]; w.link == l && !w.begun {
			waiting++ // taken, but the peer has seen nothing of it
		}
	}
	f.Handle, f.DeliveryCount = frame.Some(l.handle), frame.Some(count-waiting)
	f.LinkCredit, f.Available = frame.Some(credit+waiting), frame.Some(waiting)
	return f
}

// disposition takes the peer's word on deliveries: only those that we hold unsettled are visited, in the order of their ids.
func (s *Session) disposition(p *frame.Disposition) {
	first, last := p.First, p.Last.Or(p.First)
	if p.Role == frame.RoleSender {
		// The peer settles what it sent before we answered: nothing is owed any more.
		if p.Settled {
			for _, id := range inRange(s.incoming, first, last) {
				s.incoming[id].unsettled--
				delete(s.incoming, id)
			}
		}
		return
	}
	var confirm pendingDisposition
	for _, id := range inRange(s.outgoing, first, last) {
		d := s.outgoing[id]
		state := p.State
		if _, terminal := state.(*frame.Received); terminal || state == nil {
			if !p.Settled {
				continue // a progress report
			}
			if state = d.link.defaultOutcome; state == nil {
				state = &frame.Released{} // settled without an outcome: nobody said that it was processed
			}
		}
		delete(s.outgoing, id)
		s.conn.effect(DeliverySettled{Link: d.link, Token: d.token, State: state})
		if !p.Settled {
			s.confirm(&confirm, id, state)
		}
	}
	s.sendConfirm(confirm)
}

// confirm settles at our end what the peer gave an outcome for and waits to see settled.
func (s *Session) confirm(c *pendingDisposition, id uint32, state frame.DeliveryState) {
	if c.set && id == c.last+1 {
		c.last = id
		return
	}
	s.sendConfirm(*c)
	*c = pendingDisposition{set: true, first: id, last: id, state: state}
}

func (s *Session) sendConfirm(c pendingDisposition) {
	if !c.set {
		return
	}
	s.conn.send(s.channel, &frame.Disposition{
		Role: frame.RoleSender, First: c.first, Last: frame.Some(c.last), Settled: true, State: c.state,
	})
}

// keepable is an outcome without the parts that alias the peer's frame.
func keepable(state frame.DeliveryState) frame.DeliveryState {
	switch state := state.(type) {
	case *frame.Rejected:
		return &frame.Rejected{}
	case *frame.Modified:
		return &frame.Modified{DeliveryFailed: state.DeliveryFailed, UndeliverableHere: state.UndeliverableHere}
	case *frame.Received:
		return nil // no outcome at all
	}
	return state
}

// inRange lists the ids of ours that lie in first..last, in serial order from first. Its work is bounded by what we hold.
func inRange[V any](ours map[uint32]V, first, last uint32) []uint32 {
	width := last - first // a range is at most 2^31 wide; a longer one runs backwards and holds nothing
	if width >= 1<<31 {
		return nil
	}
	var ids []uint32
	if int64(width) <= int64(len(ours)) {
		for i := uint32(0); i <= width; i++ {
			if _, ok := ours[first+i]; ok {
				ids = append(ids, first+i)
			}
		}
		return ids
	}
	for id := range ours {
		if id-first <= width {
			ids = append(ids, id)
		}
	}
	slices.SortFunc(ids, func(a, b uint32) int { return int(a-first) - int(b-first) })
	return ids
}
