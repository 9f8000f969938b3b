package faults

import (
	"fmt"
	"sync"
	"testing"
	"time"

	"sluice/amqp/message"
	"sluice/gateway/e2e/rig"
	"sluice/mapping"
	"sluice/mqtt/packet"
)

const (
	fleetSize     = 20
	uplinkEvery   = 100 * time.Millisecond // per device, one message of each QoS
	downlinkEvery = 20 * time.Millisecond  // for the fleet, one message
)

// fleet is some devices of both versions under traffic in both directions, and the backend they talk to.
type fleet struct {
	node    *rig.Node
	app     *backend
	prefix  string
	queue   string
	judge   func(*device, answer) string
	devices []*device

	stop    chan struct{} // closed: no new messages
	working sync.WaitGroup

	mu       sync.Mutex
	up       []string               // payloads sent at QoS 1 and 2
	down     map[*device][]sentDown // in the order they were sent
	awaiting int                    // downlink outcomes
	failures []error
}

// sentDown is a message of the backend and what the bus said of it.
type sentDown struct {
	payload string
	outcome message.OutcomeKind
}

func newFleet(n *rig.Node, app *backend) *fleet {
	f := &fleet{node: n, app: app, prefix: rig.Prefix(app.t), stop: make(chan struct{}), down: map[*device][]sentDown{}}
	f.queue = app.queue(f.prefix + "/up/#")
	return f
}

// connect brings the devices on: half of them MQTT 5, each subscribed at QoS 1 or 2, each with a persistent session.
func (f *fleet) connect(t *testing.T) {
	t.Helper()
	for i := range fleetSize {
		v := packet.V5
		if i%2 == 1 {
			v = packet.V311
		}
		name := fmt.Sprintf("%s-%02d", f.prefix, i)
		d := connect(t, f.node.TCP, deviceOptions{name: name, v: v, persistent: true, keepAlive: 60, judge: f.judge})
		if r, err := d.subscribe(f.topic("down", d), downQoS(i)); err != nil || r.Failed() {
			t.Fatalf("device %d: SUBACK %v, %v", i, r, err)
		}
		f.devices = append(f.devices, d)
		go d.keepPinging()
	}
}

// downQoS gives both versions both qualities.
func downQoS(i int) packet.QoS { return packet.QoS(1 + i/2%2) }

func (f *fleet) topic(way string, d *device) string { return f.prefix + "/" + way + "/" + d.name }

func (f *fleet) locked(do func()) {
	f.mu.Lock()
	defer f.mu.Unlock()
	do()
}

// start begins the traffic; it ends with halt.
func (f *fleet) start(t *testing.T) {
	t.Cleanup(func() { // also when the test ends early
		f.halt()
		for _, d := range f.devices {
			d.close()
		}
		f.working.Wait()
	})
	for _, d := range f.devices {
		f.working.Go(func() { f.publish(d) })
	}
	f.working.Go(f.send)
}

func (f *fleet) halt() {
	f.locked(func() {
		select {
		case <-f.stop:
		default:
			close(f.stop)
		}
	})
}

// through runs traffic, an outage under traffic, and traffic again; then it checks everything.
func (f *fleet) through(t *testing.T, fail, heal func()) {
	t.Helper()
	through(t, []*fleet{f}, outage, fail, heal)
}

// through is the same for several fleets at a time.
func through(t *testing.T, fleets []*fleet, away time.Duration, fail, heal func()) {
	t.Helper()
	for _, f := range fleets {
		f.start(t)
	}
	for _, f := range fleets {
		f.flows(t, 200)
	}
	fail()
	wait(time.Now().Add(away))
	heal()
	for _, f := range fleets {
		f.flows(t, 400)
	}
	for _, f := range fleets {
		f.halt()
		f.working.Wait()
		f.check(t)
	}
}

// flows waits for more uplink messages to be acknowledged, and a tenth as many downlink messages to be accepted.
func (f *fleet) flows(t *testing.T, more int) {
	t.Helper()
	up, down := f.progress()
	rig.Within(t, deviceLife/2, "messages flow", func() error {
		for _, d := range f.devices {
			if left, err := d.ended(); err != nil {
				t.Fatalf("device %s lost its connection: %v, %+v", d.name, err, left)
			}
		}
		if nowUp, nowDown := f.progress(); nowUp < up+more || nowDown < down+more/10 {
			return fmt.Errorf("%d of %d up, %d of %d down", nowUp-up, more, nowDown-down, more/10)
		}
		return nil
	})
}

// progress counts the uplink messages that were acknowledged and the downlink messages that the bus accepted.
func (f *fleet) progress() (up, down int) {
	for _, d := range f.devices {
		up += len(d.allAnswers())
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	for _, sent := range f.down {
		for _, s := range sent {
			if s.outcome == message.Accepted {
				down++
			}
		}
	}
	return up, down
}

// publish sends messages of every QoS until stop. While the bus is away the window fills and it waits.
func (f *fleet) publish(d *device) {
	tick := time.NewTicker(uplinkEvery)
	defer tick.Stop()
	for n := 0; ; n++ {
		select {
		case <-tick.C:
		case <-f.stop:
			return
		}
		for qos := packet.QoS(0); qos <= 2; qos++ {
			p := streamPayload(d.name, qos, n)
			if qos > 0 {
				f.locked(func() { f.up = append(f.up, p) })
			}
			if err := d.publish(f.topic("up", d), p, qos); err != nil {
				f.locked(func() { f.failures = append(f.failures, fmt.Errorf("%s: %w", d.name, err)) })
				return
			}
		}
	}
}

// send has the backend send to the devices in turn until stop.
func (f *fleet) send() {
	tick := time.NewTicker(downlinkEvery)
	defer tick.Stop()
	for n := 0; ; n++ {
		select {
		case <-tick.C:
		case <-f.stop:
			return
		}
		d := f.devices[n%len(f.devices)]
		payload := fmt.Sprintf("%s down %06d", d.name, n)
		var at int
		f.locked(func() {
			at = len(f.down[d])
			f.down[d] = append(f.down[d], sentDown{payload: payload})
			f.awaiting++
		})
		f.app.client.Publish(0, rig.Message(mapping.RabbitMQ, f.topic("down", d), []byte(payload), 2), false, func(o message.Outcome) {
			f.locked(func() {
				f.down[d][at].outcome = o.Kind
				f.awaiting--
			})
		})
	}
}

// check demands that nothing is lost, at either end; that duplicates are flagged towards the backend and unknown to the devices; that the order
// is kept; and that no device noticed anything.
func (f *fleet) check(t *testing.T) {
	t.Helper()
	for _, d := range f.devices {
		d.settled(t)
		d.expectAlive(t)
		d.expectAnswersInOrder(t)
	}
	f.locked(func() {
		for _, err := range f.failures {
			t.Error(err)
		}
	})
	f.app.ready()
	c := f.app.consume(f.queue)
	c.expect(t, f.up)
	rig.Eventually(t, "the backend knows what became of its messages", func() error {
		f.mu.Lock()
		defer f.mu.Unlock()
		if f.awaiting > 0 {
			return fmt.Errorf("%d outcomes are awaited", f.awaiting)
		}
		return nil
	})
	accepted := 0
	for _, d := range f.devices {
		for qos := packet.QoS(1); qos <= 2; qos++ {
			c.expectOrder(t, streamPrefix(d.name, qos))
		}
		accepted += d.expectMessages(t, f.down[d])
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	t.Logf("%d messages up, %d of them twice (flagged); %d down", len(f.up), len(c.again), accepted)
}

// expectMessages demands that a device got what the bus accepted for it, in order, and nothing twice. What the backend was not told about may
// have come too.
func (d *device) expectMessages(t *testing.T, sent []sentDown) (accepted int) {
	t.Helper()
	rig.Eventually(t, "all messages are at "+d.name, func() error {
		at := map[string]bool{}
		for _, p := range d.messages() {
			at[string(p.Payload)] = true
		}
		accepted = 0
		for _, s := range sent {
			if s.outcome != message.Accepted {
				continue
			}
			accepted++
			if !at[s.payload] {
				return fmt.Errorf("%q is missing", s.payload)
			}
		}
		return nil
	})
	last := ""
	for _, p := range d.messages() {
		if string(p.Payload) <= last {
			t.Errorf("%s: %q (QoS %d, DUP %t) came after %q", d.name, p.Payload, p.QoS, p.Dup, last)
			break
		}
		last = string(p.Payload)
	}
	return accepted
}
