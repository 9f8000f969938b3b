package load

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"syscall"

	"sluice/mqtt/packet"
)

// Fleet is a number of devices on the same server.
type Fleet []*Device

// DialFleet connects n devices, a bounded number at a time. options gives those of each.
func DialFleet(ctx context.Context, n int, options func(i int) Options) (Fleet, error) {
	return Muster(ctx, n, options, func(int, *Device) error { return nil })
}

// Muster is DialFleet that calls ready with each device as soon as it is connected.
func Muster(ctx context.Context, n int, options func(i int) Options, ready func(i int, d *Device) error) (Fleet, error) {
	if err := enoughFiles(n); err != nil {
		return nil, err
	}
	f := make(Fleet, n)
	err := each(n, dialsAtOnce, func(i int) (err error) {
		if f[i], err = Dial(ctx, options(i)); err != nil {
			return err
		}
		return ready(i, f[i])
	})
	if err != nil {
		f.Close()
		return nil, err
	}
	return f, nil
}

// each runs do for 0 to n-1, atOnce at a time, and gives the first error.
func each(n, atOnce int, do func(i int) error) error {
	var next atomic.Int64
	var workers sync.WaitGroup
	faults := make(chan error, atOnce)
	for range min(n, atOnce) {
		workers.Go(func() {
			for i := int(next.Add(1)) - 1; i < n; i = int(next.Add(1)) - 1 {
				if err := do(i); err != nil {
					faults <- err
					return
				}
			}
		})
	}
	workers.Wait()
	close(faults)
	return <-faults
}

// enoughFiles raises the soft limit of open files as far as it goes and says if that is not enough for n connections.
func enoughFiles(n int) error {
	const others = 500 // of the program itself: binaries, pipes, connections to the bus
	var limit syscall.Rlimit
	if err := syscall.Getrlimit(syscall.RLIMIT_NOFILE, &limit); err != nil {
		return err
	}
	if uint64(n+others) <= limit.Max {
		limit.Cur = limit.Max
		return syscall.Setrlimit(syscall.RLIMIT_NOFILE, &limit)
	}
	return fmt.Errorf("%d connections need more open files than this process may have (%d): raise the limit with ulimit -n", n, limit.Max)
}

// Each runs do for every device, as many at a time as are connected at a time.
func (f Fleet) Each(do func(i int, d *Device) error) error { return f.Few(dialsAtOnce, do) }

// Few is Each with so many at a time.
func (f Fleet) Few(atOnce int, do func(i int, d *Device) error) error {
	return each(len(f), atOnce, func(i int) error { return do(i, f[i]) })
}

// Close says DISCONNECT on all connections.
func (f Fleet) Close() { f.all((*Device).Close) }

// End is Close that ends persistent sessions too.
func (f Fleet) End() { f.all((*Device).End) }

// Drop breaks all connections.
func (f Fleet) Drop() { f.all((*Device).Drop) }

func (f Fleet) all(do func(*Device)) {
	_ = f.Each(func(_ int, d *Device) error {
		if d != nil {
			do(d)
		}
		return nil
	})
}

// Publishers makes the fleet a Sender: stream i is device i on topic(i).
func (f Fleet) Publishers(qos packet.QoS, size int, topic func(i int) string) Sender {
	for i, d := range f {
		d.prepare(topic(i), qos, size)
	}
	return publishers{f, qos}
}

type publishers struct {
	fleet Fleet
	qos   packet.QoS
}

func (p publishers) Send(stream int, seq uint32, due int64) error {
	return p.fleet[stream].send(stream, seq, due)
}
func (p publishers) Flush(stream int) error { return p.fleet[stream].flush() }

// Answered implements Sender. QoS 0 has no answers, so that nothing is missing.
func (p publishers) Answered(sent int64) int64 {
	if p.qos == 0 {
		return sent
	}
	total := int64(0)
	for _, d := range p.fleet {
		total += d.answered.Load()
	}
	return total
}

func (p publishers) Close() error { p.fleet.Close(); return nil }

var errStopped = errors.New("load: the run was stopped")
