package rig

import "testing"

// Backend is a bus and a store to run nodes on.
type Backend struct {
	Name string
	// Shared: several nodes can use it. Otherwise bus and store are inside the node and a test has one node.
	Shared              bool
	busURL, sessionsURL string
}

// Embedded is the bus in the node's process with sessions in memory.
func Embedded() Backend { return Backend{Name: "embedded"} }

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
