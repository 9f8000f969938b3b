package gateway

import (
	"context"
	"net"
	"runtime"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"go.uber.org/zap"

	"sluice/amqp"
	"sluice/gateway/bridge"
	"sluice/mqtt/packet"
	"sluice/mqtt/session"
	"sluice/sessionstore/memory"
)

// benchGateway serves as many devices on l, anybody, until the benchmark ends.
func benchGateway(b *testing.B, bus amqp.Bus, l net.Listener, devices int) *Gateway {
	store := memory.New(memory.Options{})
	gw, err := New(b.Context(), Options{
		NodeID: "n", Bus: bus, Store: store, Logger: zap.NewNop(), Registry: prometheus.NewRegistry(),
		ConnectionsMax: 2 * devices, HandshakeTimeout: time.Second, WriteTimeout: 10 * time.Second,
		Bridge: bridge.Config{Session: session.Config{ReceiveMaximum: 10, InboundQoS2Max: 20, MaximumPacketSize: 1 << 20, OutboundWindow: 10,
			SubscriptionsMax: 10, ConnectTimeout: 10 * time.Second, MaximumQoS: 2}},
	})
	if err != nil {
		b.Fatal(err)
	}
	served := make(chan struct{})
	go func() {
		defer close(served)
		_ = gw.Serve(Listener{Listener: l, Auth: openToAll()})
	}()
	b.Cleanup(func() {
		if err := gw.Shutdown(context.Background()); err != nil {
			b.Error(err)
		}
		<-served
		_ = store.Close()
	})
	return gw
}

// BenchmarkIdleConnection says what a connection without subscriptions holds after a ping, in bytes of heap and of stack, the device's own end included.
func BenchmarkIdleConnection(b *testing.B) {
	const devices = 1000
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		b.Fatal(err)
	}
	benchGateway(b, &boundBus{bound: map[amqp.Binding]bool{}}, l, devices)
	for b.Loop() {
		before := inUse()
		conns := make([]net.Conn, devices)
		for i := range conns {
			conns[i] = connectRaw(b, l.Addr().String())
		}
		after := inUse()
		b.ReportMetric(float64(after.HeapAlloc-before.HeapAlloc)/devices, "heap-B/conn")
		b.ReportMetric(float64(after.StackInuse-before.StackInuse)/devices, "stack-B/conn")
		for _, c := range conns {
			_ = c.Close()
		}
	}
}

func inUse() (m runtime.MemStats) {
	for range 3 { // stacks shrink with one collection and are free with the next
		runtime.GC()
	}
	runtime.ReadMemStats(&m)
	return m
}

func connectRaw(b *testing.B, address string) net.Conn {
	c, err := net.Dial("tcp", address)
	if err != nil {
		b.Fatal(err)
	}
	raw, err := packet.Append(nil, &packet.Connect{Version: packet.V311, CleanStart: true, KeepAlive: 60}, packet.V311)
	if err != nil {
		b.Fatal(err)
	}
	if _, err := c.Write(raw); err != nil {
		b.Fatal(err)
	}
	r := packet.NewReader(c, 100)
	r.SetVersion(packet.V311)
	if p, err := r.ReadPacket(); err != nil || p.Type() != packet.CONNACK {
		b.Fatal(p, err)
	}
	if _, err := c.Write([]byte{0xC0, 0}); err != nil {
		b.Fatal(err)
	}
	if p, err := r.ReadPacket(); err != nil || p.Type() != packet.PINGRESP {
		b.Fatal(p, err)
	}
	return c
}
