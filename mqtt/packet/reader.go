package packet

import (
	"errors"
	"io"
)

// Reader reads packets from a stream. It is for one goroutine. After an error it is finished: what it had read of a packet
// is lost.
type Reader struct {
	in  buffer
	max int
	v   Version
}

// NewReader reads from r and refuses packets of more than maxPacketSize bytes, fixed header included. A size that is not in
// 1 to MaxPacketSize means MaxPacketSize.
func NewReader(r io.Reader, maxPacketSize int) *Reader {
	reader := &Reader{in: buffer{src: r}}
	reader.SetMaxPacketSize(maxPacketSize)
	return reader
}

// SetVersion says in what version the next packets are. A CONNECT sets it too.
func (r *Reader) SetVersion(v Version) { r.v = v }

// SetMaxPacketSize changes the limit for the next packets; a smaller one until the client is known saves memory.
func (r *Reader) SetMaxPacketSize(n int) {
	if n < 1 || n > MaxPacketSize {
		n = MaxPacketSize
	}
	r.max = n
}

// Buffered is the number of bytes that can be read without waiting for the network. Zero is the moment to flush answers.
func (r *Reader) Buffered() int { return r.in.buffered() }

// ReadPacket reads and decodes one packet. The packet may be kept: its memory is its own. A packet that is refused is an
// *Error. Errors of the stream come as they are: io.EOF between packets, io.ErrUnexpectedEOF inside one.
func (r *Reader) ReadPacket() (Packet, error) {
	h, body, err := r.ReadBody()
	if err != nil {
		return nil, err
	}
	p, err := Decode(h, body, r.v)
	if err != nil {
		return nil, err
	}
	if connect, ok := p.(*Connect); ok {
		r.v = connect.Version
	}
	return p, nil
}

// ReadBody reads one packet without decoding it, for a caller that decodes into a Publish of its own. Errors are those of
// ReadPacket; a packet beyond the limit is refused from its header, before memory is taken for it.
func (r *Reader) ReadBody() (Header, []byte, error) {
	h, err := r.readHeader()
	if err != nil {
		return Header{}, nil, err
	}
	if size := h.Size(); size > r.max {
		return Header{}, nil, refuse(PacketTooLarge, "MQTT-3.2.2-15", "%s has %d bytes; %d are the most here", h.Type, size, r.max)
	}
	body, err := r.readBody(h.Length)
	return h, body, err
}

func (r *Reader) readHeader() (Header, error) {
	var b [maxHeaderBytes]byte
	for n := range b {
		next, err := r.in.readByte()
		if n > 0 && errors.Is(err, io.EOF) {
			err = io.ErrUnexpectedEOF
		}
		if err != nil {
			return Header{}, err
		}
		b[n] = next
		h, used, err := ParseHeader(b[:n+1])
		if err != nil || used > 0 {
			return h, err
		}
	}
	panic("packet: ParseHeader asks for more than a fixed header can have")
}

// readBody takes memory as bytes arrive: at most readStepBytes ahead of them, or as many again as did arrive (invariant I4).
func (r *Reader) readBody(length int) ([]byte, error) {
	if length == 0 {
		return nil, nil
	}
	body := make([]byte, min(length, readStepBytes))
	for have := 0; ; {
		n, err := io.ReadFull(&r.in, body[have:])
		if errors.Is(err, io.EOF) {
			err = io.ErrUnexpectedEOF
		}
		if err != nil {
			return nil, err
		}
		if have += n; have == length {
			return body, nil
		}
		grown := make([]byte, min(length, 2*have))
		copy(grown, body)
		body = grown
	}
}
