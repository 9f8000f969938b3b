package frame

// The terminus durabilities [AMQP 3.5.5].
const (
	DurabilityNone           uint32 = 0
	DurabilityConfiguration  uint32 = 1
	DurabilityUnsettledState uint32 = 2
)

// The terminus expiry policies [AMQP 3.5.6].
const (
	ExpireLinkDetach      Symbol = "link-detach"
	ExpireSessionEnd      Symbol = "session-end" // the default
	ExpireConnectionClose Symbol = "connection-close"
	ExpireNever           Symbol = "never"
)

// The distribution modes [AMQP 3.5.7].
const (
	DistributionMove Symbol = "move"
	DistributionCopy Symbol = "copy"
)

// Source is where a link's messages come from [AMQP 3.5.3].
type Source struct {
	Address               Opt[string]
	Durable               uint32 // Durability...
	ExpiryPolicy          Symbol // Expire...; empty is written as the default, and never decoded
	Timeout               uint32 // seconds
	Dynamic               bool
	DynamicNodeProperties Map
	DistributionMode      Symbol // empty is absent
	Filter                Map    // filter-set: symbol -> described value
	DefaultOutcome        DeliveryState
	Outcomes              []Symbol
	Capabilities          []Symbol
}

// Target is where a link's messages go [AMQP 3.5.4].
type Target struct {
	Address               Opt[string] // absent on an anonymous terminus: messages name their own address
	Durable               uint32
	ExpiryPolicy          Symbol
	Timeout               uint32 // seconds
	Dynamic               bool
	DynamicNodeProperties Map
	Capabilities          []Symbol
}

// Coordinator is the target of a transaction controller's link [AMQP 4.5.1].
type Coordinator struct {
	Capabilities []Symbol
}
