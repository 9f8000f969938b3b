package packet_test

import (
	"errors"
	"testing"

	"pgregory.net/rapid"

	"sluice/mqtt/packet"
)

// inWill stands for the Will Properties where a packet type is asked for.
const inWill = 0

type places map[int]bool

func at(types ...packet.Type) places {
	p := places{}
	for _, t := range types {
		p[int(t)] = true
	}
	return p
}

func (p places) andWill() places {
	p[inWill] = true
	return p
}

// propertyTable is MQTT 5, table 2-4, written down a second time.
var propertyTable = []struct {
	name  string
	id    int
	in    places
	value wire // one legal value
	many  places
	draw  func(*rapid.T, *packet.Properties)
}{
	{"Payload Format Indicator", 1, at(packet.PUBLISH).andWill(), wire{1}, nil,
		func(t *rapid.T, p *packet.Properties) { p.SetPayloadFormat(rapid.ByteMax(1).Draw(t, "n")) }},
	{"Message Expiry Interval", 2, at(packet.PUBLISH).andWill(), wire{}.u32(0), nil,
		func(t *rapid.T, p *packet.Properties) { p.SetMessageExpiry(rapid.Uint32().Draw(t, "n")) }},
	{"Content Type", 3, at(packet.PUBLISH).andWill(), wire{}.str("x"), nil,
		func(t *rapid.T, p *packet.Properties) { p.SetContentType(texts.Draw(t, "s")) }},
	{"Response Topic", 8, at(packet.PUBLISH).andWill(), wire{}.str("x"), nil,
		func(t *rapid.T, p *packet.Properties) { p.SetResponseTopic(topics.Draw(t, "s")) }},
	{"Correlation Data", 9, at(packet.PUBLISH).andWill(), wire{}.str("\xFF"), nil,
		func(t *rapid.T, p *packet.Properties) { p.SetCorrelationData(blobs.Draw(t, "b")) }},
	{"Subscription Identifier", 11, at(packet.PUBLISH, packet.SUBSCRIBE), wire{}.varint(5), at(packet.PUBLISH),
		func(t *rapid.T, p *packet.Properties) {
			p.AddSubscriptionID(rapid.Uint32Range(1, 268435455).Draw(t, "n"))
		}},
	{"Session Expiry Interval", 17, at(packet.CONNECT, packet.CONNACK, packet.DISCONNECT), wire{}.u32(0), nil,
		func(t *rapid.T, p *packet.Properties) { p.SetSessionExpiry(rapid.Uint32().Draw(t, "n")) }},
	{"Assigned Client Identifier", 18, at(packet.CONNACK), wire{}.str("x"), nil,
		func(t *rapid.T, p *packet.Properties) { p.SetAssignedClientID(texts.Draw(t, "s")) }},
	{"Server Keep Alive", 19, at(packet.CONNACK), wire{}.u16(0), nil,
		func(t *rapid.T, p *packet.Properties) { p.SetServerKeepAlive(rapid.Uint16().Draw(t, "n")) }},
	{"Authentication Method", 21, at(packet.CONNECT, packet.CONNACK, packet.AUTH), wire{}.str("x"), nil,
		func(t *rapid.T, p *packet.Properties) { p.SetAuthMethod(texts.Draw(t, "s")) }},
	{"Authentication Data", 22, at(packet.CONNECT, packet.CONNACK, packet.AUTH), wire{}.str("\xFF"), nil,
		func(t *rapid.T, p *packet.Properties) { p.SetAuthData(blobs.Draw(t, "b")) }},
	{"Request Problem Information", 23, at(packet.CONNECT), wire{0}, nil,
		func(t *rapid.T, p *packet.Properties) { p.SetRequestProblemInfo(rapid.Bool().Draw(t, "b")) }},
	{"Will Delay Interval", 24, places{}.andWill(), wire{}.u32(0), nil,
		func(t *rapid.T, p *packet.Properties) { p.SetWillDelay(rapid.Uint32().Draw(t, "n")) }},
	{"Request Response Information", 25, at(packet.CONNECT), wire{1}, nil,
		func(t *rapid.T, p *packet.Properties) { p.SetRequestResponseInfo(rapid.Bool().Draw(t, "b")) }},
	{"Response Information", 26, at(packet.CONNACK), wire{}.str("x"), nil,
		func(t *rapid.T, p *packet.Properties) { p.SetResponseInfo(texts.Draw(t, "s")) }},
	{"Server Reference", 28, at(packet.CONNACK, packet.DISCONNECT), wire{}.str("x"), nil,
		func(t *rapid.T, p *packet.Properties) { p.SetServerReference(texts.Draw(t, "s")) }},
	{"Reason String", 31, at(packet.CONNACK, packet.PUBACK, packet.PUBREC, packet.PUBREL, packet.PUBCOMP, packet.SUBACK,
		packet.UNSUBACK, packet.DISCONNECT, packet.AUTH), wire{}.str("x"), nil,
		func(t *rapid.T, p *packet.Properties) { p.SetReasonString(texts.Draw(t, "s")) }},
	{"Receive Maximum", 33, at(packet.CONNECT, packet.CONNACK), wire{}.u16(1), nil,
		func(t *rapid.T, p *packet.Properties) { p.SetReceiveMaximum(rapid.Uint16Min(1).Draw(t, "n")) }},
	{"Topic Alias Maximum", 34, at(packet.CONNECT, packet.CONNACK), wire{}.u16(0), nil,
		func(t *rapid.T, p *packet.Properties) { p.SetTopicAliasMaximum(rapid.Uint16().Draw(t, "n")) }},
	{"Topic Alias", 35, at(packet.PUBLISH), wire{}.u16(1), nil,
		func(t *rapid.T, p *packet.Properties) { p.SetTopicAlias(rapid.Uint16Min(1).Draw(t, "n")) }},
	{"Maximum QoS", 36, at(packet.CONNACK), wire{1}, nil,
		func(t *rapid.T, p *packet.Properties) { p.SetMaximumQoS(packet.QoS(rapid.ByteMax(1).Draw(t, "n"))) }},
	{"Retain Available", 37, at(packet.CONNACK), wire{0}, nil,
		func(t *rapid.T, p *packet.Properties) { p.SetRetainAvailable(rapid.Bool().Draw(t, "b")) }},
	{"User Property", 38, at(packet.CONNECT, packet.CONNACK, packet.PUBLISH, packet.PUBACK, packet.PUBREC, packet.PUBREL,
		packet.PUBCOMP, packet.SUBSCRIBE, packet.SUBACK, packet.UNSUBSCRIBE, packet.UNSUBACK, packet.DISCONNECT,
		packet.AUTH).andWill(), wire{}.str("k").str("v"), at(packet.CONNECT, packet.CONNACK, packet.PUBLISH, packet.PUBACK,
		packet.PUBREC, packet.PUBREL, packet.PUBCOMP, packet.SUBSCRIBE, packet.SUBACK, packet.UNSUBSCRIBE, packet.UNSUBACK,
		packet.DISCONNECT, packet.AUTH).andWill(),
		func(t *rapid.T, p *packet.Properties) {
			for range rapid.IntRange(1, 3).Draw(t, "times") {
				p.AddUser(texts.Draw(t, "key"), texts.Draw(t, "value"))
			}
		}},
	{"Maximum Packet Size", 39, at(packet.CONNECT, packet.CONNACK), wire{}.u32(1), nil,
		func(t *rapid.T, p *packet.Properties) { p.SetMaximumPacketSize(rapid.Uint32Min(1).Draw(t, "n")) }},
	{"Wildcard Subscription Available", 40, at(packet.CONNACK), wire{0}, nil,
		func(t *rapid.T, p *packet.Properties) { p.SetWildcardSubAvailable(rapid.Bool().Draw(t, "b")) }},
	{"Subscription Identifier Available", 41, at(packet.CONNACK), wire{0}, nil,
		func(t *rapid.T, p *packet.Properties) { p.SetSubIDAvailable(rapid.Bool().Draw(t, "b")) }},
	{"Shared Subscription Available", 42, at(packet.CONNACK), wire{0}, nil,
		func(t *rapid.T, p *packet.Properties) { p.SetSharedSubAvailable(rapid.Bool().Draw(t, "b")) }},
}

// packetWith is a v5 packet of that type, legal but for the block of properties.
func packetWith(kind int, block wire) []byte {
	switch t := packet.Type(kind); t {
	case inWill:
		return connect5(4).props(nil).str("c").props(block).str("w").str("").packet(0x10)
	case packet.CONNECT:
		return connect5(2).props(block).str("c").packet(0x10)
	case packet.CONNACK:
		return wire{0, 0}.props(block).packet(0x20)
	case packet.PUBLISH:
		return wire{}.str("t").props(block).packet(0x30)
	case packet.SUBSCRIBE:
		return wire{0, 1}.props(block).str("t").u8(0).packet(0x82)
	case packet.SUBACK:
		return wire{0, 1}.props(block).u8(0).packet(0x90)
	case packet.UNSUBSCRIBE:
		return wire{0, 1}.props(block).str("t").packet(0xA2)
	case packet.UNSUBACK:
		return wire{0, 1}.props(block).u8(0).packet(0xB0)
	case packet.DISCONNECT, packet.AUTH:
		return wire{0}.props(block).packet(kind << 4)
	case packet.PUBREL:
		return wire{0, 1, 0}.props(block).packet(0x62)
	default:
		return wire{0, 1, 0}.props(block).packet(kind << 4)
	}
}

// Each property at each place, once and twice, is accepted or refused exactly as the table says.
func TestPropertyTable(t *testing.T) {
	t.Parallel()
	for kind := inWill; kind <= int(packet.AUTH); kind++ {
		if kind == int(packet.PINGREQ) || kind == int(packet.PINGRESP) {
			continue
		}
		for _, row := range propertyTable {
			var need wire // what must stand beside it
			if row.id == 22 || kind == int(packet.AUTH) && row.id != 21 {
				need = wire{}.u8(21).str("m")
				if kind != int(packet.CONNECT) && kind != int(packet.CONNACK) && kind != int(packet.AUTH) {
					need = nil
				}
			}
			one := append(wire{}.u8(row.id), row.value...)
			_, err := decodeAll(t, packetWith(kind, append(append(wire{}, need...), one...)), packet.V5)
			want := packet.MalformedPacket
			if row.in[kind] {
				want = packet.Success
			}
			checkReason(t, err, want, kind, row.name+" once")
			if !row.in[kind] {
				continue
			}
			_, err = decodeAll(t, packetWith(kind, append(append(append(wire{}, need...), one...), one...)), packet.V5)
			want = packet.ProtocolError
			if row.many[kind] {
				want = packet.Success
			}
			checkReason(t, err, want, kind, row.name+" twice")
		}
	}
}

func checkReason(t *testing.T, err error, want packet.ReasonCode, kind int, what string) {
	t.Helper()
	if want == packet.Success {
		if err != nil {
			t.Errorf("%s in place %d: %v", what, kind, err)
		}
		return
	}
	var refused *packet.Error
	if !errors.As(err, &refused) || refused.Reason != want {
		t.Errorf("%s in place %d: %v, want 0x%02X", what, kind, err, byte(want))
	}
}

func TestClearAndReset(t *testing.T) {
	t.Parallel()
	var p packet.Properties
	p.SetContentType("a")
	p.SetMessageExpiry(1)
	p.AddUser("k", "v")
	p.AddSubscriptionID(1)
	p.Clear(packet.PropContentType)
	if p.Has(packet.PropContentType) || !p.Has(packet.PropMessageExpiry) || p.Empty() {
		t.Fatalf("after Clear: %+v", p)
	}
	b, err := packet.Append(nil, &packet.Publish{Topic: "t", Properties: p}, packet.V5)
	want := wire{}.str("t").props(wire{}.u8(2).u32(1).u8(0x0B, 1).u8(0x26).str("k").str("v")).packet(0x30)
	if err != nil || string(b) != string(want) {
		t.Fatalf("a cleared property is written: %s, %v", show(b), err)
	}
	users, ids := p.User[:1], p.SubscriptionIDs
	p.Reset()
	if !p.Empty() || cap(p.User) < cap(users) || cap(p.SubscriptionIDs) < cap(ids) {
		t.Fatalf("after Reset: %+v", p)
	}
	if users[0] != (packet.UserProperty{}) {
		t.Fatalf("Reset keeps %+v alive", users[0])
	}
}

// As many User Properties as may be are read, one more is refused, in a packet and in a Will.
func TestUserPropertiesAreBounded(t *testing.T) {
	t.Parallel()
	for _, more := range []int{0, 1} {
		var many packet.Properties
		for range packet.UserPropertiesMax + more {
			many.AddUser("", "")
		}
		for name, p := range map[string]packet.Packet{
			"PUBLISH": &packet.Publish{Topic: "a", Properties: many},
			"CONNECT": &packet.Connect{Version: packet.V5, ClientID: "c", Properties: many},
			"Will":    &packet.Connect{Version: packet.V5, ClientID: "c", Will: &packet.Will{Topic: "a", Properties: many}},
		} {
			b, err := packet.Append(nil, p, packet.V5)
			if err != nil {
				t.Fatal(err)
			}
			_, err = parseAll(b, packet.V5)
			var refused *packet.Error
			switch {
			case more == 0 && err != nil:
				t.Errorf("%s with %d: %v", name, packet.UserPropertiesMax, err)
			case more == 1 && (!errors.As(err, &refused) || refused.Reason != packet.QuotaExceeded):
				t.Errorf("%s with one more: %v, want it refused with 0x97", name, err)
			}
		}
	}
}
