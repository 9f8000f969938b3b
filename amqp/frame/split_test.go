package frame

import (
	"bytes"
	"testing"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"
)

// What a receiver puts together from the frames is the payload, and no frame is larger than the limit.
func TestSplitter(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		first := *genTransfer(t)
		first.More = false
		first.State = nil
		// Drawn as a length: long slices of drawn bytes are rare, and short ones fit one frame.
		payload := make([]byte, rapid.SampledFrom([]int{0, 1, 400, 511, 512, 513, 1000, 1024, 3000, 5000}).Draw(t, "length"))
		for i := range payload {
			payload[i] = byte(i * 7)
		}
		limit := rapid.SampledFrom([]uint32{0, 511, 512, 513, 1024, 4000, 1<<32 - 1}).Draw(t, "max-frame-size")
		s := NewSplitter(first, payload, limit)
		var got []byte
		for n := 0; !s.Done(); n++ {
			frame, err := s.Append(nil, 9)
			if err != nil {
				t.Fatal(err)
			}
			h, err := ParseHeader(frame, max(limit, MinMaxFrameSize))
			if err != nil || int(h.Size) != len(frame) || h.Channel != 9 {
				t.Fatalf("%+v, %v", h, err)
			}
			p, part, err := Decode(h.Type, frame[h.BodyOffset():])
			if err != nil {
				t.Fatal(err)
			}
			got = append(got, part...)
			want := first
			if n > 0 {
				want = Transfer{Handle: first.Handle, Settled: first.Settled, Batchable: first.Batchable}
			}
			want.More = !s.Done()
			if diff := cmp.Diff(&want, p); diff != "" {
				t.Fatalf("frame %d: %s", n, diff)
			}
			if want.More && h.Size != max(limit, MinMaxFrameSize) {
				t.Fatalf("frame %d has %d bytes although others follow", n, h.Size)
			}
		}
		if !bytes.Equal(got, payload) {
			t.Fatal("the payload came out different")
		}
	})
}

func TestSplitterRefusesFieldsThatFillTheFrame(t *testing.T) {
	state := &Rejected{Error: &Error{Condition: "x", Description: string(make([]byte, 600))}}
	s := NewSplitter(Transfer{State: state}, []byte("payload"), 512)
	if out, err := s.Append([]byte{1}, 0); err == nil || len(out) != 1 {
		t.Errorf("%x, %v", out, err)
	}
	s = NewSplitter(Transfer{State: state}, nil, 512)
	if out, err := s.Append([]byte{1}, 0); err == nil || len(out) != 1 {
		t.Errorf("without a payload: %x, %v", out, err)
	}
}
