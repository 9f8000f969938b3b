package client

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"sluice/amqp/frame"
)

// fakeBus is an AMQP peer that does what a test tells it, right or wrong: real buses do not send the frames that the guards are for.
type fakeBus struct {
	t        testing.TB
	credit   atomic.Uint32 // granted to each sender link at its attach, and again when half is used
	window   atomic.Uint32 // of each session, for transfers to us
	accepted atomic.Int32  // connections
	// onTransfer answers a transfer that came on a sender link of the client. Nil accepts it.
	onTransfer func(s *fakeSession, tr *frame.Transfer, payload []byte)
	// onReceiver is called when a receiver link of the client, other than management's, has its first credit.
	onReceiver func(s *fakeSession, handle uint32)

	// onCredit hears of each flow on a receiver link.
	onCredit func(credit uint32)
	// onSender hears of the flows and dispositions that the client sends for its sender links.
	onSender func(frame.Performative)
	// onSettled hears of the client's settlements, onFlow of the flows on its receiver links other than management's, onDetach of its detaches of them.
	onSettled func(*frame.Disposition)
	onFlow    func(*frame.Flow)
	onDetach  func(*frame.Detach)
	// muteAttach leaves attaches of receivers, other than management's, without an answer.
	muteAttach atomic.Bool
	// quiet sends no heartbeats.
	quiet bool
	// refuseAttach answers attaches of receivers with amqp:not-found.
	refuseAttach atomic.Bool

	product string // what it calls itself

	mu    sync.Mutex
	conns map[net.Conn]bool
	links []*fakeLink
	wg    sync.WaitGroup
}

type fakeSession struct {
	bus     *fakeBus
	conn    net.Conn
	write   *sync.Mutex
	channel uint16
	links   map[uint32]*fakeLink
	got     atomic.Uint32 // transfers that came
}

type fakeLink struct {
	session  *fakeSession
	handle   uint32
	name     string
	receiver bool // the client receives
	settled  bool
	count    atomic.Uint32
	served   bool
}

func newFakeBus(t testing.TB) *fakeBus {
	b := &fakeBus{t: t, product: "Fake", conns: map[net.Conn]bool{}}
	b.credit.Store(1000)
	b.window.Store(1 << 20)
	t.Cleanup(func() {
		b.mu.Lock()
		for c := range b.conns {
			_ = c.Close()
		}
		b.mu.Unlock()
		b.wg.Wait()
	})
	return b
}

// dial is for Options.Dial. The host "dead" refuses. The connection is a pipe, so that a test can run in a bubble of virtual time.
func (b *fakeBus) dial(_ context.Context, _, address string) (net.Conn, error) {
	if strings.HasPrefix(address, "dead:") {
		return nil, errors.New("connection refused")
	}
	ours, theirs := net.Pipe()
	b.adopt(ours)
	return theirs, nil
}

// adopt serves a connection.
func (b *fakeBus) adopt(c net.Conn) {
	b.accepted.Add(1)
	b.mu.Lock()
	b.conns[c] = true
	b.mu.Unlock()
	b.wg.Go(func() { b.serve(c) })
}

func (b *fakeBus) serve(c net.Conn) {
	defer c.Close()
	sessions := map[uint16]*fakeSession{}
	write := &sync.Mutex{}
	ended := make(chan struct{})
	defer close(ended)
	if !b.quiet {
		b.wg.Go(func() { heartbeat(c, write, ended) })
	}
	header := make([]byte, 8)
	for {
		if _, err := io.ReadFull(c, header); err != nil {
			return
		}
		if string(header[:4]) == "AMQP" {
			out := append([]byte(nil), header...)
			if header[4] == 3 {
				out, _ = frame.AppendSASL(out, &frame.SASLMechanisms{Mechanisms: []frame.Symbol{"ANONYMOUS"}})
			}
			_, _ = c.Write(out)
			continue
		}
		body := make([]byte, binary.BigEndian.Uint32(header)-8)
		if _, err := io.ReadFull(c, body); err != nil {
			return
		}
		p, payload, err := frame.Decode(header[5], body)
		if err != nil {
			b.t.Errorf("the client sent: %v", err)
			return
		}
		if header[5] == frame.TypeSASL {
			out, _ := frame.AppendSASL(nil, &frame.SASLOutcome{})
			_, _ = c.Write(out)
			continue
		}
		channel := binary.BigEndian.Uint16(header[6:])
		s := sessions[channel]
		if s == nil {
			s = &fakeSession{bus: b, conn: c, write: write, channel: channel, links: map[uint32]*fakeLink{}}
			sessions[channel] = s
		}
		if _, end := p.(*frame.End); end {
			delete(sessions, channel)
		}
		if !s.handle(p, payload) {
			return
		}
	}
}

// heartbeat keeps the client from giving a silent connection up.
func heartbeat(c net.Conn, write *sync.Mutex, ended <-chan struct{}) {
	tick := time.NewTicker(2 * time.Second)
	defer tick.Stop()
	for {
		select {
		case <-tick.C:
			write.Lock()
			_, _ = c.Write(frame.AppendHeartbeat(nil))
			write.Unlock()
		case <-ended:
			return
		}
	}
}

// handle answers one performative; false ends the connection.
func (s *fakeSession) handle(p frame.Performative, payload []byte) bool {
	switch p := p.(type) {
	case *frame.Open:
		s.send(&frame.Open{ContainerID: "fake", MaxFrameSize: 65536, ChannelMax: 63,
			Properties: frame.Map{{Key: frame.Symbol("product"), Value: s.bus.product}}}, nil)
	case *frame.Begin:
		s.send(&frame.Begin{RemoteChannel: frame.Some(s.channel), IncomingWindow: s.bus.window.Load(), OutgoingWindow: 1 << 20, HandleMax: 255}, nil)
	case *frame.Attach:
		s.attach(p)
	case *frame.Disposition:
		if p.Role == frame.RoleSender && s.bus.onSender != nil {
			s.bus.onSender(p)
		}
		if p.Role == frame.RoleReceiver && s.bus.onSettled != nil {
			s.bus.onSettled(p)
		}
	case *frame.Flow:
		if l := s.links[p.Handle.Value]; p.Handle.Set && l != nil && l.inbox() && s.bus.onFlow != nil {
			s.bus.onFlow(p)
		}
		if l := s.links[p.Handle.Value]; p.Handle.Set && l != nil && !l.receiver && s.bus.onSender != nil {
			s.bus.onSender(p)
		}
		if l := s.links[p.Handle.Value]; p.Handle.Set && l != nil && l.receiver && !l.settled && s.bus.onCredit != nil {
			s.bus.onCredit(p.LinkCredit.Value)
		}
		if l := s.links[p.Handle.Value]; p.Handle.Set && l != nil && l.inbox() && !l.served && p.LinkCredit.Value > 0 && s.bus.onReceiver != nil {
			l.served = true
			s.bus.onReceiver(s, l.handle)
		}
	case *frame.Transfer:
		s.transfer(p, payload)
	case *frame.Detach:
		if l := s.links[p.Handle]; l != nil && l.inbox() && s.bus.onDetach != nil {
			s.bus.onDetach(p)
		}
		s.send(&frame.Detach{Handle: p.Handle, Closed: true}, nil)
	case *frame.End:
		s.send(&frame.End{}, nil)
	case *frame.Close:
		s.send(&frame.Close{}, nil)
		return false
	}
	return true
}

func (s *fakeSession) attach(p *frame.Attach) {
	l := &fakeLink{session: s, handle: p.Handle, name: p.Name, receiver: p.Role == frame.RoleReceiver,
		settled: p.SenderSettleMode == frame.SenderSettled}
	s.links[p.Handle] = l
	s.bus.mu.Lock()
	s.bus.links = append(s.bus.links, l)
	s.bus.mu.Unlock()
	if l.inbox() && s.bus.muteAttach.Load() {
		return
	}
	answer := *p
	answer.Role = !p.Role
	if l.receiver {
		answer.InitialDeliveryCount = frame.Some(uint32(0))
	} else {
		answer.InitialDeliveryCount = frame.Opt[uint32]{}
		answer.MaxMessageSize = 1 << 20
	}
	if l.receiver && !l.settled && s.bus.refuseAttach.Load() {
		answer.Source = nil
		s.send(&answer, nil)
		s.send(&frame.Detach{Handle: p.Handle, Closed: true, Error: &frame.Error{Condition: "amqp:not-found"}}, nil)
		return
	}
	s.send(&answer, nil)
	if !l.receiver {
		s.grant(l)
	}
}

// inbox: the client receives from an inbox there.
func (l *fakeLink) inbox() bool { return l.receiver && !strings.HasPrefix(l.name, "management") }

// grant gives a sender link of the client the credit that is set now.
func (s *fakeSession) grant(l *fakeLink) {
	s.send(&frame.Flow{NextIncomingID: frame.Some(s.got.Load()), IncomingWindow: s.bus.window.Load(), OutgoingWindow: 1 << 20, Handle: frame.Some(l.handle),
		DeliveryCount: frame.Some(l.count.Load()), LinkCredit: frame.Some(s.bus.credit.Load())}, nil)
}

// grantAll gives all unsettled sender links credit.
func (b *fakeBus) grantAll(credit uint32) {
	b.credit.Store(credit)
	b.mu.Lock()
	links := b.links
	b.mu.Unlock()
	for _, l := range links {
		if !l.receiver && !l.settled {
			l.session.grant(l)
		}
	}
}

func (s *fakeSession) transfer(tr *frame.Transfer, payload []byte) {
	s.got.Add(1)
	l := s.links[tr.Handle]
	if tr.More {
		return
	}
	n := l.count.Add(1)
	if s.bus.onTransfer != nil {
		s.bus.onTransfer(s, tr, payload)
	} else if !tr.Settled {
		s.answer(tr.DeliveryID.Value, &frame.Accepted{})
	}
	if n%100 == 0 {
		s.grant(l)
	}
}

func (s *fakeSession) answer(id uint32, state frame.DeliveryState) {
	s.send(&frame.Disposition{Role: frame.RoleReceiver, First: id, Settled: true, State: state}, nil)
}

// send writes one frame.
func (s *fakeSession) send(p frame.Performative, payload []byte) {
	b, err := frame.Append(nil, s.channel, p, payload)
	if err != nil {
		s.bus.t.Errorf("fake bus: %v", err)
		return
	}
	s.write.Lock()
	defer s.write.Unlock()
	_, _ = s.conn.Write(b)
}

// deliver sends an encoded message on a receiver link, in frames of at most size bytes of payload.
func (s *fakeSession) deliver(handle, id uint32, encoded []byte, size int) {
	for first := true; first || len(encoded) > 0; first = false {
		n := min(size, len(encoded))
		tr := &frame.Transfer{Handle: handle, More: n < len(encoded)}
		if first {
			tr.DeliveryID, tr.DeliveryTag, tr.MessageFormat = frame.Some(id), fmt.Appendf(nil, "%d", id), frame.Some(uint32(0))
		}
		s.send(tr, encoded[:n])
		encoded = encoded[n:]
	}
}

// deliverSettled sends an encoded message in one frame, settled.
func (s *fakeSession) deliverSettled(handle, id uint32, encoded []byte) {
	s.send(&frame.Transfer{Handle: handle, DeliveryID: frame.Some(id), DeliveryTag: []byte{1}, MessageFormat: frame.Some(uint32(0)), Settled: true}, encoded)
}
