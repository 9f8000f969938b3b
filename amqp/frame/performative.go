package frame

import (
	"sluice/amqp/message"
	"sluice/amqp/wire"
)

// Performative is a frame body: *Open, *Begin, *Attach, *Flow, *Transfer, *Disposition, *Detach, *End, *Close in AMQP frames,
// *SASLMechanisms, *SASLInit, *SASLChallenge, *SASLResponse, *SASLOutcome in SASL frames.
type Performative interface {
	// Descriptor is the numeric descriptor, such as DescOpen.
	Descriptor() uint64
}

// Opt is a field that may be absent and has no default.
type Opt[T any] = wire.Opt[T]

// Some is a present Opt.
func Some[T any](v T) Opt[T] { return wire.Some(v) }

// Symbol is an AMQP symbol.
type Symbol = message.Symbol

// Map is an AMQP map in the order it was sent.
type Map = wire.Map

// Role is the role of a link endpoint [AMQP 2.8.1]: true for a receiver.
type Role bool

// The two roles.
const (
	RoleSender   Role = false
	RoleReceiver Role = true
)

// String names the role.
func (r Role) String() string {
	if r == RoleReceiver {
		return "receiver"
	}
	return "sender"
}

// SenderSettleMode is a snd-settle-mode [AMQP 2.8.2]. The standard's default is SenderMixed, not the zero value.
type SenderSettleMode uint8

// The sender settle modes.
const (
	SenderUnsettled SenderSettleMode = 0
	SenderSettled   SenderSettleMode = 1
	SenderMixed     SenderSettleMode = 2
)

// ReceiverSettleMode is a rcv-settle-mode [AMQP 2.8.3].
type ReceiverSettleMode uint8

// The receiver settle modes.
const (
	ReceiverFirst  ReceiverSettleMode = 0
	ReceiverSecond ReceiverSettleMode = 1
)
