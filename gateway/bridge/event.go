package bridge

import (
	"sluice/amqp/message"
	"sluice/mapping"
	"sluice/mqtt/packet"
	"sluice/mqtt/session"
)

// Event is one of the events of mqtt/session that need no translation (ConnectionOpened, PacketReceived, PacketMalformed,
// SessionRefused, Stored, LaneAttached, LaneDetached, DeadlineReached, ConnectionLost, CloseRequested), or one of the types below. Any
// other is a programming error and panics.
type Event any

type (
	// Opened answers session.OpenSession: the session is claimed.
	Opened struct {
		Present         bool
		State           session.State
		MessageIDPrefix string
		// Provenance is the verified origin of what the device publishes.
		Provenance mapping.Provenance
		// Publisher is the same as No Local sees it.
		Publisher mapping.Publisher
	}
	// OutcomeArrived is the bus's answer to SendMessage.
	OutcomeArrived struct {
		Token   uint64
		Outcome message.Outcome
	}
	// DeliveryArrived: a message on the session lane.
	DeliveryArrived struct {
		Tag         uint64 // never zero
		Message     *message.Message
		Redelivered bool
		Malformed   error // Message is nil
	}
	// FanoutArrived: a message on the node lane, mapped once for all devices.
	FanoutArrived struct{ Message *mapping.DownlinkMessage }
	// LanesChanged answers ChangeLanes. Each error is one class for all filters of that lane.
	LanesChanged struct {
		ID      uint64
		Session LaneResult
		Node    LaneResult
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
	LaneLost               // the bus could not be reached within the grace
	LaneFenced             // another connection owns the session
)

// Effect is one of the effects of mqtt/session that pass through (SendPacket, OpenSession, Store, GrantCredit, SetDeadline,
// PauseReading, ResumeReading, CloseConnection), or one of the types below. They are carried out in order.
type Effect any

type (
	// SendMessage: publish on the bus. Answered by OutcomeArrived.
	SendMessage struct {
		Token   uint64
		Message *message.Message
		Settled bool
	}
	// SettleDelivery: answer a delivery of the session lane.
	SettleDelivery struct {
		Tag     uint64
		Outcome message.Outcome
	}
	// ChangeLanes: bind and unbind, adds before removals. Answered by LanesChanged unless ID is zero.
	ChangeLanes struct {
		ID                        uint64
		SessionAdd, SessionRemove []string // topic filters
		NodeAdd, NodeRemove       []string
	}
	// ResumeLanes: the session had these subscriptions already; attach without binding. The filters of the session lane are for the case that the
	// bus has lost the inbox. Begun: deliveries were begun that are to be completed, so the session lane is needed also without filters.
	ResumeLanes struct {
		Session, Node []string
		Begun         bool
	}
	// Finish is the last effect; see session.Finish. The Will itself has been with the store since CONNECT: KeepWill says whether it is to be
	// published.
	Finish struct{ Opened, End, KeepWill bool }
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

// ReportKind says what a Report is about.
type ReportKind uint8

// The kinds of report.
const (
	PublishAnswered       ReportKind = iota + 1 // the final answer to an uplink PUBLISH, success or not
	PublishHeld                                 // a transient outcome: uplink of this device is held
	PublishResumed                              // the hold is over
	PublishDropped                              // a QoS 0 PUBLISH was not handed to the bus
	PublishLoss                                 // metadata that the mapping had to drop; Detail names it
	DeliveryUndeliverable                       // a message of the bus cannot become a PUBLISH
	DeliveryRefused                             // the device, or a rule, refused a message
)
