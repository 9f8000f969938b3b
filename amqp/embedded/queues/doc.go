// Package queues is the heart of the embedded broker: exchanges, bindings, queues and what their consumers hold. It knows nothing of
// connections, links or the wire.
//
// Everything hangs below a Store, which one mutex protects. No method blocks, does I/O or reads a clock: the time comes in as an argument and
// the next time at which something is due goes out (Store.Tick). The only calls out are the Notify functions of consumers and the
// Alarm function of the store; they run under the mutex, so they must not block and must not call back.
//
// Where RabbitMQ 4 has an answer, this package gives the same one: names of exchanges and arguments, one copy per queue however many bindings
// match, per-message expiry at the head of the queue, dead-lettering, single active consumer.
//
// Invariants, checked by the property test:
//
//   - a message that was routed to a queue is ready, assigned, held unsettled by exactly one consumer, or gone by a settlement, expiry,
//     length limit, purge or deletion; nothing else removes it
//   - messages leave a queue in the order in which they came; one that comes back takes its old place
//   - no consumer is given more than it asked for
package queues
