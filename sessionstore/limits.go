package sessionstore

import "time"

// Limits every implementation holds to, so that a caller meets the same edge on each.
const (
	// MaxString bounds each string in a key or record, in bytes: what an MQTT string can hold (MQTT 5, 1.5.4).
	MaxString = 65535
	// MaxOps bounds the ops of one Write: they apply in one atomic step, during which the store serves nobody else.
	MaxOps = 4096
	// MaxSubscriptions bounds the subscriptions of one session. It guards the store; a gateway's own limit is far lower. In-flight records
	// need no such number: packet identifiers are 16 bits wide.
	MaxSubscriptions = 65536
	// MaxWill bounds a will, in bytes: a payload of 65,535 (MQTT 5, 3.1.3.4) and properties of any reasonable size.
	MaxWill = 1 << 20
	// MaxWork bounds the unfinished work of one key: a device that begins a new session with each connect makes a piece each time. Beyond it a
	// Claim gets ErrFull until the work is done.
	MaxWork = 256
	// MaxAside bounds the wills of one key that wait for the word of an owner that lost the session. Beyond it the newest is not kept.
	MaxAside = 64
	// MaxSweep bounds the sessions one Sweep takes, so that it is over in less than a lease.
	MaxSweep = 1024
	// MaxEpochs bounds the sessions one Epochs asks for: a few milliseconds of the store.
	MaxEpochs = 512

	// MaxMembers bounds the members of a group, MaxGroups the groups of a session: guards of the store, a gateway's own limits are far lower. A
	// session's groups become one piece of work.
	MaxMembers = 65536
	MaxGroups  = 256
	// MaxTaken bounds the QoS 2 deliveries a group remembers. None is forgotten sooner: that a message will not come again is not known, as
	// AMQP does not confirm a settlement. So it is what some thousand members can have under way at once.
	MaxTaken = 16384

	// MaxAttempts is the highest Outbound.Attempts: six bits of a record.
	MaxAttempts = 63

	// MaxRetained bounds a retained message, in bytes: a payload of 1 MiB, and properties of any reasonable size.
	MaxRetained = 1<<20 + 1<<17
	// RetainedGone is how long it is known who removed a retained message: longer than a put can be late.
	RetainedGone = time.Minute
	// MaxRetainedPage bounds the topics of one page of retained messages: a millisecond or two of the store for topics of usual length.
	MaxRetainedPage = 1024
	// MaxTrim bounds the retained messages one TrimRetained removes: some milliseconds of the store.
	MaxTrim = 1024
	// MaxRetainedMessages and MaxRetainedBytes are a tenant's quota unless a store is opened with another: what a store of some GiB can hold
	// beside its sessions.
	MaxRetainedMessages = 1_000_000
	MaxRetainedBytes    = 1 << 30

	// MaxRevocations bounds the revocations that are not over, MaxRevocationText each text in one, in bytes: every node holds them all, and reads
	// them all when one changes, at some 200 bytes each a few milliseconds of the store.
	MaxRevocations    = 10_000
	MaxRevocationText = 1024
)

// The waits, unless a store is opened with others (Times).
const (
	// LeaseTTL is how long a node is believed to live after its last KeepLease. Renewed every three seconds it survives two that fail.
	LeaseTTL = 10 * time.Second
	// DeadAfter is how long an observer in contact with the store has to see a lease missing. After an outage of the store all leases are
	// missing, and the observer may be back sooner than others: a node may need 5 s to give up a connection that hangs, some seconds of backoff, and
	// its turn to renew. Nobody may be taken for dead in that time, since its devices would be disconnected.
	DeadAfter = 20 * time.Second
	// WillGrace is what devices of a dead node have to come back through another: a reconnect takes a second or two.
	WillGrace = 5 * time.Second
	// WorkLease is how long a worker has for a piece of work: the bus may make it wait, and then somebody else tries.
	WorkLease = 30 * time.Second
)
