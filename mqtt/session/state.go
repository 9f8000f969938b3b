package session

import "sluice/mqtt/packet"

// State is what outlives a connection (MQTT 5, 4.1), as plain data.
type State struct {
	Subscriptions []Subscription
	Inbound       []Inbound  // QoS 2 from the device
	Outbound      []Outbound // QoS 1 and 2 to the device, by Order
}

// Subscription is a subscription of the session with its identifier.
type Subscription struct {
	packet.Subscription
	SubID uint32 // zero is none
}

// Inbound is a QoS 2 PUBLISH from the device that PUBREL has not ended.
type Inbound struct {
	ID        packet.ID
	MessageID string
	Accepted  bool // the bus accepted it: PUBREC may be sent
}

// Outbound is a PUBLISH to the device that is not complete.
type Outbound struct {
	ID       packet.ID
	Identity string
	QoS      packet.QoS
	Released bool // PUBREC came: the exchange goes on with PUBREL
	Done     bool // PUBCOMP came: kept only in case the bus brings the message again
	Order    uint64
	// Attempts counts the connections that sent it as the oldest and did not end it, but for the first (Config.PoisonAfter). At most attemptsMax.
	Attempts uint8
}

// Op is one change to the stored state. Put replaces, Delete of what is absent does nothing.
type Op interface{ op() }

// The ops.
type (
	PutSubscription    struct{ Subscription Subscription }
	DeleteSubscription struct{ Filter string }
	PutInbound         struct{ Record Inbound }
	// AcceptInbound sets Inbound.Accepted of this message, if it is recorded. It is to be stored also for a connection that has lost the session:
	// the bus has the message whoever asks.
	AcceptInbound struct {
		ID        packet.ID
		MessageID string
	}
	DeleteInbound  struct{ ID packet.ID }
	PutOutbound    struct{ Record Outbound }
	DeleteOutbound struct{ ID packet.ID }
	SetExpiry      struct{ Seconds uint32 }
)

func (PutSubscription) op()    {}
func (DeleteSubscription) op() {}
func (PutInbound) op()         {}
func (AcceptInbound) op()      {}
func (DeleteInbound) op()      {}
func (PutOutbound) op()        {}
func (DeleteOutbound) op()     {}
func (SetExpiry) op()          {}
