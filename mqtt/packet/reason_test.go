package packet_test

import (
	"fmt"
	"testing"

	"sluice/mqtt/packet"
)

// MQTT 5, table 2-6, read by packet instead of by code.
var legalReasons = map[packet.Type][]packet.ReasonCode{
	packet.CONNACK: {0, 0x80, 0x81, 0x82, 0x83, 0x84, 0x85, 0x86, 0x87, 0x88, 0x89, 0x8A, 0x8C, 0x90, 0x95, 0x97, 0x99, 0x9A,
		0x9B, 0x9C, 0x9D, 0x9F},
	packet.PUBACK:   {0, 0x10, 0x80, 0x83, 0x87, 0x90, 0x91, 0x97, 0x99},
	packet.PUBREC:   {0, 0x10, 0x80, 0x83, 0x87, 0x90, 0x91, 0x97, 0x99},
	packet.PUBREL:   {0, 0x92},
	packet.PUBCOMP:  {0, 0x92},
	packet.SUBACK:   {0, 1, 2, 0x80, 0x83, 0x87, 0x8F, 0x91, 0x97, 0x9E, 0xA1, 0xA2},
	packet.UNSUBACK: {0, 0x11, 0x80, 0x83, 0x87, 0x8F, 0x91},
	packet.DISCONNECT: {0, 4, 0x80, 0x81, 0x82, 0x83, 0x87, 0x89, 0x8B, 0x8C, 0x8D, 0x8E, 0x8F, 0x90, 0x93, 0x94, 0x95, 0x96, 0x97,
		0x98, 0x99, 0x9A, 0x9B, 0x9C, 0x9D, 0x9E, 0x9F, 0xA0, 0xA1, 0xA2},
	packet.AUTH: {0, 0x18, 0x19},
}

func TestReasonsLegalInPackets(t *testing.T) {
	t.Parallel()
	for kind := range 256 {
		legal := map[packet.ReasonCode]bool{}
		for _, r := range legalReasons[packet.Type(kind)] {
			legal[r] = true
		}
		for r := range 256 {
			if got := packet.ReasonCode(r).LegalIn(packet.Type(kind)); got != legal[packet.ReasonCode(r)] {
				t.Errorf("0x%02X in %s: %v", r, packet.Type(kind), got)
			}
		}
	}
}

func TestReasonNames(t *testing.T) {
	t.Parallel()
	seen := map[string]int{}
	for r := range 256 {
		name := packet.ReasonCode(r).String()
		if before, twice := seen[name]; twice {
			t.Errorf("0x%02X and 0x%02X are both %q", before, r, name)
		}
		seen[name] = r
		used := false
		for kind := packet.CONNECT; kind <= packet.AUTH; kind++ {
			used = used || packet.ReasonCode(r).LegalIn(kind)
		}
		if unnamed := name == fmt.Sprintf("reason code 0x%02X", r); unnamed == used {
			t.Errorf("0x%02X is called %q, used in packets: %v", r, name, used)
		}
	}
	if name := packet.WildcardSubNotSupported.String(); name != "Wildcard Subscriptions not supported" {
		t.Errorf("0xA2 is %q", name)
	}
}

func TestConnackReturnCodes(t *testing.T) {
	t.Parallel()
	want := map[packet.ReasonCode]byte{
		0x00: 0, 0x80: 3, 0x81: 5, 0x82: 5, 0x83: 3, 0x84: 1, 0x85: 2, 0x86: 4, 0x87: 5, 0x88: 3, 0x89: 3, 0x8A: 5, 0x8C: 5,
		0x90: 5, 0x95: 5, 0x97: 3, 0x99: 5, 0x9A: 5, 0x9B: 5, 0x9C: 3, 0x9D: 3, 0x9F: 3,
	}
	for _, r := range legalReasons[packet.CONNACK] {
		code, listed := want[r]
		if got := r.ConnackReturnCode(); !listed || got != code {
			t.Errorf("0x%02X (%s) gives return code %d, want %d", byte(r), r, got, code)
		}
		b, err := packet.Append(nil, &packet.Connack{Reason: r}, packet.V311)
		if err != nil || len(b) != 4 || b[3] != code {
			t.Errorf("CONNACK with 0x%02X: % x, %v", byte(r), b, err)
		}
	}
}

func TestNames(t *testing.T) {
	t.Parallel()
	for got, want := range map[string]string{
		packet.PUBLISH.String(): "PUBLISH", packet.AUTH.String(): "AUTH", packet.Type(0).String(): "packet type 0",
		packet.Type(16).String(): "packet type 16", packet.V311.String(): "3.1.1", packet.V5.String(): "5.0",
		packet.Version(3).String(): "protocol level 3",
	} {
		if got != want {
			t.Errorf("got %q, want %q", got, want)
		}
	}
}
