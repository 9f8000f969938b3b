// Package faults tests what happens to whole nodes when a part fails or a device misbehaves: the bus gives every kind of answer, or none, or
// goes away; the store goes away or freezes; devices send what is no MQTT, say nothing, or read nothing; and two thousand of them publish at
// once.
//
// The faults are made where they happen in life: in the embedded broker's answers (amqp/embedded Faults), between the node and a real
// service (proxy_test.go), and on the devices' sockets. What must hold is P1 to P5 of ARCHITECTURE.md.
//
// TestLoad runs for ten seconds; SLUICE_LOAD_SECONDS and SLUICE_LOAD_RATE (messages per second) make it longer and faster.
//
// There is nothing here but tests.
package faults
