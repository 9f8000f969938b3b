// Package secure is what a node knows of TLS: the policy, the files with certificates, keys, revocations and secrets, the keys of session tickets, and
// who a verified certificate names. Connections are not its business: it makes tls.Configs, mqtt/transport and the clients of bus and store use them.
//
// Server serves the listeners. It reads its files again when they change and gives each new handshake the newest that were good; what is broken is
// told and the old stays. Run does that, in one goroutine, and also rotates the ticket keys. Handshakes take no lock.
//
// Invariants:
//   - What a certificate must fulfil is checked in VerifyConnection, which crypto/tls also calls for a resumed session, in TLS 1.2 and 1.3. So a
//     certificate that was revoked or has expired does not come back by way of a ticket.
//   - Ticket keys are a function of the secret and the time alone: nodes with one secret accept each other's tickets without talking to each other.
//   - An Identity exists only for a certificate that a CA of the operator's has signed.
package secure
