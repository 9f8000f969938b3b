package packet

import "fmt"

var typeNames = [16]string{
	CONNECT: "CONNECT", CONNACK: "CONNACK", PUBLISH: "PUBLISH", PUBACK: "PUBACK", PUBREC: "PUBREC", PUBREL: "PUBREL",
	PUBCOMP: "PUBCOMP", SUBSCRIBE: "SUBSCRIBE", SUBACK: "SUBACK", UNSUBSCRIBE: "UNSUBSCRIBE", UNSUBACK: "UNSUBACK",
	PINGREQ: "PINGREQ", PINGRESP: "PINGRESP", DISCONNECT: "DISCONNECT", AUTH: "AUTH",
}

// String gives the name of the standard, such as "PUBLISH".
func (t Type) String() string {
	if t < CONNECT || t > AUTH {
		return fmt.Sprintf("packet type %d", byte(t))
	}
	return typeNames[t]
}

// String gives "3.1.1" or "5.0".
func (v Version) String() string {
	switch v {
	case V311:
		return "3.1.1"
	case V5:
		return "5.0"
	}
	return fmt.Sprintf("protocol level %d", byte(v))
}

// Header is the fixed header of a packet (MQTT 5, 2.1).
type Header struct {
	Type   Type
	Flags  byte // the low nibble of the first byte
	Length int  // Remaining Length: the bytes that follow the fixed header
}

// Size is the size of the whole packet in bytes, fixed header included. Maximum Packet Size counts this (MQTT 5, 2.1.4).
func (h Header) Size() int { return 1 + varintSize(uint32(h.Length)) + h.Length }

// ParseHeader reads the fixed header at the start of b and says how many bytes it took. n = 0 without an error means that
// more bytes are needed. It refuses type 0, flags that are not those of the type, and a Remaining Length that is not in its
// shortest form or longer than four bytes, as soon as the bytes that show it are there.
func ParseHeader(b []byte) (h Header, n int, err error) {
	if len(b) == 0 {
		return Header{}, 0, nil
	}
	h = Header{Type: Type(b[0] >> 4), Flags: b[0] & 0x0F}
	if err := h.checkFlags(); err != nil {
		return Header{}, 0, err
	}
	length, used, err := parseVarint(b[1:], "the Remaining Length")
	if err != nil || used == 0 {
		return Header{}, 0, err
	}
	h.Length = int(length)
	return h, 1 + used, nil
}

// fixedFlags are the reserved flags of each type (MQTT 5, table 2-2). PUBLISH has flags of its own.
func fixedFlags(t Type) byte {
	if t == PUBREL || t == SUBSCRIBE || t == UNSUBSCRIBE {
		return 0x02
	}
	return 0
}

// flagClauses are the numbered statements for single types; all others follow from [MQTT-2.1.3-1].
var flagClauses = [16]string{
	PUBREL: "MQTT-3.6.1-1", SUBSCRIBE: "MQTT-3.8.1-1", UNSUBSCRIBE: "MQTT-3.10.1-1", DISCONNECT: "MQTT-3.14.1-1",
	AUTH: "MQTT-3.15.1-1",
}

// checkFlags refuses invalid flags: they make a packet malformed (MQTT 5, 2.1.3).
func (h Header) checkFlags() error {
	if h.Type == PUBLISH {
		return checkPublishFlags(h.Flags)
	}
	if h.Type < CONNECT || h.Type > AUTH {
		return malformed("MQTT 5, 2.1.2", "packet type %d does not exist", byte(h.Type))
	}
	if want := fixedFlags(h.Type); h.Flags != want {
		clause := flagClauses[h.Type]
		if clause == "" {
			clause = "MQTT-2.1.3-1"
		}
		return malformed(clause, "%s has the flags %04b in its first byte; they must be %04b", h.Type, h.Flags, want)
	}
	return nil
}
