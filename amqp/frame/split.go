package frame

import (
	"fmt"

	"sluice/amqp/wire"
)

// Splitter cuts one delivery into transfer frames that fit the peer's max-frame-size. It is a value: copy it to keep its place.
type Splitter struct {
	transfer Transfer
	payload  []byte
	max      int
	done     bool
}

// NewSplitter starts cutting. t is the delivery's transfer (More is set by the Splitter); payload is not copied; maxFrameSize is the
// peer's, in bytes. A limit under MinMaxFrameSize, which no peer may have, counts as MinMaxFrameSize.
func NewSplitter(t Transfer, payload []byte, maxFrameSize uint32) Splitter {
	limit := int64(max(maxFrameSize, MinMaxFrameSize))
	return Splitter{transfer: t, payload: payload, max: int(min(limit, wire.MaxSize))}
}

// Done reports that the last frame was appended.
func (s *Splitter) Done() bool { return s.done }

// Append appends the next frame: one call is one transfer, and takes one off the session's windows. It may be paused between calls. A
// transfer whose fields alone do not fit a frame is an error, and dst comes back as it was.
func (s *Splitter) Append(dst []byte, channel uint16) ([]byte, error) {
	s.transfer.More = false
	out, err := s.transfer.append(appendHead(dst, TypeAMQP, channel))
	if err != nil {
		return dst, err
	}
	room := s.max - (len(out) - len(dst))
	if len(s.payload) > room {
		return s.appendPart(dst, channel)
	}
	out = append(out, s.payload...)
	setSize(out[len(dst):])
	s.payload, s.done = nil, true
	return out, nil
}

// appendPart appends a frame that others follow, and leaves in s what those need: a later transfer names its link, and that it is settled
// where the first was; the rest is known from the first [AMQP 2.7.5].
func (s *Splitter) appendPart(dst []byte, channel uint16) ([]byte, error) {
	s.transfer.More = true
	out, err := s.transfer.append(appendHead(dst, TypeAMQP, channel))
	if err != nil {
		return dst, err
	}
	room := s.max - (len(out) - len(dst))
	if room <= 0 {
		return dst, &wire.Error{Condition: wire.CondInvalidField, What: "transfer", Offset: -1,
			Reason: fmt.Sprintf("its fields leave no room for payload in a frame of %d bytes", s.max)}
	}
	n := min(room, len(s.payload))
	out = append(out, s.payload[:n]...)
	setSize(out[len(dst):])
	s.payload = s.payload[n:]
	s.transfer = Transfer{Handle: s.transfer.Handle, Settled: s.transfer.Settled, Batchable: s.transfer.Batchable}
	return out, nil
}
