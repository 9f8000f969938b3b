package failure

import (
	"encoding/binary"
	"encoding/hex"
)

// Trace is the id that everything told of one failure carries: a trace-id of W3C Trace Context. It is never zero.
type Trace [16]byte

// String gives 32 hexadecimal digits in lower case.
func (t Trace) String() string { return hex.EncodeToString(t[:]) }

// Traces makes the ids of one connection from a random seed, so that pure code needs no randomness.
type Traces struct {
	seed  [16]byte
	count uint64
}

// NewTraces takes 16 random bytes.
func NewTraces(seed [16]byte) Traces { return Traces{seed: seed} }

// Next gives an id that no other call gives.
func (t *Traces) Next() Trace {
	t.count++
	id := Trace(t.seed)
	low := binary.BigEndian.Uint64(id[8:])
	binary.BigEndian.PutUint64(id[8:], low^t.count)
	if id == (Trace{}) {
		return t.Next()
	}
	return id
}

// Of gives the trace of the message that failed, if its traceparent names one, else a new one.
func (t *Traces) Of(traceparent string) Trace {
	if id, ok := traceOf(traceparent); ok {
		return id
	}
	return t.Next()
}

// Traceparent is the name of the User Property, as in HTTP (W3C Trace Context, 3.2).
const Traceparent = "traceparent"

// traceOf reads the trace-id of a traceparent: "00-<32 digits>-<16 digits>-<2 digits>", of a later version perhaps with more behind it.
func traceOf(v string) (id Trace, ok bool) {
	if len(v) < 55 || v[2] != '-' || v[35] != '-' || v[52] != '-' || v[:2] == "ff" || v[:2] == "00" && len(v) > 55 {
		return Trace{}, false
	}
	return id, lowerHex(id[:], v[3:35]) && id != Trace{}
}

// lowerHex decodes hexadecimal digits. Those in upper case are not allowed.
func lowerHex(dst []byte, digits string) bool {
	for _, c := range []byte(digits) {
		if '0' > c || c > '9' && 'a' > c || c > 'f' {
			return false
		}
	}
	_, err := hex.Decode(dst, []byte(digits))
	return err == nil
}
