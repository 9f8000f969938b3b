// Package amqp is the bus as the gateway sees it: the Bus interface and its values.
//
// amqp/message holds messages and outcomes, amqp/client implements Bus over github.com/Azure/go-amqp with the topology
// operations of amqp/topology, and amqp/embedded is an AMQP 1.0 broker of our own for runs without a real one. Nothing here
// or below knows of MQTT.
package amqp
