package gateway

import (
	"context"
	"errors"
	"net"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"go.uber.org/zap"

	"sluice/amqp"
	"sluice/amqp/client"
	"sluice/amqp/embedded"
	"sluice/gateway/auth"
	"sluice/gateway/bridge"
	"sluice/mqtt/mqtttest"
	"sluice/mqtt/packet"
	"sluice/mqtt/session"
	"sluice/sessionstore"
	"sluice/sessionstore/memory"
)

// bubble is a world in virtual time (testing/synctest): the embedded bus, a store in memory, nodes and devices, joined by pipes instead of sockets.
type bubble struct {
	t     *testing.T
	bus   *pipes
	store *memory.Store
	// inFront puts something in front of the bus of each node that is started; nil: nothing.
	inFront func(amqp.Bus) amqp.Bus
	// change is applied to the options of each node that is started; nil: nothing.
	change func(*Options)
	broker *embedded.Broker
	// auth says who devices are, on all nodes: all are anonymous until a test has it otherwise.
	auth *auth.Chain
}

// inBubble runs a test in one.
func inBubble(t *testing.T, run func(b *bubble)) {
	synctest.Test(t, func(t *testing.T) { run(newBubble(t)) })
}

// newBubble makes what is in one. Outside of synctest.Test its time is everybody's.
func newBubble(t *testing.T) *bubble {
	b := &bubble{t: t, bus: newPipes(), store: memory.New(memory.Options{}), auth: openToAll()}
	broker := embedded.New(embedded.Options{})
	b.broker = broker
	served := make(chan error, 1)
	go func() { served <- broker.Serve(b.bus) }()
	t.Cleanup(func() {
		broker.Close()
		if err := <-served; err != nil {
			t.Errorf("the bus: %v", err)
		}
		if err := b.store.Close(); err != nil {
			t.Errorf("the store: %v", err)
		}
	})
	return b
}

// bubbleNode is a gateway with its own connections to the bus.
type bubbleNode struct {
	*Gateway
	t       *testing.T
	bus     *wires // what it reaches the bus over
	devices *pipes
	stopped bool
}

// stop shuts the node down, once.
func (n *bubbleNode) stop(ctx context.Context) {
	if n.stopped {
		return
	}
	n.stopped = true
	if err := n.Shutdown(ctx); err != nil {
		n.t.Errorf("%s: Shutdown: %v", n.opt.NodeID, err)
	}
}

// start runs a node on a store, b.store or something in front of it.
func (b *bubble) start(id string, store sessionstore.Store) *bubbleNode {
	b.t.Helper()
	n := &bubbleNode{t: b.t, bus: &wires{to: b.bus}, devices: newPipes()}
	bus, err := client.Open(client.Options{URLs: []string{"amqp://bus"}, ContainerID: id, Connections: 1, Lanes: 1, ReceiveConnections: 1, Dial: n.bus.dial})
	if err != nil {
		b.t.Fatal(err)
	}
	var seen amqp.Bus = bus
	if b.inFront != nil {
		seen = b.inFront(bus)
	}
	options := Options{
		NodeID: id, Bus: seen, Store: store, Logger: zap.NewNop(), Registry: prometheus.NewRegistry(),
		ConnectionsMax: 100, HandshakeTimeout: time.Second, WriteTimeout: 10 * time.Second,
		Bridge: bridge.Config{
			Session: session.Config{
				ReceiveMaximum: 10, InboundQoS2Max: 20, MaximumPacketSize: 1 << 20, OutboundWindow: 10, SessionExpiryMax: 3600, SubscriptionsMax: 10,
				ConnectTimeout: 10 * time.Second, LingerTime: 5 * time.Second, OrphanTime: 30 * time.Second, MaximumQoS: 2,
				RetainAvailable: true, SharedAvailable: true,
			},
			Grace: 30 * time.Second, QoS0Hold: time.Second,
		},
	}
	if b.change != nil {
		b.change(&options)
	}
	n.Gateway, err = New(b.t.Context(), options)
	if err != nil {
		b.t.Fatal(err)
	}
	served := make(chan error, 1)
	go func() { served <- n.Serve(Listener{Listener: n.devices, Name: "devices", Auth: b.auth}) }()
	b.t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
		defer cancel()
		n.stop(ctx)
		if err := bus.Close(ctx); err != nil {
			b.t.Errorf("%s: closing the bus: %v", id, err)
		}
		if err := <-served; err != nil && !errors.Is(err, net.ErrClosed) { // stopped before it listened
			b.t.Errorf("%s: %v", id, err)
		}
	})
	return n
}

// connect opens a connection of a device whose session persists.
func (n *bubbleNode) connect(id string, v packet.Version) (*mqtttest.Device, *packet.Connack) {
	n.t.Helper()
	c, err := n.devices.dial()
	if err != nil {
		n.t.Fatal(err)
	}
	d := mqtttest.New(n.t, c, v)
	return d, d.Connect(mqtttest.Persistent(id, 3600))
}

// pipes is a net.Listener of in-memory connections.
type pipes struct {
	accept chan net.Conn
	closed chan struct{}
	once   sync.Once
}

func newPipes() *pipes { return &pipes{accept: make(chan net.Conn), closed: make(chan struct{})} }

func (p *pipes) dial() (net.Conn, error) {
	ours, theirs := net.Pipe()
	select {
	case p.accept <- theirs:
		return ours, nil
	case <-p.closed:
		return nil, errors.New("nobody listens")
	}
}

// Accept implements net.Listener.
func (p *pipes) Accept() (net.Conn, error) {
	select {
	case c := <-p.accept:
		return c, nil
	case <-p.closed:
		return nil, net.ErrClosed
	}
}

// Close implements net.Listener.
func (p *pipes) Close() error {
	p.once.Do(func() { close(p.closed) })
	return nil
}

// Addr implements net.Listener.
func (p *pipes) Addr() net.Addr { return &net.UnixAddr{Name: "bubble"} }

// wires are the connections of one node to the bus.
type wires struct {
	to   *pipes
	mu   sync.Mutex
	laid []*wire
}

func (w *wires) dial(context.Context, string, string) (net.Conn, error) {
	c, err := w.to.dial()
	if err != nil {
		return nil, err
	}
	laid := &wire{Conn: c}
	w.mu.Lock()
	defer w.mu.Unlock()
	w.laid = append(w.laid, laid)
	return laid, nil
}

// blackHole makes every connection there is swallow what either end says, without a word. New ones work.
func (w *wires) blackHole() {
	w.mu.Lock()
	defer w.mu.Unlock()
	for _, laid := range w.laid {
		laid.swallows.Store(true)
	}
}

type wire struct {
	net.Conn
	swallows atomic.Bool
}

// Write implements net.Conn.
func (w *wire) Write(p []byte) (int, error) {
	if w.swallows.Load() {
		return len(p), nil
	}
	return w.Conn.Write(p)
}

// Read implements net.Conn.
func (w *wire) Read(p []byte) (int, error) {
	for {
		n, err := w.Conn.Read(p)
		if err != nil || !w.swallows.Load() {
			return n, err
		}
	}
}
