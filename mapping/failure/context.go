package failure

import (
	"encoding/binary"
	"encoding/hex"
)

// SpanID is the parent-id of W3C Trace Context: it names one span of a trace. Zero is none.
type SpanID [8]byte

// Context is the trace context of a message: what W3C Trace Context calls traceparent.
type Context struct {
	Trace   Trace
	Span    SpanID
	Sampled bool // whoever made it records its spans, and wants that of others
}

// flagSampled is the one flag of W3C Trace Context, 3.2.2.5.1, that we read.
const flagSampled = 1

// ParseContext reads a traceparent. A span of zero makes it invalid, as a trace of zero does (W3C Trace Context, 3.2.2.4).
func ParseContext(traceparent string) (c Context, ok bool) {
	if c.Trace, ok = traceOf(traceparent); !ok {
		return Context{}, false
	}
	var flags [1]byte
	if !lowerHex(c.Span[:], traceparent[36:52]) || !lowerHex(flags[:], traceparent[53:55]) || c.Span == (SpanID{}) {
		return Context{}, false
	}
	c.Sampled = flags[0]&flagSampled != 0
	return c, true
}

// String is the traceparent, of version 00.
func (c Context) String() string {
	b := make([]byte, 0, 55)
	b = append(b, "00-"...)
	b = hex.AppendEncode(b, c.Trace[:])
	b = append(b, '-')
	b = hex.AppendEncode(b, c.Span[:])
	if c.Sampled {
		return string(append(b, "-01"...))
	}
	return string(append(b, "-00"...))
}

// NextSpan gives the id of a span that no other call gives. It is never zero.
func (t *Traces) NextSpan() SpanID {
	t.count++
	var id SpanID
	binary.BigEndian.PutUint64(id[:], binary.BigEndian.Uint64(t.seed[:8])^t.count)
	if id == (SpanID{}) {
		return t.NextSpan()
	}
	return id
}

// Sample decides for a trace that begins here whether it is recorded: for ratio of all, a number from 0 to 1. Ids of one connection are alike in most of
// their bits, so they are mixed first.
func (t Trace) Sample(ratio float64) bool {
	// The finalizer of SplitMix64 (Steele, Lea, Flood 2014).
	x := binary.BigEndian.Uint64(t[8:])
	x = (x ^ x>>30) * 0xbf58476d1ce4e5b9
	x = (x ^ x>>27) * 0x94d049bb133111eb
	x ^= x >> 31
	return float64(x>>11)/(1<<53) < ratio
}
