package packet_test

import (
	"errors"
	"strings"
	"testing"

	"sluice/mqtt/packet"
)

// bad is bytes that must be refused, with what must be said about them.
type bad struct {
	name   string
	v      packet.Version
	bytes  []byte
	reason packet.ReasonCode
	clause string
}

const (
	v4 = packet.V311
	v5 = packet.V5

	malformed   = packet.MalformedPacket
	protocol    = packet.ProtocolError
	unsupported = packet.UnsupportedProtocolVersion
	badTopic    = packet.TopicNameInvalid
	badFilter   = packet.TopicFilterInvalid
	badAlias    = packet.TopicAliasInvalid
)

var badHeaders = []bad{
	{"type 0", v5, []byte{0x00, 0}, malformed, "MQTT 5, 2.1.2"},
	{"type 0, first byte only", v5, []byte{0x00}, malformed, "MQTT 5, 2.1.2"},
	{"connect flags", v5, []byte{0x11, 0}, malformed, "MQTT-2.1.3-1"},
	{"connack flags", v5, []byte{0x22, 0}, malformed, "MQTT-2.1.3-1"},
	{"puback flags", v5, []byte{0x48, 2, 0, 1}, malformed, "MQTT-2.1.3-1"},
	{"pubrec flags", v5, []byte{0x52, 2, 0, 1}, malformed, "MQTT-2.1.3-1"},
	{"pubrel without its flags", v5, []byte{0x60, 2, 0, 1}, malformed, "MQTT-3.6.1-1"},
	{"pubcomp flags", v5, []byte{0x72, 2, 0, 1}, malformed, "MQTT-2.1.3-1"},
	{"subscribe without its flags", v5, []byte{0x80, 0}, malformed, "MQTT-3.8.1-1"},
	{"suback flags", v5, []byte{0x91, 0}, malformed, "MQTT-2.1.3-1"},
	{"unsubscribe without its flags", v5, []byte{0xA0, 0}, malformed, "MQTT-3.10.1-1"},
	{"unsuback flags", v5, []byte{0xB2, 0}, malformed, "MQTT-2.1.3-1"},
	{"pingreq flags", v5, []byte{0xC1, 0}, malformed, "MQTT-2.1.3-1"},
	{"pingresp flags", v5, []byte{0xD1, 0}, malformed, "MQTT-2.1.3-1"},
	{"disconnect flags", v5, []byte{0xE1, 0}, malformed, "MQTT-3.14.1-1"},
	{"auth flags", v5, []byte{0xF2, 0}, malformed, "MQTT-3.15.1-1"},
	{"publish QoS 3", v5, []byte{0x36}, malformed, "MQTT-3.3.1-4"},
	{"publish QoS 3 and dup", v5, []byte{0x3E}, malformed, "MQTT-3.3.1-4"},
	{"publish dup at QoS 0", v5, []byte{0x38}, malformed, "MQTT-3.3.1-2"},
	{"length 0 in two bytes", v5, []byte{0xC0, 0x80, 0x00}, malformed, "MQTT-1.5.5-1"},
	{"length 127 in two bytes", v5, []byte{0x30, 0xFF, 0x00}, malformed, "MQTT-1.5.5-1"},
	{"length 1 in four bytes", v5, []byte{0x30, 0x81, 0x80, 0x80, 0x00}, malformed, "MQTT-1.5.5-1"},
	{"length of five bytes", v5, []byte{0x30, 0x80, 0x80, 0x80, 0x80}, malformed, "MQTT 5, 1.5.5"},
	{"length of five bytes, full", v5, []byte{0x30, 0xFF, 0xFF, 0xFF, 0xFF, 0x01}, malformed, "MQTT 5, 1.5.5"},
}

var badConnects = []bad{
	{"empty", v5, []byte{0x10, 0}, malformed, "MQTT 5, 2.1.4"},
	{"name not MQTT", v5, wire{}.str("MQTX").u8(5, 2).u16(0).packet(0x10), unsupported, "MQTT-3.1.2-1"},
	{"name in small letters", v5, wire{}.str("mqtt").u8(5, 2).u16(0).packet(0x10), unsupported, "MQTT-3.1.2-1"},
	{"empty name", v5, wire{}.str("").u8(5, 2).u16(0).packet(0x10), unsupported, "MQTT-3.1.2-1"},
	{"name overruns", v5, wire{}.u16(400).raw("MQTT").packet(0x10), malformed, "MQTT 5, 2.1.4"},
	{"MQTT 3.1", v5, wire{}.str("MQIsdp").u8(3, 2).u16(0).str("c").packet(0x10), unsupported, "MQTT-3.1.2-2"},
	{"name of 3.1 with level 4", v5, wire{}.str("MQIsdp").u8(4, 2).u16(0).str("c").packet(0x10), unsupported, "MQTT-3.1.2-2"},
	{"level 0", v5, wire{}.str("MQTT").u8(0, 2).u16(0).packet(0x10), unsupported, "MQTT-3.1.2-2"},
	{"level 3", v5, wire{}.str("MQTT").u8(3, 2).u16(0).packet(0x10), unsupported, "MQTT-3.1.2-2"},
	{"level 6", v5, wire{}.str("MQTT").u8(6, 2).u16(0).packet(0x10), unsupported, "MQTT-3.1.2-2"},
	{"level of a bridge", v5, wire{}.str("MQTT").u8(0x84, 2).u16(0).packet(0x10), unsupported, "MQTT-3.1.2-2"},
	{"reserved flag", v5, connect5(0x03).props(nil).str("c").packet(0x10), malformed, "MQTT-3.1.2-3"},
	{"reserved flag", v4, connect4(0x03).str("c").packet(0x10), malformed, "3.1.1 MQTT-3.1.2-3"},
	{"will QoS 3", v5, connect5(0x1C).props(nil).str("c").props(nil).str("w").str("").packet(0x10), malformed, "MQTT-3.1.2-12"},
	{"will QoS 3", v4, connect4(0x1C).str("c").str("w").str("").packet(0x10), malformed, "3.1.1 MQTT-3.1.2-14"},
	{"will QoS without will", v5, connect5(0x08).props(nil).str("c").packet(0x10), malformed, "MQTT-3.1.2-11"},
	{"will QoS without will", v4, connect4(0x10).str("c").packet(0x10), malformed, "3.1.1 MQTT-3.1.2-13"},
	{"will retain without will", v5, connect5(0x20).props(nil).str("c").packet(0x10), malformed, "MQTT-3.1.2-13"},
	{"will retain without will", v4, connect4(0x20).str("c").packet(0x10), malformed, "3.1.1 MQTT-3.1.2-15"},
	{"password without user name", v4, connect4(0x42).str("c").str("pw").packet(0x10), malformed, "3.1.1 MQTT-3.1.2-22"},
	{"keep alive cut", v5, wire{}.str("MQTT").u8(5, 2, 0).packet(0x10), malformed, "MQTT 5, 2.1.4"},
	{"no property length", v5, connect5(2).packet(0x10), malformed, "MQTT 5, 2.1.4"},
	{"no client id", v5, connect5(2).props(nil).packet(0x10), malformed, "MQTT 5, 2.1.4"},
	{"will flag without will", v5, connect5(0x04).props(nil).str("c").packet(0x10), malformed, "MQTT 5, 2.1.4"},
	{"user name flag without user name", v4, connect4(0x80).str("c").packet(0x10), malformed, "MQTT 5, 2.1.4"},
	{"password flag without password", v5, connect5(0x40).props(nil).str("c").packet(0x10), malformed, "MQTT 5, 2.1.4"},
	{"empty will topic", v5, connect5(0x04).props(nil).str("c").props(nil).str("").str("x").packet(0x10), badTopic, "MQTT-4.7.3-1"},
	{"will topic with wildcard", v5, connect5(0x04).props(nil).str("c").props(nil).str("a/#").str("x").packet(0x10), badTopic, "MQTT-3.3.2-2"},
	{"will topic with wildcard", v4, connect4(0x04).str("c").str("+").str("x").packet(0x10), badTopic, "3.1.1 MQTT-3.3.2-2"},
	{"will payload overruns", v4, connect4(0x04).str("c").str("w").u16(9).raw("x").packet(0x10), malformed, "MQTT 5, 2.1.4"},
	{"client id with U+0000", v4, connect4(2).str("a\x00b").packet(0x10), malformed, "3.1.1 MQTT-1.5.3-2"},
	{"client id with U+0000", v5, connect5(2).props(nil).str("a\x00b").packet(0x10), malformed, "MQTT-1.5.4-2"},
	{"client id not UTF-8", v4, connect4(2).str("\xFF").packet(0x10), malformed, "3.1.1 MQTT-1.5.3-1"},
	{"user name with a surrogate", v5, connect5(0x80).props(nil).str("c").str("\xED\xA0\x80").packet(0x10), malformed, "MQTT-1.5.4-1"},
	{"trailing byte", v5, connect5(2).props(nil).str("c").u8(0).packet(0x10), malformed, "MQTT 5, 2.1.4"},
	{"trailing byte", v4, connect4(2).str("c").u8(0).packet(0x10), malformed, "MQTT 5, 2.1.4"},
	{"user name without its flag", v4, connect4(2).str("c").str("joe").packet(0x10), malformed, "MQTT 5, 2.1.4"},
	{"auth data without method", v5, connect5(2).props(wire{}.u8(0x16).str("d")).str("c").packet(0x10), protocol, "MQTT 5, 3.1.2.11.10"},
	{"receive maximum 0", v5, connect5(2).props(wire{}.u8(0x21).u16(0)).str("c").packet(0x10), protocol, "MQTT 5, 3.1.2.11.3"},
	{"maximum packet size 0", v5, connect5(2).props(wire{}.u8(0x27).u32(0)).str("c").packet(0x10), protocol, "MQTT 5, 3.1.2.11.4"},
	{"request problem information 2", v5, connect5(2).props(wire{}.u8(0x17, 2)).str("c").packet(0x10), protocol, "MQTT 5, 3.1.2.11.7"},
	{"request response information 2", v5, connect5(2).props(wire{}.u8(0x19, 2)).str("c").packet(0x10), protocol, "MQTT 5, 3.1.2.11.6"},
	{"property of PUBLISH", v5, connect5(2).props(wire{}.u8(0x03).str("t")).str("c").packet(0x10), malformed, "MQTT 5, 2.2.2.2"},
	{"will delay outside of the will", v5, connect5(2).props(wire{}.u8(0x18).u32(1)).str("c").packet(0x10), malformed, "MQTT 5, 2.2.2.2"},
	{"session expiry inside the will", v5, connect5(4).props(nil).str("c").props(wire{}.u8(0x11).u32(1)).str("w").str("").packet(0x10), malformed, "MQTT 5, 2.2.2.2"},
	{"topic alias inside the will", v5, connect5(4).props(nil).str("c").props(wire{}.u8(0x23).u16(1)).str("w").str("").packet(0x10), malformed, "MQTT 5, 2.2.2.2"},
	{"will delay twice", v5, connect5(4).props(nil).str("c").props(wire{}.u8(0x18).u32(1).u8(0x18).u32(1)).str("w").str("").packet(0x10), protocol, "MQTT 5, 3.1.3.2.2"},
	{"will payload format 2", v5, connect5(4).props(nil).str("c").props(wire{}.u8(1, 2)).str("w").str("").packet(0x10), protocol, "MQTT 5, 3.3.2.3.2"},
}

var badPublishes = []bad{
	{"empty", v5, []byte{0x30, 0}, malformed, "MQTT 5, 2.1.4"},
	{"topic overruns", v5, wire{}.u16(9).raw("a").packet(0x30), malformed, "MQTT 5, 2.1.4"},
	{"topic with #", v5, wire{}.str("a/#").props(nil).packet(0x30), badTopic, "MQTT-3.3.2-2"},
	{"topic with +", v4, wire{}.str("+/a").packet(0x30), badTopic, "3.1.1 MQTT-3.3.2-2"},
	{"topic with U+0000", v5, wire{}.str("a\x00").props(nil).packet(0x30), malformed, "MQTT-1.5.4-2"},
	{"topic not UTF-8", v5, wire{}.str("a\xC3").props(nil).packet(0x30), malformed, "MQTT-1.5.4-1"},
	{"topic with an overlong form", v4, wire{}.str("\xC0\xAF").packet(0x30), malformed, "3.1.1 MQTT-1.5.3-1"},
	{"topic with a surrogate", v5, wire{}.str("\xED\xBF\xBF").props(nil).packet(0x30), malformed, "MQTT-1.5.4-1"},
	{"topic beyond Unicode", v5, wire{}.str("\xF4\x90\x80\x80").props(nil).packet(0x30), malformed, "MQTT-1.5.4-1"},
	{"empty topic without alias", v5, wire{}.str("").props(nil).packet(0x30), protocol, "MQTT 5, 3.3.2.1"},
	{"empty topic", v4, wire{}.str("").packet(0x30), badTopic, "3.1.1 MQTT-4.7.3-1"},
	{"no packet id", v5, wire{}.str("a").packet(0x32), malformed, "MQTT 5, 2.1.4"},
	{"packet id 0", v5, wire{}.str("a").u16(0).props(nil).packet(0x32), protocol, "MQTT-2.2.1-3"},
	{"packet id 0", v4, wire{}.str("a").u16(0).packet(0x34), protocol, "3.1.1 MQTT-2.3.1-1"},
	{"no property length", v5, wire{}.str("a").packet(0x30), malformed, "MQTT 5, 2.1.4"},
	{"property length overruns", v5, wire{}.str("a").u8(5, 1, 1).packet(0x30), malformed, "MQTT 5, 2.2.2.1"},
	{"property length not minimal", v5, wire{}.str("a").u8(0x80, 0x00).packet(0x30), malformed, "MQTT-1.5.5-1"},
	{"property overruns its block", v5, wire{}.str("a").u8(3, 0x02, 0, 0).raw("payload").packet(0x30), malformed, "MQTT 5, 2.1.4"},
	{"string property overruns its block", v5, wire{}.str("a").u8(4, 0x03, 0, 9, 'x').raw("payload").packet(0x30), malformed, "MQTT 5, 2.1.4"},
	{"property without value", v5, wire{}.str("a").props(wire{}.u8(0x01)).packet(0x30), malformed, "MQTT 5, 2.1.4"},
	{"user property without value", v5, wire{}.str("a").props(wire{}.u8(0x26).str("k")).packet(0x30), malformed, "MQTT 5, 2.1.4"},
	{"unknown property", v5, wire{}.str("a").props(wire{}.u8(0x00)).packet(0x30), malformed, "MQTT 5, 2.2.2.2"},
	{"unknown property of two bytes", v5, wire{}.str("a").props(wire{}.u8(0x81, 0x01, 0)).packet(0x30), malformed, "MQTT 5, 2.2.2.2"},
	{"property of CONNECT", v5, wire{}.str("a").props(wire{}.u8(0x11).u32(1)).packet(0x30), malformed, "MQTT 5, 2.2.2.2"},
	{"reason string", v5, wire{}.str("a").props(wire{}.u8(0x1F).str("w")).packet(0x30), malformed, "MQTT 5, 2.2.2.2"},
	{"payload format 2", v5, wire{}.str("a").props(wire{}.u8(1, 2)).packet(0x30), protocol, "MQTT 5, 3.3.2.3.2"},
	{"payload format twice", v5, wire{}.str("a").props(wire{}.u8(1, 1, 1, 1)).packet(0x30), protocol, "MQTT 5, 3.3.2.3.2"},
	{"expiry twice", v5, wire{}.str("a").props(wire{}.u8(2).u32(1).u8(2).u32(1)).packet(0x30), protocol, "MQTT 5, 3.3.2.3.3"},
	{"content type twice", v5, wire{}.str("a").props(wire{}.u8(3).str("a").u8(3).str("a")).packet(0x30), protocol, "MQTT 5, 3.3.2.3.9"},
	{"content type not UTF-8", v5, wire{}.str("a").props(wire{}.u8(3).str("\xFF")).packet(0x30), malformed, "MQTT-1.5.4-1"},
	{"response topic twice", v5, wire{}.str("a").props(wire{}.u8(8).str("a").u8(8).str("a")).packet(0x30), protocol, "MQTT-3.3.2-14"},
	{"response topic with wildcard", v5, wire{}.str("a").props(wire{}.u8(8).str("a/+")).packet(0x30), protocol, "MQTT-3.3.2-14"},
	{"correlation data twice", v5, wire{}.str("a").props(wire{}.u8(9).str("a").u8(9).str("a")).packet(0x30), protocol, "MQTT 5, 3.3.2.3.6"},
	{"topic alias 0", v5, wire{}.str("a").props(wire{}.u8(0x23).u16(0)).packet(0x30), badAlias, "MQTT-3.3.2-8"},
	{"topic alias twice", v5, wire{}.str("a").props(wire{}.u8(0x23).u16(1).u8(0x23).u16(1)).packet(0x30), protocol, "MQTT-3.3.2-8"},
	{"subscription id 0", v5, wire{}.str("a").props(wire{}.u8(0x0B, 0)).packet(0x30), protocol, "MQTT 5, 3.8.2.1.2"},
	{"subscription id not minimal", v5, wire{}.str("a").props(wire{}.u8(0x0B, 0x81, 0)).packet(0x30), malformed, "MQTT-1.5.5-1"},
	{"user property name with U+0000", v5, wire{}.str("a").props(wire{}.u8(0x26).str("\x00").str("v")).packet(0x30), malformed, "MQTT-1.5.4-2"},
	{"user property value not UTF-8", v5, wire{}.str("a").props(wire{}.u8(0x26).str("k").str("\x80")).packet(0x30), malformed, "MQTT-1.5.4-1"},
}

var badAcks = []bad{
	{"connack empty", v5, []byte{0x20, 0}, malformed, "MQTT 5, 2.1.4"},
	{"connack reserved flags", v5, []byte{0x20, 3, 2, 0, 0}, malformed, "MQTT-3.2.2-1"},
	{"connack reserved flags", v4, []byte{0x20, 2, 0x80, 0}, malformed, "MQTT 3.1.1, 3.2.2.1"},
	{"connack return code 6", v4, []byte{0x20, 2, 0, 6}, protocol, "MQTT 3.1.1, 3.2.2.3"},
	{"connack reason of SUBACK", v5, []byte{0x20, 3, 0, 0x8F, 0}, protocol, "MQTT-3.2.2-8"},
	{"connack refuses with session present", v5, []byte{0x20, 3, 1, 0x87, 0}, protocol, "MQTT-3.2.2-6"},
	{"connack refuses with session present", v4, []byte{0x20, 2, 1, 5}, protocol, "3.1.1 MQTT-3.2.2-4"},
	{"connack trailing byte", v4, []byte{0x20, 3, 0, 0, 0}, malformed, "MQTT 5, 2.1.4"},
	{"connack without properties", v5, []byte{0x20, 2, 0, 0}, malformed, "MQTT 5, 2.1.4"},
	{"connack maximum QoS 2", v5, wire{}.u8(0, 0).props(wire{}.u8(0x24, 2)).packet(0x20), protocol, "MQTT 5, 3.2.2.3.4"},
	{"connack retain available 2", v5, wire{}.u8(0, 0).props(wire{}.u8(0x25, 2)).packet(0x20), protocol, "MQTT 5, 3.2.2.3.5"},
	{"connack wildcard available 2", v5, wire{}.u8(0, 0).props(wire{}.u8(0x28, 2)).packet(0x20), protocol, "MQTT 5, 3.2.2.3.11"},
	{"connack sub id available 2", v5, wire{}.u8(0, 0).props(wire{}.u8(0x29, 2)).packet(0x20), protocol, "MQTT 5, 3.2.2.3.12"},
	{"connack shared available 2", v5, wire{}.u8(0, 0).props(wire{}.u8(0x2A, 2)).packet(0x20), protocol, "MQTT 5, 3.2.2.3.13"},

	{"puback empty", v5, []byte{0x40, 0}, malformed, "MQTT 5, 2.1.4"},
	{"puback of one byte", v4, []byte{0x40, 1, 0}, malformed, "MQTT 5, 2.1.4"},
	{"puback id 0", v5, []byte{0x40, 2, 0, 0}, protocol, "MQTT-2.2.1-3"},
	{"puback id 0", v4, []byte{0x40, 2, 0, 0}, protocol, "3.1.1 MQTT-2.3.1-1"},
	{"puback with reason", v4, []byte{0x40, 3, 0, 1, 0}, malformed, "MQTT 5, 2.1.4"},
	{"puback reason unknown", v5, []byte{0x40, 3, 0, 1, 0x05}, protocol, "MQTT-3.4.2-1"},
	{"puback reason of PUBREL", v5, []byte{0x40, 3, 0, 1, 0x92}, protocol, "MQTT-3.4.2-1"},
	{"pubrec reason of DISCONNECT", v5, []byte{0x50, 3, 0, 1, 0x95}, protocol, "MQTT-3.5.2-1"},
	{"pubrel reason of PUBREC", v5, []byte{0x62, 3, 0, 1, 0x10}, protocol, "MQTT-3.6.2-1"},
	{"pubcomp reason of PUBREC", v5, []byte{0x70, 3, 0, 1, 0x80}, protocol, "MQTT-3.7.2-1"},
	{"puback trailing byte", v5, []byte{0x40, 5, 0, 1, 0, 0, 0}, malformed, "MQTT 5, 2.1.4"},
	{"puback property length overruns", v5, []byte{0x40, 4, 0, 1, 0, 9}, malformed, "MQTT 5, 2.2.2.1"},
	{"puback reason string twice", v5, wire{}.u16(1).u8(0).props(wire{}.u8(0x1F).str("").u8(0x1F).str("")).packet(0x40), protocol, "MQTT 5, 3.2.2.3.9"},
	{"puback with content type", v5, wire{}.u16(1).u8(0).props(wire{}.u8(0x03).str("")).packet(0x40), malformed, "MQTT 5, 2.2.2.2"},
	{"pubrel with subscription id", v5, wire{}.u16(1).u8(0).props(wire{}.u8(0x0B, 1)).packet(0x62), malformed, "MQTT 5, 2.2.2.2"},
}

var badSubscribes = []bad{
	{"empty", v5, []byte{0x82, 0}, malformed, "MQTT 5, 2.1.4"},
	{"no filter", v5, []byte{0x82, 3, 0, 1, 0}, protocol, "MQTT-3.8.3-2"},
	{"no filter", v4, []byte{0x82, 2, 0, 1}, protocol, "3.1.1 MQTT-3.8.3-3"},
	{"id 0", v5, wire{}.u16(0).props(nil).str("a").u8(0).packet(0x82), protocol, "MQTT-2.2.1-3"},
	{"id 0", v4, wire{}.u16(0).str("a").u8(0).packet(0x82), protocol, "3.1.1 MQTT-2.3.1-1"},
	{"no options byte", v5, []byte{0x82, 6, 0, 1, 0, 0, 1, 0x61}, malformed, "MQTT 5, 2.1.4"},
	{"no options byte", v4, wire{}.u16(1).str("a").packet(0x82), malformed, "MQTT 5, 2.1.4"},
	{"filter overruns", v5, wire{}.u16(1).props(nil).u16(7).raw("a").packet(0x82), malformed, "MQTT 5, 2.1.4"},
	{"second filter cut", v5, wire{}.u16(1).props(nil).str("a").u8(0).u8(0).packet(0x82), malformed, "MQTT 5, 2.1.4"},
	{"empty filter", v5, wire{}.u16(1).props(nil).str("").u8(0).packet(0x82), badFilter, "MQTT-4.7.3-1"},
	{"empty filter", v4, wire{}.u16(1).str("").u8(0).packet(0x82), badFilter, "3.1.1 MQTT-4.7.3-1"},
	{"filter with U+0000", v5, wire{}.u16(1).props(nil).str("a\x00").u8(0).packet(0x82), malformed, "MQTT-1.5.4-2"},
	{"filter not UTF-8", v4, wire{}.u16(1).str("\xF8").u8(0).packet(0x82), malformed, "3.1.1 MQTT-1.5.3-1"},
	{"QoS 3", v5, wire{}.u16(1).props(nil).str("a").u8(3).packet(0x82), protocol, "MQTT 5, 3.8.3.1"},
	{"QoS 3", v4, wire{}.u16(1).str("a").u8(3).packet(0x82), malformed, "3.1.1 MQTT-3-8.3-4"},
	{"options of MQTT 5", v4, wire{}.u16(1).str("a").u8(4).packet(0x82), malformed, "3.1.1 MQTT-3-8.3-4"},
	{"reserved bit 6", v5, wire{}.u16(1).props(nil).str("a").u8(0x40).packet(0x82), malformed, "MQTT-3.8.3-5"},
	{"reserved bit 7", v5, wire{}.u16(1).props(nil).str("a").u8(0x80).packet(0x82), malformed, "MQTT-3.8.3-5"},
	{"retain handling 3", v5, wire{}.u16(1).props(nil).str("a").u8(0x30).packet(0x82), protocol, "MQTT 5, 3.8.3.1"},
	{"no local on a shared subscription", v5, wire{}.u16(1).props(nil).str("$share/g/a").u8(4).packet(0x82), protocol, "MQTT-3.8.3-4"},
	{"subscription id 0", v5, wire{}.u16(1).props(wire{}.u8(0x0B, 0)).str("a").u8(0).packet(0x82), protocol, "MQTT 5, 3.8.2.1.2"},
	{"subscription id twice", v5, wire{}.u16(1).props(wire{}.u8(0x0B, 1, 0x0B, 1)).str("a").u8(0).packet(0x82), protocol, "MQTT 5, 3.8.2.1.2"},
	{"subscription id of five bytes", v5, wire{}.u16(1).props(wire{}.u8(0x0B, 0xFF, 0xFF, 0xFF, 0xFF, 1)).str("a").u8(0).packet(0x82), malformed, "MQTT 5, 1.5.5"},
	{"reason string", v5, wire{}.u16(1).props(wire{}.u8(0x1F).str("")).str("a").u8(0).packet(0x82), malformed, "MQTT 5, 2.2.2.2"},

	{"suback empty", v5, []byte{0x90, 0}, malformed, "MQTT 5, 2.1.4"},
	{"suback without reasons", v5, []byte{0x90, 3, 0, 1, 0}, protocol, "MQTT-3.8.4-6"},
	{"suback without reasons", v4, []byte{0x90, 2, 0, 1}, protocol, "3.1.1 MQTT-3.8.4-5"},
	{"suback return code 3", v4, []byte{0x90, 3, 0, 1, 3}, protocol, "3.1.1 MQTT-3.9.3-2"},
	{"suback return code of MQTT 5", v4, []byte{0x90, 3, 0, 1, 0x87}, protocol, "3.1.1 MQTT-3.9.3-2"},
	{"suback reason of UNSUBACK", v5, []byte{0x90, 4, 0, 1, 0, 0x11}, protocol, "MQTT-3.9.3-2"},

	{"unsubscribe empty", v5, []byte{0xA2, 0}, malformed, "MQTT 5, 2.1.4"},
	{"unsubscribe no filter", v5, []byte{0xA2, 3, 0, 1, 0}, protocol, "MQTT-3.10.3-2"},
	{"unsubscribe no filter", v4, []byte{0xA2, 2, 0, 1}, protocol, "3.1.1 MQTT-3.10.3-2"},
	{"unsubscribe id 0", v5, wire{}.u16(0).props(nil).str("a").packet(0xA2), protocol, "MQTT-2.2.1-3"},
	{"unsubscribe empty filter", v5, wire{}.u16(1).props(nil).str("").packet(0xA2), badFilter, "MQTT-4.7.3-1"},
	{"unsubscribe filter cut", v4, wire{}.u16(1).str("a").u8(0).packet(0xA2), malformed, "MQTT 5, 2.1.4"},
	{"unsubscribe with subscription id", v5, wire{}.u16(1).props(wire{}.u8(0x0B, 1)).str("a").packet(0xA2), malformed, "MQTT 5, 2.2.2.2"},
	{"unsuback empty", v4, []byte{0xB0, 0}, malformed, "MQTT 5, 2.1.4"},
	{"unsuback with payload", v4, []byte{0xB0, 3, 0, 1, 0}, malformed, "MQTT 5, 2.1.4"},
	{"unsuback without reasons", v5, []byte{0xB0, 3, 0, 1, 0}, protocol, "MQTT 5, 3.11.3"},
	{"unsuback reason of SUBACK", v5, []byte{0xB0, 4, 0, 1, 0, 1}, protocol, "MQTT-3.11.3-2"},
}

var badOthers = []bad{
	{"pingreq with body", v5, []byte{0xC0, 1, 0}, malformed, "MQTT 5, 2.1.4"},
	{"pingreq with body", v4, []byte{0xC0, 1, 0}, malformed, "MQTT 5, 2.1.4"},
	{"pingresp with body", v5, []byte{0xD0, 1, 0}, malformed, "MQTT 5, 2.1.4"},
	{"disconnect with body", v4, []byte{0xE0, 1, 0}, malformed, "MQTT 5, 2.1.4"},
	{"disconnect reason unknown", v5, []byte{0xE0, 1, 0x03}, protocol, "MQTT-3.14.2-1"},
	{"disconnect reason of CONNACK", v5, []byte{0xE0, 1, 0x88}, protocol, "MQTT-3.14.2-1"},
	{"disconnect trailing byte", v5, []byte{0xE0, 3, 0, 0, 0}, malformed, "MQTT 5, 2.1.4"},
	{"disconnect session expiry twice", v5, wire{}.u8(0).props(wire{}.u8(0x11).u32(1).u8(0x11).u32(1)).packet(0xE0), protocol, "MQTT 5, 3.1.2.11.2"},
	{"disconnect with receive maximum", v5, wire{}.u8(0).props(wire{}.u8(0x21).u16(1)).packet(0xE0), malformed, "MQTT 5, 2.2.2.2"},
	{"auth", v4, []byte{0xF0, 0}, malformed, "MQTT 3.1.1, 2.2.1"},
	{"auth reason unknown", v5, wire{}.u8(0x1A).props(wire{}.u8(0x15).str("m")).packet(0xF0), protocol, "MQTT-3.15.2-1"},
	{"auth reason alone", v5, []byte{0xF0, 1, 0x18}, malformed, "MQTT 5, 2.1.4"},
	{"auth without method", v5, []byte{0xF0, 2, 0x18, 0}, protocol, "MQTT 5, 3.15.2.2.2"},
	{"auth data without method", v5, wire{}.u8(0x18).props(wire{}.u8(0x16).str("d")).packet(0xF0), protocol, "MQTT 5, 3.1.2.11.10"},
	{"version not known yet", 0, []byte{0xC0, 0}, protocol, "MQTT-3.1.0-1"},
	{"version not known yet", 0, wire{}.str("a").packet(0x30), protocol, "MQTT-3.1.0-1"},
	{"version 6", 6, []byte{0xE0, 0}, protocol, "MQTT-3.1.0-1"},
}

func TestBadPackets(t *testing.T) {
	t.Parallel()
	for family, table := range map[string][]bad{
		"header": badHeaders, "connect": badConnects, "publish": badPublishes, "ack": badAcks, "subscribe": badSubscribes,
		"other": badOthers,
	} {
		for _, b := range table {
			t.Run(family+" "+b.v.String()+" "+b.name, func(t *testing.T) {
				t.Parallel()
				p, err := parseAll(b.bytes, b.v)
				var refused *packet.Error
				if !errors.As(err, &refused) {
					t.Fatalf("%s: got %+v, %v; want a refusal", show(b.bytes), p, err)
				}
				if p != nil {
					t.Errorf("a packet came with the refusal: %+v", p)
				}
				if refused.Reason != b.reason || refused.Clause != b.clause {
					t.Errorf("refused with 0x%02X [%s], want 0x%02X [%s]: %v", byte(refused.Reason), refused.Clause,
						byte(b.reason), b.clause, err)
				}
				checkRefusal(t, refused, packet.Type(b.bytes[0]>>4))
			})
		}
	}
}

// parseAll leaves a wrong header to ParseHeader and a wrong body to Decode.
func parseAll(b []byte, v packet.Version) (packet.Packet, error) {
	h, n, err := packet.ParseHeader(b)
	if err != nil {
		return nil, err
	}
	return packet.Decode(h, b[n:], v)
}

// checkRefusal demands a sentence, and a reason code that can be sent: in CONNACK for a CONNECT, in DISCONNECT for all else.
func checkRefusal(t *testing.T, e *packet.Error, kind packet.Type) {
	t.Helper()
	answer := packet.DISCONNECT
	if kind == packet.CONNECT {
		answer = packet.CONNACK
	}
	if !e.Reason.LegalIn(answer) {
		t.Errorf("reason 0x%02X cannot be sent in %s", byte(e.Reason), answer)
	}
	if !strings.Contains(e.Detail, " ") || strings.Contains(e.Detail, "%!") {
		t.Errorf("%q is no sentence", e.Detail)
	}
}

// The connection shell answers a refused CONNECT in the version that the client speaks.
func TestRefusedConnectSaysItsVersion(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name  string
		bytes []byte
		want  packet.Version
	}{
		{"flags in 3.1.1", connect4(3).str("c").packet(0x10), v4},
		{"flags in 5", connect5(3).props(nil).str("c").packet(0x10), v5},
		{"trailing byte in 3.1.1", connect4(2).str("c").u8(0).packet(0x10), v4},
		{"trailing byte in 5", connect5(2).props(nil).str("c").u8(0).packet(0x10), v5},
		{"MQTT 5, 3.1", wire{}.str("MQIsdp").u8(3, 2).u16(0).packet(0x10), v4},
		{"level 3", wire{}.str("MQTT").u8(3).packet(0x10), v4},
		{"level 6", wire{}.str("MQTT").u8(6).packet(0x10), v5},
		{"not MQTT", wire{}.str("HTTP").u8(1).packet(0x10), 0},
		{"cut before the level", wire{}.str("MQTT").packet(0x10), 0},
	} {
		_, err := parseAll(c.bytes, 0)
		var refused *packet.Error
		if !errors.As(err, &refused) || refused.Version != c.want {
			t.Errorf("%s: refused with %+v (%v), want version %d", c.name, refused, err, byte(c.want))
		}
	}
}

// Each single bit, turned in each good packet, gives a packet or a refusal, and what is accepted can be written again.
func TestEveryBitFlip(t *testing.T) {
	t.Parallel()
	for _, g := range goodPackets {
		h, used, _ := packet.ParseHeader(g.bytes)
		for i := range h.Length * 8 {
			body := append([]byte(nil), g.bytes[used:]...)
			body[i/8] ^= 1 << (i % 8)
			p, err := packet.Decode(h, body, g.v)
			if err != nil {
				continue
			}
			mustRoundTrip(t, p, g.v)
		}
	}
}
