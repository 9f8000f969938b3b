package frame

import "errors"

var errUnwritten = errors.New("frame: not written yet")

// ParseHeader reads a frame header from the first HeaderSize bytes of b and checks size against maxFrameSize (zero: no limit of ours).
func ParseHeader(b []byte, maxFrameSize uint32) (Header, error) { return Header{}, errUnwritten }

// ParseProtocolHeader reads a protocol header; the id is valid only without error.
func ParseProtocolHeader(b []byte) (ProtocolID, error) { return 0, errUnwritten }

// AppendProtocolHeader appends the protocol header for id, version 1.0.0.
func AppendProtocolHeader(dst []byte, id ProtocolID) []byte { return dst }

// Decode decodes a frame body (the bytes from Header.BodyOffset on). An empty body of an AMQP frame, which is a heartbeat [AMQP 2.4.5],
// gives a nil Performative. The payload is non-nil only for a Transfer.
func Decode(typ uint8, body []byte) (p Performative, payload []byte, err error) {
	return nil, nil, errUnwritten
}

// Decoder decodes like Decode, but gives the same Transfer, Disposition and Flow structs again and again.
type Decoder struct {
	transfer    Transfer
	disposition Disposition
	flow        Flow
}

// Decode is as the function Decode; a *Transfer, *Disposition or *Flow is valid until the next call.
func (d *Decoder) Decode(typ uint8, body []byte) (p Performative, payload []byte, err error) {
	return nil, nil, errUnwritten
}

// Append appends a whole AMQP frame; payload only with a Transfer. On error dst comes back unchanged.
func Append(dst []byte, channel uint16, p Performative, payload []byte) ([]byte, error) {
	return dst, errUnwritten
}

// AppendSASL appends a whole SASL frame.
func AppendSASL(dst []byte, p Performative) ([]byte, error) { return dst, errUnwritten }

// AppendHeartbeat appends an empty frame [AMQP 2.4.5].
func AppendHeartbeat(dst []byte) []byte { return dst }
