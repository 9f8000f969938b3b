package frame

// Attach attaches a link to a session [AMQP 2.7.3].
type Attach struct {
	Name                 string
	Handle               uint32
	Role                 Role
	SenderSettleMode     SenderSettleMode // default SenderMixed, which is not the zero value
	ReceiverSettleMode   ReceiverSettleMode
	Source               *Source      // nil is null
	Target               *Target      // nil is null, or a Coordinator
	Coordinator          *Coordinator // a transaction coordinator in the place of the target; never set together with Target
	Unsettled            []Unsettled  // nil is null, which is not the same as an empty map when a link is resumed [AMQP 2.6.13]
	IncompleteUnsettled  bool
	InitialDeliveryCount Opt[uint32] // mandatory when Role is RoleSender
	MaxMessageSize       uint64      // bytes; zero is no limit
	OfferedCapabilities  []Symbol
	DesiredCapabilities  []Symbol
	Properties           Map
}

// Unsettled is one entry of an attach's unsettled map.
type Unsettled struct {
	Tag   []byte
	State DeliveryState // nil is null
}

// Descriptor implements Performative.
func (*Attach) Descriptor() uint64 { return DescAttach }

// Detach detaches a link, and with Closed ends it [AMQP 2.7.7].
type Detach struct {
	Handle uint32
	Closed bool
	Error  *Error
}

// Descriptor implements Performative.
func (*Detach) Descriptor() uint64 { return DescDetach }
