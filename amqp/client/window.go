package client

import (
	"encoding/binary"
	"maps"
	"sync"

	goamqp "github.com/Azure/go-amqp"
)

// windows notes where the bus takes nothing at the moment: sessions with an incoming window of zero, as in RabbitMQ's memory or disk alarm, and
// links with a credit of zero.
//
// The library computes what is left of window and credit in uint32 [AMQP 2.5.6, 2.6.7]. When the bus takes either back while transfers are on
// their way, the difference is negative, becomes four thousand million, and the library sends on without limit. So a lane by which the library sends looks here before
// it does, for its own session and link only: another link without credit is no reason to wait. The library hides their numbers; the bus's
// attach tells which it uses for which link name. The maps are bounded by the sessions and links of the connection.
type windows struct {
	mu    sync.Mutex
	links map[string]uint64   // link name to windowKey
	shut  map[uint64]struct{} // session or link, see windowKey
	open  chan struct{}       // closed when anything opens; nil while nobody waits
}

// windowKey names a session, or with link one of its links, by the numbers that the bus uses.
func windowKey(channel uint16, link bool, handle uint32) uint64 {
	key := uint64(channel) << 48
	if link {
		key |= 1<<32 | uint64(handle)
	}
	return key
}

// sessionKey is the key of the session that a link's key belongs to.
func sessionKey(link uint64) uint64 { return link &^ (1<<48 - 1) }

// closed gives a channel that is closed when it is worth asking again, nil when the bus takes transfers on this link now.
func (w *windows) closed(link string) <-chan struct{} {
	w.mu.Lock()
	defer w.mu.Unlock()
	key, known := w.links[link]
	_, noCredit := w.shut[key]
	_, noWindow := w.shut[sessionKey(key)]
	if !known || !noCredit && !noWindow {
		return nil
	}
	if w.open == nil {
		w.open = make(chan struct{})
	}
	return w.open
}

// closed is windows.closed for a sender's link.
func (c *netConn) closed(s *goamqp.Sender) func() <-chan struct{} {
	return func() <-chan struct{} { return c.windows.closed(s.LinkName()) }
}

// attach notes which numbers the bus uses for a link.
func (w *windows) attach(name string, key uint64) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.links == nil {
		w.links = make(map[string]uint64)
	}
	w.links[name] = key
}

func (w *windows) note(key uint64, shut bool) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if !shut {
		delete(w.shut, key)
		w.wake()
		return
	}
	if w.shut == nil {
		w.shut = make(map[uint64]struct{})
	}
	w.shut[key] = struct{}{}
}

// forget drops all that match: a link that is detached, or a session with its links.
func (w *windows) forget(match func(key uint64) bool) {
	w.mu.Lock()
	defer w.mu.Unlock()
	maps.DeleteFunc(w.shut, func(key uint64, _ struct{}) bool { return match(key) })
	maps.DeleteFunc(w.links, func(_ string, key uint64) bool { return match(key) })
	w.wake()
}

// wake has those who wait ask again. w.mu is held.
func (w *windows) wake() {
	if w.open != nil {
		close(w.open)
		w.open = nil
	}
}

// observe reads one inbound frame that the guard has passed.
func (w *windows) observe(frame []byte) {
	start := int(frame[4]) * 4
	if frame[5] != frameTypeAMQP || len(frame) < start+3 {
		return
	}
	channel := binary.BigEndian.Uint16(frame[6:])
	switch frame[start+2] {
	case codeFlow:
		p, err := parsePerformative(frame[start:])
		if err != nil {
			return
		}
		if window, ok := p.uint(1); ok {
			w.note(windowKey(channel, false, 0), window == 0)
		}
		if handle, ok := p.uint(4); ok {
			credit, ok := p.uint(6)
			w.note(windowKey(channel, true, handle), ok && credit == 0)
		}
	case codeAttach:
		p, err := parsePerformative(frame[start:])
		if err != nil {
			return
		}
		if handle, ok := p.uint(1); ok {
			w.attach(p.text(0), windowKey(channel, true, handle))
		}
	case codeDetach:
		if p, err := parsePerformative(frame[start:]); err == nil {
			if handle, ok := p.uint(0); ok {
				gone := windowKey(channel, true, handle)
				w.forget(func(key uint64) bool { return key == gone })
			}
		}
	case codeEnd:
		gone := windowKey(channel, false, 0)
		w.forget(func(key uint64) bool { return sessionKey(key) == gone })
	}
}
