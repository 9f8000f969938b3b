// Package tracing brings the spans that bridges tell to an OpenTelemetry collector: OTLP over HTTP, protobuf.
//
// What lives here is the queue, the form of a span, and the sending. Which messages have spans, their ids and their times are package bridge's.
//
// Invariants: Tell never waits; what has no room is counted and dropped. No more than limits.go says is held. Nothing that happens here reaches a device.
package tracing
