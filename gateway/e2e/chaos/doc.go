// Package chaos runs the real thing while it is being broken: six sluice processes behind a TCP load balancer, RabbitMQ and Redis behind
// proxies, some hundred devices with persistent sessions, and an oracle that compares every message sent with every message received.
//
//	devices ── balancer ── node processes ─┬─ proxy ── RabbitMQ ── backend
//	                                       └─ proxy ── Redis ── replica
//
// Devices, balancer, proxies and backend live in the test process; the nodes are built from cmd/sluice and are started, killed, paused
// and drained as an operating system would. A run has four parts: the storm (faults under load), a rolling restart of all nodes under load,
// the healing (faults end, everything outstanding must finish within a deadline), and the wills of devices that really die, with their nodes or
// without.
//
// Redis, and RabbitMQ if it is to be restarted, are the run's own. In a fail-over the replica is cut off first, so that the primary has what the
// replica lacks; then the primary dies and the replica takes its place, or takes it before, while nodes still use the old one. With profile
// durable nothing that was answered may be lost by that. Profile standard does not promise it, and so is run without; package failover shows
// what it loses.
//
// What is checked, by the identity (direction, device, QoS, sequence) that each payload carries:
//
//   - up: what was acknowledged (PUBACK, PUBREC) is at the backend. QoS 2 twice at the backend only under the same message-id, all copies but
//     one flagged, and no more copies than transmissions by the device and losses of bus connections explain.
//   - down: what the bus accepted while the session existed is at the device; at QoS 2 once.
//   - order: of the messages of one device, direction and QoS, the first arrivals come in the order of sending. Repetitions may come
//     anywhere: MQTT allows them for QoS 1 in order of re-sending [MQTT-4.6.0-1], and a paused node that wakes up may send what another node
//     has sent already.
//   - sessions: Session Present whenever the device has had a CONNACK before; nobody is disconnected without a fault that explains it.
//   - wills: none for a node that stops in good order, none twice, one for each device that dies, also if its node dies in the same moment.
//
// CHAOS_SECONDS, CHAOS_KILLS, CHAOS_DEVICES, CHAOS_RATE, CHAOS_SEED, CHAOS_PROFILE, CHAOS_FAILOVERS and CHAOS_RESTART_BUS change the run: see
// settings_test.go. The fault schedule follows from the seed; what the processes make of it does not, so the same seed is the same weather and
// not the same run.
package chaos
