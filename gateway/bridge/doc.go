// Package bridge joins one device to its links: it owns the device's MQTT session machine and stands between it and the bus. It is
// pure: events in, effects out, time as an argument.
//
// What it adds to mqtt/session:
//
//   - uplink.go: a PUBLISH becomes a message of the bus (mapping), its outcome becomes the answer (mapping.Classify). A transient outcome is
//     no answer: the ledger holds the message, tries again in order, and gives up only when the grace is over.
//   - downlink.go: a message of the bus becomes a PUBLISH; what the machine settles becomes an outcome.
//   - refuse.go, quarantine.go: what is refused for good, down and up.
//   - lanes.go: a subscription is put on the session lane (QoS 1 and 2) or on the node lane (QoS 0).
//   - access.go: what the device may do; a message that it may not publish does not reach the bus.
//   - failures.go: what fails gets its row of the catalogue and its trace id, and is told once to everybody.
//   - quota.go: what a message or a subscription costs, and what is refused because of it.
//   - spans.go: what a message took on its way through, as spans of its trace.
//   - moves.go: while a subscription changes lanes, messages come by both; the device gets each once.
//
// Invariants (bridge_test.go): a success goes to the machine only for accepted, or for released where the table says so (P1). Each
// delivery of the session lane is settled at most once. The ledger holds no more than the machine's window.
//
// The shell in package gateway carries the effects out. Nothing here knows of sockets, the store's contract or the AMQP client.
package bridge
