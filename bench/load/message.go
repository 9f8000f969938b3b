package load

import (
	"encoding/binary"
	"fmt"
	"time"
)

// MinPayload is the smallest payload in bytes: stream, place in it, and when it was due.
const MinPayload = 16

// begin is the zero of all times in payloads. Sender and receiver are in one process, so that one monotonic clock measures both.
var begin = time.Now()

// clock is the time since begin in nanoseconds.
func clock() int64 { return int64(time.Since(begin)) }

// header is what a payload begins with.
type header struct {
	stream, seq uint32
	due         int64 // nanoseconds on clock
}

// putPayload fills p, which is at least MinPayload long. The rest depends on the place, so that a payload of another message is noticed.
func putPayload(p []byte, h header) {
	binary.BigEndian.PutUint32(p, h.stream)
	binary.BigEndian.PutUint32(p[4:], h.seq)
	binary.BigEndian.PutUint64(p[8:], uint64(h.due))
	if len(p) > MinPayload {
		fill := byte(h.seq)
		p[MinPayload], p[len(p)-1] = fill, fill
	}
}

func parsePayload(p []byte, size int) (header, error) {
	if len(p) != size {
		return header{}, fmt.Errorf("a payload of %d bytes came, %d were sent", len(p), size)
	}
	h := header{stream: binary.BigEndian.Uint32(p), seq: binary.BigEndian.Uint32(p[4:]), due: int64(binary.BigEndian.Uint64(p[8:]))}
	if size > MinPayload && (p[MinPayload] != byte(h.seq) || p[size-1] != byte(h.seq)) {
		return header{}, fmt.Errorf("message %d of stream %d came with a changed payload", h.seq, h.stream)
	}
	return h, nil
}
