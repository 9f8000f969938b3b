package message

import "time"

// Message is an AMQP 1.0 message [AMQP 3.2], its sections as plain Go values. A nil map or zero field is an absent one.
//
// Values are of these Go types only: nil, bool, uint8, uint16, uint32, uint64, int8, int16, int32, int64, float32, float64,
// string, Symbol, []byte, UUID, time.Time (timestamp, milliseconds), []any (list), map[string]any (map with string or symbol keys) and,
// where a peer sent something else, Described or Opaque.
type Message struct {
	Header                Header
	Annotations           map[string]any // message-annotations: keys are symbols
	Properties            Properties
	ApplicationProperties map[string]any

	// The body: Data (one or more data sections), or Value (one amqp-value section, HasValue on), or Sequence (amqp-sequence sections).
	Data     [][]byte
	Value    any
	HasValue bool
	Sequence [][]any
}

// Header is the header section [AMQP 3.2.1].
type Header struct {
	Durable       bool
	Priority      uint8         // the standard's default is 4: use DefaultPriority, a literal zero is the lowest
	TTL           time.Duration // whole milliseconds, at most MaxTTL; zero is absent
	FirstAcquirer bool
	DeliveryCount uint32
}

// DefaultPriority is the priority of a message that names none [AMQP 3.2.1].
const DefaultPriority uint8 = 4

// MaxTTL is the longest ttl that the wire can carry: 2^32-1 milliseconds.
const MaxTTL = time.Duration(1<<32-1) * time.Millisecond

// Properties is the immutable properties section [AMQP 3.2.4].
type Properties struct {
	MessageID       any // nil, string, uint64, UUID or []byte
	UserID          []byte
	To              string
	Subject         string
	ReplyTo         string
	CorrelationID   any    // as MessageID
	ContentType     string // symbol: ASCII
	ContentEncoding string
	AbsoluteExpiry  time.Time
	CreationTime    time.Time
	GroupID         string
	GroupSequence   *uint32
	ReplyToGroupID  string
}

// Symbol is an AMQP symbol: ASCII text from a constrained domain [AMQP 1.6.21].
type Symbol string

// UUID is an RFC 4122 universally unique identifier [AMQP 1.6.18].
type UUID [16]byte

// Described is a described value [AMQP 1.3.2] that a peer sent where a plain one is usual.
type Described struct {
	Descriptor any
	Value      any
}

// Opaque stands for a value the client library could not hand over; Type names it for a reader.
type Opaque struct {
	Type string
}
