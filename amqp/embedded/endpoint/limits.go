package endpoint

import (
	"time"

	"sluice/amqp/frame"
)

// Config is what the endpoint offers its peer. Zero fields take the defaults below.
type Config struct {
	ContainerID string
	Properties  frame.Map // open.properties

	MaxFrameSize uint32 // bytes, at least 512 [AMQP 2.7.1]
	ChannelMax   uint16 // highest channel number
	HandleMax    uint32 // highest handle number of a session
	// SingleSession allows channel 0 only, whatever ChannelMax says.
	SingleSession       bool
	OfferedCapabilities []frame.Symbol // of the open
	// IdleTimeout is how long the peer may be silent. Half of it is announced, as the standard advises [AMQP 2.4.5]. Negative: for ever.
	IdleTimeout time.Duration
	// IncomingWindow is the number of transfer frames that a session may send ahead of our flow.
	IncomingWindow uint32
	// MaxPartialBytes bounds what the connection's unfinished multi-frame deliveries may hold together.
	MaxPartialBytes int
}

// Defaults of Config; frame size, channels, handles and idle time are RabbitMQ 4's own.
const (
	DefaultMaxFrameSize   uint32 = 128 << 10
	DefaultChannelMax     uint16 = 63
	DefaultHandleMax      uint32 = 255
	DefaultIdleTimeout           = 60 * time.Second
	DefaultIncomingWindow uint32 = 2048
	// DefaultMaxPartialBytes lets a few of the largest messages grow at a time.
	DefaultMaxPartialBytes = 64 << 20
)

const (
	// maxDescription bounds an error description, in bytes, so that an error frame fits the smallest frame size.
	maxDescription = 300
	// outgoingWindow is what we announce; we send no faster than the peer's incoming window, so any number is true.
	outgoingWindow uint32 = 1<<31 - 1
)

func (c Config) withDefaults() Config {
	if c.MaxFrameSize == 0 {
		c.MaxFrameSize = DefaultMaxFrameSize
	}
	c.MaxFrameSize = max(c.MaxFrameSize, frame.MinMaxFrameSize)
	if c.ChannelMax == 0 {
		c.ChannelMax = DefaultChannelMax
	}
	if c.SingleSession {
		c.ChannelMax = 0
	}
	if c.HandleMax == 0 {
		c.HandleMax = DefaultHandleMax
	}
	if c.IdleTimeout == 0 {
		c.IdleTimeout = DefaultIdleTimeout
	}
	if c.IncomingWindow == 0 {
		c.IncomingWindow = DefaultIncomingWindow
	}
	if c.MaxPartialBytes == 0 {
		c.MaxPartialBytes = DefaultMaxPartialBytes
	}
	return c
}
