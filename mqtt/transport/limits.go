package transport

import "time"

const (
	// writeChunk is the most that one Write hands to the network: the write deadline is per chunk, so a slow device that still reads
	// makes progress and stays.
	writeChunk = 64 << 10
	// deadlineShare is the part of the write timeout by which a write may take longer, so that not each needs a deadline of its own.
	deadlineShare = 8
	// directMax is the most that is written on the spot, in bytes: what a socket's buffer takes at once, and what takes no longer than a few wake-ups.
	directMax = 16 << 10
	// directPause is how long nothing must have been written for that: about as long as it takes to wake the flusher.
	directPause = 100 * time.Microsecond
	// retainedBuffer is the largest write buffer that an idle connection keeps.
	retainedBuffer = 4 << 10
	// burstBuffer is the size of the buffers that connections share for what gathers for a moment: as much as is written on the spot.
	burstBuffer = directMax
	// largePayload is the least that is written without being copied first, largeLead the part of it that goes with the head of its packet, so that this does not
	// go alone.
	largePayload = 8 << 10
	largeLead    = 1 << 10
	// closeLinger is how long a connection whose sending half we closed is still read from.
	closeLinger = 2 * time.Second
	// pollBatch is how many parked connections with something to be read are asked for at a time.
	pollBatch = 128
	// acceptBackoffMax bounds the wait after a failed Accept (out of file descriptors, say).
	acceptBackoffMax = time.Second
	// handshakeMax is the most a WebSocket handshake may send, in bytes: a browser adds cookies that we know nothing of. How many shake hands at
	// the same time is bounded with the connections. After a refusal no more is read either.
	handshakeMax = 16 << 10
	// proxyHeaderMax is the longest header of the PROXY protocol, in bytes: load balancers add some hundred about TLS and names, two thousand with a
	// device's certificate.
	proxyHeaderMax = 4 << 10
	// frameReadBuffer and frameWriteBuffer are what a WebSocket costs beside its connection. What is read is buffered once more behind it; what
	// is written goes out with its frame header in one system call if it is not larger.
	frameReadBuffer  = 512
	frameWriteBuffer = 2 << 10
	// frameMax is the largest WebSocket frame we send. The answer to a ping waits for the frame before it, and the library closes a connection
	// where that takes more than five seconds: slower than 3.3 KB/s.
	frameMax = 16 << 10
)
