package faults

import (
	"testing"
	"time"

	"sluice/gateway/e2e/rig"
)

// outage is how long a part is away: the bound within which no device may notice.
const outage = 10 * time.Second

// slowness is what a slow part takes longer, each way.
const slowness = 250 * time.Millisecond

// A bus that dies and comes back after ten seconds: the embedded broker, which keeps its queues.
func TestBusRestartEmbedded(t *testing.T) {
	t.Parallel()
	b := startBus(t)
	n := b.node(t)
	f := newFleet(n, openBackend(t, b.url()))
	f.judge = newOracle(b).judge
	f.connect(t)
	f.through(t, b.down, func() { b.up(t) })
}

// The same with RabbitMQ behind a network that is cut and refuses for ten seconds. The broker itself goes on: what was in
// flight may be on it although nobody was told.
func TestBusRestartRabbitMQ(t *testing.T) {
	t.Parallel()
	real := rig.Env(t, rig.EnvRabbitMQ)
	p, url := newProxy(t, real, "5672")
	n := rig.Start(t, rig.Real(t), "bus.url="+url, patient)
	f := newFleet(n, openBackend(t, real))
	f.connect(t)
	f.through(t, p.down, p.up)
}

// RabbitMQ that freezes: no connection ends, nothing is answered.
func TestBusFrozen(t *testing.T) {
	t.Parallel()
	real := rig.Env(t, rig.EnvRabbitMQ)
	p, url := newProxy(t, real, "5672")
	n := rig.Start(t, rig.Real(t), "bus.url="+url, patient)
	f := newFleet(n, openBackend(t, real))
	f.connect(t)
	f.through(t, p.freeze, p.thaw)
}

// A bus that takes a quarter of a second longer for everything: slower, and nothing else.
func TestBusSlow(t *testing.T) {
	t.Parallel()
	real := rig.Env(t, rig.EnvRabbitMQ)
	p, url := newProxy(t, real, "5672")
	n := rig.Start(t, rig.Real(t), "bus.url="+url, patient)
	f := newFleet(n, openBackend(t, real))
	f.connect(t)
	f.through(t, func() { p.slow(slowness) }, func() { p.slow(0) })
}
