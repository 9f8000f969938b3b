// Package frame turns AMQP 1.0 frames, performatives and SASL frames [AMQP part 2, 5.3] into Go structs and back.
//
// It is role-neutral: a broker and a client use the same structs. It holds no connection, session or link state and does no I/O; what a
// performative means is decided above it, in amqp/embedded and, for transfers, in amqp/client. Messages inside transfers are opaque here: see amqp/section.
//
// Invariants:
//   - A frame's size is checked against the limit from its 8-byte header, before memory is taken for the rest.
//   - Decoded []byte fields and payloads are views of the frame body: copy what has to outlive the buffer.
//   - Defaults of the standard are filled in on decoding, so that code above never sees "absent" where the standard names a value.
//   - A missing mandatory field, a wrong type, an unknown descriptor or more fields than the standard has is a *wire.Error that names
//     performative and field. It never panics.
package frame
