// Package section takes an AMQP 1.0 message [AMQP part 3.2] apart into its sections and puts it together again.
//
// Invariants:
//   - The bare message (properties, application-properties, body) is never re-encoded: what came goes out, byte for byte.
//   - Parse checks every section to its end, annotation keys and section order included, so that a consumer is never handed a malformed
//     message that a producer sent. Its cost is a walk over the bytes without allocation.
//   - Parsed sections are views of the payload.
//
// EncodeMessage and DecodeMessage convert to and from message.Message, for those who make or read messages themselves (the management
// node, tests, a client).
package section
