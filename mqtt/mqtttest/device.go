package mqtttest

import (
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"sluice/mqtt/packet"
)

const (
	// DefaultTimeout is how long a Device waits for each packet. It is long enough for a loaded machine; a test that passes
	// never waits for it.
	DefaultTimeout = time.Minute

	// maxSetAside bounds what a helper may set aside while it waits for something else.
	maxSetAside = 100_000

	// defaultKeepAlive, in seconds, is longer than any test: a Device sends no PINGREQ by itself.
	defaultKeepAlive = 1800
)

// devices counts the default client identifiers, so that two devices of a test do not take over each other's session.
var devices atomic.Int64

// Device is one MQTT client on one connection.
type Device struct {
	t       testing.TB
	conn    net.Conn
	came    *counter
	v       packet.Version
	r       *packet.Reader
	timeout time.Duration
	lastID  packet.ID
	aside   []packet.Packet // read from the connection, not yet handed out
}

// counter tells bytes that came from silence.
type counter struct {
	net.Conn
	bytes int64
}

func (c *counter) Read(p []byte) (int, error) {
	n, err := c.Conn.Read(p)
	c.bytes += int64(n)
	return n, err
}

// New makes a device on a connection, which is closed when the test ends.
func New(t testing.TB, c net.Conn, v packet.Version) *Device {
	t.Helper()
	came := &counter{Conn: c}
	d := &Device{t: t, conn: c, came: came, v: v, r: packet.NewReader(came, packet.MaxPacketSize), timeout: DefaultTimeout}
	d.r.SetVersion(v)
	t.Cleanup(func() { _ = c.Close() })
	return d
}

// Dial makes a device on a new TCP connection.
func Dial(t testing.TB, address string, v packet.Version) *Device {
	t.Helper()
	c, err := net.DialTimeout("tcp", address, DefaultTimeout)
	if err != nil {
		t.Fatalf("device: cannot connect to %s: %v", address, err)
	}
	return New(t, c, v)
}

// SetTimeout changes how long the device waits for each packet from now on.
func (d *Device) SetTimeout(timeout time.Duration) { d.timeout = timeout }

// Connect sends CONNECT and returns the CONNACK, be it a refusal or not. Without options it asks for a clean start with a
// client identifier of its own and a Keep Alive that no test lives to see.
func (d *Device) Connect(options ...func(*packet.Connect)) *packet.Connack {
	d.t.Helper()
	p := &packet.Connect{
		Version: d.v, CleanStart: true, KeepAlive: defaultKeepAlive, ClientID: fmt.Sprintf("device-%d", devices.Add(1)),
	}
	for _, option := range options {
		option(p)
	}
	d.Send(p)
	return Expect[*packet.Connack](d)
}

// ClientID is an option for Connect.
func ClientID(id string) func(*packet.Connect) {
	return func(p *packet.Connect) { p.ClientID = id }
}

// Persistent is an option for Connect: no clean start, and in MQTT 5 a session that outlives the connection by seconds.
func Persistent(id string, seconds uint32) func(*packet.Connect) {
	return func(p *packet.Connect) {
		p.ClientID, p.CleanStart = id, false
		p.Properties.SetSessionExpiry(seconds)
	}
}

// Send writes a packet.
func (d *Device) Send(p packet.Packet) {
	d.t.Helper()
	b, err := packet.Append(nil, p, d.v)
	if err != nil {
		d.t.Fatalf("device: %v (SendRaw sends what is not legal)", err)
	}
	d.write(b, p.Type().String())
}

// SendRaw writes bytes as they are.
func (d *Device) SendRaw(b []byte) {
	d.t.Helper()
	d.write(b, fmt.Sprintf("%d raw bytes", len(b)))
}

func (d *Device) write(b []byte, what string) {
	d.t.Helper()
	_ = d.conn.SetWriteDeadline(time.Now().Add(d.timeout))
	if _, err := d.conn.Write(b); err != nil {
		d.t.Fatalf("device: sending %s: %v", what, err)
	}
}

// NextID gives a packet identifier that the device did not use before (until 65,535 of them are used up).
func (d *Device) NextID() packet.ID {
	if d.lastID++; d.lastID == 0 {
		d.lastID = 1
	}
	return d.lastID
}

// Recv gives the next packet.
func (d *Device) Recv() packet.Packet {
	d.t.Helper()
	return d.next("a packet")
}

// Expect gives the next packet, which must be a T, such as *packet.Publish.
func Expect[T packet.Packet](d *Device) T {
	d.t.Helper()
	var want T
	p := d.next(fmt.Sprintf("a %T", want))
	got, ok := p.(T)
	if !ok {
		d.t.Fatalf("device: expected a %T, got %s", want, Describe(p))
	}
	return got
}

// ExpectAck gives the next packet, which must be that acknowledgement of that packet identifier.
func (d *Device) ExpectAck(kind packet.Type, id packet.ID) *packet.Ack {
	d.t.Helper()
	p := d.next(fmt.Sprintf("%s %d", kind, id))
	ack, ok := p.(*packet.Ack)
	if !ok || ack.Kind != kind || ack.ID != id {
		d.t.Fatalf("device: expected %s %d, got %s", kind, id, Describe(p))
	}
	return ack
}

func (d *Device) next(what string) packet.Packet {
	d.t.Helper()
	if len(d.aside) > 0 {
		p := d.aside[0]
		d.aside = d.aside[1:]
		return p
	}
	return d.read(what)
}

func (d *Device) read(what string) packet.Packet {
	d.t.Helper()
	_ = d.conn.SetReadDeadline(time.Now().Add(d.timeout))
	p, err := d.r.ReadPacket()
	switch {
	case errors.Is(err, os.ErrDeadlineExceeded):
		d.t.Fatalf("device: expected %s, nothing came in %v", what, d.timeout)
	case isClosed(err):
		d.t.Fatalf("device: expected %s, the connection was closed (%v)", what, err)
	case err != nil:
		d.t.Fatalf("device: expected %s, got bytes that are no packet: %v", what, err)
	}
	return p
}

// await gives the next packet from the connection that matches, and sets others aside. A DISCONNECT ends the wait.
func (d *Device) await(what string, match func(packet.Packet) bool) packet.Packet {
	d.t.Helper()
	for {
		p := d.read(what)
		if match(p) {
			return p
		}
		if p.Type() == packet.DISCONNECT || len(d.aside) == maxSetAside {
			d.t.Fatalf("device: expected %s, got %s (and %d packets before)", what, Describe(p), len(d.aside))
		}
		d.aside = append(d.aside, p)
	}
}

func (d *Device) awaitAck(kind packet.Type, id packet.ID) *packet.Ack {
	d.t.Helper()
	return d.await(fmt.Sprintf("%s %d", kind, id), func(p packet.Packet) bool {
		ack, ok := p.(*packet.Ack)
		return ok && ack.Kind == kind && ack.ID == id
	}).(*packet.Ack)
}

// ExpectClosed demands that the connection is closed, without another packet before.
func (d *Device) ExpectClosed() {
	d.t.Helper()
	if len(d.aside) > 0 {
		d.t.Fatalf("device: expected the end of the connection, got %s", Describe(d.aside[0]))
	}
	_ = d.conn.SetReadDeadline(time.Now().Add(d.timeout))
	p, err := d.r.ReadPacket()
	switch {
	case err == nil:
		d.t.Fatalf("device: expected the end of the connection, got %s", Describe(p))
	case errors.Is(err, os.ErrDeadlineExceeded):
		d.t.Fatalf("device: expected the end of the connection, it was still open after %v", d.timeout)
	case !isClosed(err):
		d.t.Fatalf("device: expected the end of the connection, got %v", err)
	}
}

// AwaitClosed waits until the connection is closed, whatever comes before.
func (d *Device) AwaitClosed() {
	d.t.Helper()
	for {
		_ = d.conn.SetReadDeadline(time.Now().Add(d.timeout))
		_, err := d.r.ReadPacket()
		switch {
		case isClosed(err):
			return
		case err != nil:
			d.t.Fatalf("device: expected the end of the connection, got %v", err)
		}
	}
}

// isClosed knows the ways in which the other end goes between two packets.
func isClosed(err error) bool {
	return errors.Is(err, io.EOF) || errors.Is(err, io.ErrClosedPipe) || errors.Is(err, net.ErrClosed) ||
		errors.Is(err, syscall.ECONNRESET)
}

// ExpectNothing demands that not one byte comes for as long as window.
func (d *Device) ExpectNothing(window time.Duration) {
	d.t.Helper()
	if len(d.aside) > 0 {
		d.t.Fatalf("device: expected nothing, got %s", Describe(d.aside[0]))
	}
	before := d.came.bytes - int64(d.r.Buffered())
	_ = d.conn.SetReadDeadline(time.Now().Add(window))
	p, err := d.r.ReadPacket()
	switch {
	case err == nil:
		d.t.Fatalf("device: expected nothing for %v, got %s", window, Describe(p))
	case !errors.Is(err, os.ErrDeadlineExceeded):
		d.t.Fatalf("device: expected nothing for %v, got %v", window, err)
	case d.came.bytes != before:
		d.t.Fatalf("device: expected nothing for %v, got %d bytes of a packet", window, d.came.bytes-before)
	}
}

// Close cuts the connection without a word.
func (d *Device) Close() { _ = d.conn.Close() }

// Disconnect says DISCONNECT and closes.
func (d *Device) Disconnect() {
	d.t.Helper()
	d.Send(&packet.Disconnect{})
	d.Close()
}
