// Package gateway is a node: it joins devices (mqtt) to the bus (amqp) and keeps their sessions in the store (sessionstore).
//
// It is the shell around the pure parts. The rules are in mqtt/session (what MQTT says), mapping (what becomes of a message) and
// gateway/bridge (which joins the two for one device). Here are the goroutines, the sockets and the clock:
//
//	device.go       one connection: events in, one at a time, effects out (effects.go)
//	open.go         CONNECT: displace, claim, resume
//	finish.go       the end of a connection: release
//	upkeep.go       leases, sessions of dead nodes, due work: Wills (will.go) and inboxes
//	unanswered.go   sessions of claims that the store did not answer in time
//	epochs.go       connections that lost their session and were not told
//	shutdown.go     the paced end of a node
//	lanes.go        subscriptions on their way to the bus
//	lane.go         a receiver of a device: of its session (sessionlane.go, QoS 1 and 2), or of a group (sharedlane.go)
//	nodelane.go     the receiver of the node (QoS 0); fanout.go: its messages gathered and handed out; nodefilters.go: what is bound for it
//	retained.go     retained messages, to the store and to new subscriptions; retainedqueue.go: those of backends
//	failed.go       who is told of a failure; recordbox.go: its record, for the device's error topic
//	eventsender.go  what the backend is told; tally.go: whose messages are refused again and again
//	quarantine.go   messages that were refused for good
//	directory.go    which connection of this node has which session
//	admin.go        health, readiness, metrics
//
// gateway/config reads the configuration; gateway/e2e runs the whole against real parts.
package gateway
