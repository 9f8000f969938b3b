package frame

// DeliveryState is *Received or one of the outcomes *Accepted, *Rejected, *Released, *Modified [AMQP 3.4].
type DeliveryState interface {
	// Descriptor is the numeric descriptor, such as DescAccepted.
	Descriptor() uint64
}

// Received says how far a message came, for resuming [AMQP 3.4.1].
type Received struct {
	SectionNumber uint32
	SectionOffset uint64
}

// Accepted is the outcome of a message that was processed [AMQP 3.4.2].
type Accepted struct{}

// Rejected is the outcome of an invalid message [AMQP 3.4.3].
type Rejected struct {
	Error *Error // nil is absent
}

// Released is the outcome of a message that was not processed [AMQP 3.4.4].
type Released struct{}

// Modified is the outcome of a message that was not processed and is to be changed before it is delivered again [AMQP 3.4.5].
type Modified struct {
	DeliveryFailed     bool
	UndeliverableHere  bool
	MessageAnnotations Map
}

// Descriptor implements DeliveryState.
func (*Received) Descriptor() uint64 { return DescReceived }

// Descriptor implements DeliveryState.
func (*Accepted) Descriptor() uint64 { return DescAccepted }

// Descriptor implements DeliveryState.
func (*Rejected) Descriptor() uint64 { return DescRejected }

// Descriptor implements DeliveryState.
func (*Released) Descriptor() uint64 { return DescReleased }

// Descriptor implements DeliveryState.
func (*Modified) Descriptor() uint64 { return DescModified }
