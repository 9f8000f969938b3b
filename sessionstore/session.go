package sessionstore

import "time"

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
	Will   *Will  // nil: none
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
	// Discarded is the session that Clean Start or expiry removed. Its inbox is work.
	Discarded *Session
	// Work: something is due at once, for Due.
	Work bool
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
	// Groups are the filters of the groups it is a member of, or may be (GroupStore), in byte order.
	Groups []string
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
	Done     bool   // QoS 2: PUBCOMP came too; kept in case the bus brings the message again
	Order    uint64 // sending order within the session
	// Attempts counts connections that did not end it; at most MaxAttempts.
	Attempts uint8
}

// Fence is the right to write: a session and the epoch its writer got from Claim.
type Fence struct {
	Key   Key
	Epoch uint64
}

// Op is one change to a session: PutSubscription, DeleteSubscription, PutInbound, AcceptInbound, DeleteInbound, PutOutbound,
// DeleteOutbound, SetInbox or SetExpiry.
type Op interface{ op() }

// The ops. Put replaces the record of the same filter or packet identifier; Delete of an absent one is no error.
type (
	PutSubscription struct{ Subscription Subscription }
	// AcceptInbound sets the record's Accepted: the bus has taken this message. Without a record of this packet identifier and message-id it does
	// nothing. It is the one op that counts from an owner that has lost the session (Store.Write): it says what happened, and decides nothing.
	AcceptInbound struct {
		PacketID  uint16
		MessageID string
	}
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
func (AcceptInbound) op()      {}
func (DeleteInbound) op()      {}
func (PutOutbound) op()        {}
func (DeleteOutbound) op()     {}
func (SetInbox) op()           {}
func (SetExpiry) op()          {}
