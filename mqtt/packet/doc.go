// Package packet is the MQTT codec: the fifteen control packets of MQTT 3.1.1 and MQTT 5.0 as Go values, and their bytes.
//
// What lives here: reading the fixed header (ParseHeader), decoding one packet (Decode, Publish.Decode), reading packets
// from a stream with a size limit (Reader), encoding (Append, Size; Prepared for what is sent to many), the properties with the table that says which of them
// a packet may carry, and the reason codes with the table that says which packet may carry them.
//
// What does not live here: everything that needs memory of an earlier packet. That CONNECT comes first and once, that a
// packet identifier is in use, that a Topic Alias is known, that a client may not send a Subscription Identifier, and
// whether a Topic Filter places its wildcards rightly (a SUBSCRIBE answers that filter by filter) are rules of the session.
//
// The package imports nothing of ours, starts no goroutine, takes no lock, looks at no clock and logs nothing.
//
//	bytes -> ParseHeader -> Header, body -> Decode -> Packet
//	Packet -> Append -> bytes
//
// Invariants:
//
//	I1 Decode never panics and never reads past the body, whatever the bytes are.
//	I2 What Decode accepts, Append can write, and decoding that gives the same packet.
//	I3 What Append writes, Decode accepts.
//	I4 Memory follows the bytes that arrived, not the length that was announced.
//	I5 Decoded strings and byte slices share memory with the body. Whoever decodes must not change or reuse the buffer while
//	   the packet lives. Reader takes a fresh buffer for each packet, so its packets may be kept.
//	I6 Decoding and encoding a PUBLISH allocates nothing when the caller reuses its Publish and its output buffer.
//
// Every refusal is an *Error with the reason code to send, the clause of the standard, and a sentence for people.
package packet
