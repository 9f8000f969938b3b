package client

import "encoding/binary"

// The guard's walk over encoded values [AMQP 1.6]. It reads no more than it needs to find where a value ends and what keys maps have.

// skipValue gives the offset behind the value at offset at. It refuses map keys that go-amqp cannot hash.
func skipValue(b []byte, at, depth int) (int, error) {
	if at >= len(b) {
		return 0, refuse("a value is cut short")
	}
	if depth == 0 {
		return 0, refuse("values nest deeper than %d", maxValueDepth)
	}
	var n int
	switch code := b[at]; code >> 4 {
	case 0x0:
		if code != 0 {
			return 0, refuse("unknown format code %#02x", code)
		}
		next, err := skipValue(b, at+1, depth-1)
		if err != nil {
			return 0, err
		}
		return skipValue(b, next, depth-1)
	case 0x4:
		n = 1
	case 0x5:
		n = 2
	case 0x6:
		n = 3
	case 0x7:
		n = 5
	case 0x8:
		n = 9
	case 0x9:
		n = 17
	case 0xa:
		if at+2 > len(b) {
			return 0, refuse("a value is cut short")
		}
		n = 2 + int(b[at+1])
	case 0xb:
		if at+5 > len(b) {
			return 0, refuse("a value is cut short")
		}
		n = 5 + int(binary.BigEndian.Uint32(b[at+1:]))
	case 0xc, 0xd:
		return skipCompound(b, at, depth)
	case 0xe, 0xf:
		return skipArray(b, at)
	default:
		return 0, refuse("unknown format code %#02x", code)
	}
	if n > len(b)-at {
		return 0, refuse("a value of %d bytes is cut short", n)
	}
	return at + n, nil
}

// compound reads the header of the list or map at offset at: where its elements start and end, and how many there are.
func compound(b []byte, at int) (start, end, count int, err error) {
	switch width := b[at] >> 4; {
	case b[at] == 0x45:
		return at + 1, at + 1, 0, nil
	case width == 0xc && at+3 <= len(b):
		start, end, count = at+3, at+2+int(b[at+1]), int(b[at+2])
	case width == 0xd && at+9 <= len(b):
		size := binary.BigEndian.Uint32(b[at+1:])
		if uint64(size) > uint64(len(b)) {
			return 0, 0, 0, refuse("a compound value of %d bytes is cut short", size)
		}
		start, end, count = at+9, at+5+int(size), int(binary.BigEndian.Uint32(b[at+5:]))
	default:
		return 0, 0, 0, refuse("no list or map where one belongs")
	}
	if end < start || end > len(b) || count > end-start {
		return 0, 0, 0, refuse("a compound value does not fit its size")
	}
	return start, end, count, nil
}

func skipCompound(b []byte, at, depth int) (int, error) {
	start, end, count, err := compound(b, at)
	if err != nil {
		return 0, err
	}
	isMap := b[at]&0x0f == 1
	if isMap && count%2 != 0 {
		return 0, refuse("a map has %d elements", count)
	}
	for i := range count {
		if isMap && i%2 == 0 && start < end && !hashable(b[start]) {
			return 0, refuse("a map has a key of type %#02x", b[start])
		}
		if start, err = skipValue(b[:end], start, depth-1); err != nil {
			return 0, err
		}
	}
	if start != end {
		return 0, refuse("a compound value does not fit its size")
	}
	return end, nil
}

// hashable: the format codes of types that can be a key of a Go map as go-amqp represents them.
func hashable(code byte) bool {
	switch code {
	case 0x00, 0x45, 0xa0, 0xb0, 0xc0, 0xd0, 0xc1, 0xd1, 0xe0, 0xf0:
		return false
	}
	return true
}

// skipArray allows arrays of primitive types only: no performative has others, and elements that are maps would need all of the above again.
func skipArray(b []byte, at int) (int, error) {
	var end, elements, count int
	switch {
	case b[at] == 0xe0 && at+4 <= len(b):
		end, elements, count = at+2+int(b[at+1]), at+3, int(b[at+2])
	case b[at] == 0xf0 && at+10 <= len(b):
		size := binary.BigEndian.Uint32(b[at+1:])
		if uint64(size) > uint64(len(b)) {
			return 0, refuse("an array of %d bytes is cut short", size)
		}
		end, elements, count = at+5+int(size), at+9, int(binary.BigEndian.Uint32(b[at+5:]))
	default:
		return 0, refuse("an array is cut short")
	}
	if end <= elements || end > len(b) {
		return 0, refuse("an array does not fit its size")
	}
	if code := b[elements]; code == 0x00 || code == 0x45 || code >= 0xc0 {
		return 0, refuse("an array has elements of type %#02x", code)
	}
	if count > end-elements {
		return 0, refuse("an array has more elements than bytes")
	}
	return end, nil
}
