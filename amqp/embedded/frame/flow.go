package frame

// Flow updates session windows and, with Handle set, a link's credit [AMQP 2.7.4].
type Flow struct {
	NextIncomingID Opt[uint32] // absent only before the peer's begin has come
	IncomingWindow uint32
	NextOutgoingID uint32
	OutgoingWindow uint32
	Handle         Opt[uint32]
	DeliveryCount  Opt[uint32]
	LinkCredit     Opt[uint32]
	Available      Opt[uint32]
	Drain          bool
	Echo           bool
	Properties     Map
}

// Descriptor implements Performative.
func (*Flow) Descriptor() uint64 { return DescFlow }
