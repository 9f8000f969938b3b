// Package message holds the AMQP 1.0 message and delivery outcome as the rest of the gateway sees them: plain values, no wire
// encoding, no connection.
//
// It exists so that the mapping rules and the state machines know nothing of the AMQP client library, and so that a model
// can stand in for the bus in the simulation. Encoding lives in amqp/client (through the client library) and amqp/wire.
package message
