package frame

// Bounds of frames and their fields.
const (
	// MinMaxFrameSize is the frame size that every peer must accept, in bytes [AMQP 2.8.1]. SASL frames never exceed it [AMQP 5.3.3].
	MinMaxFrameSize uint32 = 512

	// MaxDeliveryTag is the longest delivery-tag, in bytes [AMQP 2.8.7].
	MaxDeliveryTag = 32

	// MaxSymbols is how many symbols one multiple field (capabilities, locales, outcomes, mechanisms) may hold. The standard has no
	// bound; known peers send fewer than 10.
	MaxSymbols = 256

	// MaxUnsettled is how many deliveries an attach may list as unsettled. The frame size bounds it too.
	MaxUnsettled = 1 << 16
)

// The defaults of the standard [AMQP 2.7].
const (
	DefaultMaxFrameSize uint32 = 1<<32 - 1
	DefaultChannelMax   uint16 = 1<<16 - 1
	DefaultHandleMax    uint32 = 1<<32 - 1
)
