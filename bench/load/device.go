package load

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"sync"
	"sync/atomic"
	"time"

	"sluice/mqtt/packet"
)

// Options say where a device connects and as whom.
type Options struct {
	Address            string
	TLS                *tls.Config // nil: plain TCP
	Username, Password string      // both empty: none
	ClientID           string
	Persistent         bool          // resume the session, and keep it for an hour
	KeepAlive          time.Duration // whole seconds; 0: none. A started device sends pings, twice in it
	Source             net.IP        // the address to connect from; nil: the system's choice
}

// Device is one MQTT 5 client. It is dialled and subscribed in turn; Start gives it a goroutine that reads, from then on it may be sent to.
type Device struct {
	in      stream
	Resumed bool // the server still had the session
	// TLSResumed: the handshake was an abbreviated one.
	TLSResumed bool
	window     int

	fail   func(error)
	books  *Arrivals // nil: no message is expected
	track  int
	closed atomic.Bool
	ended  chan struct{} // nil before Start

	answered atomic.Int64 // PUBLISH packets with a positive final answer
	pinged   atomic.Bool  // a PINGREQ waits for its PINGRESP

	keepAlive time.Duration

	mu       sync.Mutex
	pinger   *time.Timer // nil: sends no pings by itself
	silent   bool
	out      []byte
	publish  packet.Publish // used again for each
	pending  []pending
	head     int // pending[head:] wait for the window
	inflight int
	lastID   packet.ID
}

type pending struct {
	seq    uint32
	stream uint32
	due    int64
}

// Dial opens a connection and a session on it.
func Dial(ctx context.Context, o Options) (*Device, error) {
	ctx, cancel := context.WithTimeout(ctx, answerWait)
	defer cancel()
	dialer := &net.Dialer{}
	if o.Source != nil {
		dialer.LocalAddr, dialer.Control = &net.TCPAddr{IP: o.Source}, shareSourcePorts
	}
	conn, err := dialer.DialContext(ctx, "tcp", o.Address)
	if err != nil {
		return nil, err
	}
	resumed := false
	if o.TLS != nil {
		secured := tls.Client(conn, o.TLS)
		if err := secured.HandshakeContext(ctx); err != nil {
			_ = conn.Close()
			return nil, err
		}
		conn, resumed = secured, secured.ConnectionState().DidResume
	}
	d := &Device{in: stream{conn: conn, buf: make([]byte, readBuffer)}, window: deviceWindow, keepAlive: o.KeepAlive, TLSResumed: resumed, fail: func(error) {}}
	if err := d.connect(o); err != nil {
		_ = conn.Close()
		return nil, fmt.Errorf("CONNECT at %s: %w", o.Address, err)
	}
	return d, nil
}

func (d *Device) connect(o Options) error {
	p := &packet.Connect{Version: packet.V5, CleanStart: !o.Persistent, ClientID: o.ClientID, KeepAlive: uint16(o.KeepAlive / time.Second)}
	if o.Persistent {
		p.Properties.SetSessionExpiry(3600)
	}
	if o.Username != "" {
		p.HasUsername, p.Username, p.HasPassword, p.Password = true, o.Username, true, []byte(o.Password)
	}
	connack, err := ask[*packet.Connack](d, p, answerWait)
	if err != nil {
		return err
	}
	if connack.Reason.Failed() {
		return fmt.Errorf("refused: %v %s", connack.Reason, connack.Properties.ReasonString)
	}
	if connack.Properties.Has(packet.PropReceiveMaximum) {
		d.window = min(d.window, int(connack.Properties.ReceiveMaximum))
	}
	d.Resumed = connack.SessionPresent
	return nil
}

// ask sends a packet and waits for its answer. It is for a device that is not started.
func ask[T packet.Packet](d *Device, question packet.Packet, wait time.Duration) (answer T, err error) {
	b, err := packet.Append(nil, question, packet.V5)
	if err != nil {
		return answer, err
	}
	_ = d.in.conn.SetDeadline(time.Now().Add(wait))
	if _, err := d.in.conn.Write(b); err != nil {
		return answer, err
	}
	answer, err = expect[T](&d.in)
	_ = d.in.conn.SetDeadline(time.Time{})
	return answer, err
}

// Subscribe adds filters at qos and demands that all are granted at that. It comes before Start.
func (d *Device) Subscribe(qos packet.QoS, filters ...string) error {
	p := &packet.Subscribe{ID: 1}
	for _, f := range filters {
		p.Subscriptions = append(p.Subscriptions, packet.Subscription{Filter: f, QoS: qos})
	}
	suback, err := ask[*packet.Suback](d, p, subscribeWait)
	if err != nil {
		return fmt.Errorf("SUBSCRIBE: %w", err)
	}
	for i, r := range suback.Reasons {
		if r != packet.ReasonCode(qos) {
			return fmt.Errorf("SUBSCRIBE %s at QoS %d is answered with %v", filters[i], qos, r)
		}
	}
	return nil
}

// Ping proves that server and session are there. It comes before Start.
func (d *Device) Ping() error {
	_, err := ask[*packet.Pingresp](d, &packet.Pingreq{}, answerWait)
	return err
}

// Exchange publishes at QoS 1 and waits for a positive PUBACK. It comes before Start.
func (d *Device) Exchange(topic string, payload []byte) error {
	ack, err := ask[*packet.Ack](d, &packet.Publish{QoS: 1, ID: 1, Topic: topic, Payload: payload}, answerWait)
	if err == nil && ack.Reason.Failed() {
		err = fmt.Errorf("PUBACK: %v", ack.Reason)
	}
	return err
}

// Await waits for a QoS 1 message of the stream on a device that is not started, and acknowledges it.
func (d *Device) Await(stream uint32) error {
	_ = d.in.conn.SetDeadline(time.Now().Add(answerWait))
	p, err := expect[*packet.Publish](&d.in)
	if err != nil {
		return err
	}
	_ = d.in.conn.SetDeadline(time.Time{})
	if h, err := parsePayload(p.Payload, MinPayload); err != nil {
		return err
	} else if h.stream != stream {
		return fmt.Errorf("expected a message of stream %d, got one of stream %d", stream, h.stream)
	}
	b, err := packet.Append(nil, &packet.Ack{Kind: packet.PUBACK, ID: p.ID}, packet.V5)
	if err == nil {
		_, err = d.in.conn.Write(b)
	}
	return err
}

// prepare says what the device publishes.
func (d *Device) prepare(topic string, qos packet.QoS, size int) {
	d.publish = packet.Publish{Topic: topic, QoS: qos, Payload: make([]byte, size)}
}

// Start begins to read. What comes is booked on track of books, or on that of its stream if track is negative.
func (d *Device) Start(books *Arrivals, track int) {
	d.books, d.track, d.fail, d.ended = books, track, books.fail, make(chan struct{})
	go d.read()
	d.keepPinging()
}

func (d *Device) read() {
	defer close(d.ended)
	var p packet.Publish
	for {
		h, body, err := d.in.next()
		if err == nil {
			err = d.handle(h, body, &p)
		}
		if err == nil && !d.in.whole() {
			err = d.flush()
		}
		if err != nil {
			if !d.closed.Load() {
				d.fail(fmt.Errorf("device %d: %w", d.track, err))
			}
			return
		}
	}
}

func (d *Device) handle(h packet.Header, body []byte, p *packet.Publish) error {
	switch h.Type {
	case packet.PUBLISH:
		return d.deliver(h, body, p)
	case packet.PUBACK, packet.PUBREC, packet.PUBREL, packet.PUBCOMP:
		return d.acknowledged(h, body)
	case packet.PINGRESP:
		return d.ponged()
	case packet.DISCONNECT:
		decoded, err := packet.Decode(h, body, packet.V5)
		if err != nil {
			return err
		}
		bye := decoded.(*packet.Disconnect)
		return fmt.Errorf("DISCONNECT: %v %s", bye.Reason, bye.Properties.ReasonString)
	}
	return fmt.Errorf("an unexpected %v", h.Type)
}

func (d *Device) deliver(h packet.Header, body []byte, p *packet.Publish) error {
	if err := p.Decode(h, body, packet.V5); err != nil {
		return err
	}
	d.books.see(d.track, p.Payload)
	switch p.QoS {
	case 1:
		return d.append(packet.PUBACK, p.ID)
	case 2:
		return d.append(packet.PUBREC, p.ID)
	}
	return nil
}

// acknowledged handles the short form without decoding, since it is nearly all there is.
func (d *Device) acknowledged(h packet.Header, body []byte) error {
	if len(body) < 2 {
		return errors.New("an acknowledgement without a packet identifier")
	}
	id := packet.ID(body[0])<<8 | packet.ID(body[1])
	if len(body) > 2 && body[2] != byte(packet.Success) {
		return fmt.Errorf("%v: %v", h.Type, packet.ReasonCode(body[2]))
	}
	switch h.Type {
	case packet.PUBREC:
		return d.append(packet.PUBREL, id)
	case packet.PUBREL:
		return d.append(packet.PUBCOMP, id)
	}
	d.answered.Add(1)
	d.mu.Lock()
	defer d.mu.Unlock()
	d.inflight--
	return d.pumpLocked()
}

func (d *Device) append(kind packet.Type, id packet.ID) (err error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.out, err = packet.Append(d.out, &packet.Ack{Kind: kind, ID: id}, packet.V5)
	return err
}

// send takes a message for the device's window. Nothing is written before flush.
func (d *Device) send(stream int, seq uint32, due int64) error {
	d.mu.Lock()
	defer d.mu.Unlock()
	if len(d.pending)-d.head > backlogMax {
		return fmt.Errorf("device %d has %d messages that are due and not sent: the rate is not kept up", stream, backlogMax)
	}
	d.pending = append(d.pending, pending{seq: seq, stream: uint32(stream), due: due})
	return d.pumpLocked()
}

func (d *Device) pumpLocked() error {
	for d.head < len(d.pending) && (d.publish.QoS == 0 || d.inflight < d.window) {
		next := d.pending[d.head]
		if d.head++; d.head == len(d.pending) {
			d.pending, d.head = d.pending[:0], 0
		}
		if d.publish.QoS > 0 {
			d.inflight++
			if d.lastID++; d.lastID == 0 {
				d.lastID = 1
			}
			d.publish.ID = d.lastID
		}
		putPayload(d.publish.Payload, header{stream: next.stream, seq: next.seq, due: next.due})
		var err error
		if d.out, err = packet.Append(d.out, &d.publish, packet.V5); err != nil {
			return err
		}
	}
	return nil
}

// flush writes what is ready in one system call.
func (d *Device) flush() error {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.flushLocked()
}

func (d *Device) flushLocked() error {
	if len(d.out) == 0 {
		return nil
	}
	_, err := d.in.conn.Write(d.out)
	d.out = d.out[:0]
	return err
}

// Close says DISCONNECT and waits until the reading goroutine has ended.
func (d *Device) Close() { d.close(&packet.Disconnect{}) }

// End is Close that ends a persistent session too.
func (d *Device) End() {
	p := &packet.Disconnect{}
	p.Properties.SetSessionExpiry(0)
	d.close(p)
}

// Drop is Close without a word.
func (d *Device) Drop() { d.close(nil) }

func (d *Device) close(bye *packet.Disconnect) {
	if !d.closed.Swap(true) {
		d.silence()
		// Who writes just now, and is not read from, holds the lock until then.
		_ = d.in.conn.SetWriteDeadline(time.Now().Add(time.Second))
		d.mu.Lock()
		if bye != nil {
			if b, err := packet.Append(d.out, bye, packet.V5); err == nil {
				_, _ = d.in.conn.Write(b)
			}
		}
		d.mu.Unlock()
		_ = d.in.conn.Close()
	}
	if d.ended != nil {
		<-d.ended
	}
}
