// Package rig holds what the end-to-end tests share: nodes started in the process against the embedded bus or against real services, services of
// a test's own, a backend on the bus, other people's MQTT and AMQP clients as child processes, unique names, and waiting with a deadline.
//
// It is for tests only and knows nothing of the gateway's inside: a node is started from its configuration and met through its ports. What
// it starts it ends with the test, and it waits for that, so that goleak sees what the gateway leaves behind. Nothing here sleeps: readiness
// is a line of output, a packet or a poll.
package rig
