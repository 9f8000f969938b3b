package packet_test

import "fmt"

// The tests build bytes with these helpers, which share nothing with the codec: u8, u16 and u32 in network order, str with a
// two-byte length, props with a Property Length in front.

type wire []byte

func (w wire) u8(ns ...int) wire {
	for _, n := range ns {
		w = append(w, byte(n))
	}
	return w
}

func (w wire) u16(n int) wire { return w.u8(n>>8, n) }

func (w wire) u32(n int) wire { return w.u16(n >> 16).u16(n) }

func (w wire) raw(s string) wire { return append(w, s...) }

func (w wire) str(s string) wire { return w.u16(len(s)).raw(s) }

func (w wire) varint(n int) wire {
	switch {
	case n < 1<<7:
		return w.u8(n)
	case n < 1<<14:
		return w.u8(n&0x7F|0x80, n>>7)
	case n < 1<<21:
		return w.u8(n&0x7F|0x80, n>>7&0x7F|0x80, n>>14)
	}
	return w.u8(n&0x7F|0x80, n>>7&0x7F|0x80, n>>14&0x7F|0x80, n>>21)
}

func (w wire) props(block wire) wire { return append(w.varint(len(block)), block...) }

// packet puts a fixed header before w.
func (w wire) packet(first int) []byte { return append(wire{}.u8(first).varint(len(w)), w...) }

// connect5 and connect4 start a CONNECT up to its Keep Alive of 60 seconds.
func connect5(flags int) wire { return wire{}.str("MQTT").u8(5, flags).u16(60) }

func connect4(flags int) wire { return wire{}.str("MQTT").u8(4, flags).u16(60) }

func show(b []byte) string {
	if len(b) > 48 {
		return fmt.Sprintf("% x ... (%d bytes)", b[:48], len(b))
	}
	return fmt.Sprintf("% x", b)
}
