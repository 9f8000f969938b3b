// Package redis keeps sessions in Redis 7.0 or later: one server, Sentinel or Cluster.
//
// # Keys
//
// A session is up to eight keys that share a hash tag and so a Cluster slot; <key> is sessionstore.Key.String:
//
//	sluice:{<key>}:meta    hash: v, epoch, incarnation, owner, expiry, released, inbox, made, writer, seq, reg, ends, hint,
//	                       groups, and 'g:' filter for each group it joined
//	sluice:{<key>}:subs    hash: filter -> order ':' record
//	sluice:{<key>}:in      hash: packet id -> record
//	sluice:{<key>}:out     hash: packet id -> record
//	sluice:{<key>}:claim   the last claim's answer, for a repeat; gone soon after
//	sluice:{<key>}:will    hash: delay, message, at, grace
//	sluice:{<key>}:work    hash: epoch ':' kind -> a piece of work
//	sluice:{<key>}:aside   hash: epoch -> a will that waits for the word of an owner that lost the session; gone soon after
//
// The retained messages of a tenant, and a group of shared subscriptions, are each in a slot of their own; <group> is
// sessionstore.Group.String:
//
//	sluice:{retained:<tenant>}:messages      hash: topic -> record
//	sluice:{retained:<tenant>}:topics        sorted set: topics in byte order, for pages of them
//	sluice:{retained:<tenant>}:ends          sorted set: topic -> when its message expires, in ms
//	sluice:{retained:<tenant>}:use           hash: what the tenant and each principal have of their quotas; hint, known
//	sluice:{group:<group>}:group             hash: v, incarnation, taken
//	sluice:{group:<group>}:members           hash: session key -> epoch of the latest Join
//	sluice:{group:<group>}:left              hash: session key -> which Joins came too late; gone soon after
//	sluice:{group:<group>}:taken, order      hash: identity -> who; sorted set: identity -> number, the oldest first
//	sluice:{group:<group>}:work              hash: incarnation ':g' -> a piece of work
//	sluice:{clients:<tenant>}:id:<id>        hash: v, principal, assigned, generation of a client identifier; gone when it is bound no longer
//	sluice:{clients:<tenant>}:credential:... hash: v, bound: generation and client identifier; the same
//	sluice:{clients:<tenant>}:of:<principal> sorted set: SHA-1 of a client identifier that is bounded in number -> when it is bound no longer, in ms
//	sluice:{revocations}:list                hash: version, and 'r:' id -> record
//	sluice:{revocations}:ends                sorted set: id -> when it is over, in ms
//	sluice:{...}:sent:<store>:<lane>         in each of these slots: number of the last step of that lane; gone soon after
//
// Elsewhere there are only hints, and who lives:
//
//	sluice:{timers:<n>}                      sorted set: "<key> <name>" -> when to look at a session, in ms
//	sluice:{grouptimers}                     sorted set: "<group> <name>" -> when to look at a group, in ms
//	sluice:{retaining}                       sorted set: "<tenant> <name>" -> when to look for messages that expired, in ms
//	sluice:{nodes}                           set: the lives of nodes
//	sluice:{node:<node>:<life>}:lease        there while the node lives
//	sluice:{node:<node>:<life>}:life         there until it is taken for dead
//	sluice:{node:<node>:<life>}:sessions     set: "<key> <token of the claim>"
//
// Records carry a version byte (record.go). A session that ended leaves no key but its work.
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
// Retained messages, groups, bindings and revocations have no owner whose numbers a record could keep, and what was removed keeps nothing. There each attempt gets
// a number when it is sent, rising within a lane, and the slot keeps the last of each lane for ten minutes (late in scripts/lib.lua): as a
// lane repeats a step before it sends anything younger, a lower number can only be a late copy.
//
// # Epochs
//
// An epoch is the greater of the last epoch + 1 and Redis' clock in microseconds. While a session exists the first makes it rise; when it
// was removed for good, and nothing is left to compare with, the second keeps it from meeting an old one: a writer from before the removal
// is fenced. If a failover lands on a server whose clock is behind, an epoch after a removal may be lower than the removed one's. The fence
// compares for equality, so the old writer stays fenced.
//
// # Work
//
// Whether something is left to do stands in the session's own keys, so that the script that decides it is the one that changes the session. A
// worker finds it by a hint, and makes and claims it by one script (due.lua). So two workers with one hint do not get the same, and a
// device that comes back either cancels its will or finds it gone.
//
// Who dies between two steps must leave the session where it is found: it is registered for its node before it is claimed, and the
// registration goes only after the hint is there. A sweep looks at every registration of the dead node, also at those whose session has
// another owner by now, and sets the hints that are missing. Hints and registrations have names of their own: nobody takes away another's.
//
// # Groups
//
// A membership is in two slots, the session's and the group's, so Join and Leave are steps of their own on each. The session's note comes
// first and goes last: a member is always found by its session, and a note without a membership harms nobody. Between the two halves of a
// Join the session may end, or get another owner who leaves. So Leave notes for whose Joins it came first, and those are refused.
//
// What of a group is due is in its own slot; hints to it are not among those of sessions, which a node of an older version reads, too. An
// older node does not touch work that has groups to leave (version 2 of a piece), but when it ends a session that is in groups itself,
// their memberships stay. Let shared subscriptions begin when all nodes know them.
//
// # Retained messages
//
// All of a tenant is in one slot, since a put checks the quota and changes message, indexes and counts in one step. No step takes time that
// grows with the number of topics but for its logarithm: pages come from the sorted set, large messages in parts, expired ones are removed
// a few at a time.
//
// # Bindings and revocations
//
// A credential is bound to one generation of a client identifier's binding, so that it ends with it although its key is not known then. Redis' own key expiry ends bindings: nothing
// is left to do after one. The list of revocations is read as a whole, when its version has changed; what is over goes with the next change.
//
// # Time
//
// Whether a session that a device claims has ended is decided by the now of the caller. What is due is decided by the server's clock, in the
// session's script; a hint's time by the clock of its own server. Redis' own key expiry is a backstop by the server's clock: an hour after
// the end for a session that leaves nothing to do, a week for others.
//
// # Replication
//
// Without Options.Replicas a confirmed step is applied on the primary, and a failover to a replica that lacks it loses it. With them each
// pipeline that has something to confirm ends in one WAIT or WAITAOF (replicas.go). Leases and sweeps do not wait: when a failover loses
// them, they are done again. A claim of work does, since what is done on its word cannot be taken back. WAIT is no consensus: a change that
// fewer confirmed than were asked for may be there after a failover or not, and the caller was told ErrNotReplicated.
package redis
