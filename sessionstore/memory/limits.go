package memory

// DefaultMaxSessions bounds the sessions of a store whose options do not. An idle session without records takes about 300 bytes: the
// bound keeps a try-out node under some tens of MiB, and one that meets it should have a Redis.
const DefaultMaxSessions = 100_000
