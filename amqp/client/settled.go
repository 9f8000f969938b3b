package client

import "encoding/binary"

// smallestSplit is the least max-frame-size there is [AMQP 2.7.1]: a frame below it is never the first of several.
const smallestSplit = 512

// settledLinks mends what the library does to a pre-settled delivery that takes several frames: it says "settled" on the last one only, while
// the first one decides [AMQP 2.7.5]. RabbitMQ answers with amqp:invalid-field and the end of the link, so that every large QoS 0 message would
// be lost, and others with it. The set is bounded by the links of the connection.
type settledLinks map[uint64]struct{}

// mend looks at one outbound frame, and changes it in place. What is not exactly one frame is left alone.
func (s settledLinks) mend(frame []byte) {
	if len(frame) < frameHeaderSize+4 || binary.BigEndian.Uint32(frame) != uint32(len(frame)) || frame[5] != frameTypeAMQP {
		return
	}
	start := int(frame[4]) * 4
	if len(frame) < start+4 {
		return
	}
	channel, code := binary.BigEndian.Uint16(frame[6:]), frame[start+2]
	switch code {
	case codeTransfer:
		if len(frame) < smallestSplit || len(s) == 0 {
			return
		}
	case codeAttach, codeDetach, codeEnd:
	default:
		return
	}
	p, err := parsePerformative(frame[start:])
	if err != nil {
		return
	}
	handle, _ := p.uint(0)
	switch code {
	case codeTransfer:
		if _, settled := s[windowKey(channel, true, handle)]; settled {
			p.settle()
		}
	case codeAttach:
		handle, _ = p.uint(1)
		s.attach(windowKey(channel, true, handle), &p)
	case codeDetach:
		delete(s, windowKey(channel, true, handle))
	case codeEnd:
		for key := range s {
			if sessionKey(key) == windowKey(channel, false, 0) {
				delete(s, key)
			}
		}
	}
}

// attach notes a link on which we send settled.
func (s settledLinks) attach(key uint64, p *performative) {
	delete(s, key)
	receiver := p.field(2)
	if mode, ok := p.uint(3); ok && mode == 1 && (receiver == nil || receiver[0] == 0x42) {
		s[key] = struct{}{}
	}
}

// settle says settled in a transfer with more to come that says nothing about it.
func (p *performative) settle() {
	more := p.field(5)
	if more == nil || more[0] != 0x41 || p.field(4) != nil {
		return
	}
	p.body[p.fields[4][0]] = 0x41 // from null to true: one byte each
}
