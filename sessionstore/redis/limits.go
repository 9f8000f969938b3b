package redis

import "time"

const (
	// DefaultGrace is how long a step is retried while the store is out of reach. Requirement 8: an outage up to 30 s disconnects nobody.
	DefaultGrace = 30 * time.Second

	// lanes is the number of queues, each with one flusher and so one connection. A session always uses the same lane, which keeps its
	// order. Four fill a Redis, which runs scripts on one core, and halve the wait behind a large batch.
	lanes = 4
	// laneSteps and laneBytes bound what waits in a lane: at 2,000 writes a second and lane that is a grace's worth of small steps. Beyond
	// them a step gets ErrUnavailable at once.
	laneSteps = 65536
	laneBytes = 32 << 20
	// batchCalls and batchBytes bound one pipeline: about 5 ms of Redis, so that a Claim never waits long behind writes.
	batchCalls = 256
	batchBytes = 1 << 20
	// callOps bounds the ops of several Writes of a session that go as one call: as a call is atomic, others wait for it.
	callOps = 256

	// attemptTime bounds one pipeline's round trip, from there on the connection is given up. Redis answers a batch in milliseconds: only a
	// stalled server or a dead peer takes seconds.
	attemptTime = 5 * time.Second
	dialTime    = 2 * time.Second
	// backoffMin and backoffMax bound the wait between attempts, jittered: quick over a failover, gentle with a server that is starting.
	backoffMin = 10 * time.Millisecond
	backoffMax = time.Second

	// DefaultReplicaTimeout is how long replicas have to confirm. They do within a round trip, or with WAITAOF within the second of
	// appendfsync everysec; each lane waits so long for those that do not.
	DefaultReplicaTimeout = 2 * time.Second

	// claimRepeat is how long a claim is kept recognizable, beyond the grace, in which it may be repeated: its last attempt.
	claimRepeat = 2 * attemptTime
	// backstopMargin is how long Redis keeps a session after it ended by the nodes' clocks, which may differ, when it leaves nothing to do.
	// Others are kept for a week (WORK_KEPT in scripts/lib.lua).
	backstopMargin = time.Hour

	// timerShards spread the timer hints over slots. It is the same for every node and must never change: a hint would not be found.
	timerShards = 16

	// retainedRoom is how many retained messages that have expired one put removes when it meets a quota; trimStep is how many a step of
	// TrimRetained does, so that it is over in some milliseconds.
	retainedRoom = 64
	trimStep     = 256
	// trimTenants bounds the tenants that one TrimRetained looks at, and trimLook is how soon it looks at a tenant again whatever its messages
	// say: another may have come that expires sooner.
	trimTenants = 64
	trimLook    = 10 * time.Second

	// spareConns are pool connections beside the lanes', for Ready.
	spareConns = 2
	// minVersion is the first Redis that knows the script flags used here.
	minVersion = 7
)
