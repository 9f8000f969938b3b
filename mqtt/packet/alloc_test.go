package packet_test

import (
	"bytes"
	"testing"

	"sluice/mqtt/packet"
)

// hot are the packets of the hot path: a PUBLISH QoS 1 with a topic of 32 characters and 100 bytes of payload.
var hot = []struct {
	name   string
	v      packet.Version
	packet *packet.Publish
}{
	{"3.1.1", packet.V311, hotPublish(packet.Properties{})},
	{"5.0", packet.V5, hotPublish(packet.Properties{})},
	{"5.0 with properties", packet.V5, hotPublish(with(func(p *packet.Properties) {
		p.SetContentType("application/json")
		p.SetMessageExpiry(3600)
		p.AddUser("traceparent", "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01")
		p.AddUser("unit", "celsius")
	}))},
}

func hotPublish(p packet.Properties) *packet.Publish {
	return &packet.Publish{
		QoS: 1, ID: 4711, Topic: "plant/7/line/3/machine/12/temp/1", Payload: make([]byte, 100), Properties: p,
	}
}

func hotBytes(t testing.TB, p *packet.Publish, v packet.Version) (packet.Header, []byte) {
	t.Helper()
	b, err := packet.Append(nil, p, v)
	if err != nil {
		t.Fatal(err)
	}
	h, n, err := packet.ParseHeader(b)
	if err != nil {
		t.Fatal(err)
	}
	return h, b[n:]
}

// Invariant I6. Not parallel, because AllocsPerRun counts for the whole process.
func TestPublishWithoutAllocation(t *testing.T) {
	for _, c := range hot {
		h, body := hotBytes(t, c.packet, c.v)
		var p packet.Publish
		if n := testing.AllocsPerRun(100, func() {
			if err := p.Decode(h, body, c.v); err != nil {
				t.Fatal(err)
			}
		}); n != 0 {
			t.Errorf("%s: decoding allocates %v times", c.name, n)
		}
		if d := diff(c.packet, &p); d != "" {
			t.Errorf("%s: decoded again and again (-want +got):\n%s", c.name, d)
		}
		dst := make([]byte, 0, 1024)
		if n := testing.AllocsPerRun(100, func() {
			if _, err := packet.Append(dst, c.packet, c.v); err != nil {
				t.Fatal(err)
			}
		}); n != 0 {
			t.Errorf("%s: encoding allocates %v times", c.name, n)
		}
		if n := testing.AllocsPerRun(100, func() {
			if _, err := packet.Size(c.packet, c.v); err != nil {
				t.Fatal(err)
			}
		}); n != 0 {
			t.Errorf("%s: Size allocates %v times", c.name, n)
		}
	}
}

// Acknowledgements are written as often as messages.
func TestAckWithoutAllocation(t *testing.T) {
	ack := &packet.Ack{Kind: packet.PUBACK, ID: 4711, Reason: packet.NoMatchingSubscribers}
	dst := make([]byte, 0, 64)
	if n := testing.AllocsPerRun(100, func() {
		if _, err := packet.Append(dst, ack, packet.V5); err != nil {
			t.Fatal(err)
		}
	}); n != 0 {
		t.Errorf("encoding a PUBACK allocates %v times", n)
	}
}

// A Publish that is used again keeps nothing of what it held before.
func TestPublishDecodeOverwrites(t *testing.T) {
	t.Parallel()
	var p packet.Publish
	full := goodPublish(t, "publish with all properties")
	for _, c := range []good{full, goodPublish(t, "publish with alias only"), full, goodPublish(t, "publish QoS 0")} {
		h, n, err := packet.ParseHeader(c.bytes)
		if err != nil {
			t.Fatal(err)
		}
		if err := p.Decode(h, c.bytes[n:], c.v); err != nil {
			t.Fatalf("%s: %v", c.name, err)
		}
		if d := diff(c.packet, &p); d != "" {
			t.Fatalf("%s (-want +got):\n%s", c.name, d)
		}
	}
	for _, h := range []packet.Header{{Type: packet.PUBACK}, {Type: packet.PUBLISH, Flags: 6}, {Type: packet.PUBLISH, Length: 1}} {
		if err := p.Decode(h, nil, packet.V5); err == nil {
			t.Errorf("%+v without a body is accepted", h)
		}
	}
}

func goodPublish(t *testing.T, name string) good {
	t.Helper()
	for _, g := range goodPackets {
		if g.name == name {
			return g
		}
	}
	t.Fatalf("no good packet is called %q", name)
	return good{}
}

func BenchmarkPublishDecode(b *testing.B) {
	for _, c := range hot {
		b.Run(c.name, func(b *testing.B) {
			h, body := hotBytes(b, c.packet, c.v)
			var p packet.Publish
			b.ReportAllocs()
			for b.Loop() {
				if err := p.Decode(h, body, c.v); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

func BenchmarkPublishEncode(b *testing.B) {
	for _, c := range hot {
		b.Run(c.name, func(b *testing.B) {
			dst := make([]byte, 0, 1024)
			b.ReportAllocs()
			for b.Loop() {
				if _, err := packet.Append(dst, c.packet, c.v); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

// BenchmarkReadLarge is a PUBLISH of 64 KiB from the stream.
func BenchmarkReadLarge(b *testing.B) {
	p := &packet.Publish{Topic: "plant/7/camera/1", QoS: 1, ID: 7, Payload: make([]byte, 64<<10)}
	encoded, err := packet.Append(nil, p, packet.V5)
	if err != nil {
		b.Fatal(err)
	}
	source := bytes.NewReader(nil)
	r := packet.NewReader(source, packet.MaxPacketSize)
	r.SetVersion(packet.V5)
	b.ReportAllocs()
	for b.Loop() {
		source.Reset(encoded)
		if _, err := r.ReadPacket(); err != nil {
			b.Fatal(err)
		}
	}
}
