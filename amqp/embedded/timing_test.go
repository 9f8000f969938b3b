package embedded_test

import (
	"io"
	"net"
	"testing"
	"testing/synctest"
	"time"

	"sluice/amqp/embedded"
	"sluice/amqp/frame"
)

// pipeListener hands out one end of each pipe that is dialled; in a synctest bubble it stands for a network without delays.
type pipeListener struct {
	conns chan net.Conn
	done  chan struct{}
}

func newPipeListener() *pipeListener {
	return &pipeListener{conns: make(chan net.Conn), done: make(chan struct{})}
}

func (l *pipeListener) dial() net.Conn {
	ours, theirs := net.Pipe()
	l.conns <- theirs
	return ours
}

func (l *pipeListener) Accept() (net.Conn, error) {
	select {
	case c := <-l.conns:
		return c, nil
	case <-l.done:
		return nil, net.ErrClosed
	}
}
func (l *pipeListener) Close() error   { close(l.done); return nil }
func (l *pipeListener) Addr() net.Addr { return &net.TCPAddr{} }

// timed runs a test in fake time against a broker.
func timed(t *testing.T, o embedded.Options, run func(t *testing.T, b *embedded.Broker, dial func() net.Conn)) {
	synctest.Test(t, func(t *testing.T) {
		broker, l := embedded.New(o), newPipeListener()
		served := make(chan error, 1)
		go func() { served <- broker.Serve(l) }()
		run(t, broker, l.dial)
		broker.Close()
		if err := <-served; err != nil {
			t.Error(err)
		}
	})
}

// ends reads until the broker closes and tells how long that took and what came.
func ends(t *testing.T, conn net.Conn) (time.Duration, []byte) {
	t.Helper()
	start := time.Now()
	got, err := io.ReadAll(conn)
	if err != nil {
		t.Error(err)
	}
	return time.Since(start), got
}

// say writes the beginning of a conversation without waiting for answers.
func say(t *testing.T, conn net.Conn, b []byte) {
	t.Helper()
	go func() { _, _ = conn.Write(b) }()
}

// readHeader takes the broker's protocol header; a pipe holds nothing, so the broker is blocked until then.
func readHeader(t *testing.T, conn net.Conn) {
	t.Helper()
	if _, err := io.ReadFull(conn, make([]byte, frame.ProtocolHeaderSize)); err != nil {
		t.Fatal(err)
	}
}

func TestSilentPeer(t *testing.T) {
	open := &frame.Open{ContainerID: "c", MaxFrameSize: 1 << 16, ChannelMax: 10}
	for name, c := range map[string]struct {
		said []byte
		want time.Duration
	}{
		"nothing":         {nil, 10 * time.Second},
		"half a header":   {[]byte("AMQP"), 10 * time.Second},
		"no open":         {conversation(t, false), 10 * time.Second},
		"no SASL init":    {frame.AppendProtocolHeader(nil, frame.ProtocolSASL), 10 * time.Second},
		"after the open":  {conversation(t, false, open), 20 * time.Second},
		"half a frame":    {append(conversation(t, false, open), 0, 0, 0), 20 * time.Second},
		"not AMQP at all": {[]byte("GET / HTTP/1.1\r\n\r\n"), 0},
		"a huge frame":    {append(conversation(t, false, open), 0xff, 0xff, 0xff, 0xff, 2, 0, 0, 0), 0},
		"a SASL frame":    {append(conversation(t, false, open), 0, 0, 0, 8, 2, 1, 0, 0), 0},
	} {
		t.Run(name, func(t *testing.T) {
			timed(t, embedded.Options{IdleTimeout: 20 * time.Second}, func(t *testing.T, _ *embedded.Broker, dial func() net.Conn) {
				conn := dial()
				say(t, conn, c.said)
				if took, got := ends(t, conn); took != c.want {
					t.Errorf("closed after %v, want %v; said %q", took, c.want, got)
				}
				_ = conn.Close()
			})
		})
	}
}

// TestHeartbeats: the broker speaks at least twice in the peer's idle-time-out, and lives as long as the peer does.
func TestHeartbeats(t *testing.T) {
	timed(t, embedded.Options{IdleTimeout: 20 * time.Second}, func(t *testing.T, b *embedded.Broker, dial func() net.Conn) {
		conn := dial()
		say(t, conn, conversation(t, false, &frame.Open{ContainerID: "c", MaxFrameSize: 1 << 16, ChannelMax: 10, IdleTimeout: 4000}))
		heard := make(chan int)
		go func() {
			got, _ := io.ReadAll(conn)
			n := 0
			for i := len(got) - frame.HeaderSize; i > 0 && string(got[i:i+frame.HeaderSize]) == "\x00\x00\x00\x08\x02\x00\x00\x00"; i -= frame.HeaderSize {
				n++
			}
			heard <- n
		}()
		for range 6 {
			time.Sleep(10 * time.Second) // fake time
			if _, err := conn.Write(frame.AppendHeartbeat(nil)); err != nil {
				t.Fatal(err)
			}
		}
		synctest.Wait()
		if got := b.Stats(); got.Disconnects != 0 {
			t.Error("a peer that sends heartbeats was cut")
		}
		_ = conn.Close()
		if n := <-heard; n < 29 || n > 31 {
			t.Errorf("%d heartbeats in a minute, want one every two seconds", n)
		}
	})
}

// TestPeerThatNeverReads: it loses its connection, and what it held goes to others.
func TestPeerThatNeverReads(t *testing.T) {
	timed(t, embedded.Options{IdleTimeout: -1}, func(t *testing.T, b *embedded.Broker, dial func() net.Conn) {
		conn := dial()
		say(t, conn, conversation(t, false, &frame.Open{ContainerID: "c", MaxFrameSize: 1 << 16, ChannelMax: 10}))
		readHeader(t, conn)
		start := time.Now()
		if err := b.Await(t.Context(), func(s embedded.Stats) bool { return s.Disconnects == 1 }); err != nil {
			t.Fatal(err)
		}
		if took := time.Since(start); took != 30*time.Second {
			t.Errorf("cut after %v", took)
		}
		_ = conn.Close()
	})
}

// TestPeerThatDoesNotAnswerOurClose is not waited for.
func TestPeerThatDoesNotAnswerOurClose(t *testing.T) {
	timed(t, embedded.Options{}, func(t *testing.T, b *embedded.Broker, dial func() net.Conn) {
		conn := dial()
		say(t, conn, conversation(t, false, &frame.Open{ContainerID: "c", MaxFrameSize: 1 << 16, ChannelMax: 10}))
		readHeader(t, conn)
		if err := b.Await(t.Context(), func(s embedded.Stats) bool { return s.Connections == 1 }); err != nil {
			t.Fatal(err)
		}
		if n := b.Faults().CloseConnections(nil); n != 1 {
			t.Errorf("%d connections", n)
		}
		if took, _ := ends(t, conn); took != 5*time.Second {
			t.Errorf("closed after %v", took)
		}
		_ = conn.Close()
	})
}
