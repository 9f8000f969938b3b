package client

import (
	"encoding/binary"
	"sync"

	"sluice/amqp/frame"
)

// linkEnd is told of what comes for a sender link whose transfers are ours. The calls come from the connection's reader, room from the flusher; none may block.
type linkEnd interface {
	attached(attachment)
	flow(*frame.Flow)
	disposition(*frame.Disposition)
	// detached: the bus has ended the link or its session.
	detached()
	// room: the connection's buffer was full, and is not any more.
	room()
}

// attachment is what begin and attach say and the library does not show.
type attachment struct {
	channel, peerChannel uint16
	handle               uint32
	window               uint32 // the peer's, for our transfers, at the session's begin
	maxFrame             uint32
}

// owned are the sender links of a connection whose flows and dispositions come to us instead of to the library, which has begun and attached them and will end
// them. Each is the only link of its session. They are bounded by the lanes.
type owned struct {
	mu     sync.Mutex
	byName map[string]*ownedLink

	// The rest is the reader's.
	links   map[uint16]*ownedLink // by the peer's channel
	windows map[uint16]uint32     // of the sessions that the peer has begun
	decoder frame.Decoder
}

type ownedLink struct {
	end linkEnd
	attachment
	peerHandle uint32
}

// own has what comes for the link of that name go to end, from its attach on.
func (o *owned) own(name string, end linkEnd) {
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.byName == nil {
		o.byName = make(map[string]*ownedLink)
	}
	o.byName[name] = &ownedLink{end: end}
}

// disown ends own. What the reader has under way may still come.
func (o *owned) disown(name string) {
	o.mu.Lock()
	defer o.mu.Unlock()
	delete(o.byName, name)
}

func (o *owned) named(name string) *ownedLink {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.byName[name]
}

// tellRoom tells all links that the buffer has room.
func (o *owned) tellRoom() {
	o.mu.Lock()
	ends := make([]linkEnd, 0, len(o.byName))
	for _, l := range o.byName {
		ends = append(ends, l.end)
	}
	o.mu.Unlock()
	for _, end := range ends {
		end.room()
	}
}

// wrote looks at an outbound attach for the numbers that we use.
func (o *owned) wrote(b []byte) {
	if len(b) < frameHeaderSize+4 || b[5] != frameTypeAMQP || b[4] != 2 || b[frameHeaderSize+2] != codeAttach {
		return
	}
	p, err := parsePerformative(b[frameHeaderSize:])
	if err != nil {
		return
	}
	if l := o.named(p.text(0)); l != nil {
		o.mu.Lock()
		defer o.mu.Unlock()
		l.channel = binary.BigEndian.Uint16(b[6:])
		l.handle, _ = p.uint(1)
	}
}

// read looks at one inbound frame that the guard has passed, and reports whether it was for us alone.
func (o *owned) read(b []byte, maxFrame uint32) (ours bool, err error) {
	start := int(b[4]) * 4
	if b[5] != frameTypeAMQP || len(b) < start+3 {
		return false, nil
	}
	channel := binary.BigEndian.Uint16(b[6:])
	switch b[start+2] {
	case codeBegin, codeAttach, codeDetach, codeEnd:
		p, err := parsePerformative(b[start:])
		if err != nil {
			return false, err
		}
		o.lifecycle(channel, &p, maxFrame)
	case codeFlow, codeDisposition:
		if l := o.links[channel]; l != nil {
			return true, o.tell(l, b[5], b[start:])
		}
	}
	return false, nil
}

func (o *owned) lifecycle(channel uint16, p *performative, maxFrame uint32) {
	handle, _ := p.uint(0)
	l := o.links[channel]
	switch p.code {
	case codeBegin:
		if o.windows == nil {
			o.windows, o.links = make(map[uint16]uint32), make(map[uint16]*ownedLink)
		}
		o.windows[channel], _ = p.uint(2)
	case codeAttach:
		if l = o.named(p.text(0)); l == nil {
			return
		}
		o.mu.Lock()
		l.peerChannel, l.window, l.maxFrame = channel, o.windows[channel], maxFrame
		a := l.attachment
		o.mu.Unlock()
		l.peerHandle, _ = p.uint(1)
		o.links[channel] = l
		l.end.attached(a)
	case codeDetach:
		if l != nil && l.peerHandle == handle {
			delete(o.links, channel)
			l.end.detached()
		}
	case codeEnd:
		delete(o.links, channel)
		delete(o.windows, channel)
		if l != nil {
			l.end.detached()
		}
	}
}

// tell decodes a flow or a disposition. What the link keeps of it must be no view of body.
func (o *owned) tell(l *ownedLink, kind byte, body []byte) error {
	p, _, err := o.decoder.Decode(kind, body)
	if err != nil {
		return refuse("%v", err)
	}
	switch p := p.(type) {
	case *frame.Flow:
		l.end.flow(p)
	case *frame.Disposition:
		if p.Role == frame.RoleReceiver {
			l.end.disposition(p)
		}
	}
	return nil
}
