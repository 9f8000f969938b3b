package gateway

import "time"

// Bounds that are not configuration. Each says what grows without it.
const (
	// readAhead bounds the packets read from a device and not yet handled. It is no more than session.ReadAhead, which the machine keeps
	// room for while reading is paused.
	readAhead = 8
	// A device whose last packet came silentBeats ago or earlier is silent: it gets a goroutine for the next one (device.received). One that has not sent more than
	// parkPackets in a beat has none for what follows, where that can be (device.park). A beat is beatPause.
	beatPause   = 5 * time.Second
	silentBeats = 2
	parkPackets = 2
	// writeHigh is how many bytes may wait for a device that does not read. Above it nothing more is read from the device, no credit is given
	// to its session lane and QoS 0 deliveries are dropped; below writeLow all of that goes on.
	writeHigh = 256 << 10
	writeLow  = 64 << 10
	// inboxQoS0Max bounds the events waiting for a device beyond which QoS 0 deliveries are dropped.
	inboxQoS0Max = 512
	// fanoutBytes bounds the payloads that are gathered for devices while the bus has more messages, so that a device gets no more at once than may wait for
	// it anyway. fanoutShare is the least number of devices for which another processor is asked to help: its wake-up costs as much as some writes.
	fanoutBytes = writeLow
	fanoutShare = 32
	// turnEvents is how many events one goroutine handles for a device before it lets another go on, so that a bus connection's goroutine is not
	// held by one busy device.
	turnEvents = 64
	// takeoverWait is how long a new connection waits for the one it displaces on this node to handle what came before (microseconds), to learn
	// what the bus says of its QoS 2 messages, or to get an answer to its Claim. After it the epoch alone decides. A takeover has to be over within a second.
	takeoverWait = 500 * time.Millisecond
	// recallWait bounds a look at the records of a session: about as long as it is worth waiting for what they may say (mqtt/session, recall).
	recallWait = time.Second
	// authWait bounds finding out who a device is, the delay of an answer to those who have failed before included; after it CONNECT is answered with 0x88.
	authWait = 10 * time.Second
	// renewPause is the least time between two re-authentications of a connection. Devices renew once in minutes; what they show may end within a second.
	renewPause = 100 * time.Millisecond
	// claimWait bounds a Claim; after it CONNECT is answered with 0x88.
	claimWait = 10 * time.Second
	// A Claim without an answer is looked after (unanswered.go) by unansweredLooks looks that the store answers, unansweredPause apart: what was on its
	// way when we gave up has arrived by then. unansweredWait bounds the wait for the store, unansweredMax the sessions looked after at a time.
	unansweredLooks = 2
	unansweredPause = 5 * time.Second
	unansweredWait  = 5 * time.Minute
	unansweredMax   = 10_000
	// closeWait bounds the ordered release of a session lane.
	closeWait = 5 * time.Second
	// connectPacketMax is the largest first packet: a stranger may not make us take more memory.
	connectPacketMax = 64 << 10
	// turnedAwayMax is how many of those that are not admitted are told so at a time, the others are just closed; turnAwayWait bounds the time, and
	// turnedAwayPacketMax the memory, that each of them may take: a CONNECT with a token in it has some two thousand bytes.
	turnedAwayMax       = 256
	turnAwayWait        = 2 * time.Second
	turnedAwayPacketMax = 8 << 10
	// discardBytes and discardWait bound what is still read from a device whose connection we end, so that it gets to read our DISCONNECT before
	// the reset.
	discardBytes = 1 << 20
	discardWait  = 2 * time.Second
	// memoryLook is how often the use of memory is looked at while connections come, memoryStale how old the last garbage collection may be before
	// one is made for it. memoryShare of GOMEMLIMIT is what new connections may not take where nothing else is said: above it the collector takes
	// more and more of the processors.
	memoryLook  = 100 * time.Millisecond
	memoryStale = 5 * time.Second
	memoryShare = 0.8
	// quotaTenants is how many tenants have a series of their own in the metric of used-up quotas; the others share one.
	quotaTenants = 100
	// retryFirst and retryMax are the pauses between attempts at the bus or the store, before chance takes some off (jitter).
	retryFirst = 50 * time.Millisecond
	retryMax   = 2 * time.Second
	// nodeLaneCredit is the credit of the node lane: transfers are settled, so this bounds what the client library queues.
	nodeLaneCredit = 1000
	// markerWait is how long the node lane may be behind before it is taken for possible that a marker was lost, and another is sent.
	markerWait = 2 * time.Second
	// lateRouting is how late a bus may be with putting into a queue what it has routed (mapping.Dialect.RoutesLate): Artemis syncs its journal in
	// between. A SUBACK waits for it where a subscription changes its lane.
	lateRouting = 50 * time.Millisecond
	// nodeInboxExpires: how long the node lane's inbox outlives a node that died, in milliseconds.
	nodeInboxExpires = 60_000
	// nodeInboxLength: QoS 0 messages kept on the bus for a node that does not keep up; the oldest go first.
	nodeInboxLength = 100_000
	// retainedPage is how many topics are looked at at a time for a new subscription, retainedBatch how many of their messages are in memory at
	// once, retainedCopies how many copies may be on their way to a session's inbox: enough for the bus's round trip, few enough not to be
	// in the way of other devices' messages.
	retainedPage   = 1000
	retainedBatch  = 32
	retainedCopies = 128
	// Records of failures: recordsThere may be in the inbox of a session because of one connection before the device has taken any, so that they do
	// not take the place of messages; recordsWaiting, and recordsBytes together, wait on the node beyond that or while the bus is away. recordLife is how
	// long one is kept for a device that does not come back: it bounds what many short connections leave.
	recordsThere   = 64
	recordsWaiting = 32
	recordsBytes   = 32 << 10
	recordLife     = time.Hour
	// retainedQueueCredit is how many messages of backends, to be retained, wait on the node that has their queue.
	retainedQueueCredit = 32
	// eventsWaiting bounds the events that wait for the bus, some hundred bytes each; the counts of what was held back come on top, one for
	// an account. eventsBatch is how many are on their way at once, eventsTick how often counts are looked at.
	eventsWaiting = 1000
	eventsBatch   = 32
	eventsTick    = time.Second
	// eventsLength bounds the events that nobody has read on the bus; the oldest go first.
	eventsLength = 10_000
	// wedgePause is how often it is looked whether an alarm is over.
	wedgePause = 5 * time.Second
	// refusalLines is how many lines of one kind the node logs one by one in a linesWindow: refused or dropped messages of QoS 0, refused filters, refused and
	// ended connections, and any other text. answeredLines is it for messages of QoS 1 and 2, which acknowledgements pace and somebody may look for. fieldMax
	// bounds what a line has of a topic, a filter, a client identifier or an error, in bytes: devices may make them 65,535 bytes long.
	refusalLines  = 100
	answeredLines = 1000
	linesWindow   = 10 * time.Second
	fieldMax      = 512
	// endedMax bounds the sessions of which it is remembered, for the moment until their inbox is removed, that they ended with their connection.
	endedMax = 10_000
	// quarantineLength bounds the messages in the quarantine. One more is refused: the device is told, or the sender.
	quarantineLength = 100_000
	// eventsShard is the link that events go by, in order.
	eventsShard = 0
	// drainTick is how often a paced drain goes on.
	drainTick = 10 * time.Millisecond
	// leasePause, sweepPause and duePause are how often a node renews its lease (sessionstore.LeaseTTL), looks for dead nodes, and looks for work
	// whose time has come.
	leasePause = 3 * time.Second
	sweepPause = time.Second
	duePause   = 500 * time.Millisecond
	// trimPause is how often a node removes retained messages that have expired. They are not delivered any more anyway.
	trimPause = 2 * time.Second
	// targetsPause is how often a node looks whether what rules name is on the bus. An exchange that comes back is heard again after it.
	targetsPause = 5 * time.Second
	// leaseRetry is the pause after a lease that could not be renewed: others must not take the node for dead just because the store was away.
	leaseRetry = 500 * time.Millisecond
	// epochsRound is how long a round through all connections takes in which the epochs of their sessions are compared, sessionstore.MaxEpochs
	// at a time. A connection that lost its session unnoticed is ended after two rounds at the latest, of which one can have passed it by: well
	// before the new owner gives up what the old one withholds (session.Config.OrphanTime, 30 s). With 100,000 connections that is a
	// call every 51 ms: 10,000 reads a second of one field each, a few percent of a Redis. epochsHurry is a round after an interruption of
	// the watch: soon, but a store that has just come back is not asked for all at once.
	epochsRound = 10 * time.Second
	epochsHurry = 2 * time.Second
	// revocationsPause is how often a node asks whether the list of revocations has changed: one read of one field. A revocation is promised to be in force everywhere
	// within five seconds.
	revocationsPause = time.Second
	// bindingsRound is how long a round through all connections takes in which what they have bound is bound anew, one each bindingsTick at most, and
	// bindingsPause the pause between two. boundAssigned is how long what the server has assigned, and boundAfterExpiry how long a credential that has expired,
	// is kept without that: longer than from one round to the next. DefaultClientsKeep is it for other client identifiers: a device that was in a
	// drawer for a month finds its own.
	bindingsRound      = 10 * time.Minute
	bindingsPause      = 10 * time.Minute
	bindingsTick       = time.Millisecond
	boundAssigned      = time.Hour
	boundAfterExpiry   = time.Hour
	DefaultClientsKeep = 30 * 24 * time.Hour
	// DefaultClientsMax is how many client identifiers are bound to a principal whose credentials are shared: a fleet that has one login, some 20 MB of the store.
	DefaultClientsMax = 100_000
	// adminBodyMax bounds what an administrator sends, in bytes; revocationDefault is how long a revocation lasts unless it says otherwise, revocationMax the longest.
	adminBodyMax      = 16 << 10
	revocationDefault = 30 * 24 * time.Hour
	revocationMax     = 10 * 365 * 24 * time.Hour
	// upkeepWait bounds one of those steps.
	upkeepWait = 5 * time.Second
	// workBatch is how many pieces of work are claimed at once, workMax how many are under way.
	workBatch = 32
	workMax   = 64
	// workWait bounds a piece of work. It is less than sessionstore.WorkLease, after which another node may get it.
	workWait = 25 * time.Second
)
