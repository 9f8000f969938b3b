package packet

import "io"

// buffer is what was read of a stream and is not taken yet. It begins with a few bytes of its own and takes a large buffer while more comes at once, so
// that a connection with nothing to read costs little, and one with much takes few system calls.
type buffer struct {
	src     io.Reader
	b       []byte // own, or the large one
	r, w    int    // b[r:w] was read and not taken
	spare   int    // reads in a row that needed no large buffer
	partial error  // came together with bytes, and counts once these are taken
	own     [ownBufferBytes]byte
}

func (b *buffer) buffered() int { return b.w - b.r }

// fill reads once. Nothing is buffered.
func (b *buffer) fill() error {
	if b.partial != nil {
		return b.partial
	}
	b.choose()
	b.r, b.w = 0, 0
	for range emptyReadsMax {
		n, err := b.src.Read(b.b)
		if n > 0 {
			b.w, b.partial = n, err
			return nil
		}
		if err != nil {
			return err
		}
	}
	return io.ErrNoProgress
}

// choose takes the buffer for the next read by what the last ones brought: a full one had more behind it.
func (b *buffer) choose() {
	if b.w > len(b.own) {
		b.spare = 0
		return
	}
	switch large := len(b.b) > len(b.own); {
	case !large && b.w == len(b.own):
		b.b, b.spare = make([]byte, largeBufferBytes), 0
	case large && b.spare < spareReadsMax:
		b.spare++
	default:
		b.b = b.own[:]
	}
}

func (b *buffer) readByte() (byte, error) {
	if b.r == b.w {
		if err := b.fill(); err != nil {
			return 0, err
		}
	}
	c := b.b[b.r]
	b.r++
	return c, nil
}

// Read implements io.Reader. What p has room for beyond what is buffered is read into p straight away if that is no less than the buffer takes.
func (b *buffer) Read(p []byte) (int, error) {
	if b.r == b.w {
		if len(p) >= max(len(b.b), len(b.own)) && b.partial == nil {
			return b.src.Read(p)
		}
		if err := b.fill(); err != nil {
			return 0, err
		}
	}
	n := copy(p, b.b[b.r:b.w])
	b.r += n
	return n, nil
}
