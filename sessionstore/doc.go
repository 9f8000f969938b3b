// Package sessionstore is the contract for what must outlive a node: session records with owner and epoch, subscriptions, inbound QoS 2
// records and outbound in-flight records, wills, retained messages, groups of shared subscriptions, what is left to do when a session, a
// group or a node is gone, and who may not come back: client identifiers bound to principals, and revocations.
//
// Invariants: a session has one owner, and who is not it changes nothing. What is left to do is a piece of work, which one worker has at a
// time and which stays until it is finished. A Will is in one place: with its session, aside, or work. A topic has one
// retained message at most. A member of a group is known to its session.
//
// It holds no MQTT rules and no AMQP: fields named after MQTT are carried, not understood. The implementations are
// sessionstore/memory (obvious on purpose: the oracle for the other) and sessionstore/redis; sessionstore/storetest is the one suite
// that both pass.
package sessionstore
