// Package events tells the backend what went wrong with devices and their messages: each event is a CloudEvent in one AMQP message. It is
// pure: events in, messages out, time as an argument.
//
//   - event.go: what there is to tell. The type of an event and the names of its fields are a contract with backends (docs/events.md).
//   - encode.go: an event as a message, in CloudEvents' structured form: one JSON document that survives any bus and any dump.
//   - limiter.go: how many events an account may cause. What is beyond is counted, and the count is told.
//   - wedge.go: an account whose messages are refused again and again, or for the first time after long success.
//
// Invariants: what the limiter holds back is told as a number, never dropped in silence; memory is bounded by limits.go, whatever devices do.
//
// Package gateway carries the messages to the bus. Nothing here decides what a device is told.
package events
