package client

import "time"

// Every bound of this package, with its reason. Options can change those that depend on the installation.
const (
	// connectionCores is for how many cores of ours there is one publishing connection by default. The fewer links share the messages, the more of
	// them each wake-up and each system call carries, on both sides: with one link instead of two on each of two connections, RabbitMQ 4.3 and the
	// gateway spend a quarter less for a message. A connection's goroutines are serial, and good for some 30,000 messages a second.
	connectionCores = 4
	// maxConnections bounds Options.Connections: each costs a TLS session and four goroutines on both ends.
	maxConnections = 64
	// defaultLanes per publishing connection, see connectionCores. RabbitMQ lets a link have 170 messages without outcome, and a little more: enough
	// as long as it answers within ten milliseconds.
	defaultLanes = 1
	maxLanes     = 16
	// defaultWindow is how many sends of one link may be unanswered. Beyond 1,000 throughput does not grow, memory does.
	defaultWindow = 1024
	maxWindow     = 1 << 16
	// defaultQueue is how many sends may wait for a lane's link: a few of each of thousands of devices.
	defaultQueue = 1 << 14
	maxQueue     = 1 << 20
	// defaultSendTimeout: a written transfer that the bus has not answered by then is lost, and so is trust in the connection.
	defaultSendTimeout = 20 * time.Second
	// defaultIdleTimeout is after how much silence a connection counts as dead. We advertise half of it, as the standard asks.
	defaultIdleTimeout = 10 * time.Second
	// minIdleTimeout: RabbitMQ 4.3.6 refuses a connection that asks for heartbeats within less than 1 s.
	minIdleTimeout = 2 * time.Second
	// dialTimeout bounds TCP, TLS, SASL and open together.
	dialTimeout = 10 * time.Second
	// attachTimeout bounds begin, attach and detach. A bus that does not answer within it has lost the connection's trust.
	attachTimeout = 30 * time.Second
	// writeTimeout bounds one system call of the flusher. It is longer than a garbage collection or a short network stall.
	writeTimeout = 15 * time.Second
	// closeFlushTimeout bounds what is written after Close: the close performative.
	closeFlushTimeout = 2 * time.Second

	// maxFrameSize is what we advertise and the largest frame that the guard lets in, in bytes.
	maxFrameSize = 64 << 10
	// writeBuffer is how many bytes may wait for the flusher before Write blocks. It is a few frames: more would only hide a stalled bus.
	writeBuffer = 256 << 10
	// readBuffer is the size of one read from the socket.
	readBuffer = 32 << 10
	// maxValueDepth bounds the nesting of values in performatives, and so the guard's own stack. The deepest that the standard defines is 6.
	maxValueDepth = 32
	// maxDispositionSpan bounds the delivery-ids of one disposition frame. The library walks them one by one; no honest peer names more than
	// are unsettled, and those are bounded by credit.
	maxDispositionSpan = 1 << 20

	// keptEntries is the largest section of annotations or application properties whose map is kept for the next message, and annotationNames how many names of
	// annotations are: we write some fifteen, and pass on what a backend thinks of.
	keptEntries     = 64
	annotationNames = 64

	// sessionRotation is after how many deliveries a session is replaced. The library's loops over delivery-ids never end at 2^32-1, so that
	// ids must never get there.
	sessionRotation = 1 << 30
	// waitAttempts: Wait picks at random between an outcome that has come and a link that is gone. 2^-20 of such outcomes are missed, and
	// a missed one is Lost, which is safe.
	waitAttempts = 20
	// idleProbe is how often an idle lane looks whether its link is still there.
	idleProbe = time.Second

	// lossProbe is how often a lane asks the library why a link has ended that the bus has ended just now.
	lossProbe = time.Millisecond
	// sessionWindow is how many transfer frames the bus may send on a session before it hears from us, and what it is told on sessions on which it sends none.
	// Credit bounds deliveries; the window is renewed when half of it is used, so that it is never waited for. It is the library's own.
	sessionWindow = 5000

	// detachWait is how long DeleteInbox waits for the inbox's receivers to go; who is still there then is one that has hung, or does not know
	// yet that its inbox is over. detachFirst is the pause before the second look; it doubles.
	detachWait  = 2 * time.Second
	detachFirst = 5 * time.Millisecond

	// stuckProbe is how often a lane that stops looks whether its last send hangs.
	stuckProbe = 50 * time.Millisecond

	// backoffMin and backoffMax bound the wait between two attempts to connect, open or attach; the wait doubles, with jitter.
	backoffMin = 100 * time.Millisecond
	backoffMax = 5 * time.Second

	// maxSessions and maxLinks are below RabbitMQ's 64 sessions per connection and 256 links per session, because going over is
	// answered with the end of the connection. The peer's own channel-max and handle-max lower them further.
	maxSessions = 60
	maxLinks    = 200
	// spreadLinks is how many links a session gets before another one is opened: the end of a session takes all its links down.
	spreadLinks = 32
	// defaultReceiveConnections are opened for receiving when the first receiver attaches, maxReceiveConnections when those are full.
	defaultReceiveConnections = 2
	maxReceiveConnections     = 64
	// attachConcurrency bounds the attaches under way per connection: after a restart of the bus thousands of links come back at once.
	attachConcurrency = 32
	// maxCredit bounds the credit of one link, and so the messages that are held for it.
	maxCredit = 1 << 14
	// maxIncoming is the largest encoded message, in bytes: no larger one fits a PUBLISH [MQTT-2.1.4]. What is beyond is not kept.
	maxIncoming = 256 << 20
	// takeMost is how many deliveries a receiver takes at a time: fewer, and they would wait for the lock more often; the credit that is kept up is granted again
	// between two takes. keptArrivals is from how many places on their memory is given back when the link is idle.
	takeMost     = 128
	keptArrivals = 4
	// settleWorkers per receiving connection to a bus of static entities: each settlement waits for its write.
	settleWorkers = 8
	// settleBatch is how many settlements of one link are made before another link gets its turn.
	settleBatch = 64

	// managementPipeline is how many requests may be unanswered: RabbitMQ grants 8 credits.
	managementPipeline = 8
	// managementCredit is what we grant for answers. It is so far above the pipeline that it is renewed long before it could run out:
	// a request that arrives while there is none ends the session.
	managementCredit = 200
	// managementQueue is how many requests may wait for the pipeline.
	managementQueue = 1024
	// managementWait is how long a request waits for a pair that is down before it fails with ErrUnavailable.
	managementWait = 5 * time.Second
	// managementTimeout is how long a request may stay unanswered. Declaring a queue is a cluster-wide write and slow under load.
	managementTimeout = 30 * time.Second
	// sweepEvery is how often what expired inboxes have left on the bus is looked for, on buses where they leave something. It asks for all names.
	sweepEvery = 15 * time.Minute
	// copiesRemembered is how many originals a link remembers, to drop further copies of them. The bus makes the copies in one go, so that only what
	// its other threads route at that moment comes between: a few messages for each core.
	copiesRemembered = 64
	// maxManagementRequest is the largest request, in bytes: it must fit one frame, or RabbitMQ's session crashes.
	maxManagementRequest = 32 << 10
	// maxTargets bounds Options.Targets, maxEntities the entities that one connection has sender links to: below maxLinks, with room for the pair of
	// links to $cbs and for links that are being given up. A further entity takes the place of the one that was idle longest.
	maxTargets  = 64
	maxEntities = 160
	// refusedPause is how long messages to an entity that cannot be attached to (it is not there, say) are refused before it is tried again. It is
	// about as long as making the entity takes.
	refusedPause = 10 * time.Second
	// tokenLife is how long a token holds that we make from a shared access key. Azure's own clients take about as long; a token that is caught
	// is of use that much longer.
	tokenLife = time.Hour
	// tokenSkew is by how much the bus's clock may be ahead: a token that ends so soon is renewed before it is relied on.
	tokenSkew = 5 * time.Second
	// tokenFileSize bounds the file with a token, in bytes.
	tokenFileSize = 64 << 10
	// maxJSONRequest is Artemis' largest request, in bytes: from 100 KiB on it keeps a message in a file. Twice MQTT's longest filter fits.
	maxJSONRequest = 100<<10 - 1
)
