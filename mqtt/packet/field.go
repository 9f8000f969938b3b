package packet

import (
	"encoding/binary"
	"strings"
	"unicode/utf8"
	"unsafe"
)

// This is the only file that touches raw bytes: the data representations of MQTT 5, 1.5 in both directions.

// cursor walks over the body of one packet. Strings and slices that it returns share memory with the body: whoever decodes
// must not reuse the buffer while the packet lives (invariant I5).
type cursor struct {
	b   []byte // what is left
	pkt Type
	v   Version // zero in CONNECT until its level is read
}

// clause picks the numbering of the version in use.
func (c *cursor) clause(v5, v311 string) string {
	if c.v == V311 {
		return v311
	}
	return v5
}

func (c *cursor) short(field string, need int) error {
	return malformed("MQTT 5, 2.1.4", "%s ends inside %s: %d bytes are needed, %d are left", c.pkt, field, need, len(c.b))
}

func (c *cursor) uint8(field string) (byte, error) {
	if len(c.b) < 1 {
		return 0, c.short(field, 1)
	}
	n := c.b[0]
	c.b = c.b[1:]
	return n, nil
}

func (c *cursor) uint16(field string) (uint16, error) {
	if len(c.b) < 2 {
		return 0, c.short(field, 2)
	}
	n := binary.BigEndian.Uint16(c.b)
	c.b = c.b[2:]
	return n, nil
}

func (c *cursor) uint32(field string) (uint32, error) {
	if len(c.b) < 4 {
		return 0, c.short(field, 4)
	}
	n := binary.BigEndian.Uint32(c.b)
	c.b = c.b[4:]
	return n, nil
}

// varint reads a Variable Byte Integer in its shortest form [MQTT-1.5.5-1].
func (c *cursor) varint(field string) (uint32, error) {
	n, used, err := parseVarint(c.b, field)
	if err != nil {
		return 0, err
	}
	if used == 0 {
		return 0, c.short(field, len(c.b)+1)
	}
	c.b = c.b[used:]
	return n, nil
}

// id reads a packet identifier [MQTT-2.2.1-3].
func (c *cursor) id() (ID, error) {
	n, err := c.uint16("the Packet Identifier")
	if err != nil {
		return 0, err
	}
	if n == 0 {
		return 0, violation(c.clause("MQTT-2.2.1-3", "3.1.1 MQTT-2.3.1-1"),
			"%s has Packet Identifier 0; it must be 1 to 65535", c.pkt)
	}
	return ID(n), nil
}

// binary reads Binary Data (MQTT 5, 1.5.6). No bytes are nil.
func (c *cursor) binary(field string) ([]byte, error) {
	if len(c.b) < 2 {
		return nil, c.short(field, 2)
	}
	n := int(binary.BigEndian.Uint16(c.b))
	if len(c.b)-2 < n {
		c.b = c.b[2:]
		return nil, c.short(field, n)
	}
	raw := c.b[2 : 2+n : 2+n]
	c.b = c.b[2+n:]
	if n == 0 {
		return nil, nil
	}
	return raw, nil
}

// text reads a UTF-8 Encoded String (MQTT 5, 1.5.4).
func (c *cursor) text(field string) (string, error) {
	raw, err := c.binary(field)
	if err != nil || len(raw) == 0 {
		return "", err
	}
	s := unsafe.String(unsafe.SliceData(raw), len(raw))
	if !utf8.ValidString(s) {
		return "", malformed(c.clause("MQTT-1.5.4-1", "3.1.1 MQTT-1.5.3-1"),
			"%s: %s is not well-formed UTF-8 at byte %d", c.pkt, field, firstIllFormed(s))
	}
	if i := strings.IndexByte(s, 0); i >= 0 {
		return "", malformed(c.clause("MQTT-1.5.4-2", "3.1.1 MQTT-1.5.3-2"),
			"%s: %s holds the character U+0000 at byte %d", c.pkt, field, i)
	}
	return s, nil
}

// split cuts the next n bytes off; the caller has checked that they are there.
func (c *cursor) split(n int) cursor {
	part := cursor{b: c.b[:n:n], pkt: c.pkt, v: c.v}
	c.b = c.b[n:]
	return part
}

// rest takes what is left. No bytes are nil.
func (c *cursor) rest() []byte {
	raw := c.b
	c.b = nil
	if len(raw) == 0 {
		return nil
	}
	return raw
}

// end refuses bytes behind the last field.
func (c *cursor) end() error {
	if len(c.b) > 0 {
		return malformed("MQTT 5, 2.1.4", "%s has %d bytes more than its fields take", c.pkt, len(c.b))
	}
	return nil
}

// parseVarint reads a Variable Byte Integer. used is zero when more bytes are needed.
func parseVarint(b []byte, field string) (n uint32, used int, err error) {
	for i := range min(len(b), 4) {
		n |= uint32(b[i]&0x7F) << (7 * i)
		if b[i]&0x80 != 0 {
			continue
		}
		if i > 0 && b[i] == 0 {
			return 0, 0, malformed("MQTT-1.5.5-1", "%s takes %d bytes although %d are enough", field, i+1, varintSize(n))
		}
		return n, i + 1, nil
	}
	if len(b) >= 4 {
		return 0, 0, malformed("MQTT 5, 1.5.5", "%s is a Variable Byte Integer longer than four bytes", field)
	}
	return 0, 0, nil
}

func varintSize(n uint32) int {
	switch {
	case n < 1<<7:
		return 1
	case n < 1<<14:
		return 2
	case n < 1<<21:
		return 3
	}
	return 4
}

func firstIllFormed(s string) int {
	for i := 0; i < len(s); {
		r, size := utf8.DecodeRuneInString(s[i:])
		if r == utf8.RuneError && size == 1 {
			return i
		}
		i += size
	}
	return len(s)
}

// wellFormed reports whether s may be written as a UTF-8 Encoded String [MQTT-1.5.4-1, MQTT-1.5.4-2].
func wellFormed(s string) bool {
	return utf8.ValidString(s) && strings.IndexByte(s, 0) < 0
}

func appendUint16(dst []byte, n uint16) []byte { return binary.BigEndian.AppendUint16(dst, n) }

func appendUint32(dst []byte, n uint32) []byte { return binary.BigEndian.AppendUint32(dst, n) }

func appendVarint(dst []byte, n uint32) []byte {
	for n >= 0x80 {
		dst = append(dst, byte(n)|0x80)
		n >>= 7
	}
	return append(dst, byte(n))
}

func appendText(dst []byte, s string) []byte {
	return append(appendUint16(dst, uint16(len(s))), s...)
}

func appendBinary(dst, b []byte) []byte {
	return append(appendUint16(dst, uint16(len(b))), b...)
}
