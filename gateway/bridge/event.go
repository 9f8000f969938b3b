package bridge

import (
	"time"

	"sluice/amqp/message"
	"sluice/mapping"
	"sluice/mapping/failure"
	"sluice/mqtt/packet"
	"sluice/mqtt/session"
)

// Event is one of the events of mqtt/session that need no translation (ConnectionOpened, PacketReceived, PacketMalformed,
// SessionRefused, Stored, Recalled, LaneAttached, LaneDetached, DeadlineReached, ConnectionLost, CloseRequested), or one of the types below. Any
// other is a programming error and panics.
type Event any

type (
	// Opened answers session.OpenSession: the session is claimed.
	Opened struct {
		Present         bool
		ClientID        string // see session.SessionOpened
		State           session.State
		MessageIDPrefix string
		// Provenance is the verified origin of what the device publishes.
		Provenance mapping.Provenance
		// Publisher is the same as No Local sees it.
		Publisher mapping.Publisher
		// Limits are bounds of this session, Quota meters what it shares with others; nil: nothing is metered.
		Limits session.Limits
		Quota  Quota
		// Access says what the device may do; nil: everything.
		Access Access
	}
	// OutcomeArrived is the bus's answer to SendMessage.
	OutcomeArrived struct {
		Token   uint64
		Outcome message.Outcome
	}
	// RetainedStored answers StoreRetained.
	RetainedStored struct {
		Token  uint64
		Result RetainedResult
		Why    *failure.Failure // RetainedRefused
		Detail string           // for the operator
		Topic  string           // of a message of QoS 0, which has no token
	}
	// DeliveryArrived: a message on the session lane, or on the lane of the shared subscription that Lane names.
	DeliveryArrived struct {
		Lane        string
		Tag         uint64 // never zero; unique within the lane
		Message     *message.Message
		Redelivered bool
		Malformed   error // Message is nil
	}
	// Refused answers Refuse: it is carried out.
	Refused struct{}
	// HandedOver answers HandOver. OK: the message is in the inbox of its taker, or its taker is gone for ever. Elsewhere: that is another session.
	HandedOver struct {
		Delivery  uint64
		OK        bool
		Elsewhere bool
	}
	// FanoutArrived: messages of the node lane, mapped once for all devices, with their Source instead of their identity; or a copy of a retained message,
	// with neither. Which says by their numbers which of the batch are for this device.
	FanoutArrived struct {
		Batch *Batch
		Which uint64
	}
	// LanesChanged answers ChangeLanes. Each error is one class for all filters of that lane.
	LanesChanged struct {
		ID      uint64
		Session LaneResult
		Node    LaneResult
		Shared  LaneResult
	}
	// LanesFailed: the lanes of a resumed session could not be joined.
	LanesFailed struct{ Result LaneResult }
)

// LaneResult is how a change of a lane ended.
type LaneResult uint8

// The results.
const (
	LaneOK      LaneResult = iota
	LaneRefused            // the bus refuses for good
	LaneFull               // a quota is used up
	LaneLost               // the bus could not be reached within the grace
	LaneFenced             // another connection owns the session
)

// RetainedResult is how a StoreRetained ended.
type RetainedResult uint8

// The results.
const (
	RetainedOK      RetainedResult = iota
	RetainedRefused                // what was retained before is unchanged
	RetainedLost                   // the store did not answer within the grace
)

// Effect is one of the effects of mqtt/session that pass through (SendPacket, OpenSession, Store, Recall, GrantCredit, SetDeadline,
// PauseReading, ResumeReading, CloseConnection), or one of the types below. They are carried out in order.
type Effect any

type (
	// SendMessage: publish on the bus. Answered by OutcomeArrived.
	SendMessage struct {
		Token   uint64
		Message *message.Message
		Settled bool
		// Quarantine: it goes to the quarantine, which is to be made where it is missing.
		Quarantine bool
	}
	// StoreRetained: make the packet the retained message of its topic, or remove that one when the payload is empty [MQTT-3.3.1-5, MQTT-3.3.1-6].
	// Answered by RetainedStored.
	StoreRetained struct {
		Token  uint64
		Packet *packet.Publish
		// Received is when the message came; its expiry counts from then.
		Received time.Time
	}
	// SettleDelivery: answer a delivery of the session lane, or of the shared lane of that name.
	SettleDelivery struct {
		Lane    string
		Tag     uint64
		Outcome message.Outcome
	}
	// Refuse: a message is rejected for good. Store Copy in the quarantine and send Feedback to who sent the message, either of which may be nil; then
	// settle. It is to be carried out although the connection ends, as long as the delivery can be settled, and answered by Refused.
	Refuse struct {
		Refusal        *mapping.Refusal
		Copy, Feedback *message.Message
		Settle         SettleDelivery
	}
	// HandOver: find out who has begun with this message of a group, this session unless another has, put a copy into that session's inbox, and
	// answer with HandedOver.
	HandOver struct {
		Delivery uint64
		Lane     string // the filter, with its share name
		Message  *message.Message
		Topic    string
		Identity string // the same each time the message comes
	}
	// ChangeLanes: bind and unbind, adds before removals, and last what Flush says. Answered by LanesChanged unless ID is zero.
	ChangeLanes struct {
		ID                        uint64
		SessionAdd, SessionRemove []string // topic filters
		NodeAdd, NodeRemove       []string
		// SharedAdd may name filters that are there already: another QoS was asked for.
		SharedAdd    []Shared
		SharedRemove []string // filters with their share name
		// Retained are filters of the session lane whose retained messages are to be put into the session's inbox before the answer.
		Retained []string
		// Inbox: the session needs its inbox and its lane, also without filters.
		Inbox bool
		// Flush: all that the bus had put into the node's inbox, once the rest is done, is to have come as FanoutArrived before the answer. It is done
		// for both lanes: a failure counts for either.
		Flush bool
	}
	// SendRetained: bring the device the retained messages of these filters, as FanoutArrived with For and Retained, as fast as it reads.
	SendRetained struct{ Filters []string }
	// ResumeLanes: the session was there before, with these subscriptions; attach without binding. An inbox that it has is attached to in any case: it
	// may hold messages from before a subscription was changed to QoS 0. The filters of the session lane are for the case that the bus has lost
	// the inbox. Begun: deliveries were begun that are to be completed, so the session lane is needed also without filters.
	ResumeLanes struct {
		Session, Node []string
		Shared        []Shared
		Begun         bool
	}
	// Finish is the last effect; see session.Finish. The Will itself has been with the store since CONNECT: KeepWill says whether it is to be
	// published.
	Finish struct{ Opened, End, KeepWill bool }
	// Failed tells the operator and the backend what the device is told. Keep: the record is for the device's error topic, and is to be put into the
	// session's inbox, where it survives the connection.
	Failed struct {
		failure.Occurrence
		Keep bool
		// Refusal says more of a message that was refused, unless it could not be read. Quarantined: a copy is, or is about to be, in the quarantine under
		// its ID.
		Refusal     *mapping.Refusal
		Quarantined bool
	}
	// Report is for the log and the metrics.
	Report struct {
		Kind   ReportKind
		Topic  string
		QoS    packet.QoS
		Reason packet.ReasonCode
		// Detail is for the operator only: it may name queues and carry the bus's own words.
		Detail string
	}
)

// Shared is a shared subscription as its lane sees it.
type Shared struct {
	Filter string // with its share name
	// Inbox: messages may be handed over (QoS 2), so the session needs an inbox and its lane.
	Inbox bool
}

// ReportKind says what a Report is about.
type ReportKind uint8

// The kinds of report.
const (
	PublishAnswered ReportKind = iota + 1 // the final answer to an uplink PUBLISH, success or not
	PublishHeld                           // a transient outcome: uplink of this device is held
	PublishResumed                        // the hold is over
	PublishLoss                           // metadata that the mapping had to drop; Detail names it
)
