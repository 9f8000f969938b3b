package packet_test

import (
	"strings"
	"testing"

	"pgregory.net/rapid"

	"sluice/mqtt/packet"
)

// mustRoundTrip writes p and demands that decoding gives p again (invariants I2 and I3).
func mustRoundTrip(t rapid.TB, p packet.Packet, v packet.Version) {
	t.Helper()
	if c, ok := p.(*packet.Connect); ok {
		v = c.Version
	}
	b, err := packet.Append(nil, p, v)
	if err != nil {
		t.Fatalf("%s %+v cannot be written: %v", v, p, err)
	}
	if size, err := packet.Size(p, v); err != nil || size != len(b) {
		t.Fatalf("Size = %d, %v; Append wrote %d bytes", size, err, len(b))
	}
	if head, payload, err := packet.AppendHead([]byte("before"), p, v); err != nil || string(head)+string(payload) != "before"+string(b) {
		t.Fatalf("head %s and payload %s, %v; Append wrote %s", show(head), show(payload), err, show(b))
	}
	h, n, err := packet.ParseHeader(b)
	if err != nil || n == 0 || h.Size() != len(b) {
		t.Fatalf("header of %s: %+v, %d, %v", show(b), h, n, err)
	}
	got, err := packet.Decode(h, b[n:], v)
	if err != nil {
		t.Fatalf("%s: what was written is refused: %v", show(b), err)
	}
	if d := diff(p, got); d != "" {
		t.Fatalf("%s (-written +decoded):\n%s", show(b), d)
	}
}

func TestRoundTrip(t *testing.T) {
	t.Parallel()
	for _, v := range []packet.Version{packet.V311, packet.V5} {
		for kind := packet.CONNECT; kind <= packet.AUTH; kind++ {
			if kind == packet.AUTH && v == packet.V311 {
				continue
			}
			t.Run(v.String()+" "+kind.String(), func(t *testing.T) {
				t.Parallel()
				rapid.Check(t, func(t *rapid.T) { mustRoundTrip(t, drawPacket(t, kind, v), v) })
			})
		}
	}
}

func drawPacket(t *rapid.T, kind packet.Type, v packet.Version) packet.Packet {
	id := packet.ID(rapid.Uint16Min(1).Draw(t, "id"))
	switch kind {
	case packet.CONNECT:
		return drawConnect(t, v)
	case packet.CONNACK:
		p := &packet.Connack{Reason: drawReason(t, kind), Properties: drawProperties(t, int(kind), v)}
		p.SessionPresent = p.Reason == packet.Success && rapid.Bool().Draw(t, "present")
		if v == packet.V311 {
			p.Reason = rapid.SampledFrom([]packet.ReasonCode{0, 0x84, 0x85, 0x86, 0x87, 0x88}).Draw(t, "code")
			p.SessionPresent = p.SessionPresent && p.Reason == packet.Success
		}
		return p
	case packet.PUBLISH:
		return drawPublish(t, v)
	case packet.PUBACK, packet.PUBREC, packet.PUBREL, packet.PUBCOMP:
		p := &packet.Ack{Kind: kind, ID: id}
		if props := drawProperties(t, int(kind), v); !props.Empty() {
			p.Properties = &props
		}
		if v == packet.V5 {
			p.Reason = drawReason(t, kind)
		}
		return p
	case packet.SUBSCRIBE:
		return &packet.Subscribe{ID: id, Subscriptions: rapid.SliceOfN(rapid.Custom(subscription(v)), 1, 5).Draw(t, "subs"),
			Properties: drawProperties(t, int(kind), v)}
	case packet.SUBACK:
		p := &packet.Suback{ID: id, Reasons: drawReasons(t, kind), Properties: drawProperties(t, int(kind), v)}
		for i := range p.Reasons {
			if v == packet.V311 && p.Reasons[i].Failed() {
				p.Reasons[i] = packet.UnspecifiedError
			}
		}
		return p
	case packet.UNSUBSCRIBE:
		return &packet.Unsubscribe{ID: id, Filters: rapid.SliceOfN(filters, 1, 5).Draw(t, "filters"),
			Properties: drawProperties(t, int(kind), v)}
	case packet.UNSUBACK:
		if v == packet.V311 {
			return &packet.Unsuback{ID: id}
		}
		return &packet.Unsuback{ID: id, Reasons: drawReasons(t, kind), Properties: drawProperties(t, int(kind), v)}
	case packet.PINGREQ:
		return &packet.Pingreq{}
	case packet.PINGRESP:
		return &packet.Pingresp{}
	case packet.DISCONNECT:
		if v == packet.V311 {
			return &packet.Disconnect{}
		}
		return &packet.Disconnect{Reason: drawReason(t, kind), Properties: drawProperties(t, int(kind), v)}
	default:
		p := &packet.Auth{Reason: drawReason(t, kind), Properties: drawProperties(t, int(kind), v)}
		if p.Reason != packet.Success || !p.Properties.Empty() {
			p.Properties.SetAuthMethod(texts.Draw(t, "method"))
		}
		return p
	}
}

var (
	texts = rapid.Custom(func(t *rapid.T) string {
		if rapid.IntRange(0, 99).Draw(t, "long") == 0 {
			return strings.Repeat("x", 65535)
		}
		return strings.ReplaceAll(strings.ToValidUTF8(rapid.String().Draw(t, "text"), ""), "\x00", "")
	})
	filters = rapid.Custom(func(t *rapid.T) string {
		return rapid.SampledFrom([]string{"a", "a/+", "#", "$share/g/x", "/"}).Draw(t, "root") + texts.Filter(short).Draw(t, "rest")
	})
	topics = rapid.Custom(func(t *rapid.T) string {
		return "t" + strings.NewReplacer("+", "", "#", "").Replace(texts.Filter(short).Draw(t, "topic"))
	})
	blobs = rapid.SliceOfN(rapid.Byte(), 0, 40)
)

func short(s string) bool { return len(s) < 60_000 }

func subscription(v packet.Version) func(*rapid.T) packet.Subscription {
	return func(t *rapid.T) packet.Subscription {
		s := packet.Subscription{Filter: filters.Draw(t, "filter"), QoS: packet.QoS(rapid.IntRange(0, 2).Draw(t, "qos"))}
		if v == packet.V5 {
			s.NoLocal = rapid.Bool().Draw(t, "no local") && !strings.HasPrefix(s.Filter, "$share/")
			s.RetainAsPublished = rapid.Bool().Draw(t, "rap")
			s.RetainHandling = byte(rapid.IntRange(0, 2).Draw(t, "handling"))
		}
		return s
	}
}

func drawConnect(t *rapid.T, v packet.Version) packet.Packet {
	p := &packet.Connect{
		Version: v, CleanStart: rapid.Bool().Draw(t, "clean"), KeepAlive: rapid.Uint16().Draw(t, "keep alive"),
		ClientID: texts.Draw(t, "client id"), Properties: drawProperties(t, int(packet.CONNECT), v),
	}
	if rapid.Bool().Draw(t, "will") {
		p.Will = &packet.Will{
			Topic: topics.Draw(t, "will topic"), Payload: blobs.Draw(t, "will payload"), Retain: rapid.Bool().Draw(t, "retain"),
			QoS: packet.QoS(rapid.IntRange(0, 2).Draw(t, "will qos")), Properties: drawProperties(t, inWill, v),
		}
	}
	if p.HasUsername = rapid.Bool().Draw(t, "has user"); p.HasUsername {
		p.Username = texts.Draw(t, "user")
	}
	if p.HasPassword = (v == packet.V5 || p.HasUsername) && rapid.Bool().Draw(t, "has password"); p.HasPassword {
		p.Password = blobs.Draw(t, "password")
	}
	return p
}

func drawPublish(t *rapid.T, v packet.Version) packet.Packet {
	p := &packet.Publish{
		QoS: packet.QoS(rapid.IntRange(0, 2).Draw(t, "qos")), Retain: rapid.Bool().Draw(t, "retain"),
		Topic: topics.Draw(t, "topic"), Payload: blobs.Draw(t, "payload"), Properties: drawProperties(t, int(packet.PUBLISH), v),
	}
	if p.QoS > 0 {
		p.Dup = rapid.Bool().Draw(t, "dup")
		p.ID = packet.ID(rapid.Uint16Min(1).Draw(t, "id"))
	}
	if p.Properties.Has(packet.PropTopicAlias) && rapid.Bool().Draw(t, "alias only") {
		p.Topic = ""
	}
	return p
}

func drawReason(t *rapid.T, kind packet.Type) packet.ReasonCode {
	var legal []packet.ReasonCode
	for r := range 256 {
		if packet.ReasonCode(r).LegalIn(kind) {
			legal = append(legal, packet.ReasonCode(r))
		}
	}
	return rapid.SampledFrom(legal).Draw(t, "reason")
}

func drawReasons(t *rapid.T, kind packet.Type) []packet.ReasonCode {
	return rapid.SliceOfN(rapid.Custom(func(t *rapid.T) packet.ReasonCode { return drawReason(t, kind) }), 1, 5).Draw(t, "reasons")
}

// drawProperties draws each property that may stand there with even chance.
func drawProperties(t *rapid.T, at int, v packet.Version) (p packet.Properties) {
	if v == packet.V311 {
		return p
	}
	for _, row := range propertyTable {
		if row.in[at] && rapid.Bool().Draw(t, row.name) {
			row.draw(t, &p)
		}
	}
	if p.Has(packet.PropAuthData) {
		p.SetAuthMethod("method")
	}
	return p
}
