// Package session is the MQTT session as a state machine: what a server must answer to what, for MQTT 3.1.1 and 5.0.
//
// A Machine serves one connection. Events go in, effects come out in the order they are to be carried out; time comes in with each event.
// There is no I/O, goroutine, lock, clock or randomness here, so the same events always give the same effects. The machine knows topics
// and packets; it knows nothing of the bus, the store or who the device is. Those answer its effects with events.
//
// "$share/group/filter" is a shared subscription in 3.1.1 too, as users of other servers expect, although there the letter of the standard
// makes it an ordinary filter. A QoS 1 message of a group leaves no record: when the connection ends, it goes back to the group, which the
// standard allows (4.8.2), and a session that resumes has no exchange of it to go on with. See shared.go for QoS 2.
//
// Where to look:
//
//	machine.go     Step: which event goes where, and what is done after each
//	connect.go     CONNECT, CONNACK and what they agree on; resume.go: what a resumed session carries over
//	auth.go        enhanced authentication, before CONNACK and on an open connection
//	inbound.go     PUBLISH of the device (uplink); inbound2.go: its QoS 2 exchange; ledger.go: answers in order;
//	               recall.go: what an earlier connection knows of it
//	propertybag.go properties of MQTT 3.1.1 devices, behind the topic name
//	outbound.go    messages to the device (downlink); exchange.go: its answers; redelivery.go: messages that come again
//	lane.go        the links that bring them; shared.go: those of shared subscriptions; credit.go: how many may come
//	verdict.go     how a delivery is settled, and remembering that; completed.go: exchanges that are over
//	access.go      what the device may hear
//	subscribe.go   SUBSCRIBE and UNSUBSCRIBE; route.go: which subscriptions a message is for
//	store.go       what goes on once a write is stored; send.go: packets and their size
//	keepalive.go   all deadlines; close.go: how a connection ends, the Will
//	packetid.go    identifiers towards the device; topicalias.go: aliases both ways; limits.go: every bound
//	failure.go     what a device is told of a failure besides the reason code, and its error topic
//	invariant.go   Check, for tests
//
// Invariants:
//
//	I1 a positive PUBACK or PUBREC is sent only after PublishAnswered said success, and for a persistent session's QoS 2 only after that was stored;
//	I2 a delivery is settled accepted only after the device's PUBACK, or after its PUBREC was stored, or when nothing needs to be sent;
//	I3 each delivery is settled at most once;
//	I4 PUBACKs, and PUBRECs, go out in the order of the PUBLISH packets they answer; PUBLISH packets to the device in the order the bus gave;
//	I5 PUBLISH packets without answer never exceed the window, and what a lane has outstanding not its quota; every list and map is
//	   bounded (limits.go);
//	I6 Finish comes exactly once, and nothing after it.
package session
