package frame

// Open negotiates connection parameters [AMQP 2.7.1].
type Open struct {
	ContainerID         string // mandatory
	Hostname            string // empty is absent
	MaxFrameSize        uint32 // bytes; written as it is: zero is NOT the default, use DefaultMaxFrameSize
	ChannelMax          uint16 // highest channel number; written as it is: zero means one channel, use DefaultChannelMax
	IdleTimeout         uint32 // milliseconds; zero is absent
	OutgoingLocales     []Symbol
	IncomingLocales     []Symbol
	OfferedCapabilities []Symbol
	DesiredCapabilities []Symbol
	Properties          Map
}

// Descriptor implements Performative.
func (*Open) Descriptor() uint64 { return DescOpen }

// Close ends a connection [AMQP 2.7.9].
type Close struct {
	Error *Error
}

// Descriptor implements Performative.
func (*Close) Descriptor() uint64 { return DescClose }
