package thirdparty

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"net"
	"sync"
	"testing"
	"time"

	"sluice/mqtt/mqtttest"
	"sluice/mqtt/packet"
)

// wire carries a device's connections to nodes: the first connection to the first node, the next one to the next, and round again.
type wire struct {
	listener net.Listener
	to       []string
	seen     *events[sighting] // nil: what is carried are not MQTT packets (WebSocket)
	carrying sync.WaitGroup

	mu     sync.Mutex
	links  []*link
	closed bool
}

// link is one connection of a device.
type link struct {
	number       int
	device, node net.Conn
	mute         sync.Mutex // held: nothing is carried to the node
	muted        bool
	gone         chan struct{} // closed when the node has ended the connection, or we have
}

// sighting is a packet on its way.
type sighting struct {
	Link   int // number of the connection, from 0
	ToNode bool
	Packet packet.Packet
	At     time.Time
	// Malformed says why what came was no packet; the last sighting of its direction.
	Malformed error
}

// newWire listens for a device. It is gone with the test.
func newWire(t testing.TB, packets bool, v packet.Version, to ...string) *wire {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	w := &wire{listener: l, to: to}
	if packets {
		w.seen = newEvents[sighting]()
	}
	w.carrying.Go(func() { w.accept(v) })
	t.Cleanup(w.close)
	return w
}

func (w *wire) address() string { return w.listener.Addr().String() }

func (w *wire) accept(v packet.Version) {
	for number := 0; ; number++ {
		device, err := w.listener.Accept()
		if err != nil {
			return
		}
		node, err := net.Dial("tcp", w.to[number%len(w.to)])
		if err != nil {
			_ = device.Close() // the node is gone; the device sees just that
			continue
		}
		l := &link{number: number, device: device, node: node, gone: make(chan struct{})}
		w.mu.Lock()
		if w.closed {
			l.cut()
		}
		w.links = append(w.links, l)
		w.mu.Unlock()
		w.carrying.Go(func() { w.carry(l, l.device, l.node, true, v) })
		w.carrying.Go(func() { w.carry(l, l.node, l.device, false, v) })
	}
}

// carry copies one direction until it ends.
func (w *wire) carry(l *link, from, to net.Conn, toNode bool, v packet.Version) {
	deliver := func(b []byte) error {
		if toNode {
			l.mute.Lock() // waits while the wire is silent
			defer l.mute.Unlock()
		}
		_, err := to.Write(b)
		return err
	}
	left := false
	if w.seen != nil {
		left = w.carryPackets(l.number, from, deliver, toNode, v)
	} else {
		_, _ = io.Copy(writer(deliver), from)
	}
	// What the node still says reaches the device; when the node has ended, all has. After DISCONNECT the end is the node's to make: then
	// it tells that the node has taken note, which otherwise it might do after the device is back elsewhere.
	if c, ok := to.(*net.TCPConn); ok && !left {
		_ = c.CloseWrite()
	}
	if !toNode {
		l.cut()
		close(l.gone)
	}
}

// carryPackets notes each packet before it carries it on, so that what is acknowledged has been seen before. What is no packet ends the
// connection: the node and the libraries write none. It reports whether the last was a device's DISCONNECT.
func (w *wire) carryPackets(number int, from io.Reader, deliver func([]byte) error, toNode bool, v packet.Version) (left bool) {
	var ahead bytes.Buffer
	packets := packet.NewReader(io.TeeReader(from, &ahead), packet.MaxPacketSize)
	packets.SetVersion(v)
	for reachable := true; ; {
		p, err := packets.ReadPacket()
		if refused := (*packet.Error)(nil); errors.As(err, &refused) {
			w.seen.add(sighting{Link: number, ToNode: toNode, At: time.Now(), Malformed: err})
		}
		if err != nil {
			return left
		}
		w.seen.add(sighting{Link: number, ToNode: toNode, At: time.Now(), Packet: p})
		left = toNode && p.Type() == packet.DISCONNECT
		if carried := ahead.Next(ahead.Len() - packets.Buffered()); reachable && deliver(carried) != nil {
			reachable = false // the end of this direction still has to be seen
		}
	}
}

// writer is a function as an io.Writer that takes all or fails.
type writer func([]byte) error

func (w writer) Write(b []byte) (int, error) {
	if err := w(b); err != nil {
		return 0, err
	}
	return len(b), nil
}

func (l *link) cut() {
	_ = l.device.Close()
	_ = l.node.Close()
}

func (w *wire) last() *link {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.links[len(w.links)-1]
}

// cut breaks the connection, without a word to either end.
func (w *wire) cut() { w.last().cut() }

// silence stops carrying to the node. The connection stays open.
func (w *wire) silence() {
	l := w.last()
	l.mute.Lock()
	l.muted = true
}

func (w *wire) close() {
	_ = w.listener.Close()
	w.mu.Lock()
	w.closed = true
	for _, l := range w.links {
		l.cut()
		if l.muted {
			l.mute.Unlock()
			l.muted = false
		}
	}
	w.mu.Unlock()
	w.carrying.Wait()
}

func (s sighting) String() string {
	what := "node -> device"
	if s.ToNode {
		what = "device -> node"
	}
	what = fmt.Sprintf("%s link %d %s ", s.At.Format("05.000"), s.Link, what)
	switch p := s.Packet.(type) {
	case nil:
		return what + s.Malformed.Error()
	case *packet.Publish:
		return what + mqtttest.Describe(p) + fmt.Sprintf(" %.20q", p.Payload)
	default:
		return what + mqtttest.Describe(p)
	}
}

// publishes are the PUBLISH packets of one direction among the sightings.
func publishes(all []sighting, toNode bool) (found []*packet.Publish) {
	for _, s := range all {
		if p, ok := s.Packet.(*packet.Publish); ok && s.ToNode == toNode {
			found = append(found, p)
		}
	}
	return found
}

// underWay counts the QoS 1 and 2 messages of one direction that were not yet at their end, at most and at last [MQTT 5, 4.9].
func underWay(all []sighting, toNode bool) (most, now int) {
	open := map[packet.ID]bool{}
	for _, s := range all {
		switch p := s.Packet.(type) {
		case *packet.Publish:
			if s.ToNode == toNode && p.QoS > 0 {
				open[p.ID] = true
			}
		case *packet.Ack:
			ends := p.Kind == packet.PUBACK || p.Kind == packet.PUBCOMP || p.Kind == packet.PUBREC && p.Reason.Failed()
			if s.ToNode != toNode && ends {
				delete(open, p.ID)
			}
		}
		most = max(most, len(open))
	}
	return most, len(open)
}

// present tells what the CONNACK of a connection said of the session.
func (w *wire) present(number int) bool {
	for _, s := range w.seen.soFar() {
		if c, ok := s.Packet.(*packet.Connack); ok && s.Link == number {
			return c.SessionPresent
		}
	}
	return false
}
