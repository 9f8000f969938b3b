package secure

import "crypto/tls"

// OldestVersion is the oldest version of TLS spoken, on either side (RFC 8996 forbids the ones before).
const OldestVersion = tls.VersionTLS12

// Suites12 are the cipher suites of TLS 1.2: ephemeral keys and authenticated encryption only (RFC 9325, 4.2). Those of TLS 1.3 are all of this
// kind and are not chosen. Their order is crypto/tls' affair, which knows what the machine is good at.
var Suites12 = []uint16{
	tls.TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256,
	tls.TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256,
	tls.TLS_ECDHE_ECDSA_WITH_AES_256_GCM_SHA384,
	tls.TLS_ECDHE_RSA_WITH_AES_256_GCM_SHA384,
	tls.TLS_ECDHE_ECDSA_WITH_CHACHA20_POLY1305_SHA256,
	tls.TLS_ECDHE_RSA_WITH_CHACHA20_POLY1305_SHA256,
}

// The application protocols of the listeners (ALPN). A device that names none is let in; one that names others only is not.
const (
	ProtocolMQTT = "mqtt"     // as IANA has it
	ProtocolHTTP = "http/1.1" // with which a WebSocket begins; a browser offers nothing else that would do
)

// policy is what every configuration of ours begins with.
func policy() *tls.Config {
	return &tls.Config{MinVersion: OldestVersion, CipherSuites: Suites12}
}
