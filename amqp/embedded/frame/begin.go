package frame

// Begin starts a session on a channel [AMQP 2.7.2].
type Begin struct {
	RemoteChannel       Opt[uint16] // set in the answer to the peer's begin
	NextOutgoingID      uint32
	IncomingWindow      uint32
	OutgoingWindow      uint32
	HandleMax           uint32 // written as it is: zero means one link, use DefaultHandleMax
	OfferedCapabilities []Symbol
	DesiredCapabilities []Symbol
	Properties          Map
}

// Descriptor implements Performative.
func (*Begin) Descriptor() uint64 { return DescBegin }

// End ends a session [AMQP 2.7.8].
type End struct {
	Error *Error
}

// Descriptor implements Performative.
func (*End) Descriptor() uint64 { return DescEnd }
