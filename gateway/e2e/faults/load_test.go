package faults

import (
	"fmt"
	"os"
	"strconv"
	"sync"
	"testing"
	"time"

	"sluice/amqp"
	"sluice/gateway/e2e/rig"
)

const (
	loadDevices = 2000
	loadRate    = 1000 // messages per second, all devices together
	loadWorkers = 40   // each publishes for its share of the devices
	// loadSeconds is how long it takes in every run of the tests; envLoadSeconds makes it longer.
	loadSeconds    = 10
	envLoadSeconds = "SLUICE_LOAD_SECONDS"
	envLoadRate    = "SLUICE_LOAD_RATE"
)

// Two thousand devices publish at QoS 1 through two nodes into RabbitMQ: what was acknowledged arrives, once and in order, and memory does not
// grow.
func TestLoad(t *testing.T) {
	seconds, rate := fromEnv(t, envLoadSeconds, loadSeconds), fromEnv(t, envLoadRate, loadRate)
	prefix := rig.Prefix(t)
	first, second := rig.Pair(t, rig.Real(t))
	app := openBackend(t, rig.Env(t, rig.EnvRabbitMQ))
	count := countLoad(t, app, app.queue(prefix+"/#"))
	devices := dialAll(t, prefix, []*rig.Node{first, second})

	began, sent := time.Now(), uint64(0)
	var heaps, resident [3]int64
	for i := range heaps {
		sent = loadFor(t, devices, rate, time.Duration(seconds)*time.Second/3)
		rig.Eventually(t, "everything is at the backend", func() error {
			if arrived, _, _ := count.count(); arrived < sent {
				return fmt.Errorf("%d of %d", arrived, sent)
			}
			return nil
		})
		heaps[i], resident[i] = heap(), rss(t)
	}
	took := time.Since(began)
	arrived, duplicates, faults := count.count()
	t.Logf("%d devices, %d messages in %v (%.0f/s), %d flagged duplicates; heap %s MiB, process %s MiB, at 1/3, 2/3 and the end",
		len(devices), arrived, took.Round(time.Millisecond), float64(arrived)/took.Seconds(), duplicates, inMiB(heaps), inMiB(resident))
	for _, f := range faults {
		t.Error(f)
	}
	if arrived != sent || duplicates > 0 {
		t.Errorf("%d were sent, %d arrived and %d more came twice", sent, arrived, duplicates)
	}
	if float64(heaps[2]) > 1.2*float64(heaps[0]) {
		t.Errorf("the heap grew from %d to %d bytes between a third and the end", heaps[0], heaps[2])
	}
}

// loadFor publishes for so long, and until half of what was asked for is acknowledged: a loaded machine may need longer. Then it waits until nothing is
// under way, so that the heap can be compared, and gives how many messages were sent since the devices are there.
func loadFor(t *testing.T, devices []*loadDevice, rate int, long time.Duration) (sent uint64) {
	t.Helper()
	l := &load{devices: devices, stop: make(chan struct{})}
	least := acknowledged(devices) + uint64(float64(rate)*long.Seconds()/2)
	until := time.Now().Add(long)
	l.start(rate)
	end := sync.OnceFunc(func() { close(l.stop); l.working.Wait() })
	defer end()
	wait(until)
	rig.Within(t, deviceLife/2, "there is some load", func() error {
		if n := acknowledged(devices); n < least {
			return fmt.Errorf("%d messages are acknowledged, %d is the least", n, least)
		}
		return nil
	})
	end()
	if l.err != nil {
		t.Fatal(l.err)
	}
	return expectAllAcknowledged(t, devices)
}

// acknowledged counts the messages with a PUBACK.
func acknowledged(devices []*loadDevice) (n uint64) {
	for _, d := range devices {
		n += d.acknowledged.Load()
	}
	return n
}

func fromEnv(t *testing.T, name string, otherwise int) int {
	t.Helper()
	s := os.Getenv(name)
	if s == "" {
		return otherwise
	}
	n, err := strconv.Atoi(s)
	if err != nil || n < 1 {
		t.Fatalf("%s is %q; it is to be a positive number", name, s)
	}
	return n
}

func wait(until time.Time) {
	timer := time.NewTimer(time.Until(until))
	defer timer.Stop()
	<-timer.C
}

func inMiB(bytes [3]int64) string {
	return fmt.Sprintf("%.1f / %.1f / %.1f", float64(bytes[0])/mib, float64(bytes[1])/mib, float64(bytes[2])/mib)
}

func countLoad(t *testing.T, app *backend, queue string) *loadCount {
	t.Helper()
	c := &loadCount{next: make([]uint32, loadDevices)}
	c.mu.Lock()
	c.receiver = app.client.Attach(amqp.Source{Inbox: queue, Credit: 1000}, c)
	c.mu.Unlock()
	t.Cleanup(func() {
		if err := c.receiver.Close(rig.Context(t)); err != nil {
			t.Errorf("closing the backend's consumer: %v", err)
		}
	})
	return c
}

// dialAll connects the devices, half to each node, some at a time.
func dialAll(t *testing.T, prefix string, nodes []*rig.Node) []*loadDevice {
	t.Helper()
	devices := make([]*loadDevice, loadDevices)
	errs := make(chan error, loadWorkers)
	var dialing sync.WaitGroup
	for w := range loadWorkers {
		dialing.Go(func() {
			for i := w; i < loadDevices; i += loadWorkers {
				name := fmt.Sprintf("%s-%04d", prefix, i)
				d, err := dialLoad(nodes[i%len(nodes)].TCP, name, prefix+"/"+name, i)
				if err != nil {
					errs <- err
					return
				}
				devices[i] = d
			}
		})
	}
	dialing.Wait()
	t.Cleanup(func() {
		for _, d := range devices {
			if d != nil {
				d.close()
			}
		}
	})
	select {
	case err := <-errs:
		t.Fatal(err)
	default:
	}
	return devices
}

// load is the publishing.
type load struct {
	devices []*loadDevice
	stop    chan struct{}
	working sync.WaitGroup

	mu  sync.Mutex
	err error
}

// start has each worker publish for its devices in turn, at its share of the rate.
func (l *load) start(rate int) {
	for w := range loadWorkers {
		l.working.Go(func() {
			tick := time.NewTicker(time.Second * loadWorkers / time.Duration(rate))
			defer tick.Stop()
			for i := w; ; i = (i + loadWorkers) % len(l.devices) {
				select {
				case <-tick.C:
				case <-l.stop:
					return
				}
				if err := l.devices[i].publish(); err != nil {
					l.mu.Lock()
					l.err = fmt.Errorf("device %d: %w", i, err)
					l.mu.Unlock()
					return
				}
			}
		})
	}
}

// expectAllAcknowledged waits until every message is acknowledged, and gives their number.
func expectAllAcknowledged(t *testing.T, devices []*loadDevice) (sent uint64) {
	t.Helper()
	rig.Eventually(t, "every message is acknowledged", func() error {
		sent = 0
		var acknowledged uint64
		for i, d := range devices {
			select {
			case err := <-d.failed:
				t.Fatalf("device %d lost its connection: %v", i, err)
			default:
			}
			if n := d.refused.Load(); n > 0 {
				t.Fatalf("device %d got %d answers other than success", i, n)
			}
			sent += uint64(d.sent)
			acknowledged += d.acknowledged.Load()
		}
		if acknowledged < sent {
			return fmt.Errorf("%d of %d", acknowledged, sent)
		}
		return nil
	})
	return sent
}
