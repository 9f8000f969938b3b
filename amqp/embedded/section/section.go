package section

import "sluice/amqp/embedded/wire"

// Header is the header section [AMQP 3.2.1], defaults filled in.
type Header struct {
	Durable       bool
	Priority      uint8            // default message.DefaultPriority (4), which is not the zero value
	TTL           wire.Opt[uint32] // milliseconds
	FirstAcquirer bool
	DeliveryCount uint32
}

// Sections is a message taken apart. Each []byte field is a whole encoded section with its descriptor, or nil when absent.
type Sections struct {
	Header    Header // DefaultHeader when absent
	HasHeader bool   // Append writes a header only if set

	DeliveryAnnotations []byte
	MessageAnnotations  []byte

	// Bare is the immutable bare message: properties, application-properties and body as they came; the fields below are views into it.
	Bare                  []byte
	Properties            []byte
	ApplicationProperties []byte
	Body                  []byte // all body sections; nil when the message has none, which some peers send

	Footer []byte
}
