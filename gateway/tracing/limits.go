package tracing

import "time"

const (
	// waitingMax bounds the spans that wait for the collector: some 14 MB at 1.7 KB each, and a second of 8,000 messages.
	waitingMax = 8192
	// batchMax is how many go in one request: about 200 KB, far below the 4 MB that collectors take.
	batchMax = 512
	// batchWait is how long a span waits for others to go with it.
	batchWait = time.Second
	// retryFirst is the pause before a second attempt where the collector says that it is busy, retryMax the longest: later spans wait meanwhile.
	retryFirst = 500 * time.Millisecond
	retryMax   = 5 * time.Second
)
