package packet

import (
	"bytes"
	"io"
	"testing"
)

// offered notes how much room each read has.
type offered struct {
	io.Reader
	room int
}

func (o *offered) Read(p []byte) (int, error) {
	o.room = len(p)
	return o.Reader.Read(p)
}

// A stream with more to come gets a large buffer, and one that brings little gives it up again.
func TestTheLargeBufferIsForMuch(t *testing.T) {
	t.Parallel()
	var stream bytes.Buffer
	src := &offered{Reader: &stream}
	b := &buffer{src: src}
	take := func(n int) (room int) {
		stream.Write(make([]byte, n))
		for range n {
			if _, err := b.readByte(); err != nil {
				t.Fatal(err)
			}
		}
		return src.room
	}
	if room := take(2); room != ownBufferBytes {
		t.Errorf("the first read has room for %d", room)
	}
	if room := take(ownBufferBytes + 300); room != largeBufferBytes {
		t.Errorf("the rest of much has room for %d", room)
	}
	for i := range spareReadsMax + 1 { // the first still after much
		if room := take(2); room != largeBufferBytes {
			t.Errorf("little read %d has room for %d", i, room)
		}
	}
	if room := take(2); room != ownBufferBytes || cap(b.b) != ownBufferBytes {
		t.Errorf("then there is room for %d, and %d are kept", room, cap(b.b))
	}
	if stream.Len() != 0 || b.buffered() != 0 {
		t.Errorf("%d bytes and %d are left", stream.Len(), b.buffered())
	}
}

// lazy brings neither bytes nor an error.
type lazy struct{}

func (lazy) Read([]byte) (int, error) { return 0, nil }

func TestAStreamThatBringsNothingEnds(t *testing.T) {
	t.Parallel()
	if _, err := (&buffer{src: lazy{}}).readByte(); err != io.ErrNoProgress {
		t.Errorf("%v", err)
	}
}
