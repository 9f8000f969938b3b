package frame

import "testing"

var benchPayload = make([]byte, 100)

func benchTransfer() *Transfer {
	return &Transfer{Handle: 3, DeliveryID: Some(uint32(123456)), DeliveryTag: []byte{0, 1, 2, 3}, MessageFormat: Some(uint32(0))}
}

func benchDisposition() *Disposition {
	return &Disposition{Role: RoleReceiver, First: 123456, Last: Some(uint32(123500)), Settled: true, State: &Accepted{}}
}

// The frames that come once or more per message take no memory, neither way.
func TestHotFramesTakeNoMemory(t *testing.T) {
	transfer, disposition := benchTransfer(), benchDisposition()
	flow := &Flow{IncomingWindow: 1, Handle: Some(uint32(1)), LinkCredit: Some(uint32(100))}
	buf := make([]byte, 0, 1024)
	var d Decoder
	for name, p := range map[string]Performative{"transfer": transfer, "disposition": disposition, "flow": flow} {
		var payload []byte
		if p == Performative(transfer) {
			payload = benchPayload
		}
		if n := testing.AllocsPerRun(100, func() {
			frame, err := Append(buf, 1, p, payload)
			if err != nil {
				t.Fatal(err)
			}
			if _, _, err := d.Decode(TypeAMQP, frame[HeaderSize:]); err != nil {
				t.Fatal(err)
			}
		}); n != 0 {
			t.Errorf("%s: %v allocations", name, n)
		}
	}
	payload := make([]byte, 3000)
	if n := testing.AllocsPerRun(100, func() {
		s := NewSplitter(*transfer, payload, 512)
		for !s.Done() {
			if _, err := s.Append(buf, 1); err != nil {
				t.Fatal(err)
			}
		}
	}); n != 0 {
		t.Errorf("splitter: %v allocations", n)
	}
}

func benchmarkEncode(b *testing.B, p Performative, payload []byte) {
	buf := make([]byte, 0, 1024)
	b.ReportAllocs()
	for b.Loop() {
		if _, err := Append(buf, 1, p, payload); err != nil {
			b.Fatal(err)
		}
	}
}

func benchmarkDecode(b *testing.B, p Performative, payload []byte, decode func(uint8, []byte) (Performative, []byte, error)) {
	frame, err := Append(nil, 1, p, payload)
	if err != nil {
		b.Fatal(err)
	}
	b.ReportAllocs()
	for b.Loop() {
		if _, _, err := decode(TypeAMQP, frame[HeaderSize:]); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkEncodeTransfer(b *testing.B)    { benchmarkEncode(b, benchTransfer(), benchPayload) }
func BenchmarkEncodeDisposition(b *testing.B) { benchmarkEncode(b, benchDisposition(), nil) }
func BenchmarkDecodeTransfer(b *testing.B) {
	benchmarkDecode(b, benchTransfer(), benchPayload, new(Decoder).Decode)
}
func BenchmarkDecodeDisposition(b *testing.B) {
	benchmarkDecode(b, benchDisposition(), nil, new(Decoder).Decode)
}
func BenchmarkDecodeTransferNew(b *testing.B) {
	benchmarkDecode(b, benchTransfer(), benchPayload, Decode)
}
func BenchmarkDecodeDispositionNew(b *testing.B) {
	benchmarkDecode(b, benchDisposition(), nil, Decode)
}
