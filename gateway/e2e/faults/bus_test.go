package faults

import (
	"net"
	"sync"
	"testing"

	"sluice/amqp/embedded"
	"sluice/gateway/e2e/rig"
)

// bus is an embedded broker outside of the node, with its fault switches at hand. To the node it is any bus.
type bus struct {
	*embedded.Broker
	address string

	serving  sync.WaitGroup
	listener net.Listener
}

func startBus(t *testing.T) *bus {
	t.Helper()
	b := &bus{Broker: embedded.New(embedded.Options{Logger: rig.Logger(t)})}
	b.serve(t, "127.0.0.1:0")
	t.Cleanup(func() {
		b.Close()
		b.serving.Wait()
	})
	return b
}

func (b *bus) serve(t *testing.T, address string) {
	t.Helper()
	rig.Eventually(t, "the broker listens on "+address, func() (err error) {
		b.listener, err = net.Listen("tcp", address)
		return err
	})
	b.address = b.listener.Addr().String()
	l := b.listener
	b.serving.Go(func() {
		if err := b.Serve(l); err != nil {
			t.Errorf("the embedded broker: %v", err)
		}
	})
}

// down ends the broker for everybody outside; what it keeps stays.
func (b *bus) down() {
	_ = b.listener.Close()
	b.serving.Wait()
	b.Faults().Cut()
}

// up brings it back where it was.
func (b *bus) up(t *testing.T) {
	t.Helper()
	b.serve(t, b.address)
}

func (b *bus) url() string { return "amqp://" + b.address }

// patient is for nodes that go through outages: these are shorter than the grace, and how long a loaded machine takes for what has waited is not to decide
// a test. The end of the grace is tested in virtual time.
const patient = "bus.grace=2m"

// node starts a node on the bus, with sessions in memory unless set says otherwise.
func (b *bus) node(t *testing.T, set ...string) *rig.Node {
	t.Helper()
	return rig.Start(t, rig.Embedded(), append([]string{"bus.url=" + b.url(), patient}, set...)...)
}
