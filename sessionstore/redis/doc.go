// Package redis keeps sessions in Redis 7.0 or later: one server, Sentinel or Cluster.
//
// # Keys
//
// A session is five keys that share a hash tag and so a Cluster slot; <key> is sessionstore.Key.String:
//
//	sluice:{<key>}:meta    hash: v, epoch, incarnation, owner, expiry, released, inbox, made, writer, seq
//	sluice:{<key>}:subs    hash: filter -> order ':' record
//	sluice:{<key>}:in      hash: packet id -> record
//	sluice:{<key>}:out     hash: packet id -> record
//	sluice:{<key>}:claim   the last claim's answer, for a repeat; gone soon after
//
// Records carry a version byte (record.go). A session that ended on Release leaves no key.
//
// # Steps
//
// Each atomic step is one script in scripts/. The epoch is compared inside it. All steps go through lanes (lane.go): a queue, a flusher
// and a connection each. While one pipeline is under way the next gathers, so batches grow with load and nothing waits for a timer.
// Several Writes of a session in a batch become one call; otherwise a session has one call per batch, so that a failed call is repeated
// before anything younger of its session.
//
// # Repeats
//
// A step whose answer is lost is repeated until the grace is over, and each step knows its repeat: a Claim by its token, a Write by its
// sequence number, a Release by what it finds. That also disarms a copy which a dying connection delivers late: an old Write behind
// younger ones changes nothing. Connections given up are reset, so that little is left on its way. What remains: a copy of a Claim that
// arrives after another node's Claim took the session takes it back for nobody; the live owner is told, its device connects again.
//
// # Epochs
//
// An epoch is the greater of the last epoch + 1 and Redis' clock in microseconds. While a session exists the first makes it rise; when it
// was removed for good, and nothing is left to compare with, the second keeps it from meeting an old one: a writer from before the removal
// is fenced. If a failover lands on a server whose clock is behind, an epoch after a removal may be lower than the removed one's. The fence
// compares for equality, so the old writer stays fenced.
//
// # Time
//
// Expiry is decided inside the scripts by the now of the caller. Redis' own key expiry is a backstop, an hour later, by its own clock.
//
// # Replication
//
// A confirmed step is applied on the primary. A failover to a replica that lacks it loses it; waiting for replicas has its place in
// lane.send, at the end of the pipeline, on the connection that wrote.
package redis
