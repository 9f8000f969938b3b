package load

import (
	"errors"
	"fmt"
	"sync"
	"sync/atomic"

	"github.com/HdrHistogram/hdrhistogram-go"
)

// Arrivals are the books of the receiving end. A track is what one receiver gets of one stream: the messages 0, 1, 2 and so on, each once, in order.
// Each track belongs to one goroutine; the totals may be read from any.
type Arrivals struct {
	size   int
	tracks []track
	total  atomic.Int64
	// arrived is called for each message that is not a double. It must not block.
	arrived func(stream int)

	// Only messages due between from and until are measured, in nanoseconds on clock.
	from, until atomic.Int64
	recorders   [recorders]recorder

	mu    sync.Mutex
	fault error
}

type track struct {
	next       uint32
	gaps       map[uint32]struct{} // passed over, and may still come
	untold     uint32              // passed over beyond gapsMax
	doubled    uint32
	disordered uint32
}

type recorder struct {
	mu sync.Mutex
	h  *hdrhistogram.Histogram
	_  [64]byte // two recorders do not share a cache line
}

// NewArrivals opens the books for so many tracks of payloads of size bytes.
func NewArrivals(tracks, size int) *Arrivals {
	a := &Arrivals{size: size, tracks: make([]track, tracks), arrived: func(int) {}}
	for i := range a.recorders {
		a.recorders[i].h = newHistogram()
	}
	return a
}

func newHistogram() *hdrhistogram.Histogram {
	return hdrhistogram.New(1, int64(histogramMax), histogramDigits)
}

// see books one payload on the track of its stream, or on the given one if that is not negative.
func (a *Arrivals) see(onTrack int, payload []byte) {
	h, err := parsePayload(payload, a.size)
	if onTrack < 0 {
		onTrack = int(h.stream)
	}
	if err == nil && onTrack >= len(a.tracks) {
		err = fmt.Errorf("a message of stream %d came, there are %d", h.stream, len(a.tracks))
	}
	if err != nil {
		a.fail(err)
		return
	}
	if !a.tracks[onTrack].see(h.seq) {
		return
	}
	a.total.Add(1)
	if h.due >= a.from.Load() && h.due < a.until.Load() {
		r := &a.recorders[onTrack%recorders]
		r.mu.Lock()
		_ = r.h.RecordValue(min(clock()-h.due, int64(histogramMax)))
		r.mu.Unlock()
	}
	a.arrived(int(h.stream))
}

// see reports whether the message is one that had not come yet.
func (t *track) see(seq uint32) bool {
	switch {
	case seq == t.next:
		t.next++
	case seq > t.next:
		for ; t.next < seq; t.next++ {
			t.pass(t.next)
		}
		t.next++
	default:
		if _, late := t.gaps[seq]; !late {
			t.doubled++
			return false
		}
		delete(t.gaps, seq)
		t.disordered++
	}
	return true
}

func (t *track) pass(seq uint32) {
	if len(t.gaps) == gapsMax {
		t.untold++
		return
	}
	if t.gaps == nil {
		t.gaps = map[uint32]struct{}{}
	}
	t.gaps[seq] = struct{}{}
}

func (a *Arrivals) fail(err error) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.fault == nil {
		a.fault = err
	}
}

// failed is the first thing that should not have come.
func (a *Arrivals) failed() error {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.fault
}

// Verdict is what became of the messages of a run.
type Verdict struct {
	Sent, Arrived, Lost, Doubled, Disordered int64
}

// verdict compares what came with sent messages on each track. The receivers have stopped.
func (a *Arrivals) verdict(sent func(track int) uint32) (v Verdict) {
	for i := range a.tracks {
		t, n := &a.tracks[i], sent(i)
		v.Sent += int64(n)
		v.Lost += int64(n) - int64(t.next) + int64(len(t.gaps)) + int64(t.untold)
		v.Doubled += int64(t.doubled)
		v.Disordered += int64(t.disordered)
	}
	v.Arrived = a.total.Load()
	return v
}

// Check says what is wrong with a run at qos. Nothing may be out of order or changed; QoS 1 may bring a message twice; QoS 0 may lose some, which the
// results tell.
func (v Verdict) Check(qos byte) error {
	var faults []error
	if qos > 0 && v.Lost != 0 {
		faults = append(faults, fmt.Errorf("%d of %d messages are lost", v.Lost, v.Sent))
	}
	if qos != 1 && v.Doubled > 0 {
		faults = append(faults, fmt.Errorf("%d messages came twice", v.Doubled))
	}
	if v.Disordered > 0 {
		faults = append(faults, fmt.Errorf("%d messages came after a later one", v.Disordered))
	}
	if v.Arrived == 0 {
		faults = append(faults, errors.New("nothing arrived"))
	}
	return errors.Join(faults...)
}

// latencies merges what was recorded.
func (a *Arrivals) latencies() *hdrhistogram.Histogram {
	all := newHistogram()
	for i := range a.recorders {
		r := &a.recorders[i]
		r.mu.Lock()
		all.Merge(r.h)
		r.mu.Unlock()
	}
	return all
}
