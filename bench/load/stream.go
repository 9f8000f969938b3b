package load

import (
	"fmt"
	"io"
	"net"

	"sluice/mqtt/packet"
)

// stream cuts what comes on a connection into packets without allocating. packet.Reader takes fresh memory for each packet, which a generator that
// shares its cores with the system under test cannot afford.
type stream struct {
	conn net.Conn
	buf  []byte
	r, w int // buf[r:w] is read and not yet cut
}

// next gives the next packet. body is valid until the next call.
func (s *stream) next() (packet.Header, []byte, error) {
	for {
		h, body, ok, err := s.cut()
		if ok || err != nil {
			return h, body, err
		}
		if err := s.fill(h.Size()); err != nil {
			return packet.Header{}, nil, err
		}
	}
}

// whole reports whether next would not wait.
func (s *stream) whole() bool {
	h, n, err := packet.ParseHeader(s.buf[s.r:s.w])
	return err != nil || n > 0 && s.w-s.r >= n+h.Length
}

func (s *stream) cut() (h packet.Header, body []byte, ok bool, err error) {
	h, n, err := packet.ParseHeader(s.buf[s.r:s.w])
	if err != nil || n == 0 || s.w-s.r < n+h.Length {
		return h, nil, false, err
	}
	body = s.buf[s.r+n : s.r+n+h.Length]
	s.r += n + h.Length
	return h, body, true, nil
}

// fill reads more, after making room for a packet of size bytes.
func (s *stream) fill(size int) error {
	if s.r > 0 {
		s.w = copy(s.buf, s.buf[s.r:s.w])
		s.r = 0
	}
	if size > len(s.buf) {
		s.grow(size)
	}
	n, err := s.conn.Read(s.buf[s.w:])
	s.w += n
	if s.w == len(s.buf) && s.w < readBufferBusy {
		s.grow(2 * s.w) // there is more than fits
	}
	if n > 0 {
		return nil
	}
	if err == nil {
		err = io.ErrNoProgress
	}
	return err
}

func (s *stream) grow(size int) {
	if size <= len(s.buf) {
		return
	}
	larger := make([]byte, size)
	s.w = copy(larger, s.buf[s.r:s.w])
	s.buf, s.r = larger, 0
}

// decode cuts the next packet and decodes it, for the packets that are rare.
func (s *stream) decode() (packet.Packet, error) {
	h, body, err := s.next()
	if err != nil {
		return nil, err
	}
	return packet.Decode(h, append([]byte(nil), body...), packet.V5)
}

// expect decodes the next packet, which must be a T.
func expect[T packet.Packet](s *stream) (T, error) {
	var none T
	p, err := s.decode()
	if err != nil {
		return none, err
	}
	if got, ok := p.(T); ok {
		return got, nil
	}
	if bye, ok := p.(*packet.Disconnect); ok {
		return none, fmt.Errorf("expected a %T, got DISCONNECT: %v %s", none, bye.Reason, bye.Properties.ReasonString)
	}
	return none, fmt.Errorf("expected a %T, got a %v", none, p.Type())
}
