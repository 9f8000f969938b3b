// Package wire turns values of the AMQP 1.0 type system [AMQP part 1] into bytes and back.
//
// It knows types and encodings only: frames and performatives are in amqp/frame, message sections in
// amqp/section. It does no I/O, keeps no state between calls and never logs.
//
// Invariants:
//   - Encoding appends to a caller's slice. Decoding is a cursor over a caller's slice; it never reads past its end and never panics,
//     whatever the bytes are.
//   - Decoded []byte values are views of the input: valid as long as the input is, and never to be written to. Strings, symbols and fixed
//     width values are copies.
//   - Memory taken while decoding is bounded by the number of bytes that are there, at most some 40 bytes for each, and not by a count or
//     size that the peer claims (limits.go).
//   - Decode then encode then decode gives the same value, although not always the same bytes: an encoder picks the short form.
package wire
