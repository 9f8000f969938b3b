package embedded

import (
	"time"

	"go.uber.org/zap"

	"sluice/amqp/embedded/endpoint"
	"sluice/amqp/embedded/servicebus"
)

// Options of a Broker. Zero fields take the defaults.
type Options struct {
	Logger *zap.Logger
	// User and Password, when User is set, are the only SASL PLAIN credentials; otherwise any are taken, and ANONYMOUS, and no SASL at all.
	User, Password string
	// Version is told to peers in open.properties.
	Version string

	MaxFrameSize uint32 // bytes; default 128 KiB
	ChannelMax   uint16 // highest channel; default 63
	HandleMax    uint32 // highest handle of a session; default 255
	// IdleTimeout is how long a peer may be silent; default 60 s, negative for ever.
	IdleTimeout    time.Duration
	MaxConnections int    // default DefaultMaxConnections
	MaxMessageSize uint64 // bytes; default DefaultMaxMessageSize
	// MaxQueueBytes bounds the memory of all queues; default 256 MiB. See the package comment for what happens there.
	MaxQueueBytes int64
	// Exchanges are topic exchanges, and Queues queues, that are there from the start.
	Exchanges, Queues []string
	// Credit is what a publisher's link keeps up; default DefaultCredit.
	Credit uint32
	// ServiceBus, when set, makes the broker act as Azure Service Bus and Event Hubs with these entities, for tests: see the package servicebus.
	ServiceBus *servicebus.Options
}

func (o Options) withDefaults() Options {
	if o.Logger == nil {
		o.Logger = zap.NewNop()
	}
	if o.Version == "" {
		o.Version = "development"
	}
	if o.MaxFrameSize == 0 {
		o.MaxFrameSize = endpoint.DefaultMaxFrameSize
	}
	if o.MaxConnections == 0 {
		o.MaxConnections = DefaultMaxConnections
	}
	if o.MaxMessageSize == 0 && o.ServiceBus != nil {
		o.MaxMessageSize = serviceBusMessageSize
	}
	if o.MaxMessageSize == 0 {
		o.MaxMessageSize = DefaultMaxMessageSize
	}
	if o.Credit == 0 {
		o.Credit = DefaultCredit
	}
	return o
}
