package transport

import "time"

const (
	// writeChunk is the most that one Write hands to the network: the write deadline is per chunk, so a slow device that still reads
	// makes progress and stays.
	writeChunk = 64 << 10
	// retainedBuffer is the largest write buffer that an idle connection keeps.
	retainedBuffer = 4 << 10
	// closeLinger is how long a connection whose sending half we closed is still read from.
	closeLinger = 2 * time.Second
	// acceptBackoffMax bounds the wait after a failed Accept (out of file descriptors, say).
	acceptBackoffMax = time.Second
)
