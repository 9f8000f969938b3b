package load

import (
	"context"
	"errors"
	"fmt"
	"runtime"
	"sync"
	"sync/atomic"
	"time"

	"github.com/HdrHistogram/hdrhistogram-go"
	"golang.org/x/sys/unix"
)

// Sender sends messages of numbered streams.
type Sender interface {
	// Send takes message seq of stream, due on clock. It waits only where the sender has no other way to be bounded.
	Send(stream int, seq uint32, due int64) error
	// Flush writes what Send took.
	Flush(stream int) error
	// Answered is how many of sent messages the other end has confirmed.
	Answered(sent int64) int64
	// Close ends the sender.
	Close() error
}

// Drive sends on the streams of one Sender to one set of receivers. Runs follow each other; the numbers of the messages go on.
type Drive struct {
	Sender   Sender
	Arrivals *Arrivals
	Streams  int
	Fan      int // receivers of each message
	QoS      byte

	streams []streamState
	ready   chan int     // streams with room, in a closed run
	room    atomic.Int64 // messages of a stream that may be under way, in a closed run; 0 in an open one
	closing atomic.Bool
}

type streamState struct {
	sent    atomic.Int64
	arrived atomic.Int64 // at all receivers, and given up for lost
	queued  atomic.Bool  // it is in ready, or being sent from
	_       [40]byte     // no two streams share a cache line
}

// Span is what is measured of a run, between the warm-up and the end of sending.
type Span struct {
	Elapsed time.Duration
	Arrived int64
	// Latency is from the moment a message was due to its arrival, in nanoseconds; Late is how far the generator itself was behind. Nil in a closed run.
	Latency, Late *hdrhistogram.Histogram
}

// Rate is what arrived per second.
func (s Span) Rate() float64 { return float64(s.Arrived) / s.Elapsed.Seconds() }

// Timing divides a run. Mark is called at the beginning and at the end of the span.
type Timing struct {
	Warm, Measure time.Duration
	Mark          func()
}

func (d *Drive) begin() {
	if d.streams == nil {
		d.streams = make([]streamState, d.Streams)
		d.ready = make(chan int, d.Streams)
		d.Arrivals.arrived = d.arrived
	}
}

// Prepare is to be called before the receivers start.
func (d *Drive) Prepare() { d.begin() }

// arrived makes room in a closed run. It is on every receiver's path.
func (d *Drive) arrived(stream int) {
	s := &d.streams[stream]
	s.arrived.Add(1)
	if d.room.Load() > 0 {
		d.offer(stream)
	}
}

func (d *Drive) hasRoom(s *streamState) bool {
	return s.sent.Load()*int64(d.Fan)-s.arrived.Load() <= (d.room.Load()-1)*int64(d.Fan)
}

func (d *Drive) offer(stream int) {
	s := &d.streams[stream]
	if !d.closing.Load() && d.hasRoom(s) && s.queued.CompareAndSwap(false, true) {
		d.ready <- stream // it has room for each stream
	}
}

// Closed keeps window messages of each stream under way and finds how many arrive.
func (d *Drive) Closed(ctx context.Context, window int, t Timing) (Span, error) {
	d.room.Store(int64(window))
	d.closing.Store(false)
	stop := make(chan struct{})
	var workers sync.WaitGroup
	for range sendWorkers {
		workers.Go(func() { d.work(stop) })
	}
	for i := range d.streams {
		d.offer(i)
	}
	span, err := d.span(ctx, t, d.forgive)
	d.closing.Store(true)
	close(stop)
	workers.Wait()
	d.empty()
	return span, errors.Join(err, d.drain(ctx))
}

func (d *Drive) work(stop chan struct{}) {
	for {
		select {
		case <-stop:
			return
		case i := <-d.ready:
			s := &d.streams[i]
			for d.hasRoom(s) && !d.closing.Load() {
				if err := d.Sender.Send(i, uint32(s.sent.Add(1)-1), clock()); err != nil {
					d.Arrivals.fail(err)
					return
				}
			}
			if err := d.Sender.Flush(i); err != nil {
				d.Arrivals.fail(err)
				return
			}
			// Only now may another worker have the stream; what arrived meanwhile was not offered.
			s.queued.Store(false)
			d.offer(i)
		}
	}
}

// empty takes back what no worker took.
func (d *Drive) empty() {
	for {
		select {
		case i := <-d.ready:
			d.streams[i].queued.Store(false)
		default:
			return
		}
	}
}

// forgive lets a closed run at QoS 0 go on when messages were lost: a stream without an arrival since the last look gets its room back.
func (d *Drive) forgive(last []int64) {
	if d.QoS > 0 {
		return
	}
	for i := range d.streams {
		s := &d.streams[i]
		arrived := s.arrived.Load()
		if missing := s.sent.Load()*int64(d.Fan) - arrived; missing > 0 && arrived == last[i] {
			s.arrived.Add(missing)
			d.offer(i)
		}
		last[i] = s.arrived.Load()
	}
}

// span waits for the warm-up and the measured time. look is called about twice a second.
func (d *Drive) span(ctx context.Context, t Timing, look func(last []int64)) (Span, error) {
	last := make([]int64, len(d.streams))
	if err := d.sit(ctx, t.Warm, last, look); err != nil {
		return Span{}, err
	}
	t.Mark()
	began, before := time.Now(), d.Arrivals.total.Load()
	err := d.sit(ctx, t.Measure, last, look)
	span := Span{Elapsed: time.Since(began), Arrived: d.Arrivals.total.Load() - before}
	t.Mark()
	return span, err
}

func (d *Drive) sit(ctx context.Context, wait time.Duration, last []int64, look func([]int64)) error {
	const every = 500 * time.Millisecond
	for end := time.Now().Add(wait); ; {
		rest := time.Until(end)
		if rest <= 0 {
			return d.Arrivals.failed()
		}
		select {
		case <-ctx.Done():
			return errStopped
		case <-time.After(min(rest, every)):
		}
		if rest > every {
			look(last)
		}
		if err := d.Arrivals.failed(); err != nil {
			return err
		}
	}
}

// Open sends rate messages a second, whatever comes back.
func (d *Drive) Open(ctx context.Context, rate float64, t Timing) (Span, error) {
	d.room.Store(0)
	var stop atomic.Bool
	start := clock() + int64(10*time.Millisecond)
	from := start + int64(t.Warm)
	d.Arrivals.from.Store(from)
	d.Arrivals.until.Store(from + int64(t.Measure))
	for i := range d.Arrivals.recorders {
		d.Arrivals.recorders[i].h.Reset()
	}
	late := newHistogram()
	done := make(chan error, 1)
	go func() { done <- d.pace(&stop, start, rate, from, late) }()
	span, err := d.span(ctx, t, func([]int64) {})
	stop.Store(true)
	err = errors.Join(err, <-done, d.drain(ctx))
	span.Latency, span.Late = d.Arrivals.latencies(), late
	return span, err
}

// pace sends by the timetable from a thread of its own: Go's timers are no finer than a millisecond when nothing else goes on.
func (d *Drive) pace(stop *atomic.Bool, start int64, rate float64, from int64, late *hdrhistogram.Histogram) error {
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	_ = unix.Prctl(unix.PR_SET_TIMERSLACK, 1, 0, 0, 0)
	for i := int64(0); !stop.Load(); i++ {
		due := start + int64(float64(i)/rate*float64(time.Second))
		now := clock()
		for ; now < due; now = clock() {
			if stop.Load() {
				return nil
			}
			pause := unix.NsecToTimespec(min(due-now, int64(10*time.Millisecond)))
			_ = unix.Nanosleep(&pause, nil)
		}
		if due >= from {
			_ = late.RecordValue(min(now-due, int64(histogramMax)))
		}
		stream := int(i) % d.Streams
		s := &d.streams[stream]
		if err := d.Sender.Send(stream, uint32(s.sent.Add(1)-1), due); err != nil {
			return err
		}
		if err := d.Sender.Flush(stream); err != nil {
			return err
		}
	}
	return nil
}

// drain waits until everything sent has arrived and has its answer, or nothing more comes.
func (d *Drive) drain(ctx context.Context) error {
	sent := int64(0)
	for i := range d.streams {
		sent += d.streams[i].sent.Load()
	}
	quiet, most, seen := time.Now(), time.Now().Add(drainMax), int64(-1)
	for {
		if err := d.Arrivals.failed(); err != nil {
			return err
		}
		arrived, answered := d.Arrivals.total.Load(), d.Sender.Answered(sent)
		if arrived >= sent*int64(d.Fan) && answered >= sent {
			return nil
		}
		if now := time.Now(); arrived+answered != seen {
			quiet, seen = now, arrived+answered
		} else if now.Sub(quiet) > d.patience() || now.After(most) {
			if answered < sent {
				return fmt.Errorf("%d of %d messages have no answer after %v", sent-answered, sent, now.Sub(quiet).Round(time.Millisecond))
			}
			return nil // the verdict tells what is lost
		}
		select {
		case <-ctx.Done():
			return errStopped
		case <-time.After(pollPause):
		}
	}
}

// patience: at QoS 0 a lost message is nothing strange.
func (d *Drive) patience() time.Duration {
	if d.QoS == 0 {
		return quietWait / 10
	}
	return quietWait
}

// Verdict is what became of all messages of all runs. The receivers must have ended.
func (d *Drive) Verdict() Verdict {
	return d.Arrivals.verdict(func(track int) uint32 {
		if d.Fan > 1 {
			track = 0
		}
		return uint32(d.streams[track].sent.Load())
	})
}
