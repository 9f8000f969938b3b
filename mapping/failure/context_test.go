package failure_test

import (
	"testing"

	"sluice/mapping/failure"
)

func TestContextRoundTrip(t *testing.T) {
	for _, text := range []string{
		"00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01",
		"00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-00",
	} {
		c, ok := failure.ParseContext(text)
		if !ok || c.String() != text || c.Sampled != (text[54] == '1') {
			t.Errorf("%s becomes %s, %v", text, c, ok)
		}
	}
	for _, text := range []string{
		"", "00-4bf92f3577b34da6a3ce929d0e0e4736-0000000000000000-01", "00-4bf92f3577b34da6a3ce929d0e0e4736-00F067aa0ba902b7-01",
		"00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-0g", "00-00000000000000000000000000000000-00f067aa0ba902b7-01",
	} {
		if c, ok := failure.ParseContext(text); ok {
			t.Errorf("%q is taken for %s", text, c)
		}
	}
}

// One connection's traces are sampled one by one, although their ids are nearly the same.
func TestSampleWithinOneConnection(t *testing.T) {
	const n = 100_000
	traces := failure.NewTraces([16]byte{1, 9: 7})
	kept, spans := 0, map[failure.SpanID]bool{}
	for range n {
		if traces.Next().Sample(0.1) {
			kept++
		}
		spans[traces.NextSpan()] = true
	}
	if kept < n*9/100 || kept > n*11/100 {
		t.Errorf("%d of %d are sampled, want about a tenth", kept, n)
	}
	if len(spans) != n {
		t.Errorf("%d ids for %d spans", len(spans), n)
	}
	if id := traces.Next(); id.Sample(0) || !id.Sample(1) {
		t.Error("0 is none and 1 is all")
	}
}
