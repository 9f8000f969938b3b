package frame

// Splitter cuts one delivery into transfer frames that fit the peer's max-frame-size.
type Splitter struct {
	transfer Transfer
	payload  []byte
	max      uint32
	done     bool
}

// NewSplitter starts cutting. t is the delivery's transfer (More is set by the Splitter); maxFrameSize is the peer's, in bytes.
func NewSplitter(t Transfer, payload []byte, maxFrameSize uint32) Splitter {
	return Splitter{transfer: t, payload: payload, max: maxFrameSize}
}

// Done reports that the last frame was appended.
func (s *Splitter) Done() bool { return s.done }

// Append appends the next frame: one call is one transfer, and takes one off the session's windows. It may be paused between calls.
func (s *Splitter) Append(dst []byte, channel uint16) ([]byte, error) { return dst, errUnwritten }
