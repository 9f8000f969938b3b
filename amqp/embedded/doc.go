// Package embedded is an AMQP 1.0 broker inside the process: the bus of `sluice serve` when none is configured, and the bus of the tests.
//
// It speaks RabbitMQ 4's addresses (v2) and the same subset of its /management node that the gateway uses, so that one topology driver
// serves both. It keeps everything in memory and nothing beyond the process.
//
// This package is the shell: sockets, goroutines, locks, clock and log. Bytes become values and back in amqp/wire, amqp/frame and amqp/section, which
// amqp/client uses as well. The rules live in rooms of their own:
//
//	endpoint               connection, session and link rules; pure
//	queues                 exchanges, queues, redelivery; one mutex, no I/O
//	management             requests of the /management node; pure
//	servicebus             entities, tokens and time rules of a broker that acts as Azure Service Bus; one mutex, no I/O
//
// Each connection has a reader, which feeds the endpoint and carries out its effects, and a writer, which collects deliveries and
// writes all output that has gathered in one system call. Both work on the endpoint under the connection's mutex.
//
// Locks are taken in this order: connection, namespace (servicebus), store, then the leaves (ready list, broker registry, fault switches). The store's callbacks run under
// the store's mutex and take leaves only.
//
// When the queued bytes reach nine tenths of Options.MaxQueueBytes, publishers get no more credit; what they had in flight is still taken
// up to the limit, and beyond it rejected with amqp:resource-limit-exceeded and info.reason "unavailable", which means: later.
//
// Not supported, and refused by name: transactions, link resumption, receivers that settle second, filters, dynamic targets.
package embedded
