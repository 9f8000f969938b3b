package client

import (
	"encoding/binary"
	"fmt"
	"math"
)

// Performative descriptors [AMQP 2.7].
const (
	codeOpen        = 0x10
	codeBegin       = 0x11
	codeAttach      = 0x12
	codeFlow        = 0x13
	codeTransfer    = 0x14
	codeDisposition = 0x15
	codeDetach      = 0x16
	codeEnd         = 0x17
	codeSASLOutcome = 0x44 // [AMQP 5.3.3.6]
)

// The frame header [AMQP 2.3.1].
const (
	frameHeaderSize = 8
	frameTypeAMQP   = 0
	frameTypeSASL   = 1
)

// saslCodeAuth: the credentials are refused [AMQP 5.3.3.7].
const saslCodeAuth = 1

// guardError is why the guard ends a connection.
type guardError struct{ reason string }

func (e *guardError) Error() string { return "frame guard: " + e.reason }

func refuse(format string, args ...any) error {
	return &guardError{reason: fmt.Sprintf(format, args...)}
}

// peerLimits is what the peer says and go-amqp does not show: in open and begin, where unset is the standard's default, no limit, and before them
// whether it refuses the credentials.
type peerLimits struct {
	channelMax   uint32
	handleMax    uint32
	maxFrame     uint32 // in bytes
	loginRefused bool
}

func noPeerLimits() peerLimits {
	return peerLimits{channelMax: math.MaxUint16, handleMax: math.MaxUint32, maxFrame: math.MaxUint32}
}

// guardFrame checks one complete inbound frame and appends to dst what go-amqp may see of it. It is a pure function over bytes, apart from
// noting the peer's limits.
//
// It stands between the bus and these faults of go-amqp 1.7.0, each of which one frame is enough for:
//   - Annotations with a list, map or binary as key are a panic in a goroutine that nobody can recover, and any value that the library has not
//     implemented (char, decimals) ends the link, so that one message from any producer would take a link down for ever. Each
//     transfer's payload is therefore wrapped into a data section of its own: the library hands the bytes over unread, and a delivery of
//     several frames arrives as several data sections that decode.go joins again. This needs no memory between frames.
//   - A disposition up to delivery-id 2^32-1, or a transfer with that id, makes its loops run for ever. Such frames are refused.
//   - A flow for a link without link-credit is a nil dereference in the sender's goroutine. It is refused.
//   - Values in other performatives with such keys, or nested without end, are refused too.
//
// Refusing ends the connection: the peer has broken the protocol, and what it meant is not known.
func guardFrame(dst, frame []byte, peer *peerLimits) ([]byte, error) {
	if len(frame) < frameHeaderSize {
		return dst, refuse("a frame of %d bytes is shorter than its header", len(frame))
	}
	start := int(frame[4]) * 4
	if start < frameHeaderSize || start > len(frame) {
		return dst, refuse("data offset %d does not lie within the frame of %d bytes", start, len(frame))
	}
	body := frame[start:]
	if frame[5] == frameTypeSASL {
		if p, err := parsePerformative(body); err == nil && p.code == codeSASLOutcome {
			code, _ := p.uint(0)
			peer.loginRefused = code == saslCodeAuth
		}
	}
	if len(body) == 0 || frame[5] != frameTypeAMQP {
		return appendFrame(dst, frame, body, nil), nil // a heartbeat, or SASL, which has no compound values
	}
	p, err := parsePerformative(body)
	if err != nil {
		return dst, err
	}
	payload := body[p.end:]
	if p.code != codeTransfer {
		if len(payload) != 0 {
			return dst, refuse("%d bytes follow performative %#02x", len(payload), p.code)
		}
		if err := p.check(peer); err != nil {
			return dst, err
		}
		return appendFrame(dst, frame, body, nil), nil
	}
	if id, ok := p.uint(1); ok && id == math.MaxUint32 {
		return dst, refuse("a transfer has delivery-id 2^32-1")
	}
	return appendFrame(dst, frame, body[:p.end], payload), nil
}

// appendFrame writes the frame without its extended header, and payload, if any, as one data section [AMQP 3.2.6].
func appendFrame(dst, frame, performative, payload []byte) []byte {
	at := len(dst)
	dst = append(dst, 0, 0, 0, 0, 2, frame[5], frame[6], frame[7])
	dst = append(dst, performative...)
	if len(payload) > 0 {
		dst = append(dst, 0x00, 0x53, 0x75, 0xb0)
		dst = binary.BigEndian.AppendUint32(dst, uint32(len(payload)))
		dst = append(dst, payload...)
	}
	binary.BigEndian.PutUint32(dst[at:], uint32(len(dst)-at))
	return dst
}

// maxFields is the number of fields of the longest performative, attach.
const maxFields = 14

// performative is a frame body taken apart just far enough: where its fields are and where it ends.
type performative struct {
	code   byte
	body   []byte
	fields [maxFields][2]int // start and end within body
	count  int
	end    int
}

func parsePerformative(body []byte) (p performative, err error) {
	if len(body) < 4 || body[0] != 0x00 || body[1] != 0x53 {
		return p, refuse("the frame body does not start with a performative")
	}
	p.code, p.body = body[2], body
	at, end, count, err := compound(body, 3)
	if err != nil {
		return p, err
	}
	if kind := body[3]; kind != 0x45 && kind != 0xc0 && kind != 0xd0 {
		return p, refuse("performative %#02x is not a list", p.code)
	}
	if count > maxFields {
		return p, refuse("performative %#02x has %d fields", p.code, count)
	}
	for i := range count {
		next, err := skipValue(body[:end], at, maxValueDepth)
		if err != nil {
			return p, err
		}
		p.fields[i] = [2]int{at, next}
		at = next
	}
	if at != end {
		return p, refuse("performative %#02x is %d bytes longer than its fields", p.code, end-at)
	}
	p.count, p.end = count, end
	return p, nil
}

// field gives the encoded field i, nil when absent.
func (p *performative) field(i int) []byte {
	if i >= p.count {
		return nil
	}
	f := p.body[p.fields[i][0]:p.fields[i][1]]
	if f[0] == 0x40 {
		return nil
	}
	return f
}

// uint reads an uint or ushort field.
func (p *performative) uint(i int) (uint32, bool) {
	f := p.field(i)
	if f == nil {
		return 0, false
	}
	switch f[0] {
	case 0x43:
		return 0, true
	case 0x52, 0x50:
		return uint32(f[1]), true
	case 0x60:
		return uint32(binary.BigEndian.Uint16(f[1:])), true
	case 0x70:
		return binary.BigEndian.Uint32(f[1:]), true
	}
	return 0, false
}

// text reads a string field; empty when absent.
func (p *performative) text(i int) string {
	f := p.field(i)
	switch {
	case f != nil && f[0] == 0xa1:
		return string(f[2:])
	case f != nil && f[0] == 0xb1:
		return string(f[5:])
	}
	return ""
}

// check looks at what matters in performatives other than transfer.
func (p *performative) check(peer *peerLimits) error {
	switch p.code {
	case codeOpen:
		if v, ok := p.uint(2); ok {
			peer.maxFrame = min(peer.maxFrame, v)
		}
		if v, ok := p.uint(3); ok {
			peer.channelMax = min(peer.channelMax, v)
		}
	case codeBegin:
		if v, ok := p.uint(4); ok {
			peer.handleMax = min(peer.handleMax, v)
		}
	case codeAttach:
		p.forgetMaxMessageSize()
	case codeFlow:
		if p.field(4) != nil && p.field(6) == nil {
			return refuse("a flow names a link and no link-credit")
		}
	case codeDisposition:
		return p.checkDisposition()
	}
	return nil
}

// checkDisposition refuses a range of delivery-ids that the library would walk for ever, or for very long.
func (p *performative) checkDisposition() error {
	first, ok := p.uint(1)
	if !ok {
		return refuse("a disposition has no first delivery-id")
	}
	last := first
	if v, ok := p.uint(2); ok {
		last = v
	}
	if last == math.MaxUint32 || last < first || last-first >= maxDispositionSpan {
		return refuse("a disposition covers the delivery-ids %d to %d", first, last)
	}
	return nil
}

// forgetMaxMessageSize sets the size to zero, no limit, where the peer is the sender. The library would hold our receiver to the peer's limit, and
// the wrapping adds 8 bytes to each frame: a message of just the largest size would end the link again and again.
func (p *performative) forgetMaxMessageSize() {
	role, size := p.field(2), p.field(10)
	if role == nil || size == nil || role[0] == 0x41 || (role[0] == 0x56 && role[1] != 0) {
		return // the peer is the receiver: its limit is for us to keep
	}
	clear(size[1:])
}
