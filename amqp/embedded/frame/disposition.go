package frame

// Disposition tells state and settlement of a range of deliveries [AMQP 2.7.6]. Never loop from First to Last: use Within.
type Disposition struct {
	Role      Role // of the endpoint that SENDS the disposition
	First     uint32
	Last      Opt[uint32] // absent means First
	Settled   bool
	State     DeliveryState // nil is absent
	Batchable bool
}

// Descriptor implements Performative.
func (*Disposition) Descriptor() uint64 { return DescDisposition }
