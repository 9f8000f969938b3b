// Package attack holds only tests: what somebody with a device, a token, a certificate or a password of his own tries against the devices of others, on two nodes,
// with both versions of MQTT. Each test has a victim that works all the while and must notice nothing.
package attack
