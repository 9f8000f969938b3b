// Package sim runs several nodes, their devices, the store and the bus in one goroutine, in virtual time, from one seed.
//
// The rules under test are the real ones: each connection has a real gateway/bridge.Bridge and in it a real mqtt/session.Machine, with
// mapping between them, and the store is sessionstore/memory. What carries their effects out is a model of the gateway's shell, written
// to do what gateway/device.go, open.go, effects.go, finish.go, lanes.go, sessionlane.go, sharedlane.go, retained.go and upkeep.go do, with
// answers as later events. The bus, the network and the devices are models.
//
// Everything is drawn from the seed: the workload, the delays and with them the order of events, and the faults. No map is iterated. So
// one seed and one source give one trace, byte for byte; a seed that fails can be replayed: SEED=17 make sim.
//
// A run has two halves. In the first there are faults at every step (faults.go) and the oracle checks safety after each event
// (oracle.go: P1, P2, P3, P4, exactly once, order; Machine.Check: P5). Then the faults stop and the network heals, and the oracle waits a
// bounded time for everything to be delivered, acknowledged and cleaned up (liveness.go): nothing wrong because nothing happened is a
// failure too.
//
// Where to look:
//
//	world.go     events, virtual time, the seed, the trace; network.go: ordered, breakable connections
//	node.go      a node and its directory; shell.go: one connection of a device; open.go, finish.go, lanes.go, upkeep.go: as in package
//	             gateway
//	shared.go    groups of shared subscriptions, and retained.go: retained messages, as in package gateway; groupstore.go: their steps in the store
//	store.go     the way to the store: order, lost answers, outages; the store itself is sessionstore/memory
//	broker.go    the bus: a topic exchange, queues, consumers; busclient.go: a node's connection to it
//	device.go    a model device: the standard's client, with a persistent session of its own; exchange.go: its packets
//	faults.go    what goes wrong, and when; workload.go: who does what
//	oracle.go    what must never happen; wills.go: the same for Wills and due work; liveness.go: what must happen in the end
//	groups.go    what must never happen to a message of a group, and what is left of groups; retention.go: the same for retained messages; via.go:
//	             by which way a message came to a queue
//	canary       plants defects in the production code and expects this package to find them
//
// What is not simulated: Wills that are retained, the queue by which backends retain messages, and expiry; bytes (packets travel as values), TLS,
// and the clients of Redis and AMQP. Their suites test those.
package sim
