// Package token judges JSON Web Tokens (RFC 7519), shown as the password of a CONNECT or by enhanced authentication (MQTT 5, 4.12).
//
// What lives here: which algorithms are allowed and what key each takes (algorithm.go), keys and where they come from (keyset.go, pem.go, jwk.go;
// local.go for files, remote.go for a URL), what the claims say (claims.go). What does not: who may connect from where, how fast attempts may come,
// when a connection ends.
//
// Invariants:
//   - An algorithm takes keys of its own kind only (RFC 8725, 3.1): a public key is never a secret of an HMAC. Without a signature there is no token.
//   - No part of a token is believed before its signature has been verified, but for the name of the key and of the algorithm.
//   - Keys that were good stay in use when newer ones cannot be had. With none at all the answer is that nobody can judge, not that the token is bad.
//   - What a key has verified holds as long as the key is there (Holds).
//   - What a token can make this process do is bounded: limits.go.
package token
