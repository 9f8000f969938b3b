package memory

import "time"

// DefaultMaxSessions bounds the sessions of a store whose options do not. An idle session without records takes about 300 bytes: the
// bound keeps a try-out node under some tens of MiB, and one that meets it should have a Redis.
const DefaultMaxSessions = 100_000

// sweepPause is how often it is looked for bindings that are over because a principal has no room: each look is at all.
const sweepPause = time.Second
