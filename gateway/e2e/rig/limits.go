package rig

import "time"

const (
	// Patience is how long a test waits for what should happen. It is long enough for a loaded machine with the race detector; a test that
	// passes never waits for it.
	Patience = time.Minute
	// poll is the pause between two looks at something that has no event.
	poll = 5 * time.Millisecond
	// deliveriesMax bounds the deliveries a Queue holds for its test.
	deliveriesMax = 20_000
	// lineMax bounds a line of a child process: a payload of 256 KiB in hexadecimal and what stands around it.
	lineMax = 1 << 20
	// logLineMax is how much is kept of a line that a node in this process logs.
	logLineMax = 2 << 10
	// setsMax bounds the sets of services that tests have to themselves at a time. setStride is the distance of their ports: multiples of it do
	// not meet (scripts/lib/settings.sh).
	setsMax, setStride = 8, 20
)
