package crowd

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/HdrHistogram/hdrhistogram-go"

	"sluice/bench/load"
	"sluice/mqtt/packet"
)

// Job is what a crowd does: connect, subscribe, and then carry a steady load in both directions, each device in its turn, with pings on all connections.
type Job struct {
	// Server is the address of MQTT over TCP, with the user's name and password, if it wants them.
	Server, Username, Password string
	// Bus is the URL of the bus, Queue the address of the queue that gets what is published below UpPrefix(Name).
	Bus, Queue string
	// Name is a topic level that nothing else uses, and what the devices' client identifiers begin with.
	Name string
	// Devices is how many there are, First the number of the first among those of all crowds: it gives the source addresses.
	Devices, First int
	// OneIn of so many devices subscribes to its own topic at QoS 1, the others at QoS 0.
	OneIn int
	// Rate is messages a second in each direction, at QoS 1, Size their payloads in bytes.
	Rate float64
	Size int
	// KeepAlive is that of CONNECT. Each device pings twice in it, whether messages pass or not.
	KeepAlive time.Duration
	// Warm and Hold are how long the load goes on: what was sent in Warm is checked, but its latency is not measured.
	Warm, Hold time.Duration
}

// UpPrefix is the topic below which the devices of the job with this name publish.
func UpPrefix(name string) string { return name + "/up" }

// Connected is said when all devices are connected and subscribed.
type Connected struct{ Took time.Duration }

// Flow is what became of the messages of one direction.
type Flow struct {
	Sent, Arrived, Lost, Doubled int64
	// P50, P99 and Late (p99 of the generator behind its timetable) are from the moment a message was due.
	P50, P99, Late time.Duration
}

// Result is said when the load has ended, all messages have arrived and every connection has answered a ping.
type Result struct{ Up, Down Flow }

// members are the devices of a crowd with their books.
type members struct {
	fleet    load.Fleet
	consumer *load.Consumer
	up, down *load.Drive
}

// gather connects everything.
func gather(ctx context.Context, j Job) (m *members, said Connected, err error) {
	m = &members{
		up:   &load.Drive{Arrivals: load.NewArrivals(j.Devices, j.Size), Streams: j.Devices, Fan: 1, QoS: 1},
		down: &load.Drive{Arrivals: load.NewArrivals(j.Devices, j.Size), Streams: j.Devices, Fan: 1, QoS: 1},
	}
	m.up.Prepare()
	m.down.Prepare()
	defer func() {
		if err != nil {
			err = errors.Join(err, m.close())
		}
	}()
	began := time.Now()
	down := func(i int) string { return fmt.Sprintf("%s/down/%d", j.Name, i) }
	// Each one is started as soon as it is there: it has its keep alive to keep while the others still come.
	m.fleet, err = load.Muster(ctx, j.Devices, func(i int) load.Options {
		return load.Options{
			Address: j.Server, Username: j.Username, Password: j.Password, ClientID: fmt.Sprintf("%s-%d", j.Name, i), KeepAlive: j.KeepAlive,
			Source: load.Loopback(j.First + i),
		}
	}, func(i int, d *load.Device) error {
		qos := packet.QoS(0)
		if i%j.OneIn == 0 {
			qos = 1
		}
		if err := d.Subscribe(qos, down(i)); err != nil {
			return err
		}
		d.Start(m.down.Arrivals, i)
		return nil
	})
	if err != nil {
		return m, said, err
	}
	said.Took = time.Since(began)
	if m.consumer, err = load.Consume(ctx, j.Bus, j.Queue, m.up.Arrivals); err != nil {
		return m, said, err
	}
	m.up.Sender = m.fleet.Publishers(1, j.Size, func(i int) string { return fmt.Sprintf("%s/%d", UpPrefix(j.Name), i) })
	producer, err := load.OpenProducer(ctx, load.ProducerOptions{
		URL: j.Bus, Links: 1, QoS: 1, Size: j.Size, Address: func(i int) string { return load.TopicAddress(down(i)) },
	}, m.down.Arrivals)
	if err == nil {
		m.down.Sender = producer
	}
	return m, said, err
}

// hold carries the load, and proves at the end that every connection is still there. What goes wrong in one direction ends all.
func (m *members) hold(ctx context.Context, j Job) (r Result, err error) {
	ctx, fail := context.WithCancelCause(ctx)
	defer fail(nil)
	var loads sync.WaitGroup
	spans := make([]load.Span, 2)
	for i, d := range []*load.Drive{m.up, m.down} {
		loads.Go(func() {
			span, err := d.Open(ctx, j.Rate, load.Timing{Warm: j.Warm, Measure: j.Hold, Mark: func() {}})
			if err != nil {
				fail(err)
			}
			spans[i] = span
		})
	}
	loads.Wait()
	if err := context.Cause(ctx); err != nil {
		return r, err
	}
	if err := m.fleet.PingAll(ctx); err != nil {
		return r, err
	}
	// The books are read when nobody writes in them any more.
	if err := m.close(); err != nil {
		return r, err
	}
	up, upErr := flow(m.up, spans[0])
	down, downErr := flow(m.down, spans[1])
	return Result{Up: up, Down: down}, errors.Join(upErr, downErr)
}

func flow(d *load.Drive, span load.Span) (Flow, error) {
	v := d.Verdict()
	at := func(h *hdrhistogram.Histogram, q float64) time.Duration { return time.Duration(h.ValueAtQuantile(q)) }
	return Flow{
		Sent: v.Sent, Arrived: v.Arrived, Lost: v.Lost, Doubled: v.Doubled,
		P50: at(span.Latency, 50), P99: at(span.Latency, 99), Late: at(span.Late, 99),
	}, v.Check(d.QoS)
}

// close ends senders and receivers that there are.
func (m *members) close() (err error) {
	if p := m.down.Sender; p != nil {
		err = p.Close()
	}
	m.fleet.Close()
	if m.consumer != nil {
		m.consumer.Close()
	}
	*m = members{up: m.up, down: m.down}
	m.down.Sender = nil
	return err
}
