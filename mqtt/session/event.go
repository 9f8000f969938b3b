package session

import (
	"time"

	"sluice/mqtt/packet"
)

// Event is something that happened; Step turns it into effects.
type Event interface{ event() }

type (
	// ConnectionOpened is the first event: the transport is up, no packet has come.
	ConnectionOpened struct {
		// AssignedClientID is the client identifier to use should CONNECT carry none: the machine has no randomness of its own.
		AssignedClientID string
	}
	// PacketReceived: the device sent a well-formed packet, which is the machine's from then on. While reading is paused the shell may still
	// deliver up to ReadAhead packets; the machine keeps them in order.
	PacketReceived struct{ Packet packet.Packet }
	// PacketMalformed: the bytes were no valid packet, or too large.
	PacketMalformed struct{ Err *packet.Error }
	// SessionOpened answers OpenSession.
	SessionOpened struct {
		Present bool
		// AssignedClientID is the client identifier of a device that has brought none, if it is another than OpenSession had: who the device is may say how
		// they look. Empty: the same.
		AssignedClientID string
		State            State // what the store held; empty unless Present
		// MessageIDPrefix makes message-ids unique: the machine appends a counter. It contains the session's incarnation and epoch.
		MessageIDPrefix string
		// Limits are what this session is offered instead of what Config says.
		Limits Limits
	}
	// SessionRefused answers OpenSession: no CONNACK with success will come.
	SessionRefused struct {
		Reason packet.ReasonCode // legal in CONNACK
		Text   string            // safe for the device
		Cause  string            // for Failure.Cause
		Detail string            // for Failure.Detail
		// ServerReference names another server for 0x9C and 0x9D (MQTT 5, 4.11); empty names none.
		ServerReference string
	}
	// PublishAnswered answers Publish, once for each token. A transient failure is no answer: whoever publishes retries it.
	PublishAnswered struct {
		Token  uint64
		Reason packet.ReasonCode // legal in PUBACK and PUBREC
		Text   string            // Reason String for the device; may be empty
		// User are the User Properties for a refusal.
		User []packet.UserProperty
		// Report of a refusal, for MQTT 3.1.1: with it on the wire, on the error topic, the message is acknowledged. Nil, or without a subscription
		// that lives: the connection is closed, as 3.1.1 has no negative acknowledgement.
		Report *packet.Publish
	}
	// ErrorRecord: something failed that no packet tells; it is for a subscription of the error topic at QoS 0.
	ErrorRecord struct{ Publish *packet.Publish }
	// PublishAbandoned ends Publish instead of PublishAnswered: nobody goes on with it, as another connection owns the session (Machine.TakenOver)
	// and the bus has not got the message, or may not.
	PublishAbandoned struct{ Token uint64 }
	// Recalled answers Recall; empty when the store cannot be read.
	Recalled struct{ Inbound []Inbound }
	// Subscribed answers Subscribe: one reason for each of its subscriptions, in order. Any success grants the QoS that the effect asked
	// for. A failure leaves things as they were.
	Subscribed struct {
		ID      packet.ID
		Reasons []packet.ReasonCode
		Causes  []string // for Failure.Cause, one for each reason; nil: none
	}
	// Unsubscribed answers Unsubscribe, with its ID.
	Unsubscribed struct{ ID packet.ID }
	// AccessChanged: Hooks.Access may say otherwise from now on. Subscriptions that it refuses now are ended.
	AccessChanged struct{}
	// Stored answers Store, in the order of the Store effects.
	Stored struct {
		ID  uint64
		Err StoreError
	}
	// LaneAttached: a lane is up and has no credit. Lane is empty for the session lane, or the filter of a shared subscription
	// ("$share/group/filter"), whose lane the device has for itself.
	LaneAttached struct{ Lane string }
	// LaneDetached: a lane is gone; its unsettled deliveries are back on the bus. Those of the session lane will come again; those of a shared
	// lane are the group's, and any member may get them.
	LaneDetached struct{ Lane string }
	// MessageArrived: the bus delivered a message for the device. One that comes once the connection is ending is not settled: it goes back to
	// the bus with its lane.
	MessageArrived struct {
		// Delivery names it to Settle, over all lanes of the connection; zero on the node lane, where nothing is settled.
		Delivery uint64
		// Lane is empty for the session lane and the node lane, or the filter of the shared subscription whose lane brought it.
		Lane    string
		Message Message
	}
	// MessageUnusable: a lane brought a message that can be no PUBLISH, and who says so has settled it. It was one of those that the lane had credit for.
	MessageUnusable struct{ Lane string }
	// HandedOver answers HandOver. OK: the delivery is settled, and the message is in the inbox of the member that has it for good. That is this
	// session, whose session lane brings it as a copy with Message.For, unless Elsewhere says that no copy comes: another member took it
	// before, or had it and is gone. Not OK: the delivery is settled released, the message is back with its group. The copy may come before
	// this answer. A delivery whose lane is detached first needs none.
	HandedOver struct {
		Delivery  uint64
		OK        bool
		Elsewhere bool
	}
	// SlowDown: take no further PUBLISH or SUBSCRIBE, and read nothing more, before that time.
	SlowDown struct{ Until time.Time }
	// AuthContinue answers Authenticate: the method needs another packet of the device (MQTT 5, 4.12).
	AuthContinue struct{ Data []byte }
	// AuthSucceeded answers Authenticate: the device is who it says. Data is for CONNACK, or for the AUTH that ends a re-authentication.
	AuthSucceeded struct{ Data []byte }
	// AuthFailed answers Authenticate; the connection ends.
	AuthFailed struct {
		Reason packet.ReasonCode // legal in CONNACK and, for a re-authentication, in DISCONNECT
		Text   string            // safe for the device
		Cause  string            // for Failure.Cause
		Detail string            // for Failure.Detail
	}
	// DeadlineReached: the time of the last SetDeadline has come. Early or late calls do no harm.
	DeadlineReached struct{}
	// ConnectionLost: the transport ended without our doing. Also the answer to CloseConnection.
	ConnectionLost struct{}
	// CloseRequested: the gateway wants the connection to end: takeover (0x8E), shutdown (0x8B), grace over (0x89), and so on.
	CloseRequested struct {
		Reason packet.ReasonCode // legal in DISCONNECT
		Text   string
		Cause  string // for Failure.Cause
		// NoWill keeps the Will back: a rolling restart fires none.
		NoWill bool
		// ServerReference names another server for 0x9C and 0x9D (MQTT 5, 4.11); empty names none.
		ServerReference string
	}
)

func (ConnectionOpened) event() {}
func (PacketReceived) event()   {}
func (PacketMalformed) event()  {}
func (SessionOpened) event()    {}
func (SessionRefused) event()   {}
func (PublishAnswered) event()  {}
func (ErrorRecord) event()      {}
func (PublishAbandoned) event() {}
func (Recalled) event()         {}
func (Subscribed) event()       {}
func (Unsubscribed) event()     {}
func (AccessChanged) event()    {}
func (Stored) event()           {}
func (LaneAttached) event()     {}
func (LaneDetached) event()     {}
func (MessageArrived) event()   {}
func (MessageUnusable) event()  {}
func (HandedOver) event()       {}
func (SlowDown) event()         {}
func (AuthContinue) event()     {}
func (AuthSucceeded) event()    {}
func (AuthFailed) event()       {}
func (DeadlineReached) event()  {}
func (ConnectionLost) event()   {}
func (CloseRequested) event()   {}

// StoreError says why a Store failed.
type StoreError uint8

// The results of a Store.
const (
	StoreOK          StoreError = iota
	StoreFenced                 // another connection owns the session
	StoreUnavailable            // the store did not answer within the grace
)

// Message is an application message on its way to the device.
type Message struct {
	// Publish is the template: topic, payload, the message's own QoS, retain flag and properties. Dup, ID, Topic Alias, Subscription
	// Identifiers and Message Expiry are the machine's business. It may be shared with other devices: the machine does not change it.
	Publish *packet.Publish
	// Prepared is Publish as most devices are sent it by the node lane: at QoS 0, without RETAIN, Topic Alias and Subscription Identifiers; nil: each makes
	// its own. With Expires it serves devices of MQTT 5 as long as the Message Expiry Interval in it is right, which is a second at most.
	Prepared *packet.Prepared
	// Identity is what the message is known by when the bus delivers it again.
	Identity string
	// FromSelf: this very session published it; see No Local.
	FromSelf bool
	// Expires is when the message is to be discarded; zero is never. It becomes the Message Expiry Interval that is left.
	Expires time.Time
	// Unique: no other message has this identity. It is false for one made of the content.
	Unique bool
	// Redelivered: the bus says that it was delivered before.
	Redelivered bool
	// PossibleDuplicate: whoever sent it to the bus says that the bus may have had it already, under the same identity. Where that is Unique and the
	// session has the message under way, or had it lately, this one is settled accepted and not delivered [MQTT-4.3.3-10].
	PossibleDuplicate bool
	// For says that the message is for the subscription of exactly this filter, whatever else matches; empty for any that match. It is set on
	// copies of retained messages and of QoS 2 messages of a shared subscription, whose identities are then not those of the messages they are
	// copies of. A retained one whose subscription has ended is settled accepted, and nobody is told; one that was handed over is
	// delivered all the same, since nobody else will.
	For string
	// Retained: a copy of a retained message, sent because a subscription was made. It keeps the flag RETAIN (MQTT 5, 3.3.1.3)
	// [3.1.1 MQTT-3.3.1-8]. Only with For.
	Retained bool
	// Seen: the device was sent the message by the node lane, which had it as well while a subscription changed lanes. It is settled accepted and
	// not delivered, unless its delivery was begun on an earlier lane. Only on the session lane.
	Seen bool
}
