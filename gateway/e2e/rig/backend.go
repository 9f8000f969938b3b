package rig

import (
	"net"
	"sync"
	"testing"

	"sluice/amqp/embedded"
	"sluice/sessionstore"
	"sluice/sessionstore/memory"
)

// Backend is a bus and a store to run nodes on.
type Backend struct {
	Name string
	// Shared: several nodes can use it. Otherwise bus and store are inside the node and a test has one node.
	Shared              bool
	busURL, sessionsURL string
	store               sessionstore.Store // nil: the one of the configuration
}

// Embedded is the bus in the node's process with sessions in memory.
func Embedded() Backend { return Backend{Name: "embedded"} }

// InProcess is an embedded bus and sessions in memory, as Embedded, but outside of any node, so that several share them. It ends with the
// test.
func InProcess(t testing.TB) Backend {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	broker, store := embedded.New(embedded.Options{Logger: Logger(t)}), memory.New(memory.Options{})
	var serving sync.WaitGroup
	serving.Go(func() {
		if err := broker.Serve(l); err != nil {
			t.Errorf("the embedded bus ended: %v", err)
		}
	})
	t.Cleanup(func() {
		broker.Close()
		serving.Wait()
		if err := store.Close(); err != nil {
			t.Errorf("closing the sessions in memory: %v", err)
		}
	})
	return Backend{Name: "memory", Shared: true, busURL: "amqp://" + l.Addr().String(), store: store}
}

// Real is RabbitMQ with Redis.
func Real(t testing.TB) Backend {
	t.Helper()
	return Backend{Name: "rabbitmq", Shared: true, busURL: Env(t, EnvRabbitMQ), sessionsURL: Env(t, EnvRedis)}
}

// Backends are all there is to test against.
func Backends(t testing.TB) []Backend {
	t.Helper()
	return []Backend{Embedded(), Real(t)}
}

// Each runs test on every backend, at the same time.
func Each(t *testing.T, test func(t *testing.T, b Backend)) {
	t.Helper()
	t.Parallel()
	for _, b := range Backends(t) {
		t.Run(b.Name, func(t *testing.T) {
			t.Parallel()
			test(t, b)
		})
	}
}
