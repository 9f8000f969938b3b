package client

import (
	"bytes"
	"fmt"
	"maps"
	"slices"

	goamqp "github.com/Azure/go-amqp"

	"sluice/amqp/frame"
	"sluice/amqp/message"
)

// incoming is the receiving end of a session with its links, of which none sends: it numbers transfers, keeps the session's window and the links' credit, joins
// messages of several frames, and knows which deliveries are unsettled. It does no I/O: what comes goes in by its methods, what is to be written comes out by
// append. inlet.mu guards it.
//
// The library could do that. But it has a goroutine for each session and each link and arrays of 5,000 places for both, it waits for the write of each
// settlement, and it cannot settle several deliveries with one frame.
type incoming struct {
	channel  uint16 // ours
	maxFrame uint32 // the peer's, in bytes
	// next is the transfer-id that is to come, windowEnd the first that the window does not allow which the peer was told [AMQP 2.5.6].
	next, windowEnd uint32
	links           []*incomingLink          // by our handle; nil: free
	peers           map[uint32]*incomingLink // by the peer's handle
	over            error                    // why the session is over

	// What is to be written. Settlements keep their order, and credit goes behind them: a released message is to be the next one to come. Both are
	// bounded, by the unsettled deliveries and by the links.
	settlements []settling
	flows       []*incomingLink
	windowDue   bool
	lifecycle   []byte // attach and detach, encoded, behind all of that
}

// incomingLink is the receiving end of a link.
type incomingLink struct {
	handle  uint32 // ours
	name    string
	state   linkState
	settled bool   // the bus is asked to send settled
	top     uint32 // the credit that is kept up; zero: by hand
	err     error  // why it has ended

	// count is the delivery-count, creditEnd the first that the credit does not allow which the peer was told, or is told next [AMQP 2.6.7].
	count, creditEnd uint32
	free             uint32 // of top: handed out or settled, and not granted again
	telling          bool   // in incoming.flows

	tag       uint64            // of the latest delivery
	unsettled map[uint64]uint32 // tag to delivery-id
	arrived   []arrival         // not handed out
	out       uint32            // settled deliveries of the latest take
	part      partial

	wake chan struct{} // the shell's: something has changed for whoever waits for the link; has room for one
}

type linkState uint8

const (
	linkAttaching linkState = iota
	linkRefused             // the bus has attached it without a source, and its detach will tell why [AMQP 2.6.3]
	linkAttached
	linkDetaching // by us
	linkEnded
)

// partial is a delivery of which frames are to come.
type partial struct {
	coming  bool
	id      uint32
	settled bool
	size    int
	raw     []byte
}

// settling is a disposition to be written.
type settling struct {
	first, last uint32
	outcome     message.Outcome
}

// begun takes the peer's begin.
func (s *incoming) begun(b *frame.Begin) {
	s.next = b.NextOutgoingID
	s.windowEnd = s.next + sessionWindow
	s.peers = make(map[uint32]*incomingLink)
}

// attach gives l the lowest handle that is free, and has it attached to the source at address. An error is the address's.
func (s *incoming) attach(l *incomingLink, address string) error {
	at := slices.Index(s.links, nil)
	if at < 0 {
		at = len(s.links)
	}
	l.handle = uint32(at)
	out, err := frame.Append(s.lifecycle, s.channel, &frame.Attach{Name: l.name, Handle: l.handle, Role: frame.RoleReceiver, SenderSettleMode: wantedMode(l.settled),
		Source: &frame.Source{Address: frame.Some(address)}, Target: &frame.Target{}}, nil)
	if err != nil {
		return err
	}
	s.lifecycle = out
	if at == len(s.links) {
		s.links = append(s.links, nil)
	}
	s.links[at] = l
	return nil
}

// attached takes the peer's attach, and gives the link that it answers.
func (s *incoming) attached(a *frame.Attach) (*incomingLink, error) {
	at := slices.IndexFunc(s.links, func(l *incomingLink) bool { return l != nil && l.state == linkAttaching && l.name == a.Name })
	if at < 0 || a.Role != frame.RoleSender {
		return nil, refuse("the bus attaches a link that was not asked for")
	}
	l := s.links[at]
	s.peers[a.Handle] = l
	if a.Source == nil {
		l.state = linkRefused
		return nil, nil
	}
	l.state, l.count, l.creditEnd = linkAttached, a.InitialDeliveryCount.Value, a.InitialDeliveryCount.Value
	if wanted := wantedMode(l.settled); a.SenderSettleMode != wanted {
		s.fail(l, goamqp.ErrCondNotImplemented, "the bus does not send as it was asked to, settled or not: snd-settle-mode %d in place of %d", a.SenderSettleMode, wanted)
	} else if l.top > 0 {
		s.extend(l, l.top)
	}
	return l, nil
}

func wantedMode(settled bool) frame.SenderSettleMode {
	if settled {
		return frame.SenderSettled
	}
	return frame.SenderUnsettled
}

// fail ends a link for a fault of the peer's.
func (s *incoming) fail(l *incomingLink, condition goamqp.ErrCond, format string, args ...any) {
	e := &goamqp.Error{Condition: condition, Description: fmt.Sprintf(format, args...)}
	l.err = &goamqp.LinkError{RemoteErr: e}
	l.ends(linkDetaching)
	s.bow(l, &frame.Error{Condition: frame.Symbol(e.Condition), Description: e.Description})
}

// bow has a detach written, behind what is due.
func (s *incoming) bow(l *incomingLink, e *frame.Error) {
	s.lifecycle = s.appendFrame(s.lifecycle, &frame.Detach{Handle: l.handle, Closed: true, Error: e})
}

// transfer takes a frame of a delivery, and gives the link if that was the last one, or the link's end.
func (s *incoming) transfer(t *frame.Transfer, payload []byte) (*incomingLink, error) {
	left := frame.SerialDiff(s.windowEnd, s.next)
	if left <= 0 {
		return nil, refuse("a transfer beyond the session's window")
	}
	s.next++
	if left <= sessionWindow/2 {
		s.windowDue = true
	}
	l := s.peers[t.Handle]
	switch {
	case l == nil:
		return nil, refuse("a transfer on a link that is not attached")
	case l.state != linkAttached:
		return nil, nil // on its way when we detached: the bus has it back
	}
	p := &l.part
	if !p.coming {
		if !t.DeliveryID.Set {
			return nil, refuse("a delivery has no delivery-id")
		}
		if frame.SerialDiff(l.creditEnd, l.count) <= 0 {
			s.fail(l, goamqp.ErrCondTransferLimitExceeded, "a delivery beyond the link's credit")
			return l, nil
		}
		l.count++
		*p = partial{coming: true, id: t.DeliveryID.Value}
	} else if t.DeliveryID.Set && t.DeliveryID.Value != p.id {
		return nil, refuse("delivery %d begins within delivery %d of its link", t.DeliveryID.Value, p.id)
	}
	p.settled = p.settled || t.Settled
	if t.Aborted {
		*p = partial{}
		s.unused(l)
		return nil, nil
	}
	p.take(payload)
	if t.More {
		return nil, nil
	}
	s.arrive(l)
	return l, nil
}

// take adds what a frame brings, as long as the message is not too large.
func (p *partial) take(payload []byte) {
	p.size += len(payload)
	switch {
	case p.size > maxIncoming:
		p.raw = nil
	case p.raw == nil:
		p.raw = bytes.Clone(payload)
	default:
		p.raw = append(p.raw, payload...)
	}
}

// arrive: the delivery that was coming is whole.
func (s *incoming) arrive(l *incomingLink) {
	p := &l.part
	l.tag++
	a := arrival{tag: l.tag, raw: p.raw, settled: p.settled}
	if p.size > maxIncoming {
		a.err = fmt.Errorf("message: it has %d bytes when it is encoded, %d are the most", p.size, maxIncoming)
	}
	if !p.settled {
		if l.unsettled == nil {
			l.unsettled = make(map[uint64]uint32)
		}
		l.unsettled[a.tag] = p.id
	}
	l.arrived = append(l.arrived, a)
	*p = partial{}
}

// unused gives the credit of a delivery back that nobody gets to see.
func (s *incoming) unused(l *incomingLink) {
	if l.top > 0 {
		s.freed(l, 1)
		return
	}
	s.extend(l, 1)
}

// take moves up to takeMost deliveries to dst. Those of the take before are handled by now: the ones that came settled make room for others.
func (s *incoming) take(l *incomingLink, dst []arrival) []arrival {
	s.freed(l, l.out)
	l.out = 0
	if len(l.arrived) == 0 {
		return dst
	}
	n := min(len(l.arrived), takeMost)
	for _, a := range l.arrived[:n] {
		if a.settled {
			l.out++
		}
		dst = append(dst, a)
	}
	rest := copy(l.arrived, l.arrived[n:])
	clear(l.arrived[rest:])
	if l.arrived = l.arrived[:rest]; rest == 0 && cap(l.arrived) > keptArrivals {
		l.arrived = nil
	}
	return dst
}

// freed: of the credit that is kept up, n more may be granted. That is done when it is as much as is left, so that it does not take a flow for each.
func (s *incoming) freed(l *incomingLink, n uint32) {
	if l.top == 0 || l.state != linkAttached {
		return
	}
	l.free += n
	if left := frame.SerialDiff(l.creditEnd, l.count); l.free > 0 && int64(l.free) >= int64(left) {
		s.extend(l, l.free)
		l.free = 0
	}
}

// grant adds to the credit, up to maxCredit.
func (s *incoming) grant(l *incomingLink, n uint32) {
	if l.state != linkAttached || l.top > 0 {
		return
	}
	if n = min(n, uint32(maxCredit-frame.SerialDiff(l.creditEnd, l.count))); n > 0 {
		s.extend(l, n)
	}
}

func (s *incoming) extend(l *incomingLink, n uint32) {
	l.creditEnd += n
	s.tell(l)
}

// tell has the peer told what l's credit is.
func (s *incoming) tell(l *incomingLink) {
	if !l.telling {
		l.telling = true
		s.flows = append(s.flows, l)
	}
}

// settle has a delivery settled; a tag that is not unsettled is ignored.
func (s *incoming) settle(l *incomingLink, tag uint64, o message.Outcome) {
	id, there := l.unsettled[tag]
	if !there || l.state != linkAttached {
		return
	}
	delete(l.unsettled, tag)
	s.freed(l, 1)
	// Deliveries that were accepted one after the other take one frame, whatever their links [AMQP 2.7.6]. Others do not: a bus may put a range that is
	// released back in an order of its own.
	if n := len(s.settlements); n > 0 && o.Kind == message.Accepted {
		if before := &s.settlements[n-1]; before.outcome.Kind == message.Accepted && id == before.last+1 {
			before.last = id
			return
		}
	}
	s.settlements = append(s.settlements, settling{id, id, o})
}

// detach gives all unsettled deliveries the outcome back in the order in which they came, those included that were not handed out, and then ends the link. In that
// order, because a quorum queue puts messages back as they are returned; and released before the detach, because a loss of the link counts as a
// delivery attempt there.
func (s *incoming) detach(l *incomingLink, back message.Outcome) {
	if l.state != linkAttached {
		return
	}
	for _, tag := range slices.Sorted(maps.Keys(l.unsettled)) {
		s.settle(l, tag, back)
	}
	l.ends(linkDetaching)
	s.bow(l, nil)
}

// flow takes the peer's word: only that it wants to hear ours.
func (s *incoming) flow(f *frame.Flow) {
	if !f.Echo {
		return
	}
	s.windowDue = true
	if l := s.peers[f.Handle.Value]; f.Handle.Set && l != nil && l.state == linkAttached {
		s.tell(l)
	}
}

// disposition takes the peer's word that deliveries are settled, after a time that it allows for answers, say: they are no longer ours to settle.
func (s *incoming) disposition(d *frame.Disposition) {
	if d.Role != frame.RoleSender || !d.Settled {
		return
	}
	last := d.Last.Or(d.First)
	if frame.SerialLess(last, d.First) {
		return
	}
	for _, l := range s.peers {
		before := len(l.unsettled)
		maps.DeleteFunc(l.unsettled, func(_ uint64, id uint32) bool { return id-d.First <= last-d.First })
		s.freed(l, uint32(before-len(l.unsettled)))
	}
}

// detached takes the peer's detach, and gives the link.
func (s *incoming) detached(d *frame.Detach) (*incomingLink, error) {
	l := s.peers[d.Handle]
	if l == nil {
		return nil, refuse("a detach of a link that is not attached")
	}
	delete(s.peers, d.Handle)
	switch e := goError(d.Error); {
	case l.state == linkRefused && e != nil:
		l.err = e
	case l.state != linkDetaching:
		l.err = &goamqp.LinkError{RemoteErr: e}
	}
	if l.state != linkDetaching {
		s.bow(l, nil)
	}
	l.ends(linkEnded)
	s.links[l.handle] = nil // an attach with this handle is written behind this link's detach
	return l, nil
}

// lose ends all links.
func (s *incoming) lose(err error) {
	s.over = err
	for _, l := range s.links {
		if l != nil {
			if l.err == nil {
				l.err = err
			}
			l.ends(linkEnded)
		}
	}
	clear(s.peers)
	s.links, s.settlements, s.flows, s.lifecycle, s.windowDue = nil, nil, nil, nil, false
}

// ends: what is unsettled is the bus's again, and what came settled is still handed out.
func (l *incomingLink) ends(state linkState) {
	l.state, l.unsettled, l.part = state, nil, partial{}
	l.arrived = slices.DeleteFunc(l.arrived, func(a arrival) bool { return !a.settled })
}

// due: there is something to be written.
func (s *incoming) due() bool {
	return len(s.settlements) > 0 || len(s.flows) > 0 || s.windowDue || len(s.lifecycle) > 0
}

// append implements appender: what is due, until dst is as long as the connection's buffer should be.
func (s *incoming) append(dst []byte) ([]byte, error) {
	done := 0
	for ; done < len(s.settlements) && len(dst) < writeBuffer; done++ {
		dst = s.appendDisposition(dst, &s.settlements[done])
	}
	s.settlements = slices.Delete(s.settlements, 0, done)
	if len(s.settlements) > 0 {
		return dst, nil
	}
	for _, l := range s.flows {
		l.telling = false
		if l.state == linkAttached {
			dst = s.appendFlow(dst, l)
		}
	}
	clear(s.flows)
	s.flows = s.flows[:0]
	if s.windowDue {
		dst = s.appendFlow(dst, nil)
	}
	dst = append(dst, s.lifecycle...)
	s.lifecycle = nil
	return dst, nil
}

// appendFlow tells the session's window, and the credit of l unless that is nil.
func (s *incoming) appendFlow(dst []byte, l *incomingLink) []byte {
	s.windowEnd, s.windowDue = s.next+sessionWindow, false
	f := &frame.Flow{NextIncomingID: frame.Some(s.next), IncomingWindow: sessionWindow, OutgoingWindow: sessionWindow}
	if l != nil {
		f.Handle, f.DeliveryCount = frame.Some(l.handle), frame.Some(l.count)
		f.LinkCredit = frame.Some(uint32(frame.SerialDiff(l.creditEnd, l.count)))
	}
	return s.appendFrame(dst, f)
}

// appendDisposition tells an outcome, with as much of its error and annotations as can be encoded and fits a frame: that it is told matters more.
func (s *incoming) appendDisposition(dst []byte, o *settling) []byte {
	d := &frame.Disposition{Role: frame.RoleReceiver, First: o.first, Settled: true}
	if o.last != o.first {
		d.Last = frame.Some(o.last)
	}
	for _, detail := range [...]stateDetail{allDetails, conditionOnly} {
		d.State = stateOf(o.outcome, detail)
		if out, err := frame.Append(dst, s.channel, d, nil); err == nil && len(out)-len(dst) <= int(s.maxFrame) {
			return out
		}
	}
	d.State = stateOf(o.outcome, noDetails)
	return s.appendFrame(dst, d)
}

// appendFrame is for frames that can be encoded: they have numbers in them, and words of our own.
func (s *incoming) appendFrame(dst []byte, p frame.Performative) []byte {
	out, _ := frame.Append(dst, s.channel, p, nil)
	return out
}
