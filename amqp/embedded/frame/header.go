package frame

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
