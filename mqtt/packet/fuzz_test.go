package packet_test

import (
	"bytes"
	"errors"
	"io"
	"testing"

	"sluice/mqtt/packet"
)

func FuzzDecodeV311(f *testing.F) { fuzzDecode(f, packet.V311) }

func FuzzDecodeV5(f *testing.F) { fuzzDecode(f, packet.V5) }

// fuzzDecode: no panic, each refusal is an *Error that can be sent, and what is accepted can be written and decodes to the
// same packet. The first byte of the input is the first byte of the packet, the rest its body.
func fuzzDecode(f *testing.F, v packet.Version) {
	for _, g := range goodPackets {
		h, n, err := packet.ParseHeader(g.bytes)
		if err != nil || h.Size() != len(g.bytes) {
			f.Fatal(g.name, err)
		}
		f.Add(g.bytes[0], g.bytes[n:])
	}
	f.Fuzz(func(t *testing.T, first byte, body []byte) {
		h := packet.Header{Type: packet.Type(first >> 4), Flags: first & 0x0F, Length: len(body)}
		p, err := packet.Decode(h, body, v)
		if err != nil {
			var refused *packet.Error
			if !errors.As(err, &refused) || p != nil {
				t.Fatalf("%v, %v", p, err)
			}
			checkRefusal(t, refused, h.Type)
			return
		}
		if p.Type() != h.Type {
			t.Fatalf("%s decoded as %s", h.Type, p.Type())
		}
		mustRoundTrip(t, p, v)
	})
}

// FuzzReader: whatever the stream holds, the Reader ends with an error that tells its cause, keeps to the limit, and reads
// the same packets however the bytes are cut.
func FuzzReader(f *testing.F) {
	for _, v := range []packet.Version{packet.V311, packet.V5} {
		var stream []byte
		for _, g := range goodPackets {
			if g.v == v {
				f.Add(g.bytes)
				stream = append(stream, g.bytes...)
			}
		}
		f.Add(stream)
	}
	for _, b := range badHeaders {
		f.Add(b.bytes)
	}
	const limit = 4096
	f.Fuzz(func(t *testing.T, stream []byte) {
		whole := readAll(t, bytes.NewReader(stream), limit)
		cut := readAll(t, oneByOne{bytes.NewReader(stream)}, limit)
		if len(whole) != len(cut) {
			t.Fatalf("%d packets at once, %d byte by byte", len(whole), len(cut))
		}
		for i := range whole {
			if d := diff(whole[i], cut[i]); d != "" {
				t.Fatalf("packet %d (-at once +byte by byte):\n%s", i, d)
			}
		}
	})
}

type oneByOne struct{ r io.Reader }

func (o oneByOne) Read(p []byte) (int, error) { return o.r.Read(p[:1]) }

func readAll(t *testing.T, r io.Reader, limit int) []packet.Packet {
	t.Helper()
	reader := packet.NewReader(r, limit)
	version := packet.Version(0)
	var got []packet.Packet
	for {
		p, err := reader.ReadPacket()
		if err != nil {
			var refused *packet.Error
			if !errors.Is(err, io.EOF) && !errors.Is(err, io.ErrUnexpectedEOF) && !errors.As(err, &refused) {
				t.Fatalf("the Reader made up %v", err)
			}
			return got
		}
		if c, ok := p.(*packet.Connect); ok {
			version = c.Version
		}
		if size, err := packet.Size(p, version); err != nil || size > limit {
			t.Fatalf("%+v: %d bytes under a limit of %d, %v", p, size, limit, err)
		}
		got = append(got, p)
	}
}
