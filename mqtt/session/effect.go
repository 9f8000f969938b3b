package session

import (
	"time"

	"sluice/mqtt/packet"
)

// Effect is something the shell shall do. Effects are carried out in the order of the list.
//
// There is no hidden barrier: what must wait for a Store, a Publish or a Subscribe comes out only after the event that answers it.
type Effect interface{ effect() }

type (
	// SendPacket: write the packet to the device. The packet is not changed afterwards.
	SendPacket struct{ Packet packet.Packet }
	// Authenticate: give the method what the device sent. Answered by AuthContinue, AuthSucceeded or AuthFailed, until it has said one of the
	// last two. Only a method of Config.AuthMethods is ever asked.
	Authenticate struct {
		Method string
		Data   []byte // Authentication Data of CONNECT or AUTH; nil is none
		// Connect is the CONNECT that has no answer yet; nil on an open connection.
		Connect *packet.Connect
		// Start: the first of an exchange, by CONNECT or by a re-authentication. False: the device goes on after AuthContinue.
		Start bool
		// Again: a re-authentication of an open connection (AUTH 0x19 and what follows it). The device must turn out to be the same.
		Again bool
	}
	// OpenSession: authenticate, unless Authenticate did, then claim the session. Answered by SessionOpened or SessionRefused.
	OpenSession struct {
		Connect  *packet.Connect
		ClientID string // as sent, or the assigned one
		Expiry   uint32 // seconds, as granted
	}
	// Publish: hand the message to the bus. Answered by PublishAnswered, also at QoS 0 (which takes room in the window until then).
	Publish struct {
		Token     uint64
		Packet    *packet.Publish // topic resolved, no alias
		MessageID string
		Duplicate bool // the bus may have it already
	}
	// Subscribe: make the bus deliver. Every subscription in it is valid and allowed by the profile. Answered by Subscribed. Only one
	// Subscribe or Unsubscribe is under way at a time.
	Subscribe struct {
		ID            packet.ID
		Subscriptions []packet.Subscription
		SubID         uint32 // Subscription Identifier; zero is none
		Properties    *packet.Properties
		// Retained says for which of them the retained messages are to be sent (Retain Handling); nil for none. The shell sends them as messages
		// with Message.For: by the session lane where the QoS is 1 or 2, by the node lane otherwise. Copies that are in the inbox before Subscribed
		// are safe from a node that dies after SUBACK; should the subscription then be refused, they are settled and nobody is told.
		Retained []bool
	}
	// Unsubscribe: the subscriptions are gone from the record; stop the bus. Answered by Unsubscribed. ID is zero when no packet of the device asks for
	// it: they are not allowed any more.
	Unsubscribe struct {
		ID      packet.ID
		Filters []string // only those that existed
	}
	// Store: write the ops, together and in order. Answered by Stored unless ID is zero. Only persistent sessions have any.
	Store struct {
		ID  uint64
		Ops []Op
	}
	// Recall: read the records of QoS 2 messages from the device as they are stored now, whoever wrote them. Answered by Recalled, within a second or
	// so also when the store does not answer. Only one is under way at a time.
	Recall struct{}
	// Settle: answer a delivery. It may still come after CloseConnection, when a Store is answered late; never for a
	// delivery of a lane that LaneDetached has ended.
	Settle struct {
		Delivery uint64
		Outcome  SettleOutcome
		Reason   packet.ReasonCode     // SettleRejected: the device's reason, or ours
		Text     string                // SettleRejected: the device's Reason String, or why we refuse
		User     []packet.UserProperty // SettleRejected: the device's User Properties
		Why      RejectionCause        // SettleRejected
		PacketID packet.ID             // SettleRejected by the device: of its PUBACK or PUBREC
	}
	// HandOver: move a QoS 2 message of a shared lane into the inbox of the member that gets it, for good [MQTT-4.8.2-4, MQTT-4.8.2-5]. The shell
	// settles the delivery. Answered by HandedOver.
	HandOver struct{ Delivery uint64 }
	// GrantCredit: let a lane deliver n more messages. Lane is empty for the session lane, or the filter of a shared subscription.
	GrantCredit struct {
		Lane string
		N    uint32
	}
	// SetDeadline: send DeadlineReached at this time. It replaces the one before. The zero time is none.
	SetDeadline struct{ At time.Time }
	// PauseReading: read no further packet from the device. It also comes with OpenSession, until CONNACK.
	PauseReading struct{}
	// ResumeReading: go on reading.
	ResumeReading struct{}
	// CloseConnection: flush what was sent, then close the transport. Answered by ConnectionLost.
	CloseConnection struct {
		Reason packet.ReasonCode // for log and metric; what the device could be told is already sent
		Text   string
		// ByDevice: the device sent DISCONNECT or went away.
		ByDevice bool
	}
	// Finish is the last effect: nothing is under way any more. Release the session.
	Finish struct {
		// Opened: there is a session to release.
		Opened bool
		// End: the session ends with this connection.
		End bool
		// Will is the Will Message to publish, nil for none.
		Will *packet.Will
	}
)

func (SendPacket) effect()      {}
func (Authenticate) effect()    {}
func (OpenSession) effect()     {}
func (Publish) effect()         {}
func (Subscribe) effect()       {}
func (Unsubscribe) effect()     {}
func (Store) effect()           {}
func (Recall) effect()          {}
func (Settle) effect()          {}
func (HandOver) effect()        {}
func (GrantCredit) effect()     {}
func (SetDeadline) effect()     {}
func (PauseReading) effect()    {}
func (ResumeReading) effect()   {}
func (CloseConnection) effect() {}
func (Finish) effect()          {}

// RejectionCause says why a delivery is rejected.
type RejectionCause uint8

// The causes.
const (
	ByDevice  RejectionCause = iota + 1 // the device answered with a failure
	TooLarge                            // for the device's Maximum Packet Size
	NoPacket                            // it cannot be written as an MQTT packet
	Expired                             // its Message Expiry is over
	Unmatched                           // no subscription matches
	Poisonous                           // the device never acknowledged it, on any of many connections (Config.PoisonAfter)
)

// SettleOutcome is the outcome of a delivery to the device.
type SettleOutcome uint8

// The outcomes the machine gives.
const (
	SettleAccepted SettleOutcome = iota + 1
	SettleRejected
	SettleReleased
)
