package frame

// Transfer carries a message or a part of one [AMQP 2.7.5]. The payload is not part of the struct: it follows it in the frame.
type Transfer struct {
	Handle             uint32
	DeliveryID         Opt[uint32] // mandatory on the first transfer of a delivery
	DeliveryTag        []byte      // likewise; at most MaxDeliveryTag bytes; nil is absent
	MessageFormat      Opt[uint32]
	Settled            bool // on a later transfer of a delivery, false is "as before"
	More               bool
	ReceiverSettleMode Opt[ReceiverSettleMode]
	State              DeliveryState // nil is absent
	Resume             bool
	Aborted            bool
	Batchable          bool
}

// Descriptor implements Performative.
func (*Transfer) Descriptor() uint64 { return DescTransfer }
