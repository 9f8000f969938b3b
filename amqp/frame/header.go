package frame

import (
	"encoding/binary"
	"fmt"

	"sluice/amqp/wire"
)

// HeaderSize is the length of a frame header in bytes [AMQP 2.3.1].
const HeaderSize = 8

// The frame types [AMQP 2.3.1, 5.3.1].
const (
	TypeAMQP uint8 = 0
	TypeSASL uint8 = 1
)

// Header is a frame header.
type Header struct {
	Size    uint32 // of the whole frame, header included, in bytes
	DOff    uint8  // where the body starts, in 4-byte words, at least 2
	Type    uint8  // TypeAMQP or TypeSASL
	Channel uint16 // meaningless for SASL
}

// BodyOffset is where the body starts, in bytes from the start of the frame; between HeaderSize and here is an extended header, which is
// ignored [AMQP 2.3.1].
func (h Header) BodyOffset() int { return int(h.DOff) * 4 }

// ProtocolID says which protocol a protocol header asks for [AMQP 2.2, 5.2.1, 5.3.2].
type ProtocolID uint8

// The protocol ids of AMQP 1.0.0.
const (
	ProtocolAMQP ProtocolID = 0
	ProtocolTLS  ProtocolID = 2
	ProtocolSASL ProtocolID = 3
)

// ProtocolHeaderSize is the length of a protocol header in bytes.
const ProtocolHeaderSize = 8

// ParseHeader reads a frame header from the first HeaderSize bytes of b. A size over maxFrameSize (zero is no limit of ours) or smaller
// than the header that it announces is a *wire.Error, so that it is refused before memory is taken for the frame.
func ParseHeader(b []byte, maxFrameSize uint32) (Header, error) {
	if len(b) < HeaderSize {
		return Header{}, framing("a frame header has %d bytes, not %d", HeaderSize, len(b))
	}
	h := Header{
		Size:    binary.BigEndian.Uint32(b),
		DOff:    b[4],
		Type:    b[5],
		Channel: binary.BigEndian.Uint16(b[6:]),
	}
	switch {
	case h.DOff < HeaderSize/4:
		return Header{}, framing("the data offset %d is inside the header: at least %d is right", h.DOff, HeaderSize/4)
	case int64(h.Size) < int64(h.BodyOffset()):
		return Header{}, framing("the frame size %d is smaller than the data offset of %d bytes", h.Size, h.BodyOffset())
	case maxFrameSize > 0 && h.Size > maxFrameSize:
		return Header{}, framing("the frame size %d is over the agreed limit of %d", h.Size, maxFrameSize)
	case h.Type > TypeSASL:
		return Header{}, framing("the frame type %d is not known: it is 0 (AMQP) or 1 (SASL)", h.Type)
	}
	return h, nil
}

// ParseProtocolHeader reads a protocol header: "AMQP", protocol id, version 1.0.0. The id is returned also when only the version is wrong;
// either way the answer to a wrong one is our own header, then the end of the connection [AMQP 2.2].
func ParseProtocolHeader(b []byte) (ProtocolID, error) {
	if len(b) < ProtocolHeaderSize {
		return 0, framing("a protocol header has %d bytes, not %d", ProtocolHeaderSize, len(b))
	}
	if string(b[:4]) != "AMQP" {
		return 0, framing("%q does not start a connection: AMQP 1.0 is spoken here", b[:ProtocolHeaderSize])
	}
	id := ProtocolID(b[4])
	if b[5] != 1 || b[6] != 0 || b[7] != 0 {
		return id, framing("AMQP %d.%d.%d is not spoken here: 1.0.0 is", b[5], b[6], b[7])
	}
	if id != ProtocolAMQP && id != ProtocolTLS && id != ProtocolSASL {
		return id, framing("the protocol id %d is not known: it is 0 (AMQP), 2 (TLS) or 3 (SASL)", id)
	}
	return id, nil
}

// AppendProtocolHeader appends the protocol header for id, version 1.0.0.
func AppendProtocolHeader(dst []byte, id ProtocolID) []byte {
	return append(dst, 'A', 'M', 'Q', 'P', byte(id), 1, 0, 0)
}

func framing(format string, args ...any) error {
	return &wire.Error{Condition: wire.CondFramingError, Reason: fmt.Sprintf(format, args...)}
}
