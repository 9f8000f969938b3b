package section

import (
	"bytes"
	"testing"

	"github.com/Azure/go-amqp"
	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"sluice/amqp/message"
)

func FuzzMessage(f *testing.F) {
	for _, s := range []string{hexHeader + hexDelivery + hexAnnotations + hexProperties + hexApplication + hexData + hexData + hexFooter,
		hexLongHeader + hexSequence, hexSymbolHeader + hexValue, hexValue,
		// go-amqp 1.7.0 panics on these two.
		"005372 c10c02 a3016b c10602 00 5301 45 41", "005377 c10602 00 5301 45 41",
		// These hold more kinds of values.
		"005377 c01902 e00502a1 016100 98 00000000000000000000000000000000", "005374 c10902 a1016b c10302 45 41",
	} {
		f.Add(unhex(f, s))
	}
	f.Fuzz(func(t *testing.T, in []byte) {
		s, err := Parse(in)
		m, merr := DecodeMessage(in)
		if (err == nil) != (merr == nil) {
			t.Fatalf("Parse: %v, DecodeMessage: %v", err, merr)
		}
		if err != nil {
			return
		}
		// What we let through must not stop a consumer that uses go-amqp: it may refuse, but not panic.
		var peer amqp.Message
		_ = peer.UnmarshalBinary(in)

		again, err := Parse(s.Append(nil))
		if err != nil {
			t.Fatalf("what we wrote is refused: %v", err)
		}
		if diff := cmp.Diff(s, again); diff != "" {
			t.Fatal(diff)
		}
		if !bytes.HasSuffix(in, append(bytes.Clone(s.Bare), s.Footer...)) {
			t.Fatal("the bare message is not what came")
		}
		checkConversion(t, m)
	})
}

// checkConversion writes m and reads it again. A message with an Opaque in it cannot be written, which is no defect.
func checkConversion(t *testing.T, m *message.Message) {
	encoded, err := EncodeMessage(m)
	if err != nil {
		return
	}
	back, err := DecodeMessage(encoded)
	if err != nil {
		t.Fatalf("what we wrote is refused: %v", err)
	}
	if len(m.Data)+len(m.Sequence) == 0 && !m.HasValue {
		m.Data = [][]byte{{}} // a message without a body is written with an empty one
	}
	if diff := cmp.Diff(m, back, cmpopts.EquateNaNs(), cmpopts.EquateEmpty()); diff != "" {
		t.Fatal(diff)
	}
}
