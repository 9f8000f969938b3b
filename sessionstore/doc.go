// Package sessionstore is the contract for what must outlive a node: session records with owner and epoch, subscriptions, inbound QoS 2
// records and outbound in-flight records.
//
// It holds no MQTT rules and no AMQP: fields named after MQTT are carried, not understood. The implementations are
// sessionstore/memory (obvious on purpose: the oracle for the other) and sessionstore/redis; sessionstore/storetest is the one suite
// that both pass.
package sessionstore
