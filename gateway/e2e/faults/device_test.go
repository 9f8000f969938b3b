package faults

import (
	"errors"
	"fmt"
	"net"
	"slices"
	"sync"
	"testing"
	"time"

	"sluice/amqp/message"
	"sluice/gateway/e2e/rig"
	"sluice/mqtt/packet"
)

var accepted = message.Outcome{Kind: message.Accepted}

const (
	// deviceLife bounds a device's connection, and so every wait for it.
	deviceLife = 3 * time.Minute
	// pingEvery is how often a device asks whether the node is there; pingLimit how long an answer may take while parts fail. It is well below
	// any keep-alive and above what a machine busy with other tests needs.
	pingEvery = 200 * time.Millisecond
	pingLimit = 15 * time.Second
)

// device is a light MQTT client with a reader of its own: it publishes with a window, completes every exchange as the standard says, answers
// what it receives, pings, and notes everything. Unlike mqtttest.Device it may be used in any number and from any goroutine; it never fails
// a test by itself.
type device struct {
	deviceOptions
	conn net.Conn
	done chan struct{} // closed when the connection has ended

	writing sync.Mutex

	mu       sync.Mutex
	changed  sync.Cond
	nextID   packet.ID
	open     []*exchange // begun and not complete, oldest first
	answers  []answer    // PUBACK and PUBREC, as they came
	received []*packet.Publish
	holding  map[packet.ID]bool // QoS 2 from the node: PUBREC sent, PUBREL awaited
	suback   *packet.Suback
	connack  *packet.Connack
	left     *packet.Disconnect
	end      error
	lies     []string // what the oracle said

	pinged  time.Time // when the ping under way was sent; zero: none is
	slowest time.Duration
	pings   int
}

type deviceOptions struct {
	name       string
	v          packet.Version
	persistent bool
	window     int    // exchanges under way from the device; default 20
	receiveMax uint16 // towards the device; zero leaves it out
	keepAlive  uint16 // seconds; zero is none
	// judge is asked at every PUBACK and PUBREC whether it may be; see oracle.
	judge func(d *device, a answer) string
}

// exchange is a PUBLISH of the device that is not complete.
type exchange struct {
	publish *packet.Publish
	payload string
	taken   bool // PUBREC came
}

// answer is a PUBACK or PUBREC.
type answer struct {
	payload string
	qos     packet.QoS
	reason  packet.ReasonCode
}

// connect makes a device and opens its session; a refusal fails the test.
func connect(t *testing.T, address string, o deviceOptions) *device {
	t.Helper()
	d, err := dial(address, o)
	if err != nil {
		t.Fatalf("device %s: %v", o.name, err)
	}
	t.Cleanup(d.close)
	if d.connack.Reason != packet.Success {
		t.Fatalf("device %s: CONNACK %v", o.name, d.connack.Reason)
	}
	return d
}

// dial connects and returns once CONNACK has come.
func dial(address string, o deviceOptions) (*device, error) {
	conn, err := net.Dial("tcp", address)
	if err != nil {
		return nil, err
	}
	if o.window == 0 {
		o.window = 20
	}
	d := &device{deviceOptions: o, conn: conn, done: make(chan struct{}), holding: map[packet.ID]bool{}}
	d.changed.L = &d.mu
	_ = conn.SetDeadline(time.Now().Add(deviceLife))
	c := &packet.Connect{Version: o.v, ClientID: o.name, CleanStart: !o.persistent, KeepAlive: o.keepAlive}
	if o.v == packet.V5 {
		if o.persistent {
			c.Properties.SetSessionExpiry(600)
		}
		if o.receiveMax > 0 {
			c.Properties.SetReceiveMaximum(o.receiveMax)
		}
	}
	go d.read()
	if err := d.write(c); err != nil {
		d.close()
		return nil, err
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	for d.connack == nil && d.end == nil {
		d.changed.Wait()
	}
	if d.connack == nil {
		return nil, fmt.Errorf("no CONNACK: %w", d.end)
	}
	return d, nil
}

// close cuts the connection and waits for the reader.
func (d *device) close() {
	_ = d.conn.Close()
	<-d.done
}

func (d *device) write(p packet.Packet) error {
	b, err := packet.Append(nil, p, d.v)
	if err != nil {
		return err
	}
	d.writing.Lock()
	defer d.writing.Unlock()
	_, err = d.conn.Write(b)
	return err
}

var errLeft = errors.New("the device has no connection")

// publish sends a message once the window has room. At QoS 0 it only writes.
func (d *device) publish(topic, payload string, qos packet.QoS) error {
	p := &packet.Publish{Topic: topic, Payload: []byte(payload), QoS: qos}
	if qos == 0 {
		return d.write(p)
	}
	d.mu.Lock()
	for len(d.open) >= d.window && d.end == nil {
		d.changed.Wait()
	}
	if d.end != nil {
		d.mu.Unlock()
		return fmt.Errorf("%w: %w", errLeft, d.end)
	}
	p.ID = d.freeID()
	d.open = append(d.open, &exchange{publish: p, payload: payload})
	d.mu.Unlock()
	return d.write(p)
}

func (d *device) freeID() packet.ID {
	for {
		if d.nextID++; d.nextID == 0 {
			d.nextID = 1
		}
		if !slices.ContainsFunc(d.open, func(e *exchange) bool { return e.publish.ID == d.nextID }) {
			return d.nextID
		}
	}
}

// subscribe asks for one filter and waits for SUBACK.
func (d *device) subscribe(filter string, qos packet.QoS) (packet.ReasonCode, error) {
	d.mu.Lock()
	id := d.freeID()
	d.suback = nil
	d.mu.Unlock()
	if err := d.write(&packet.Subscribe{ID: id, Subscriptions: []packet.Subscription{{Filter: filter, QoS: qos}}}); err != nil {
		return 0, err
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	for d.suback == nil && d.end == nil {
		d.changed.Wait()
	}
	if d.suback == nil {
		return 0, fmt.Errorf("no SUBACK: %w", d.end)
	}
	return d.suback.Reasons[0], nil
}

// settled waits until no exchange is open.
func (d *device) settled(t *testing.T) {
	t.Helper()
	rig.Within(t, deviceLife/2, "every exchange of "+d.name+" is complete", func() error {
		d.mu.Lock()
		defer d.mu.Unlock()
		switch {
		case d.end != nil:
			t.Fatalf("device %s lost its connection: %v, %+v", d.name, d.end, d.left)
		case len(d.open) > 0:
			return fmt.Errorf("%d are open, the oldest is %q", len(d.open), d.open[0].payload)
		}
		return nil
	})
}

// keepPinging sends PINGREQ all the time until the connection ends, and notes how long the answers take.
func (d *device) keepPinging() {
	tick := time.NewTicker(pingEvery)
	defer tick.Stop()
	for {
		d.mu.Lock()
		send := d.pinged.IsZero()
		if send {
			d.pinged = time.Now()
		}
		d.mu.Unlock()
		if send && d.write(&packet.Pingreq{}) != nil {
			return
		}
		select {
		case <-tick.C:
		case <-d.done:
			return
		}
	}
}

// expectAlive demands that the device is connected and all its pings were answered in time.
func (d *device) expectAlive(t *testing.T) {
	t.Helper()
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.end != nil {
		t.Errorf("device %s lost its connection: %v, %+v", d.name, d.end, d.left)
	}
	if waiting := time.Since(d.pinged); !d.pinged.IsZero() && waiting > pingLimit || d.slowest > pingLimit {
		t.Errorf("device %s: a ping took %v, one is waiting since %v", d.name, d.slowest, waiting)
	}
	if len(d.lies) > 0 {
		t.Errorf("device %s: %d false acknowledgements, first: %s", d.name, len(d.lies), d.lies[0])
	}
}

// allAnswers are the PUBACKs and PUBRECs so far.
func (d *device) allAnswers() []answer {
	d.mu.Lock()
	defer d.mu.Unlock()
	return slices.Clone(d.answers)
}

// messages are the payloads the device has received so far.
func (d *device) messages() []*packet.Publish {
	d.mu.Lock()
	defer d.mu.Unlock()
	return slices.Clone(d.received)
}

// ended reports whether and how the connection has ended.
func (d *device) ended() (*packet.Disconnect, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.left, d.end
}
