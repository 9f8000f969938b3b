// Package transport carries MQTT packets over a network connection: listeners for TCP and TLS, WebSockets on either, and a
// writer that never makes its caller wait, and a place for connections that are silent.
//
// It decides nothing about MQTT. Reading is packet.Reader's work, on the goroutine of the connection. Writing goes through Writer: packets are
// appended to a buffer, and a goroutine that lives only while the buffer has something in it hands it to the network. So
// packets that come in quick succession share a system call and a TLS record.
//
// An idle connection costs one goroutine, its reader. A plain one need not have that either: Parking watches it until there is something to be read, and has a
// new reader begin. It costs a packet some three microseconds of processor time, so it is for devices that say little.
//
// A WebSocket begins as any connection does: accepted, perhaps secured, then upgraded on its own goroutine. There is no HTTP server behind it, as
// there is nothing else to serve. From then on it is a net.Conn like the others, half-close and deadlines included.
package transport
