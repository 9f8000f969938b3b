package packet_test

import (
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"sluice/mqtt/packet"
)

// good is one packet in both shapes. nonMinimal is true where Append writes a shorter form of the same packet.
type good struct {
	name       string
	v          packet.Version
	bytes      []byte
	packet     packet.Packet
	nonMinimal bool
}

// pointer is for an Ack.
func pointer(p packet.Properties) *packet.Properties { return &p }

func with(set func(*packet.Properties)) packet.Properties {
	var p packet.Properties
	set(&p)
	return p
}

var goodPackets = []good{
	{"connect", packet.V311, connect4(0x02).str("c1").packet(0x10),
		&packet.Connect{Version: packet.V311, CleanStart: true, KeepAlive: 60, ClientID: "c1"}, false},
	{"connect without client id", packet.V311, connect4(0x00).str("").packet(0x10),
		&packet.Connect{Version: packet.V311, KeepAlive: 60}, false},
	{"connect with all", packet.V311, connect4(0xF6).str("c1").str("w/t").str("bye").str("joe").str("pw").packet(0x10),
		&packet.Connect{
			Version: packet.V311, CleanStart: true, KeepAlive: 60, ClientID: "c1",
			Will:        &packet.Will{Topic: "w/t", Payload: []byte("bye"), QoS: 2, Retain: true},
			HasUsername: true, Username: "joe", HasPassword: true, Password: []byte("pw"),
		}, false},
	{"connect", packet.V5, connect5(0x02).props(nil).str("c1").packet(0x10),
		&packet.Connect{Version: packet.V5, CleanStart: true, KeepAlive: 60, ClientID: "c1"}, false},
	{"connect with empty will, user name and password", packet.V5,
		connect5(0xC4).props(nil).str("c1").props(nil).str("w").str("").str("").str("").packet(0x10),
		&packet.Connect{
			Version: packet.V5, KeepAlive: 60, ClientID: "c1", Will: &packet.Will{Topic: "w"},
			HasUsername: true, HasPassword: true,
		}, false},
	{"connect with a password alone", packet.V5, connect5(0x40).props(nil).str("").str("token").packet(0x10),
		&packet.Connect{Version: packet.V5, KeepAlive: 60, HasPassword: true, Password: []byte("token")}, false},
	{"connect with all properties", packet.V5, connect5(0x04).props(wire{}.
		u8(0x11).u32(3600).u8(0x15).str("SCRAM").u8(0x16).str("data").u8(0x17, 0).u8(0x19, 1).
		u8(0x21).u16(20).u8(0x22).u16(5).u8(0x27).u32(65536).u8(0x26).str("k").str("v").u8(0x26).str("k").str("")).
		str("c1").props(wire{}.
		u8(0x01, 1).u8(0x02).u32(9).u8(0x03).str("text/plain").u8(0x08).str("r/t").u8(0x09).str("\x00\xFF").
		u8(0x18).u32(30).u8(0x26).str("a").str("b")).
		str("w/t").str("bye").packet(0x10),
		&packet.Connect{
			Version: packet.V5, KeepAlive: 60, ClientID: "c1",
			Properties: with(func(p *packet.Properties) {
				p.SetSessionExpiry(3600)
				p.SetAuthMethod("SCRAM")
				p.SetAuthData([]byte("data"))
				p.SetRequestProblemInfo(false)
				p.SetRequestResponseInfo(true)
				p.SetReceiveMaximum(20)
				p.SetTopicAliasMaximum(5)
				p.SetMaximumPacketSize(65536)
				p.AddUser("k", "v")
				p.AddUser("k", "")
			}),
			Will: &packet.Will{Topic: "w/t", Payload: []byte("bye"), Properties: with(func(p *packet.Properties) {
				p.SetPayloadFormat(1)
				p.SetMessageExpiry(9)
				p.SetContentType("text/plain")
				p.SetResponseTopic("r/t")
				p.SetCorrelationData([]byte{0, 0xFF})
				p.SetWillDelay(30)
				p.AddUser("a", "b")
			})},
		}, false},

	{"connack", packet.V311, []byte{0x20, 2, 1, 0}, &packet.Connack{SessionPresent: true}, false},
	{"connack refused", packet.V311, []byte{0x20, 2, 0, 5}, &packet.Connack{Reason: packet.NotAuthorized}, false},
	{"connack", packet.V5, []byte{0x20, 3, 0, 0, 0}, &packet.Connack{}, false},
	{"connack with all properties", packet.V5, wire{}.u8(1, 0).props(wire{}.
		u8(0x11).u32(7).u8(0x12).str("id").u8(0x13).u16(30).u8(0x15).str("m").u8(0x16).str("d").u8(0x1A).str("ri").
		u8(0x1C).str("other").u8(0x1F).str("why").u8(0x21).u16(1).u8(0x22).u16(2).u8(0x24, 1).u8(0x25, 0).
		u8(0x27).u32(99).u8(0x28, 1).u8(0x29, 0).u8(0x2A, 1).u8(0x26).str("k").str("v")).packet(0x20),
		&packet.Connack{SessionPresent: true, Properties: with(func(p *packet.Properties) {
			p.SetSessionExpiry(7)
			p.SetAssignedClientID("id")
			p.SetServerKeepAlive(30)
			p.SetAuthMethod("m")
			p.SetAuthData([]byte("d"))
			p.SetResponseInfo("ri")
			p.SetServerReference("other")
			p.SetReasonString("why")
			p.SetReceiveMaximum(1)
			p.SetTopicAliasMaximum(2)
			p.SetMaximumQoS(1)
			p.SetRetainAvailable(false)
			p.SetMaximumPacketSize(99)
			p.SetWildcardSubAvailable(true)
			p.SetSubIDAvailable(false)
			p.SetSharedSubAvailable(true)
			p.AddUser("k", "v")
		})}, false},

	{"publish QoS 0", packet.V311, wire{}.str("a/b").raw("hi").packet(0x30),
		&packet.Publish{Topic: "a/b", Payload: []byte("hi")}, false},
	{"publish QoS 2 dup retain", packet.V311, wire{}.str("a/b").u16(10).packet(0x3D),
		&packet.Publish{Dup: true, QoS: 2, Retain: true, Topic: "a/b", ID: 10}, false},
	{"publish QoS 1", packet.V5, wire{}.str("a/b").u16(10).props(nil).raw("hi").packet(0x32),
		&packet.Publish{QoS: 1, Topic: "a/b", ID: 10, Payload: []byte("hi")}, false},
	{"publish with alias only", packet.V5, wire{}.str("").props(wire{}.u8(0x23).u16(7)).raw("x").packet(0x30),
		&packet.Publish{Payload: []byte("x"), Properties: with(func(p *packet.Properties) { p.SetTopicAlias(7) })}, false},
	{"publish with all properties", packet.V5, wire{}.str("é€😀").u16(65535).props(wire{}.
		u8(0x01, 1).u8(0x02).u32(0xFFFFFFFF).u8(0x03).str("t").u8(0x08).str("r").u8(0x09).str("").u8(0x23).u16(1).
		u8(0x0B).varint(1).u8(0x0B).varint(268435455).u8(0x26).str("").str("")).packet(0x34),
		&packet.Publish{QoS: 2, Topic: "é€😀", ID: 65535, Properties: with(func(p *packet.Properties) {
			p.SetPayloadFormat(1)
			p.SetMessageExpiry(0xFFFFFFFF)
			p.SetContentType("t")
			p.SetResponseTopic("r")
			p.SetCorrelationData(nil)
			p.SetTopicAlias(1)
			p.AddSubscriptionID(1)
			p.AddSubscriptionID(268435455)
			p.AddUser("", "")
		})}, false},

	{"puback", packet.V311, []byte{0x40, 2, 0, 1}, &packet.Ack{Kind: packet.PUBACK, ID: 1}, false},
	{"pubrec", packet.V311, []byte{0x50, 2, 0, 1}, &packet.Ack{Kind: packet.PUBREC, ID: 1}, false},
	{"pubrel", packet.V311, []byte{0x62, 2, 0, 1}, &packet.Ack{Kind: packet.PUBREL, ID: 1}, false},
	{"pubcomp", packet.V311, []byte{0x70, 2, 0xFF, 0xFF}, &packet.Ack{Kind: packet.PUBCOMP, ID: 65535}, false},
	{"puback of two bytes", packet.V5, []byte{0x40, 2, 0, 1}, &packet.Ack{Kind: packet.PUBACK, ID: 1}, false},
	{"puback of three bytes", packet.V5, []byte{0x40, 3, 0, 1, 0x10},
		&packet.Ack{Kind: packet.PUBACK, ID: 1, Reason: packet.NoMatchingSubscribers}, false},
	{"puback of four bytes", packet.V5, []byte{0x40, 4, 0, 1, 0x87, 0},
		&packet.Ack{Kind: packet.PUBACK, ID: 1, Reason: packet.NotAuthorized}, true},
	{"pubrec with properties", packet.V5,
		wire{}.u16(9).u8(0x99).props(wire{}.u8(0x1F).str("not JSON").u8(0x26).str("k").str("v")).packet(0x50),
		&packet.Ack{Kind: packet.PUBREC, ID: 9, Reason: packet.PayloadFormatInvalid, Properties: pointer(with(func(p *packet.Properties) {
			p.SetReasonString("not JSON")
			p.AddUser("k", "v")
		}))}, false},
	{"pubrel not found", packet.V5, []byte{0x62, 3, 0, 1, 0x92},
		&packet.Ack{Kind: packet.PUBREL, ID: 1, Reason: packet.PacketIDNotFound}, false},
	{"pubcomp with success and properties", packet.V5, wire{}.u16(9).u8(0).props(wire{}.u8(0x26).str("k").str("v")).packet(0x70),
		&packet.Ack{Kind: packet.PUBCOMP, ID: 9, Properties: pointer(with(func(p *packet.Properties) { p.AddUser("k", "v") }))}, false},

	{"subscribe", packet.V311, wire{}.u16(10).str("a/+").u8(1).str("#").u8(2).packet(0x82),
		&packet.Subscribe{ID: 10, Subscriptions: []packet.Subscription{{Filter: "a/+", QoS: 1}, {Filter: "#", QoS: 2}}}, false},
	{"subscribe", packet.V5, wire{}.u16(10).props(wire{}.u8(0x0B).varint(300).u8(0x26).str("k").str("v")).
		str("a/b").u8(0x2D).str("$share/g/t").u8(0x12).packet(0x82),
		&packet.Subscribe{ID: 10, Properties: with(func(p *packet.Properties) {
			p.AddSubscriptionID(300)
			p.AddUser("k", "v")
		}), Subscriptions: []packet.Subscription{
			{Filter: "a/b", QoS: 1, NoLocal: true, RetainAsPublished: true, RetainHandling: 2},
			{Filter: "$share/g/t", QoS: 2, RetainHandling: 1},
		}}, false},
	{"suback", packet.V311, []byte{0x90, 6, 0, 10, 0, 1, 2, 0x80},
		&packet.Suback{ID: 10, Reasons: []packet.ReasonCode{0, 1, 2, 0x80}}, false},
	{"suback", packet.V5, wire{}.u16(10).props(wire{}.u8(0x1F).str("w")).u8(2, 0x87, 0x9E).packet(0x90),
		&packet.Suback{ID: 10, Reasons: []packet.ReasonCode{2, 0x87, 0x9E},
			Properties: with(func(p *packet.Properties) { p.SetReasonString("w") })}, false},
	{"unsubscribe", packet.V311, wire{}.u16(3).str("a").str("b").packet(0xA2),
		&packet.Unsubscribe{ID: 3, Filters: []string{"a", "b"}}, false},
	{"unsubscribe", packet.V5, wire{}.u16(3).props(wire{}.u8(0x26).str("k").str("v")).str("a").packet(0xA2),
		&packet.Unsubscribe{ID: 3, Filters: []string{"a"},
			Properties: with(func(p *packet.Properties) { p.AddUser("k", "v") })}, false},
	{"unsuback", packet.V311, []byte{0xB0, 2, 0, 3}, &packet.Unsuback{ID: 3}, false},
	{"unsuback", packet.V5, []byte{0xB0, 5, 0, 3, 0, 0, 0x11},
		&packet.Unsuback{ID: 3, Reasons: []packet.ReasonCode{0, 0x11}}, false},

	{"pingreq", packet.V311, []byte{0xC0, 0}, &packet.Pingreq{}, false},
	{"pingreq", packet.V5, []byte{0xC0, 0}, &packet.Pingreq{}, false},
	{"pingresp", packet.V311, []byte{0xD0, 0}, &packet.Pingresp{}, false},
	{"pingresp", packet.V5, []byte{0xD0, 0}, &packet.Pingresp{}, false},
	{"disconnect", packet.V311, []byte{0xE0, 0}, &packet.Disconnect{}, false},
	{"disconnect of no byte", packet.V5, []byte{0xE0, 0}, &packet.Disconnect{}, false},
	{"disconnect of one byte", packet.V5, []byte{0xE0, 1, 4}, &packet.Disconnect{Reason: packet.DisconnectWithWill}, false},
	{"disconnect of two bytes", packet.V5, []byte{0xE0, 2, 0, 0}, &packet.Disconnect{}, true},
	{"disconnect with properties", packet.V5,
		wire{}.u8(0x9D).props(wire{}.u8(0x11).u32(5).u8(0x1C).str("other").u8(0x1F).str("moved")).packet(0xE0),
		&packet.Disconnect{Reason: packet.ServerMoved, Properties: with(func(p *packet.Properties) {
			p.SetSessionExpiry(5)
			p.SetServerReference("other")
			p.SetReasonString("moved")
		})}, false},
	{"auth of no byte", packet.V5, []byte{0xF0, 0}, &packet.Auth{}, false},
	{"auth", packet.V5, wire{}.u8(0x18).props(wire{}.u8(0x15).str("m").u8(0x16).str("d").u8(0x1F).str("w")).packet(0xF0),
		&packet.Auth{Reason: packet.ContinueAuthentication, Properties: with(func(p *packet.Properties) {
			p.SetAuthMethod("m")
			p.SetAuthData([]byte("d"))
			p.SetReasonString("w")
		})}, false},
}

func decodeAll(t testing.TB, b []byte, v packet.Version) (packet.Packet, error) {
	t.Helper()
	h, n, err := packet.ParseHeader(b)
	if err != nil {
		return nil, err
	}
	if n == 0 || n+h.Length != len(b) {
		t.Fatalf("the header of %s says %d+%d bytes, there are %d", show(b), n, h.Length, len(b))
	}
	return packet.Decode(h, b[n:], v)
}

func diff(want, got packet.Packet) string {
	return cmp.Diff(want, got, cmpopts.EquateEmpty())
}

func TestGoodPackets(t *testing.T) {
	t.Parallel()
	seen := map[packet.Type]bool{}
	for _, g := range goodPackets {
		seen[g.packet.Type()] = true
		t.Run(g.v.String()+" "+g.name, func(t *testing.T) {
			t.Parallel()
			got, err := decodeAll(t, g.bytes, g.v)
			if err != nil {
				t.Fatalf("decode %s: %v", show(g.bytes), err)
			}
			if d := diff(g.packet, got); d != "" {
				t.Fatalf("decoded packet (-want +got):\n%s", d)
			}
			b, err := packet.Append([]byte("before"), g.packet, g.v)
			if err != nil {
				t.Fatalf("encode: %v", err)
			}
			if string(b[:6]) != "before" {
				t.Fatalf("Append changed what was there before: %q", b[:6])
			}
			b = b[6:]
			if size, err := packet.Size(g.packet, g.v); err != nil || size != len(b) {
				t.Fatalf("Size = %d, %v; Append wrote %d bytes", size, err, len(b))
			}
			if g.nonMinimal {
				if len(b) >= len(g.bytes) {
					t.Fatalf("encoded %s is not shorter than %s", show(b), show(g.bytes))
				}
				return
			}
			if string(b) != string(g.bytes) {
				t.Fatalf("encoded\n%s, want\n%s", show(b), show(g.bytes))
			}
		})
	}
	for kind := packet.CONNECT; kind <= packet.AUTH; kind++ {
		if !seen[kind] {
			t.Errorf("no good %s in the table", kind)
		}
	}
}

// Every part of a packet is incomplete as it stands, and refused, or a shorter legal form, when its length is said to be so.
func TestEveryPrefix(t *testing.T) {
	t.Parallel()
	for _, g := range goodPackets {
		for n := range g.bytes {
			h, used, err := packet.ParseHeader(g.bytes[:n])
			if err != nil {
				t.Fatalf("%s %s: header of the first %d bytes: %v", g.v, g.name, n, err)
			}
			if used > 0 && used+h.Length <= n {
				t.Fatalf("%s %s: the first %d bytes count as a whole packet", g.v, g.name, n)
			}
		}
		h, used, _ := packet.ParseHeader(g.bytes)
		for n := range h.Length {
			short := packet.Header{Type: h.Type, Flags: h.Flags, Length: n}
			p, err := packet.Decode(short, g.bytes[used:used+n], g.v)
			if err == nil && !mayEndEarly(g, n) {
				t.Errorf("%s %s: accepted after %d of %d bytes: %+v", g.v, g.name, n, h.Length, p)
			}
			if _, err := packet.Decode(h, g.bytes[used:used+n], g.v); err == nil {
				t.Errorf("%s %s: accepted with %d bytes although the header says %d", g.v, g.name, n, h.Length)
			}
		}
	}
}

// mayEndEarly knows the packets that are legal when they are cut: a payload or list at the end, and the short forms.
func mayEndEarly(g good, n int) bool {
	switch p := g.packet.(type) {
	case *packet.Publish: // its payload may be cut
		full, _ := packet.Size(p, g.v)
		header := 2 // all PUBLISH packets of the table are small
		return n >= full-header-len(p.Payload)
	case *packet.Ack:
		return g.v == packet.V5 && (n == 2 || n == 3)
	case *packet.Disconnect:
		return n == 0 || n == 1
	case *packet.Auth:
		return n == 0
	case *packet.Subscribe, *packet.Unsubscribe, *packet.Suback, *packet.Unsuback:
		// Only behind a whole entry of the list: then writing what was decoded takes all n bytes again.
		h, used, _ := packet.ParseHeader(g.bytes)
		h.Length = n
		cut, err := packet.Decode(h, g.bytes[used:used+n], g.v)
		if err != nil {
			return false
		}
		size, err := packet.Size(cut, g.v)
		return err == nil && size == h.Size()
	}
	return false
}
