package embedded_test

import (
	"bytes"
	"encoding/binary"
	"errors"
	"io"
	"net"
	"testing"
	"time"

	"sluice/amqp/embedded"
	"sluice/amqp/embedded/endpoint"
	"sluice/amqp/frame"
)

// memoryConn is a peer that has said all it will ever say, and swallows the answers.
type memoryConn struct {
	net.Conn // nil: nothing else may be called
	in       *bytes.Reader
	out      int
}

func (c *memoryConn) Read(b []byte) (int, error)         { return c.in.Read(b) }
func (c *memoryConn) Write(b []byte) (int, error)        { c.out += len(b); return len(b), nil }
func (c *memoryConn) Close() error                       { return nil }
func (c *memoryConn) RemoteAddr() net.Addr               { return &net.TCPAddr{} }
func (c *memoryConn) SetDeadline(time.Time) error        { return nil }
func (c *memoryConn) SetReadDeadline(t time.Time) error  { return nil }
func (c *memoryConn) SetWriteDeadline(t time.Time) error { return nil }

// oneConn is a listener for one connection.
type oneConn struct {
	conn  net.Conn
	taken chan struct{} // closed when the broker has the connection and asks for the next
	done  chan struct{}
}

func (l *oneConn) Accept() (net.Conn, error) {
	if c := l.conn; c != nil {
		l.conn = nil
		return c, nil
	}
	close(l.taken)
	<-l.done
	return nil, net.ErrClosed
}
func (l *oneConn) Close() error   { close(l.done); return nil }
func (l *oneConn) Addr() net.Addr { return &net.TCPAddr{} }

// conversation encodes what a peer says from the first byte on.
func conversation(t testing.TB, sasl bool, steps ...frame.Performative) []byte {
	t.Helper()
	var b []byte
	var err error
	if sasl {
		b = frame.AppendProtocolHeader(b, frame.ProtocolSASL)
		if b, err = frame.AppendSASL(b, &frame.SASLInit{Mechanism: "PLAIN", InitialResponse: []byte("\x00u\x00p")}); err != nil {
			t.Fatal(err)
		}
	}
	b = frame.AppendProtocolHeader(b, frame.ProtocolAMQP)
	for _, p := range steps {
		var payload []byte
		if _, ok := p.(*frame.Transfer); ok {
			payload = []byte("\x00\x53\x75\xa0\x01x")
		}
		if b, err = frame.Append(b, 0, p, payload); err != nil {
			t.Fatal(err)
		}
	}
	return b
}

// talk is a conversation that reaches most of the broker.
func talk() []frame.Performative {
	one, name := frame.Some(uint32(1)), frame.Some("/queues/q")
	return []frame.Performative{
		&frame.Open{ContainerID: "c", MaxFrameSize: 512, ChannelMax: 10, IdleTimeout: 1000},
		&frame.Begin{IncomingWindow: 10, OutgoingWindow: 10, HandleMax: 10},
		&frame.Attach{Name: "d", Handle: 0, Role: frame.RoleReceiver, Source: &frame.Source{Dynamic: true}, Target: &frame.Target{}},
		&frame.Flow{NextIncomingID: frame.Some(uint32(0)), IncomingWindow: 10, Handle: frame.Some(uint32(0)), LinkCredit: one, Drain: true},
		&frame.Attach{Name: "p", Handle: 1, Target: &frame.Target{}, Source: &frame.Source{}, InitialDeliveryCount: one},
		&frame.Transfer{Handle: 1, DeliveryID: one, DeliveryTag: []byte("t"), More: true},
		&frame.Transfer{Handle: 1},
		&frame.Disposition{Role: frame.RoleReceiver, First: 0, Last: frame.Some(uint32(1<<32 - 1)), Settled: true, State: &frame.Accepted{}},
		&frame.Attach{Name: "q", Handle: 2, Target: &frame.Target{Address: name}, InitialDeliveryCount: one},
		&frame.Detach{Handle: 1, Closed: true},
		&frame.End{},
		&frame.Close{},
	}
}

// FuzzServerConnection feeds bytes into a connection from its first byte on: no panic, no hang, and no more output than input accounts for.
func FuzzServerConnection(f *testing.F) {
	f.Add(conversation(f, false, talk()...))
	f.Add(conversation(f, true, talk()...))
	f.Add([]byte("GET / HTTP/1.1\r\n\r\n"))
	f.Add([]byte("AMQP\x00\x00\x09\x01"))
	f.Fuzz(func(t *testing.T, input []byte) {
		start := time.Now()
		broker := embedded.New(embedded.Options{MaxMessageSize: 1 << 16})
		conn := &memoryConn{in: bytes.NewReader(input)}
		l := &oneConn{conn: conn, taken: make(chan struct{}), done: make(chan struct{})}
		served := make(chan error)
		go func() { served <- broker.Serve(l) }()
		<-l.taken
		broker.Close() // waits until the connection has read all
		if err := <-served; err != nil {
			t.Error(err)
		}
		if took := time.Since(start); took > time.Minute { // a machine may stand still for seconds
			t.Errorf("the end came after %v", took)
		}
		if limit := 4096 + 200*len(input); conn.out > limit {
			t.Errorf("%d bytes of output for %d of input", conn.out, len(input))
		}
	})
}

// FuzzEndpoint feeds frames with a fixed framing into the endpoint, so that the fuzzer need not find lengths by itself; each input byte string is a
// sequence of (length, body) pairs.
func FuzzEndpoint(f *testing.F) {
	var seed []byte
	for _, p := range talk() {
		b, err := frame.Append(nil, 0, p, nil)
		if err != nil {
			f.Fatal(err)
		}
		seed = binary.BigEndian.AppendUint16(seed, uint16(len(b)-frame.HeaderSize))
		seed = append(seed, b[frame.HeaderSize:]...)
	}
	f.Add(seed)
	f.Fuzz(func(t *testing.T, input []byte) {
		now := time.Unix(0, 0)
		c := endpoint.New(endpoint.Config{ContainerID: "x", MaxPartialBytes: 1 << 16}, now)
		live := map[*endpoint.Link]bool{}
		finished := false
		for len(input) >= 2 {
			n := min(int(binary.BigEndian.Uint16(input)), len(input)-2)
			p, payload, err := frame.Decode(frame.TypeAMQP, input[2:2+n])
			input = input[2+n:]
			if err != nil {
				c.Fail(err)
			} else {
				c.Handle(now, 0, p, payload)
			}
			for _, e := range c.TakeEffects(nil) {
				if finished {
					t.Fatalf("%T after the end", e)
				}
				finished = react(t, c, live, e)
			}
			readable(t, c.TakeOutput(now, nil))
		}
		c.Lost()
		for _, e := range c.TakeEffects(nil) {
			react(t, c, live, e)
		}
		if len(live) != 0 {
			t.Fatalf("%d links never ended", len(live))
		}
	})
}

// react plays the broker: it accepts every link, settles every message, and delivers on every credit.
func react(t *testing.T, c *endpoint.Connection, live map[*endpoint.Link]bool, e endpoint.Effect) (finished bool) {
	switch e := e.(type) {
	case endpoint.LinkRequested:
		c.AcceptLink(e.Link, endpoint.Accept{Source: &frame.Source{}, Target: &frame.Target{}, Window: 3, MaxMessageSize: 1 << 12})
		live[e.Link] = true
	case endpoint.MessageReceived:
		if !live[e.Link] {
			t.Fatal("a message on a link that is gone")
		}
		c.Settle(e.Link, e.Delivery, &frame.Accepted{})
	case endpoint.CreditChanged:
		for range min(e.Link.Ready(), 3) {
			c.Deliver(e.Link, endpoint.Message{Token: 1, Payload: make([]byte, 600)})
		}
		c.Drained(e.Link)
	case endpoint.LinkEnded:
		if !live[e.Link] {
			t.Fatal("a link ended twice")
		}
		delete(live, e.Link)
	case endpoint.Ended:
		return true
	}
	return false
}

// readable checks that we can read our own output.
func readable(t *testing.T, b []byte) {
	r := bytes.NewReader(b)
	for {
		var head [frame.HeaderSize]byte
		_, err := io.ReadFull(r, head[:])
		if errors.Is(err, io.EOF) {
			return
		}
		h, err := frame.ParseHeader(head[:], 1<<20)
		if err != nil {
			t.Fatal(err)
		}
		body := make([]byte, int(h.Size)-frame.HeaderSize)
		if _, err := io.ReadFull(r, body); err != nil {
			t.Fatal(err)
		}
		if _, _, err := frame.Decode(h.Type, body); err != nil {
			t.Fatal(err)
		}
	}
}
