package frame

import (
	"bytes"
	"runtime"
	"testing"
)

// growth is how many bytes of memory a byte of input may cost, and floor what a frame may cost at least. An empty map in a list is the
// dearest: 3 bytes become a slice header and a slot.
const (
	growth = 64
	floor  = 64 << 10
)

func FuzzFrame(f *testing.F) {
	for _, s := range samples {
		frame, err := appendAny(nil, s)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(frame)
	}
	f.Add(AppendHeartbeat(nil))
	f.Fuzz(func(t *testing.T, in []byte) {
		h, err := ParseHeader(in, 1<<20)
		if err != nil || int(h.Size) > len(in) {
			return
		}
		body := in[h.BodyOffset():h.Size]
		var before, after runtime.MemStats
		measured := len(body) > 1<<10 // reading the statistics stops the world: only where much could be taken
		if measured {
			runtime.ReadMemStats(&before)
		}
		p, payload, err := Decode(h.Type, body)
		if measured {
			runtime.ReadMemStats(&after)
			if taken := after.TotalAlloc - before.TotalAlloc; taken > uint64(floor+growth*len(body)) {
				t.Fatalf("%d bytes of memory for a body of %d", taken, len(body))
			}
		}
		if err != nil || p == nil {
			return
		}
		first := encodeAgain(t, h, p, payload)
		again, payload2, err := Decode(h.Type, first[HeaderSize:])
		if err != nil {
			t.Fatalf("what we wrote is refused: %v", err)
		}
		if !bytes.Equal(payload, payload2) {
			t.Fatal("the payload changed")
		}
		if second := encodeAgain(t, h, again, payload2); !bytes.Equal(first, second) {
			t.Fatalf("unstable:\n%x\n%x", first, second)
		}
	})
}

func encodeAgain(t *testing.T, h Header, p Performative, payload []byte) []byte {
	out, err := appendFrame(nil, h.Type, h.Channel, p, payload)
	if err != nil {
		t.Fatalf("%T cannot be written again: %v", p, err)
	}
	return out
}
