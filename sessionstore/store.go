package sessionstore

import (
	"context"
	"errors"
	"time"
)

// Store keeps what must outlive a node: session records, subscriptions, QoS 2 and in-flight records.
//
// Promises every implementation keeps (sessionstore/storetest proves them):
//
//   - Claim is atomic: two claims of one session get different epochs, and the greater one owns it.
//   - Write and Release with an epoch that is not the session's current one change nothing and give ErrFenced.
//   - Writes of one session are applied, and their done called, in the order of the Write calls. The ops of one Write apply
//     together or not at all.
//   - A write that was applied although its answer was lost is safe to repeat: every Op says what shall be, not what to add.
//   - What Claim returned or a done(nil) confirmed is there for the next Claim, on any node.
//   - Keys of one session share a Redis Cluster slot.
//   - Time is the caller's: expiry is decided by the now of the call, to the millisecond. Nodes whose clocks differ by seconds see a
//     session end by as much earlier or later, nothing else.
//
// A fence is used through the store that claimed it. What breaks a rule of this package (Key.Validate, ValidateWrite) gives ErrInvalid.
type Store interface {
	// Claim makes req.Node the owner of the session and returns what the store holds of it. It creates the session when there is none, when
	// the one there has ended, or when req.Clean asks for a new one: then Present is false, the incarnation is new and nothing of
	// the old one remains. A session of expiry zero ends with its connection, so a claim that finds one still owned replaces it too
	// [MQTT-3.1.2-6]. req.Expiry becomes the session's expiry. Whoever owned it before is told (Watch). It fails with ErrUnavailable
	// when the store does not answer within ctx and the grace, with ErrFull when there is no room for a new session.
	Claim(ctx context.Context, req ClaimRequest) (Claimed, error)

	// Write applies ops to a session. It does not block: done is called exactly once, from any goroutine and perhaps before Write returns,
	// with nil once they are stored, ErrFenced, ErrFull, or ErrUnavailable after the grace the store was opened with (it retries until
	// then). A Write for which there is no room to wait gets ErrUnavailable at once, ahead of those that wait. done must not block.
	Write(f Fence, ops []Op, done func(error))

	// Release ends the ownership: the device is gone. With end, or when the session's expiry is zero, the session is removed; otherwise it
	// expires its expiry interval after now. It waits for earlier Writes of the session. The fence is spent then: a Write with it gives
	// ErrFenced. Repeating a Release is no error and keeps the first now, but end still ends a session that was kept.
	Release(ctx context.Context, f Fence, now time.Time, end bool) error

	// Get reads a session without owning it. ErrNotFound when there is none or it has expired.
	Get(ctx context.Context, key Key, now time.Time) (Session, error)

	// Watch calls lost for each session that another Claim took from owners of this node, with the epoch of that Claim, until ctx ends. It
	// returns once the watch is live. Claims on the same node count too: an owner whose epoch is below the one told has lost. lost must
	// not block. Notices may be repeated, late or merged (the greatest epoch stays); a takeover can be missed while the store is out of
	// reach: the fence still holds.
	Watch(ctx context.Context, node string, lost func(Key, uint64)) error

	// Ready reports why the store cannot be used right now, nil when it can.
	Ready(ctx context.Context) error
	// Close stops everything. Writes not yet applied get ErrUnavailable.
	Close() error
}

// Key names a session [MQTT-3.1.3-2], widened by who the device is, so that nobody reaches another's session by its client id.
type Key struct {
	Tenant, Principal, ClientID string
}

// NeverExpires is a session expiry of 0xFFFFFFFF seconds: the session does not expire (MQTT 5, 3.1.2.11.2).
const NeverExpires uint32 = 0xFFFFFFFF

// ClaimRequest asks for a session.
type ClaimRequest struct {
	Key    Key
	Node   string // node id of the new owner
	Clean  bool   // Clean Start: discard what is there [MQTT-3.1.2-4]
	Expiry uint32 // seconds the session outlives its connection; zero ends with it
	Now    time.Time
}

// Claimed is the answer to a Claim.
type Claimed struct {
	Session Session
	Present bool // the session existed and goes on: Session Present
	// Previous is set when another connection owned the session.
	Previous *Owner
	// Discarded is the session that Clean Start or expiry removed; its inbox is to be deleted.
	Discarded *Session
}

// Owner is a connection that owns, or owned, a session.
type Owner struct {
	Node  string
	Epoch uint64
}

// Session is what the store holds of a session.
type Session struct {
	Key         Key
	Epoch       uint64 // raised by each Claim, for ever: also through Clean Start
	Incarnation uint64 // new when the session is created, unchanged by takeovers; never used twice for one key
	Owner       string // node id; empty when no connection owns it
	Expiry      uint32
	// ReleasedAt is when the last owner released it; zero while owned.
	ReleasedAt time.Time // UTC, to the millisecond
	// Inbox is the name of the session's inbox on the bus; empty when it has none.
	Inbox         string
	Subscriptions []Subscription // in the order they were first made
	Inbound       []Inbound      // by packet id
	Outbound      []Outbound     // by Order
}

// Subscription is one topic filter with its options (MQTT 5, 3.8.3.1). This package gives the fields no meaning.
type Subscription struct {
	Filter            string
	QoS               byte
	NoLocal           bool
	RetainAsPublished bool
	RetainHandling    byte
	ID                uint32 // Subscription Identifier; zero is none
}

// Inbound is the record of a QoS 2 PUBLISH from the device: its packet identifier, the message-id under which it goes to the bus, and
// whether the bus has accepted it.
type Inbound struct {
	PacketID  uint16
	MessageID string
	Accepted  bool
}

// Outbound is the record of a QoS 1 or 2 PUBLISH to the device.
type Outbound struct {
	PacketID uint16
	Identity string // what the message is known by when the bus delivers it again
	QoS      byte
	Released bool   // QoS 2: PUBREC came, the exchange goes on with PUBREL
	Order    uint64 // sending order within the session
}

// Fence is the right to write: a session and the epoch its writer got from Claim.
type Fence struct {
	Key   Key
	Epoch uint64
}

// Op is one change to a session: PutSubscription, DeleteSubscription, PutInbound, DeleteInbound, PutOutbound, DeleteOutbound,
// SetInbox or SetExpiry.
type Op interface{ op() }

// The ops. Put replaces the record of the same filter or packet identifier; Delete of an absent one is no error.
type (
	PutSubscription    struct{ Subscription Subscription }
	DeleteSubscription struct{ Filter string }
	PutInbound         struct{ Record Inbound }
	DeleteInbound      struct{ PacketID uint16 }
	PutOutbound        struct{ Record Outbound }
	DeleteOutbound     struct{ PacketID uint16 }
	SetInbox           struct{ Name string }
	SetExpiry          struct{ Seconds uint32 }
)

func (PutSubscription) op()    {}
func (DeleteSubscription) op() {}
func (PutInbound) op()         {}
func (DeleteInbound) op()      {}
func (PutOutbound) op()        {}
func (DeleteOutbound) op()     {}
func (SetInbox) op()           {}
func (SetExpiry) op()          {}

var (
	// ErrFenced: the session has another owner by now, or is gone. The writer stops at once.
	ErrFenced = errors.New("sessionstore: fenced: another connection owns the session")
	// ErrUnavailable: the store did not answer in time; whether the change was made is not known.
	ErrUnavailable = errors.New("sessionstore: unavailable")
	// ErrFull: the store or the session holds as much as it may; nothing was changed.
	ErrFull = errors.New("sessionstore: full")
	// ErrNotFound: no such session.
	ErrNotFound = errors.New("sessionstore: no such session")
)
