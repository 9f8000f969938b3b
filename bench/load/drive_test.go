package load

import (
	"context"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"
)

// direct hands each message to the books on the spot, but for what a test wants of it. It stands for server and receiver.
type direct struct {
	books *Arrivals
	size  int
	fan   int
	mu    sync.Mutex // one receiver
	spoil func(stream int, seq uint32) (drop bool)

	answered atomic.Int64
}

func (d *direct) Send(stream int, seq uint32, due int64) error {
	p := make([]byte, d.size)
	putPayload(p, header{stream: uint32(stream), seq: seq, due: due})
	d.mu.Lock()
	defer d.mu.Unlock()
	d.answered.Add(1)
	if d.spoil != nil && d.spoil(stream, seq) {
		return nil
	}
	if d.fan == 1 {
		d.books.see(-1, p)
		return nil
	}
	for i := range d.fan {
		d.books.see(i, p)
	}
	return nil
}

func (d *direct) Flush(int) error        { return nil }
func (d *direct) Answered(_ int64) int64 { return d.answered.Load() }
func (d *direct) Close() error           { return nil }
func newDrive(streams, fan int, qos byte) (*Drive, *direct) {
	tracks := streams
	if fan > 1 {
		tracks = fan
	}
	s := &direct{books: NewArrivals(tracks, 32), size: 32, fan: fan}
	d := &Drive{Sender: s, Arrivals: s.books, Streams: streams, Fan: fan, QoS: qos}
	d.Prepare()
	return d, s
}

func timing(marks *int) Timing {
	return Timing{Warm: 10 * time.Millisecond, Measure: 50 * time.Millisecond, Mark: func() { *marks++ }}
}

// Closed and open runs in turn send and book everything, in order, and each span is marked at both ends.
func TestRuns(t *testing.T) {
	t.Parallel()
	for _, c := range []struct{ streams, fan int }{{1, 1}, {7, 1}, {1, 5}} {
		d, _ := newDrive(c.streams, c.fan, 1)
		marks, runs := 0, 0
		// A span is short, and on a machine that stands still for as long nothing arrives in it.
		run := func(one func() (Span, error)) (s Span) {
			for range 100 {
				var err error
				if s, err = one(); err != nil {
					t.Fatal(err)
				}
				if runs++; s.Arrived > 0 {
					return s
				}
			}
			t.Errorf("%+v: nothing arrived", c)
			return s
		}
		closed := func() (Span, error) { return d.Closed(t.Context(), 3, timing(&marks)) }
		run(closed)
		open := run(func() (Span, error) { return d.Open(t.Context(), 2000, timing(&marks)) })
		run(closed)
		if marks != 2*runs || open.Latency.TotalCount() == 0 || open.Late.TotalCount() == 0 {
			t.Errorf("%+v: %d marks in %d runs, %d measured", c, marks, runs, open.Latency.TotalCount())
		}
		v := d.Verdict()
		if err := v.Check(1); err != nil || v.Doubled != 0 || v.Arrived != v.Sent {
			t.Errorf("%+v: %+v, %v", c, v, err)
		}
	}
}

// slow delivers later, and knows how much was under way at most.
type slow struct {
	direct
	waiting chan func()
	most    atomic.Int64
}

func (s *slow) Send(stream int, seq uint32, due int64) error {
	s.waiting <- func() { _ = s.direct.Send(stream, seq, due) }
	for n := int64(len(s.waiting)); n > s.most.Load(); {
		s.most.Store(n)
	}
	return nil
}

// A closed run has no more under way than its window, and as much.
func TestWindow(t *testing.T) {
	t.Parallel()
	const streams, window = 4, 5
	s := &slow{direct: direct{books: NewArrivals(streams, 32), size: 32, fan: 1}, waiting: make(chan func(), 1000)}
	d := &Drive{Sender: s, Arrivals: s.books, Streams: streams, Fan: 1, QoS: 1}
	d.Prepare()
	stop := make(chan struct{})
	var receiver sync.WaitGroup
	receiver.Go(func() {
		for {
			// It takes what waits only after a while.
			select {
			case <-stop:
				return
			case <-time.After(5 * time.Millisecond):
			}
			for range len(s.waiting) {
				(<-s.waiting)()
			}
		}
	})
	marks := 0
	if _, err := d.Closed(t.Context(), window, timing(&marks)); err != nil {
		t.Fatal(err)
	}
	close(stop)
	receiver.Wait()
	if most := s.most.Load(); most != streams*window {
		t.Errorf("%d messages were under way, want %d", most, streams*window)
	}
	if err := d.Verdict().Check(1); err != nil {
		t.Error(err)
	}
}

// What is lost is found, in either kind of run.
func TestLossIsFound(t *testing.T) {
	t.Parallel()
	d, s := newDrive(3, 1, 0)
	s.spoil = func(stream int, seq uint32) bool { return stream == 1 && seq == 4 }
	marks := 0
	if _, err := d.Closed(t.Context(), 3, timing(&marks)); err != nil {
		t.Fatal(err)
	}
	if v := d.Verdict(); v.Lost != 1 || v.Check(1) == nil {
		t.Errorf("%+v, want one lost", v)
	}
}

// A run that got no answers does not pass.
func TestMissingAnswersFail(t *testing.T) {
	t.Parallel()
	d, s := newDrive(1, 1, 0)
	s.answered.Store(-3)
	marks := 0
	if _, err := d.Open(t.Context(), 1000, timing(&marks)); err == nil || !strings.Contains(err.Error(), "3 of ") {
		t.Errorf("%v, want that 3 have no answer", err)
	}
}

// The latency of what was due while everything stood still counts from when it was due: the promise of an open run.
func TestAPauseCountsForAllThatWasDueInIt(t *testing.T) {
	t.Parallel()
	const pause = 200 * time.Millisecond
	d, s := newDrive(1, 1, 1)
	stopped := false
	s.spoil = func(_ int, seq uint32) bool {
		if seq == 100 && !stopped {
			stopped = true
			<-time.After(pause) // the sender is held up, as by a peer that does not read
		}
		return false
	}
	span, err := d.Open(t.Context(), 1000, Timing{Measure: 500 * time.Millisecond, Mark: func() {}})
	if err != nil {
		t.Fatal(err)
	}
	// A fifth of a second of 1,000 a second: about 200 messages waited, half of them longer than half the pause.
	waited := int64(0)
	for _, b := range span.Latency.Distribution() {
		if b.From >= int64(pause/2) {
			waited += b.Count
		}
	}
	if waited < 80 {
		t.Errorf("only %d messages show that they waited", waited)
	}
	if top := time.Duration(span.Latency.Max()); top < pause {
		t.Errorf("the longest latency is %v, want at least %v", top, pause)
	}
}

// A run ends with its context.
func TestStop(t *testing.T) {
	t.Parallel()
	d, _ := newDrive(1, 1, 1)
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := d.Closed(ctx, 1, Timing{Warm: time.Hour, Measure: time.Hour, Mark: func() {}}); err == nil {
		t.Error("it does not say that it was stopped")
	}
}
