package packet_test

import (
	"errors"
	"slices"
	"strings"
	"testing"

	"sluice/mqtt/packet"
)

type foreign struct{}

func (foreign) Type() packet.Type { return packet.PUBLISH }

// Packets that have no bytes. says is a part of the sentence; notInVersion tells whether the other version could.
var unwritable = []struct {
	name         string
	v            packet.Version
	packet       packet.Packet
	says         string
	notInVersion bool
}{
	{"foreign type", v5, foreign{}, "not a packet of this package", false},
	{"no version", 0, &packet.Pingreq{}, "version is not set", false},
	{"connect without version", v5, &packet.Connect{}, "Version is 0", false},
	{"connect with a long client id", v5, &packet.Connect{Version: v5, ClientID: strings.Repeat("x", 65536)}, "65536 bytes", false},
	{"connect with a will QoS 3", v5, &packet.Connect{Version: v5, Will: &packet.Will{Topic: "w", QoS: 3}}, "MQTT-3.1.2-12", false},
	{"connect with an empty will topic", v5, &packet.Connect{Version: v5, Will: &packet.Will{}}, "MQTT-4.7.3-1", false},
	{"connect with a will topic of wildcards", v5, &packet.Connect{Version: v5, Will: &packet.Will{Topic: "#"}}, "MQTT-3.3.2-2", false},
	{"connect with a long will payload", v5, &packet.Connect{Version: v5, Will: &packet.Will{Topic: "w", Payload: make([]byte, 65536)}}, "the Will Payload has 65536 bytes", false},
	{"connect with a bad user name", v4, &packet.Connect{Version: v4, HasUsername: true, Username: "\xFF"}, "the User Name", false},
	{"connect with a long password", v5, &packet.Connect{Version: v5, HasPassword: true, Password: make([]byte, 65536)}, "the Password has", false},
	{"connect with a password alone", v4, &packet.Connect{Version: v4, HasPassword: true}, "3.1.1 MQTT-3.1.2-22", true},
	{"connect with will properties outside", v5, &packet.Connect{Version: v5,
		Properties: with(func(p *packet.Properties) { p.SetWillDelay(1) })}, "CONNECT may not hold Will Delay Interval", false},
	{"will with connect properties", v5, &packet.Connect{Version: v5, Will: &packet.Will{Topic: "w",
		Properties: with(func(p *packet.Properties) { p.SetSessionExpiry(1) })}}, "Will Properties may not hold Session Expiry Interval", false},
	{"connack with a reason of SUBACK", v5, &packet.Connack{Reason: 0x8F}, "MQTT-3.2.2-8", false},
	{"connack with an undefined reason", v4, &packet.Connack{Reason: 0xFE}, "MQTT-3.2.2-8", false},
	{"connack that refuses a present session", v4, &packet.Connack{Reason: 0x87, SessionPresent: true}, "MQTT-3.2.2-6", false},
	{"connack with maximum QoS 2", v5, &packet.Connack{Properties: with(func(p *packet.Properties) { p.SetMaximumQoS(2) })}, "Maximum QoS is 2", false},
	{"connack with receive maximum 0", v5, &packet.Connack{Properties: with(func(p *packet.Properties) { p.SetReceiveMaximum(0) })}, "Receive Maximum is 0", false},
	{"connack with auth data alone", v5, &packet.Connack{Properties: with(func(p *packet.Properties) { p.SetAuthData(nil) })}, "needs an Authentication Method", false},
	{"publish QoS 3", v5, &packet.Publish{Topic: "t", QoS: 3, ID: 1}, "MQTT-3.3.1-4", false},
	{"publish dup at QoS 0", v5, &packet.Publish{Topic: "t", Dup: true}, "MQTT-3.3.1-2", false},
	{"publish with id at QoS 0", v5, &packet.Publish{Topic: "t", ID: 1}, "MQTT-2.2.1-2", false},
	{"publish without id at QoS 1", v4, &packet.Publish{Topic: "t", QoS: 1}, "MQTT-2.2.1-3", false},
	{"publish without topic", v4, &packet.Publish{}, "MQTT-4.7.3-1", false},
	{"publish without topic", v5, &packet.Publish{}, "MQTT-4.7.3-1", false},
	{"publish with alias only", v4, &packet.Publish{Properties: with(func(p *packet.Properties) { p.SetTopicAlias(1) })}, "MQTT-4.7.3-1", false},
	{"publish with alias 0", v5, &packet.Publish{Topic: "t", Properties: with(func(p *packet.Properties) { p.SetTopicAlias(0) })}, "MQTT-3.3.2-8", false},
	{"publish to a filter", v4, &packet.Publish{Topic: "a/+"}, "MQTT-3.3.2-2", false},
	{"publish with NUL in topic", v4, &packet.Publish{Topic: "a\x00"}, "MQTT-1.5.4-2", false},
	{"publish with payload format 2", v5, &packet.Publish{Topic: "t", Properties: with(func(p *packet.Properties) { p.SetPayloadFormat(2) })}, "Payload Format Indicator is 2", false},
	{"publish with a wildcard in the response topic", v5, &packet.Publish{Topic: "t", Properties: with(func(p *packet.Properties) { p.SetResponseTopic("#") })}, "MQTT-3.3.2-14", false},
	{"publish with a long content type", v5, &packet.Publish{Topic: "t", Properties: with(func(p *packet.Properties) { p.SetContentType(strings.Repeat("x", 65536)) })}, "Content Type has 65536", false},
	{"publish with long correlation data", v5, &packet.Publish{Topic: "t", Properties: with(func(p *packet.Properties) { p.SetCorrelationData(make([]byte, 65536)) })}, "Correlation Data has 65536", false},
	{"publish with reason string", v5, &packet.Publish{Topic: "t", Properties: with(func(p *packet.Properties) { p.SetReasonString("x") })}, "may not hold Reason String", false},
	{"publish with an unknown property", v5, &packet.Publish{Topic: "t", Properties: packet.Properties{Set: 1 << 30}}, "may not hold an unknown property", false},
	{"publish with subscription id 0", v5, &packet.Publish{Topic: "t", Properties: packet.Properties{SubscriptionIDs: []uint32{0}}}, "Subscription Identifier 0", false},
	{"publish with a large subscription id", v5, &packet.Publish{Topic: "t", Properties: packet.Properties{SubscriptionIDs: []uint32{1 << 28}}}, "Subscription Identifier 268435456", false},
	{"publish with a bad user property name", v5, &packet.Publish{Topic: "t", Properties: packet.Properties{User: []packet.UserProperty{{Key: "\x00"}}}}, "name of a User Property", false},
	{"publish with a bad user property value", v5, &packet.Publish{Topic: "t", Properties: packet.Properties{User: []packet.UserProperty{{Value: "\x80"}}}}, "value of a User Property", false},
	{"publish of 256 MiB", v4, &packet.Publish{Topic: "t", Payload: make([]byte, 268_435_455)}, "268435455 are the most", false},
	{"ack of no kind", v5, &packet.Ack{ID: 1}, "not one of the acknowledgements", false},
	{"ack of kind PUBLISH", v5, &packet.Ack{Kind: packet.PUBLISH, ID: 1}, "not one of the acknowledgements", false},
	{"puback id 0", v4, &packet.Ack{Kind: packet.PUBACK}, "MQTT-2.2.1-3", false},
	{"puback too large", v5, &packet.Ack{Kind: packet.PUBACK, ID: 1, Reason: 0x95}, "MQTT-3.4.2-1", false},
	{"puback refusing", v4, &packet.Ack{Kind: packet.PUBACK, ID: 1, Reason: 0x87}, "no negative PUBACK", true},
	{"pubrec refusing", v4, &packet.Ack{Kind: packet.PUBREC, ID: 1, Reason: 0x97}, "no negative PUBREC", true},
	{"puback with content type", v5, &packet.Ack{Kind: packet.PUBACK, ID: 1, Properties: pointer(with(func(p *packet.Properties) { p.SetContentType("") }))}, "PUBACK may not hold Content Type", false},
	{"subscribe id 0", v5, &packet.Subscribe{Subscriptions: []packet.Subscription{{Filter: "a"}}}, "MQTT-2.2.1-3", false},
	{"subscribe to nothing", v5, &packet.Subscribe{ID: 1}, "MQTT-3.8.3-2", false},
	{"subscribe to an empty filter", v5, &packet.Subscribe{ID: 1, Subscriptions: []packet.Subscription{{}}}, "MQTT-4.7.3-1", false},
	{"subscribe QoS 3", v5, &packet.Subscribe{ID: 1, Subscriptions: []packet.Subscription{{Filter: "a", QoS: 3}}}, "Maximum QoS", false},
	{"subscribe retain handling 3", v5, &packet.Subscribe{ID: 1, Subscriptions: []packet.Subscription{{Filter: "a", RetainHandling: 3}}}, "Retain Handling", false},
	{"subscribe no local shared", v5, &packet.Subscribe{ID: 1, Subscriptions: []packet.Subscription{{Filter: "$share/g/a", NoLocal: true}}}, "MQTT-3.8.3-4", false},
	{"subscribe no local", v4, &packet.Subscribe{ID: 1, Subscriptions: []packet.Subscription{{Filter: "a", NoLocal: true}}}, "No Local", true},
	{"subscribe with two ids", v5, &packet.Subscribe{ID: 1, Subscriptions: []packet.Subscription{{Filter: "a"}}, Properties: packet.Properties{SubscriptionIDs: []uint32{1, 2}}}, "one Subscription Identifier", false},
	{"suback without reasons", v5, &packet.Suback{ID: 1}, "MQTT-3.8.4-6", false},
	{"suback with a reason of UNSUBACK", v4, &packet.Suback{ID: 1, Reasons: []packet.ReasonCode{0x11}}, "MQTT-3.9.3-2", false},
	{"suback id 0", v5, &packet.Suback{Reasons: []packet.ReasonCode{0}}, "MQTT-2.2.1-3", false},
	{"suback with subscription id", v5, &packet.Suback{ID: 1, Reasons: []packet.ReasonCode{0}, Properties: packet.Properties{SubscriptionIDs: []uint32{1}}}, "SUBACK may not hold a Subscription Identifier", false},
	{"unsubscribe from nothing", v5, &packet.Unsubscribe{ID: 1}, "MQTT-3.10.3-2", false},
	{"unsubscribe id 0", v4, &packet.Unsubscribe{Filters: []string{"a"}}, "MQTT-2.2.1-3", false},
	{"unsubscribe from an empty filter", v4, &packet.Unsubscribe{ID: 1, Filters: []string{""}}, "MQTT-4.7.3-1", false},
	{"unsuback without reasons", v5, &packet.Unsuback{ID: 1}, "MQTT 5, 3.11.3", false},
	{"unsuback id 0", v4, &packet.Unsuback{}, "MQTT-2.2.1-3", false},
	{"disconnect with a reason", v4, &packet.Disconnect{Reason: packet.ServerShuttingDown}, "0x8B", true},
	{"disconnect with a reason of CONNACK", v5, &packet.Disconnect{Reason: packet.ServerUnavailable}, "MQTT-3.14.2-1", false},
	{"auth", v4, &packet.Auth{}, "no such packet", true},
	{"auth without method", v5, &packet.Auth{Reason: packet.ContinueAuthentication}, "no Authentication Method", false},
	{"auth with a reason of CONNACK", v5, &packet.Auth{Reason: packet.NotAuthorized}, "MQTT-3.15.2-1", false},
}

func TestUnwritable(t *testing.T) {
	t.Parallel()
	for _, u := range unwritable {
		before := []byte("kept")
		b, err := packet.Append(before, u.packet, u.v)
		var e *packet.EncodeError
		if !errors.As(err, &e) || !strings.Contains(err.Error(), u.says) {
			t.Errorf("%s %s: %v, want an EncodeError with %q", u.v, u.name, err, u.says)
			continue
		}
		if errors.Is(err, packet.ErrNotInVersion) != u.notInVersion {
			t.Errorf("%s %s: ErrNotInVersion is %v", u.v, u.name, !u.notInVersion)
		}
		if string(b) != "kept" {
			t.Errorf("%s %s: Append returned %q", u.v, u.name, b)
		}
		if n, err := packet.Size(u.packet, u.v); n != 0 || err == nil {
			t.Errorf("%s %s: Size = %d, %v", u.v, u.name, n, err)
		}
	}
}

// What MQTT 3.1.1 has no field for is left out.
func TestLeftOutIn311(t *testing.T) {
	t.Parallel()
	props := with(func(p *packet.Properties) {
		p.SetReasonString("why")
		p.AddUser("k", "v")
	})
	for _, c := range []struct {
		packet packet.Packet
		want   []byte
	}{
		{&packet.Connack{Reason: packet.Banned, Properties: props}, []byte{0x20, 2, 0, 5}},
		{&packet.Publish{Topic: "t", Payload: []byte("p"), Properties: props}, wire{}.str("t").raw("p").packet(0x30)},
		{&packet.Ack{Kind: packet.PUBACK, ID: 7, Reason: packet.NoMatchingSubscribers, Properties: &props}, []byte{0x40, 2, 0, 7}},
		{&packet.Ack{Kind: packet.PUBCOMP, ID: 7, Reason: packet.PacketIDNotFound}, []byte{0x70, 2, 0, 7}},
		{&packet.Suback{ID: 7, Reasons: []packet.ReasonCode{2, 0x87, 0xA2}, Properties: props}, []byte{0x90, 5, 0, 7, 2, 0x80, 0x80}},
		{&packet.Unsuback{ID: 7, Reasons: []packet.ReasonCode{0x11}, Properties: props}, []byte{0xB0, 2, 0, 7}},
		{&packet.Disconnect{Properties: props}, []byte{0xE0, 0}},
	} {
		b, err := packet.Append(nil, c.packet, packet.V311)
		if err != nil || !slices.Equal(b, c.want) {
			t.Errorf("%+v: %s, %v; want %s", c.packet, show(b), err, show(c.want))
		}
	}
}

// The Remaining Length grows by a byte at these sizes (MQTT 5, table 1-1).
func TestRemainingLengthSteps(t *testing.T) {
	t.Parallel()
	const overhead = 2 + 1 // topic "t"
	for length, digits := range map[int]int{127: 1, 128: 2, 16_383: 2, 16_384: 3, 2_097_151: 3, 2_097_152: 4} {
		p := &packet.Publish{Topic: "t", Payload: make([]byte, length-overhead)}
		b, err := packet.Append(nil, p, packet.V311)
		if err != nil || len(b) != 1+digits+length {
			t.Fatalf("length %d: %d bytes, %v", length, len(b), err)
		}
		h, n, err := packet.ParseHeader(b)
		if err != nil || n != 1+digits || h.Length != length || h.Size() != len(b) {
			t.Fatalf("length %d: %+v after %d bytes, %v", length, h, n, err)
		}
	}
	largest, n, err := packet.ParseHeader([]byte{0x30, 0xFF, 0xFF, 0xFF, 0x7F})
	if err != nil || n != 5 || largest.Size() != packet.MaxPacketSize {
		t.Fatalf("largest header: %+v, %d, %v", largest, n, err)
	}
}

func TestDecodeRefusesATypeThatIsNone(t *testing.T) {
	t.Parallel()
	for _, kind := range []packet.Type{0, 16, 255} {
		p, err := packet.Decode(packet.Header{Type: kind}, nil, packet.V5)
		var refused *packet.Error
		if p != nil || !errors.As(err, &refused) {
			t.Errorf("type %d: %v, %v", kind, p, err)
		}
	}
}
