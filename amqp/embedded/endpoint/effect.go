package endpoint

import "sluice/amqp/frame"

// Effect is something that the broker has to do or to know. It is one of the types below.
type Effect interface{ effect() }

// Opened: the peer's open has come and ours was sent.
type Opened struct{ Peer Peer }

// Peer is what the other end said about itself in its open.
type Peer struct {
	ContainerID  string
	Hostname     string
	MaxFrameSize uint32 // bytes
}

// LinkRequested: the peer attaches a link. The broker answers with AcceptLink or RefuseLink before the next performative; until
// then Attach is valid.
type LinkRequested struct {
	Link   *Link
	Attach *frame.Attach
}

// MessageReceived: a whole delivery has come. Unless Settled, the broker owes one Settle. Payload and Tag are valid only until the next
// performative, except that Owned says Payload may be kept.
type MessageReceived struct {
	Link     *Link
	Delivery uint32
	Tag      []byte
	Format   uint32
	Settled  bool
	Payload  []byte
	Owned    bool
}

// DeliverySettled: the peer gave its outcome for a delivery; State is never nil.
type DeliverySettled struct {
	Link  *Link
	Token uint64
	State frame.DeliveryState
}

// CreditChanged: the peer set the credit of a link on which we send. Link.Credit and Link.Draining tell the new state.
type CreditChanged struct{ Link *Link }

// Unblocked: the session window is open again, so that the links of the session may be given deliveries.
type Unblocked struct{ Session *Session }

// LinkEnded: the link is gone, whoever ended it. Deliveries unsettled on it have no outcome.
type LinkEnded struct {
	Link *Link
	// Error is the error that the link, its session or the connection ended with, nil when it was orderly.
	Error *frame.Error
	// Lost: the connection broke or was closed with an error, so the peer may have seen anything.
	Lost bool
}

// Ended: nothing follows. The output is to be written, then the transport is to be closed.
type Ended struct{ Error *frame.Error }

func (Opened) effect()          {}
func (LinkRequested) effect()   {}
func (MessageReceived) effect() {}
func (DeliverySettled) effect() {}
func (CreditChanged) effect()   {}
func (Unblocked) effect()       {}
func (LinkEnded) effect()       {}
func (Ended) effect()           {}
