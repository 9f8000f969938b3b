package client

import (
	"context"
	"crypto/rand"
	"fmt"
	"sync"

	"sluice/amqp/frame"
	"sluice/amqp/message"
)

// inlet carries out what incoming says. It has no goroutine: the connection's reader brings what comes, the flusher fetches what is to be written when it is about to
// write, so that what gathers during a write goes with the next one, and each receiver waits for its own link.
type inlet struct {
	net  *netConn
	done chan struct{} // closed when the session has begun, or never will

	mu sync.Mutex
	incoming
	marked bool // the flusher will fetch
}

// changed has the flusher fetch what is due. in.mu is held.
func (in *inlet) changed() {
	if !in.marked && in.due() {
		in.marked = true
		in.net.fetch(in)
	}
}

// fill moves what is due into the connection's buffer. The flusher calls it.
func (in *inlet) fill() {
	in.mu.Lock()
	defer in.mu.Unlock()
	in.marked = false
	if taken, _ := in.net.offer(&in.incoming, true); taken {
		in.changed()
	}
}

// hear takes a frame of the peer's, from the connection's reader. An error ends the connection.
func (in *inlet) hear(p frame.Performative, payload []byte) (err error) {
	in.mu.Lock()
	defer in.mu.Unlock()
	var l *incomingLink
	switch p := p.(type) {
	case *frame.Attach:
		l, err = in.attached(p)
	case *frame.Transfer:
		l, err = in.transfer(p, payload)
	case *frame.Flow:
		in.flow(p)
	case *frame.Disposition:
		in.disposition(p)
	case *frame.Detach:
		l, err = in.detached(p)
	default:
		err = refuse("performative %#02x does not belong to a session", p.Descriptor())
	}
	if l != nil {
		l.signal()
	}
	in.changed()
	return err
}

// end ends the session, with all its links.
func (in *inlet) end(err error) {
	in.mu.Lock()
	defer in.mu.Unlock()
	if in.over != nil {
		return
	}
	links := in.links
	in.lose(err)
	for _, l := range links {
		if l != nil {
			l.signal()
		}
	}
	if in.peers == nil {
		close(in.done) // it had not begun
	}
}

func (l *incomingLink) signal() {
	select {
	case l.wake <- struct{}{}:
	default:
	}
}

// inletLink is a link of an inlet. It implements link.
type inletLink struct {
	in *inlet
	incomingLink
}

// attach attaches a receiving link, and waits for the bus's answer. Tags go on from tag.
func (in *inlet) attach(address string, settled bool, credit uint32, tag uint64) (*inletLink, error) {
	l := &inletLink{in: in, incomingLink: incomingLink{name: rand.Text(), settled: settled, top: min(credit, maxCredit), tag: tag, wake: make(chan struct{}, 1)}}
	in.mu.Lock()
	err := in.over
	if err == nil {
		if err = in.incoming.attach(&l.incomingLink, address); err != nil {
			err = fmt.Errorf("attach to %q: %w", address, err)
		}
		in.changed()
	}
	in.mu.Unlock()
	if err != nil {
		return nil, err
	}
	if state, err := l.await(linkAttached); state != linkAttached {
		return nil, err
	}
	return l, nil
}

// await waits until the link is in a state, or ending, or has ended.
func (l *inletLink) await(wanted linkState) (linkState, error) {
	for {
		l.in.mu.Lock()
		state, err := l.state, l.err
		l.in.mu.Unlock()
		if state == wanted || state == linkEnded || err != nil {
			return state, err
		}
		<-l.wake
	}
}

// take implements link.
func (l *inletLink) take(ctx context.Context, dst []arrival) ([]arrival, error) {
	for {
		l.in.mu.Lock()
		dst = l.in.take(&l.incomingLink, dst)
		err := l.err
		l.in.changed()
		l.in.mu.Unlock()
		if len(dst) > 0 {
			return dst, nil
		}
		if err != nil {
			return nil, err
		}
		select {
		case <-l.wake:
		case <-ctx.Done():
			return nil, ctx.Err()
		}
	}
}

// settle implements link.
func (l *inletLink) settle(tag uint64, o message.Outcome) {
	l.in.mu.Lock()
	defer l.in.mu.Unlock()
	l.in.settle(&l.incomingLink, tag, o)
	l.in.changed()
}

// grant implements link.
func (l *inletLink) grant(n uint32) {
	l.in.mu.Lock()
	defer l.in.mu.Unlock()
	l.in.grant(&l.incomingLink, n)
	l.in.changed()
}

// detach implements link.
func (l *inletLink) detach(back message.Outcome) {
	l.in.mu.Lock()
	l.in.detach(&l.incomingLink, back)
	l.in.changed()
	l.in.mu.Unlock()
	_, _ = l.await(linkEnded)
}
