package load

import (
	"strings"
	"testing"
)

// book gives the verdict on messages that came in this order, of sent ones, on one track.
func book(t *testing.T, sent uint32, came ...uint32) Verdict {
	t.Helper()
	a := NewArrivals(1, 40)
	for _, seq := range came {
		p := make([]byte, 40)
		putPayload(p, header{seq: seq})
		a.see(-1, p)
	}
	if err := a.failed(); err != nil {
		t.Fatal(err)
	}
	return a.verdict(func(int) uint32 { return sent })
}

func TestVerdict(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name   string
		came   []uint32
		want   Verdict
		faulty [3]bool // at QoS 0, 1, 2
	}{
		{"all", []uint32{0, 1, 2, 3}, Verdict{Sent: 4, Arrived: 4}, [3]bool{}},
		{"one lost in between", []uint32{0, 1, 3}, Verdict{Sent: 4, Arrived: 3, Lost: 1}, [3]bool{false, true, true}},
		{"the first lost", []uint32{1, 2, 3}, Verdict{Sent: 4, Arrived: 3, Lost: 1}, [3]bool{false, true, true}},
		{"the last lost", []uint32{0, 1, 2}, Verdict{Sent: 4, Arrived: 3, Lost: 1}, [3]bool{false, true, true}},
		{"one twice", []uint32{0, 1, 1, 2, 3}, Verdict{Sent: 4, Arrived: 4, Doubled: 1}, [3]bool{true, false, true}},
		{"one late", []uint32{0, 2, 1, 3}, Verdict{Sent: 4, Arrived: 4, Disordered: 1}, [3]bool{true, true, true}},
		{"late and twice", []uint32{0, 2, 1, 1, 3}, Verdict{Sent: 4, Arrived: 4, Disordered: 1, Doubled: 1}, [3]bool{true, true, true}},
		{"nothing", nil, Verdict{Sent: 4, Lost: 4}, [3]bool{true, true, true}},
		{"one that nobody sent", []uint32{0, 1, 2, 3, 4}, Verdict{Sent: 4, Arrived: 5, Lost: -1}, [3]bool{false, true, true}},
	} {
		got := book(t, 4, c.came...)
		if got != c.want {
			t.Errorf("%s: %+v, want %+v", c.name, got, c.want)
		}
		for qos, faulty := range c.faulty {
			if err := got.Check(byte(qos)); (err != nil) != faulty {
				t.Errorf("%s at QoS %d: %v", c.name, qos, err)
			}
		}
	}
}

// More is passed over than is remembered singly: it is lost all the same.
func TestManyLost(t *testing.T) {
	t.Parallel()
	const last = 3 * gapsMax
	if v := book(t, last+1, last); v.Lost != last || v.Arrived != 1 {
		t.Errorf("%+v, want %d lost", v, last)
	}
}

func TestWhatIsNotAMessage(t *testing.T) {
	t.Parallel()
	good := make([]byte, 40)
	putPayload(good, header{stream: 1, seq: 7, due: 12345})
	if h, err := parsePayload(good, 40); err != nil || h != (header{stream: 1, seq: 7, due: 12345}) {
		t.Fatalf("%+v, %v", h, err)
	}
	changed := append([]byte(nil), good...)
	changed[39]++
	for want, p := range map[string][]byte{"bytes came": good[:39], "changed payload": changed, "stream 1 came": good} {
		a := NewArrivals(1, 40)
		a.see(-1, p)
		if err := a.failed(); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%v, want an error with %q", err, want)
		}
	}
}
