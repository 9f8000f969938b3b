package packet_test

import (
	"bytes"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"sluice/mqtt/packet"
)

// What is prepared once is, for each version, what the packet would be each time, and says so of its size.
func TestPreparedIsWhatAppendWrites(t *testing.T) {
	t.Parallel()
	for _, written := range []packet.Version{packet.V311, packet.V5} { // what the packet holds that 3.1.1 has no place for is left out there
		rapid.Check(t, func(t *rapid.T) {
			p := drawPacket(t, packet.PUBLISH, written).(*packet.Publish)
			ready := packet.Prepare(p)
			before := []byte("before")
			for _, v := range []packet.Version{packet.V311, packet.V5} {
				want, wantErr := packet.Append(before, p, v)
				got, err := packet.Append(before, ready, v)
				if (err == nil) != (wantErr == nil) || !bytes.Equal(got, want) {
					t.Fatalf("%s: prepared %s, %v; each for itself %s, %v", v, show(got), err, show(want), wantErr)
				}
				head, payload, err := packet.AppendHead(before, ready, v)
				if both := append(head, payload...); !bytes.Equal(both, want) || (err == nil) != (wantErr == nil) {
					t.Fatalf("%s: head and payload are %s, %v; together %s", v, show(both), err, show(want))
				}
				if size, err := packet.Size(ready, v); err == nil && size != len(want)-len(before) || (err == nil) != (wantErr == nil) {
					t.Fatalf("%s: Size = %d, %v, not %d", v, size, err, len(want)-len(before))
				}
			}
		})
	}
}

// A packet that one version cannot write is prepared for the other.
func TestPreparedForOneVersionOnly(t *testing.T) {
	t.Parallel()
	p := &packet.Publish{Topic: "t", Payload: []byte("x")}
	p.Properties.SetContentType(strings.Repeat("x", 70_000))
	ready := packet.Prepare(p)
	if _, err := packet.Append(nil, ready, packet.V5); err == nil {
		t.Error("5.0: a property of 70,000 bytes is written")
	}
	if b, err := packet.Append(nil, ready, packet.V311); err != nil || len(b) != 2+2+1+1 {
		t.Errorf("3.1.1: %s, %v", show(b), err)
	}
	if _, err := packet.Append(nil, ready, 0); err == nil {
		t.Error("it is written in no version")
	}
	if ready.Type() != packet.PUBLISH || ready.Publish() != p {
		t.Errorf("it is %s of %+v", ready.Type(), ready.Publish())
	}
}

func TestPreparedWithoutAllocation(t *testing.T) {
	for _, c := range hot {
		ready, dst := packet.Prepare(c.packet), make([]byte, 0, 1024)
		if n := testing.AllocsPerRun(100, func() { dst, _ = packet.Append(dst[:0], ready, c.v) }); n != 0 {
			t.Errorf("%s: %v allocations", c.name, n)
		}
	}
}

// BenchmarkPreparedEncode is BenchmarkPublishEncode for a packet that is sent to many.
func BenchmarkPreparedEncode(b *testing.B) {
	for _, c := range hot {
		b.Run(c.name, func(b *testing.B) {
			ready, dst := packet.Prepare(c.packet), make([]byte, 0, 1024)
			b.ReportAllocs()
			for b.Loop() {
				dst, _ = packet.Append(dst[:0], ready, c.v)
			}
		})
	}
}
