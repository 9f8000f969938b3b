package faults

import (
	"encoding/binary"
	"fmt"
	"net"
	"sync"
	"sync/atomic"
	"time"

	"sluice/amqp"
	"sluice/mapping"
	"sluice/mqtt/packet"
)

const (
	loadWindow  = 4   // messages under way per device
	loadPayload = 100 // bytes
)

// loadDevice publishes at QoS 1 and keeps nothing of what it did but counts: thousands of them must not be what grows.
type loadDevice struct {
	index  uint32
	conn   net.Conn
	window chan struct{} // has an entry for each message under way
	topic  string
	sent   uint32 // by one goroutine at a time
	buffer []byte

	acknowledged atomic.Uint64
	refused      atomic.Uint64 // PUBACK with anything but success
	closed       atomic.Bool   // we have closed it
	failed       chan error    // why the connection ended, if we did not end it
	done         chan struct{}
}

// dialLoad connects a device; the reader runs until close.
func dialLoad(address, name, topic string, index int) (*loadDevice, error) {
	conn, err := net.Dial("tcp", address)
	if err != nil {
		return nil, err
	}
	d := &loadDevice{index: uint32(index), conn: conn, window: make(chan struct{}, loadWindow), topic: topic, failed: make(chan error, 1), done: make(chan struct{})}
	hello, err := packet.Append(nil, &packet.Connect{Version: packet.V5, ClientID: name, CleanStart: true, KeepAlive: 600}, packet.V5)
	if err != nil {
		return nil, err
	}
	_ = conn.SetDeadline(time.Now().Add(deviceLife))
	if _, err := conn.Write(hello); err != nil {
		return nil, err
	}
	r := packet.NewReader(conn, packet.MaxPacketSize)
	r.SetVersion(packet.V5)
	p, err := r.ReadPacket()
	if err != nil {
		return nil, err
	}
	if c, ok := p.(*packet.Connack); !ok || c.Reason != packet.Success {
		return nil, fmt.Errorf("%s: %+v", name, p)
	}
	_ = conn.SetDeadline(time.Time{})
	go d.read(r)
	return d, nil
}

func (d *loadDevice) read(r *packet.Reader) {
	defer close(d.done)
	for {
		p, err := r.ReadPacket()
		if err != nil {
			if !d.closed.Load() {
				d.failed <- err
			}
			_ = d.conn.Close()
			return
		}
		a, ok := p.(*packet.Ack)
		if !ok || a.Kind != packet.PUBACK || a.Reason != packet.Success {
			d.refused.Add(1)
			continue
		}
		d.acknowledged.Add(1)
		<-d.window
	}
}

// publish sends the next message; it waits for room in the window.
func (d *loadDevice) publish() error {
	select {
	case d.window <- struct{}{}:
	case <-d.done:
		return errLeft
	}
	var payload [loadPayload]byte
	binary.BigEndian.PutUint32(payload[0:], d.index)
	binary.BigEndian.PutUint32(payload[4:], d.sent)
	var err error
	d.buffer, err = packet.Append(d.buffer[:0], &packet.Publish{ID: packet.ID(d.sent%60_000 + 1), QoS: 1, Topic: d.topic, Payload: payload[:]}, packet.V5)
	if err != nil {
		return err
	}
	d.sent++
	_, err = d.conn.Write(d.buffer)
	return err
}

func (d *loadDevice) close() {
	d.closed.Store(true)
	_ = d.conn.Close()
	<-d.done
}

// loadCount is the backend: it counts what arrives, by device and number, in constant memory.
type loadCount struct {
	mu         sync.Mutex
	receiver   amqp.Receiver
	next       []uint32 // per device, the number that is due
	arrived    uint64   // each message once
	duplicates uint64   // flagged
	faults     []string // anything else; the first few
}

// Attached implements amqp.Handler.
func (c *loadCount) Attached() {}

// Detached implements amqp.Handler.
func (c *loadCount) Detached(err error) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.fault("detached: %v", err)
	return true
}

// Delivered implements amqp.Handler.
func (c *loadCount) Delivered(d amqp.Delivery) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.receiver.Settle(d.Tag, accepted)
	if d.Malformed != nil || len(d.Message.Data) != 1 || len(d.Message.Data[0]) != loadPayload {
		c.fault("not one of ours: %+v", d)
		return
	}
	payload := d.Message.Data[0]
	device, number := binary.BigEndian.Uint32(payload), binary.BigEndian.Uint32(payload[4:])
	switch due := &c.next[device]; {
	case number == *due:
		*due++
		c.arrived++
	case number < *due && mapping.PossibleDuplicate(d.Message):
		c.duplicates++
	default:
		c.fault("device %d: message %d came when %d was due", device, number, *due)
	}
}

func (c *loadCount) fault(format string, args ...any) {
	if len(c.faults) < 20 {
		c.faults = append(c.faults, fmt.Sprintf(format, args...))
	}
}

func (c *loadCount) count() (arrived, duplicates uint64, faults []string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.arrived, c.duplicates, c.faults
}
