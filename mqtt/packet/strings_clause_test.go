package packet_test

import (
	"bytes"
	"errors"
	"testing"

	"sluice/mqtt/packet"
)

// stringFields are all UTF-8 Encoded Strings that a device can send, each in a packet that is good but for it.
var stringFields = []struct {
	name   string
	v      packet.Version
	packet func(s string) []byte
}{
	{"client identifier", v4, func(s string) []byte { return connect4(2).str(s).packet(0x10) }},
	{"will topic", v4, func(s string) []byte { return connect4(4).str("c").str(s).str("").packet(0x10) }},
	{"user name", v4, func(s string) []byte { return connect4(0x80).str("c").str(s).packet(0x10) }},
	{"topic name", v4, func(s string) []byte { return wire{}.str(s).packet(0x30) }},
	{"topic filter of SUBSCRIBE", v4, func(s string) []byte { return wire{}.u16(1).str(s).u8(0).packet(0x82) }},
	{"second topic filter of SUBSCRIBE", v4, func(s string) []byte { return wire{}.u16(1).str("a").u8(0).str(s).u8(0).packet(0x82) }},
	{"topic filter of UNSUBSCRIBE", v4, func(s string) []byte { return wire{}.u16(1).str(s).packet(0xA2) }},
	{"client identifier", v5, func(s string) []byte { return connect5(2).props(nil).str(s).packet(0x10) }},
	{"will topic", v5, func(s string) []byte { return connect5(4).props(nil).str("c").props(nil).str(s).str("").packet(0x10) }},
	{"user name", v5, func(s string) []byte { return connect5(0x80).props(nil).str("c").str(s).packet(0x10) }},
	{"authentication method", v5, func(s string) []byte { return packetWith(int(packet.CONNECT), wire{}.u8(0x15).str(s)) }},
	{"user property name of CONNECT", v5, func(s string) []byte { return packetWith(int(packet.CONNECT), wire{}.u8(0x26).str(s).str("v")) }},
	{"user property value of CONNECT", v5, func(s string) []byte { return packetWith(int(packet.CONNECT), wire{}.u8(0x26).str("k").str(s)) }},
	{"content type of the will", v5, func(s string) []byte { return packetWith(inWill, wire{}.u8(0x03).str(s)) }},
	{"response topic of the will", v5, func(s string) []byte { return packetWith(inWill, wire{}.u8(0x08).str(s)) }},
	{"user property of the will", v5, func(s string) []byte { return packetWith(inWill, wire{}.u8(0x26).str("k").str(s)) }},
	{"topic name", v5, func(s string) []byte { return wire{}.str(s).props(nil).packet(0x30) }},
	{"content type", v5, func(s string) []byte { return packetWith(int(packet.PUBLISH), wire{}.u8(0x03).str(s)) }},
	{"response topic", v5, func(s string) []byte { return packetWith(int(packet.PUBLISH), wire{}.u8(0x08).str(s)) }},
	{"user property name", v5, func(s string) []byte { return packetWith(int(packet.PUBLISH), wire{}.u8(0x26).str(s).str("v")) }},
	{"user property value", v5, func(s string) []byte { return packetWith(int(packet.PUBLISH), wire{}.u8(0x26).str("k").str(s)) }},
	{"topic filter of SUBSCRIBE", v5, func(s string) []byte { return wire{}.u16(1).props(nil).str(s).u8(0).packet(0x82) }},
	{"topic filter of UNSUBSCRIBE", v5, func(s string) []byte { return wire{}.u16(1).props(nil).str(s).packet(0xA2) }},
	{"reason string of PUBACK", v5, func(s string) []byte { return packetWith(int(packet.PUBACK), wire{}.u8(0x1F).str(s)) }},
	{"reason string of PUBREC", v5, func(s string) []byte { return packetWith(int(packet.PUBREC), wire{}.u8(0x1F).str(s)) }},
	{"reason string of DISCONNECT", v5, func(s string) []byte { return packetWith(int(packet.DISCONNECT), wire{}.u8(0x1F).str(s)) }},
	{"authentication method of AUTH", v5, func(s string) []byte { return packetWith(int(packet.AUTH), wire{}.u8(0x15).str(s)) }},
}

// Each string must be well-formed UTF-8 without U+0000 and surrogates ([MQTT-1.5.4-1], [MQTT-1.5.4-2], [MQTT-1.5.7-1],
// [3.1.1 MQTT-1.5.3-1], [3.1.1 MQTT-1.5.3-2]).
func TestEveryStringIsUTF8(t *testing.T) {
	t.Parallel()
	for _, f := range stringFields {
		if _, err := parseAll(f.packet("good"), f.v); err != nil {
			t.Errorf("%s %s: the packet is wrong without a bad string: %v", f.v, f.name, err)
		}
		for _, c := range []struct {
			s        string
			v5, v311 string
		}{
			{"a\xFFb", "MQTT-1.5.4-1", "3.1.1 MQTT-1.5.3-1"},           // no UTF-8
			{"\xC3", "MQTT-1.5.4-1", "3.1.1 MQTT-1.5.3-1"},             // cut
			{"\xC0\xAF", "MQTT-1.5.4-1", "3.1.1 MQTT-1.5.3-1"},         // longer than it need be
			{"\xED\xA0\x80", "MQTT-1.5.4-1", "3.1.1 MQTT-1.5.3-1"},     // U+D800
			{"\xED\xBF\xBF", "MQTT-1.5.4-1", "3.1.1 MQTT-1.5.3-1"},     // U+DFFF
			{"\xF4\x90\x80\x80", "MQTT-1.5.4-1", "3.1.1 MQTT-1.5.3-1"}, // beyond Unicode
			{"a\x00b", "MQTT-1.5.4-2", "3.1.1 MQTT-1.5.3-2"},           // U+0000
			{"\x00", "MQTT-1.5.4-2", "3.1.1 MQTT-1.5.3-2"},
		} {
			clause := c.v5
			if f.v == v4 {
				clause = c.v311
			}
			var refused *packet.Error
			if _, err := parseAll(f.packet(c.s), f.v); !errors.As(err, &refused) || refused.Reason != malformed || refused.Clause != clause {
				t.Errorf("%s %s %q: %v, want 0x81 [%s]", f.v, f.name, c.s, err, clause)
			}
		}
	}
}

// The bytes EF BB BF are a character like any other: neither skipped nor removed ([MQTT-1.5.4-3], [3.1.1 MQTT-1.5.3-3]).
func TestByteOrderMarkIsKept(t *testing.T) {
	t.Parallel()
	for _, f := range stringFields {
		want := f.packet("\uFEFFa\uFEFF")
		p, err := parseAll(want, f.v)
		if err != nil {
			t.Errorf("%s %s: %v", f.v, f.name, err)
			continue
		}
		got, err := packet.Append(nil, p, f.v)
		if err != nil || !bytes.Equal(got, want) {
			t.Errorf("%s %s: written again it is %s (%v), want %s", f.v, f.name, show(got), err, show(want))
		}
	}
}
