// Package failure is the catalogue of what can fail for a device, and the one place that says how each failure is told: to the device in MQTT 5 and
// in MQTT 3.1.1, on its error topic, to the backend as an event, to the operator in log and metric.
//
// What lives here: the rows (catalogue*.go), which row a protocol error of mqtt/packet or mqtt/session belongs to (protocol.go), a failure as it
// happened (occurrence.go) with its trace id (trace.go), and its form on the error topic (record.go). What does not: who decides that something
// failed, sending, counting, and bounds.
//
// Invariants: a code is legal in the packet it is listed for (MQTT 5, table 2-6). No sentence names a host, an address, another device or the
// bus's own words. A name is never used again for something else, since alarms and devices' programs depend on it. There is no row that no test
// provokes (gateway/e2e).
package failure
