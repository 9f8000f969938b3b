package suite

import (
	"context"
	"errors"
	"fmt"

	"sluice/bench/load"
	"sluice/mqtt/packet"
)

// shape is what a contender has to carry.
type shape struct {
	devices int
	size    int // of a payload, in bytes
	qos     byte
	secure  bool // TLS between device and server
}

func (s shape) String() string {
	text := fmt.Sprintf("QoS %d, %s, %s", s.qos, count(s.devices, "device"), size(s.size))
	if s.secure {
		text += ", TLS"
	}
	return text
}

func count(n int, what string) string {
	if n == 1 {
		return "1 " + what
	}
	if n >= 1000 {
		return fmt.Sprintf("%d,%03d %ss", n/1000, n%1000, what)
	}
	return fmt.Sprintf("%d %ss", n, what)
}

func size(bytes int) string {
	if bytes >= 1024 && bytes%1024 == 0 {
		return fmt.Sprintf("%d KiB", bytes/1024)
	}
	return fmt.Sprintf("%d B", bytes)
}

// unwind collects what is to be undone, and undoes it if opening fails on the way.
type unwind struct{ steps []func() error }

func (u *unwind) add(f func() error) { u.steps = append(u.steps, f) }

func (u *unwind) run() (err error) {
	for i := len(u.steps) - 1; i >= 0; i-- {
		err = errors.Join(err, u.steps[i]())
	}
	u.steps = nil
	return err
}

// uplink is devices that publish through server, and a consumer on the bus. The devices are spread over the servers.
func (l *Lab) uplink(s shape, servers ...server) func(context.Context) (*setup, error) {
	return func(ctx context.Context) (*setup, error) {
		return l.toConsumer(ctx, s, func(name string, books *load.Arrivals, undo *unwind) (load.Sender, error) {
			fleet, err := l.dial(ctx, s, name, servers)
			if err != nil {
				return nil, err
			}
			undo.add(func() error { fleet.Close(); return nil })
			sender := fleet.Publishers(packet.QoS(s.qos), s.size, func(i int) string { return fmt.Sprintf("%s/%d", name, i) })
			for i, d := range fleet {
				d.Start(books, i)
			}
			return sender, nil
		})
	}
}

// bare is the ceiling: AMQP to the same queue and the same consumer.
func (l *Lab) bare(s shape) func(context.Context) (*setup, error) {
	return func(ctx context.Context) (*setup, error) {
		return l.toConsumer(ctx, s, func(name string, books *load.Arrivals, undo *unwind) (load.Sender, error) {
			return l.producer(ctx, s, func(i int) string { return fmt.Sprintf("%s/%d", name, i) }, books, undo)
		})
	}
}

func (l *Lab) producer(ctx context.Context, s shape, topic func(i int) string, books *load.Arrivals, undo *unwind) (load.Sender, error) {
	p, err := load.OpenProducer(ctx, load.ProducerOptions{
		URL: l.busURL, Links: min(producerLinks, s.devices), QoS: s.qos, Size: s.size, Address: func(i int) string { return load.TopicAddress(topic(i)) },
	}, books)
	if err != nil {
		return nil, err
	}
	undo.add(p.Close)
	return p, nil
}

func (l *Lab) toConsumer(ctx context.Context, s shape, open func(name string, books *load.Arrivals, undo *unwind) (load.Sender, error)) (_ *setup, err error) {
	name := l.name()
	queue, remove, err := l.queue(ctx, name, name)
	if err != nil {
		return nil, err
	}
	undo := &unwind{}
	defer func() {
		if err != nil {
			err = errors.Join(err, undo.run(), remove())
		}
	}()
	books := load.NewArrivals(s.devices, s.size)
	d := &load.Drive{Arrivals: books, Streams: s.devices, Fan: 1, QoS: s.qos}
	d.Prepare()
	consumer, err := load.Consume(ctx, l.busURL, queue, books)
	if err != nil {
		return nil, err
	}
	undo.add(func() error { consumer.Close(); return nil })
	if d.Sender, err = open(name, books, undo); err != nil {
		return nil, err
	}
	return &setup{drive: d, close: undo.run, cleanUp: []func() error{remove}}, nil
}

func (l *Lab) dial(ctx context.Context, s shape, name string, servers []server) (load.Fleet, error) {
	return load.DialFleet(ctx, s.devices, func(i int) load.Options {
		return l.device(servers[i%len(servers)], fmt.Sprintf("%s-%d", name, i), s.secure, nil)
	})
}

// downlink is a backend that sends to each device's own topic, or with fan to one topic that all of them subscribe to.
func (l *Lab) downlink(s shape, fan bool, servers ...server) func(context.Context) (*setup, error) {
	return func(ctx context.Context) (_ *setup, err error) {
		name := l.name()
		undo := &unwind{}
		defer func() {
			if err != nil {
				err = errors.Join(err, undo.run())
			}
		}()
		d := &load.Drive{Arrivals: load.NewArrivals(s.devices, s.size), Streams: s.devices, Fan: 1, QoS: s.qos}
		topic := func(i int) string { return fmt.Sprintf("%s/%d", name, i) }
		if fan {
			d.Streams, d.Fan = 1, s.devices
			topic = func(int) string { return name + "/all" }
		}
		d.Prepare()
		fleet, err := l.dial(ctx, s, name, servers)
		if err != nil {
			return nil, err
		}
		undo.add(func() error { fleet.Close(); return nil })
		if err := fleet.Each(func(i int, device *load.Device) error { return device.Subscribe(packet.QoS(s.qos), topic(i)) }); err != nil {
			return nil, err
		}
		for i, device := range fleet {
			device.Start(d.Arrivals, i)
		}
		if d.Sender, err = l.producer(ctx, s, topic, d.Arrivals, undo); err != nil {
			return nil, err
		}
		return &setup{drive: d, close: undo.run}, nil
	}
}
