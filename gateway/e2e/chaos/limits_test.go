package chaos

import "time"

const (
	nodeCount = 6
	// mortalCount is how many devices there are that die with their node: enough that hardly any node is without one.
	mortalCount = 24
	// devicesMax bounds CHAOS_DEVICES: each device has four file descriptors and about 2 KiB of records per second in this process.
	devicesMax = 2000
	// shortestStorm leaves room for one pause that is longer than any lease.
	shortestStorm = 22 * time.Second

	// failoverSlot is the time for a fail-over, with some calm around it.
	failoverSlot = 20 * time.Second

	// pauseFor is how long a node is stopped (SIGSTOP): longer than a node's lease (10 s) with the time until somebody believes that it is
	// gone (5 s).
	pauseFor = 17 * time.Second
	// pauseMax is for the pauses after the first, which only long storms have: more than RabbitMQ's heartbeat (60 s) by default.
	pauseMax = 70 * time.Second

	// window bounds the exchanges a device has under way. Below the node's Receive Maximum (100).
	window = 20
	// dialWait, connackWait and writeWait bound a device's patience with a node; silence is after how long without any packet it gives up
	// a connection, pinging every pingEvery.
	dialWait    = 2 * time.Second
	connackWait = 5 * time.Second
	writeWait   = 2 * time.Second
	silence     = 3 * time.Second
	pingEvery   = time.Second
	keepAlive   = 10 // seconds, as told to the node: more than silence, so that the device is always the first to give up
	// backoffMin and backoffMax bound the jittered pause before a device connects again.
	backoffMin, backoffMax = 20 * time.Millisecond, 400 * time.Millisecond

	// healthEvery, healthWait and healthFall are the balancer's checks: as HAProxy's inter, timeout and fall.
	healthEvery = 250 * time.Millisecond
	healthWait  = time.Second
	healthFall  = 2
	// drainWait bounds the second direction of a proxied connection after the first has ended.
	drainWait = 3 * time.Second

	// startWait bounds building and starting until every device is subscribed.
	startWait = 60 * time.Second
	// restartWait bounds one node's way from SIGTERM to ready again; its own shutdown.timeout is below.
	restartWait = 40 * time.Second
	// healWait is the promise of progress: with all parts back, everything outstanding is done within it. What makes it long is RabbitMQ: it
	// gives a silent node's deliveries back only when it has given up the connection.
	healWait = 60 * time.Second
	// grace is within which a device that comes back calls off the Will of a connection that died with its node.
	grace = 5 * time.Second
	// takeoverMax is the promise for a device that goes from one node to another, dialling included, while the store can be reached. settle is how
	// long after an outage of the store the clients may still wait before they try it again.
	takeoverMax = time.Second
	// crowdedMax is the same where other tests use the processors too: that there is progress, no more.
	crowdedMax = 15 * time.Second
	settle     = 2 * time.Second
	// willWait bounds the Will of a dead device, its delay included. mournWait is for one whose node died too: what is left of the node's lease (10 s), then
	// nobody may take it for dead for 20 s, from the restart of whoever watches or an outage of the store; then the grace and the Will's delay.
	willWait  = 30 * time.Second
	mournWait = 60 * time.Second
	// willDue is how long a device is away after its node died when its Will has to have come.
	willDue = 90 * time.Second

	// examplesMax bounds how many examples of one kind of violation are printed.
	examplesMax = 5
	// openFiles: both ends of every device's connection, the balancer's and the proxies' are in this process.
	openFiles = 10_000
)
