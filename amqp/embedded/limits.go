package embedded

import "time"

const (
	// DefaultMaxConnections is room for every test; the embedded broker serves one process.
	DefaultMaxConnections = 1024
	// DefaultMaxMessageSize is RabbitMQ 4's own, in bytes.
	DefaultMaxMessageSize = 16 << 20
	// serviceBusMessageSize is the largest message of Service Bus' standard tier, in bytes.
	serviceBusMessageSize = 256 << 10
	// DefaultCredit is the credit that a publisher's link keeps up. RabbitMQ gives 170; without a disk, more costs nothing but memory.
	DefaultCredit = 1000

	// managementCredit is the number of requests that may be under way on one link pair, as in RabbitMQ.
	managementCredit = 8
	// maxManagementRequest bounds a request, in bytes: it is a name and a few arguments.
	maxManagementRequest = 64 << 10

	// handshakeTimeout bounds the time from accept to open: who says nothing holds a socket and two goroutines.
	handshakeTimeout = 10 * time.Second
	// writeTimeout bounds one write: a peer that does not read must not hold its deliveries for ever.
	writeTimeout = 30 * time.Second
	// lingerTime is how long a closed connection is still read, so that the peer sees our close instead of a reset.
	lingerTime = time.Second
	// closeTimeout is how long we wait for the peer's close.
	closeTimeout = 5 * time.Second

	// readBuffer is one read from the socket, in bytes: several hundred small transfers.
	readBuffer = 64 << 10
	// collectUntil is when the writer stops collecting deliveries and writes, and how much one link gets in its turn, in bytes.
	collectUntil = 256 << 10
	// keepBuffer is the largest buffer that is kept for the next time, in bytes; a large message would pin its size otherwise.
	keepBuffer = 1 << 20
	// maxOutput is when the reader waits for the writer, in bytes. Answers are small; it is reached only by a peer that does not read.
	maxOutput = 4 << 20
	// collectBatch is how many deliveries one link gets before the next one's turn.
	collectBatch = 64
	// maxHeld bounds the outcomes that fault switches hold back.
	maxHeld = 1 << 20
)
