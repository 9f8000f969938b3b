package frame

import (
	"encoding/binary"
	"fmt"
	"math"

	"sluice/amqp/wire"
)

// Decode decodes a frame body (the bytes from Header.BodyOffset on). An empty body of an AMQP frame, which is a heartbeat [AMQP 2.4.5],
// gives a nil Performative. The payload is non-nil only for a Transfer. Bytes in what it returns are views of body. Errors are *wire.Error.
func Decode(typ uint8, body []byte) (p Performative, payload []byte, err error) {
	r := wire.NewReader(body)
	return decode(typ, &r, nil)
}

// Decoder decodes like Decode, but gives the same Transfer, Disposition and Flow structs again and again, so that the frames that come by
// the million take no memory. The zero Decoder is ready. Not for concurrent use.
type Decoder struct {
	transfer    Transfer
	disposition Disposition
	flow        Flow
	reader      wire.Reader // here, because it is handed to an interface method and would be allocated for each frame
}

// Decode is as the function Decode; a *Transfer, *Disposition or *Flow is valid until the next call.
func (d *Decoder) Decode(typ uint8, body []byte) (p Performative, payload []byte, err error) {
	d.reader = wire.NewReader(body)
	return decode(typ, &d.reader, d)
}

// decodable is a Performative of this package.
type decodable interface {
	Performative
	decode(r *wire.Reader) error
	append(dst []byte) ([]byte, error)
}

// decode takes the structs for the hot frames from reuse, unless that is nil.
func decode(typ uint8, r *wire.Reader, reuse *Decoder) (Performative, []byte, error) {
	if r.Len() == 0 && typ == TypeAMQP {
		return nil, nil, nil
	}
	descriptor, err := r.Descriptor()
	if err != nil {
		return nil, nil, err
	}
	var p decodable
	switch typ {
	case TypeAMQP:
		p = newAMQP(descriptor, reuse)
	case TypeSASL:
		p = newSASL(descriptor)
	}
	if p == nil {
		return nil, nil, &wire.Error{Condition: wire.CondDecodeError,
			Reason: fmt.Sprintf("no performative of frame type %d has the descriptor %#x", typ, descriptor)}
	}
	if err = p.decode(r); err != nil {
		return nil, nil, err
	}
	if descriptor == DescTransfer {
		return p, r.Rest(), nil
	}
	if r.Len() > 0 {
		return nil, nil, &wire.Error{Condition: wire.CondDecodeError, Offset: r.Offset(),
			Reason: fmt.Sprintf("%d bytes are left over behind a performative that has no payload", r.Len())}
	}
	return p, nil, nil
}

func newAMQP(descriptor uint64, reuse *Decoder) decodable {
	if reuse != nil {
		switch descriptor {
		case DescFlow:
			return &reuse.flow
		case DescTransfer:
			return &reuse.transfer
		case DescDisposition:
			return &reuse.disposition
		}
	}
	switch descriptor {
	case DescOpen:
		return &Open{}
	case DescBegin:
		return &Begin{}
	case DescAttach:
		return &Attach{}
	case DescFlow:
		return &Flow{}
	case DescTransfer:
		return &Transfer{}
	case DescDisposition:
		return &Disposition{}
	case DescDetach:
		return &Detach{}
	case DescEnd:
		return &End{}
	case DescClose:
		return &Close{}
	}
	return nil
}

func newSASL(descriptor uint64) decodable {
	switch descriptor {
	case DescSASLMechanisms:
		return &SASLMechanisms{}
	case DescSASLInit:
		return &SASLInit{}
	case DescSASLChallenge:
		return &SASLChallenge{}
	case DescSASLResponse:
		return &SASLResponse{}
	case DescSASLOutcome:
		return &SASLOutcome{}
	}
	return nil
}

// Append appends a whole AMQP frame; payload only with a Transfer. On error, which is a *wire.Error that names a field of ours that cannot
// be written, dst comes back as it was.
func Append(dst []byte, channel uint16, p Performative, payload []byte) ([]byte, error) {
	if _, ok := p.(*Transfer); !ok && len(payload) > 0 {
		return dst, &wire.Error{Condition: wire.CondInvalidField, Reason: "only a transfer has a payload", Offset: -1}
	}
	if d := p.Descriptor(); d < DescOpen || d > DescClose {
		return dst, &wire.Error{Condition: wire.CondInvalidField, Offset: -1, Reason: fmt.Sprintf("%T is not for an AMQP frame", p)}
	}
	return appendFrame(dst, TypeAMQP, channel, p, payload)
}

// AppendSASL appends a whole SASL frame, which is refused when it is larger than MinMaxFrameSize [AMQP 5.3.1].
func AppendSASL(dst []byte, p Performative) ([]byte, error) {
	if d := p.Descriptor(); d < DescSASLMechanisms || d > DescSASLOutcome {
		return dst, &wire.Error{Condition: wire.CondInvalidField, Offset: -1, Reason: fmt.Sprintf("%T is not for a SASL frame", p)}
	}
	out, err := appendFrame(dst, TypeSASL, 0, p, nil)
	if err == nil && len(out)-len(dst) > int(MinMaxFrameSize) {
		return dst, &wire.Error{Condition: wire.CondInvalidField, Offset: -1,
			Reason: fmt.Sprintf("a SASL frame of %d bytes is over the limit of %d", len(out)-len(dst), MinMaxFrameSize)}
	}
	return out, err
}

// AppendHeartbeat appends an empty frame [AMQP 2.4.5].
func AppendHeartbeat(dst []byte) []byte {
	return append(dst, 0, 0, 0, HeaderSize, HeaderSize/4, TypeAMQP, 0, 0)
}

func appendFrame(dst []byte, typ uint8, channel uint16, p Performative, payload []byte) ([]byte, error) {
	out, err := appendPerformative(appendHead(dst, typ, channel), p)
	if err != nil {
		return dst, err
	}
	if len(out)-len(dst) > math.MaxInt32-len(payload) {
		return dst, &wire.Error{Condition: wire.CondInvalidField, Offset: -1, Reason: "the frame is larger than its size field can say"}
	}
	out = append(out, payload...)
	setSize(out[len(dst):])
	return out, nil
}

// appendHead appends a frame header; setSize has to follow when the frame is whole.
func appendHead(dst []byte, typ uint8, channel uint16) []byte {
	return append(dst, 0, 0, 0, 0, HeaderSize/4, typ, byte(channel>>8), byte(channel))
}

// setSize writes a frame's size into its header.
func setSize(frame []byte) { binary.BigEndian.PutUint32(frame, uint32(len(frame))) }

// appendPerformative names the three hot types, so that their structs can stay on the caller's stack.
func appendPerformative(dst []byte, p Performative) ([]byte, error) {
	switch p := p.(type) {
	case *Transfer:
		return p.append(dst)
	case *Disposition:
		return p.append(dst)
	case *Flow:
		return p.append(dst)
	case decodable:
		return p.append(dst)
	}
	return dst, &wire.Error{Condition: wire.CondInvalidField, Reason: fmt.Sprintf("%T is not a performative", p), Offset: -1}
}
