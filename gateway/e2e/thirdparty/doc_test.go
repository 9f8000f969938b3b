// Package thirdparty drives the gateway with MQTT clients that others wrote: mqtt.js, and the two Go clients of Eclipse Paho. Each scenario is a
// function of a stage: a client library as one version of MQTT, on two nodes that share a bus and a store, either in memory with the embedded bus or RabbitMQ
// with Redis. Publishers and subscribers are on different nodes, and who comes back comes back to the other node.
//
// Every connection goes through a wire of the test's own, which cuts it, or stops carrying, and which notes the packets it carried: what a library does not
// tell (aliases, packets under way) is read there.
package thirdparty
