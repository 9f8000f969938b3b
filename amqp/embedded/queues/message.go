package queues

import "time"

// Message is a message as the queues keep it. It may stand in many queues at once and is never changed after Publish.
type Message struct {
	Durable  bool
	Priority uint8
	// TTL is header.ttl; zero is none [AMQP 3.2.1].
	TTL time.Duration
	// Format is the transfer's message-format [AMQP 2.7.5].
	Format uint32
	// Annotations is the encoded message-annotations section, x-exchange and x-routing-key of the first publish included.
	Annotations []byte
	// Bare is everything from the properties section on, as it came in [AMQP 3.2].
	Bare []byte

	refs int // in how many queues it stands; under the store's mutex
}

// Size is the number of bytes that the message counts against the limits.
func (m *Message) Size() int64 { return int64(len(m.Annotations) + len(m.Bare)) }

// Delivery is one message on its way to one consumer.
type Delivery struct {
	// Token names the delivery to Consumer.Settle.
	Token   uint64
	Message *Message
	// Exchange and RoutingKey are what the message was last published with, for the annotations x-exchange and x-routing-key.
	Exchange, RoutingKey string
	// Redelivered: some consumer was given it before, so header.first-acquirer is false.
	Redelivered bool
	// DeliveryCount is the number of earlier failed deliveries [AMQP 3.2.1].
	DeliveryCount uint32
	// TTL is what is left of the time to live; zero is none.
	TTL time.Duration
	// Annotations were added on the way, by modified outcomes and by dead-lettering. Shared: do not change.
	Annotations map[string]any
}

// Outcome is how a consumer settled a delivery [AMQP 3.4].
type Outcome struct {
	Kind OutcomeKind
	// DeliveryFailed, UndeliverableHere and Annotations belong to Modified.
	DeliveryFailed    bool
	UndeliverableHere bool
	Annotations       map[string]any
}

// OutcomeKind is one of the four terminal outcomes.
type OutcomeKind uint8

// The outcomes of AMQP 1.0.
const (
	Accepted OutcomeKind = iota + 1
	Rejected
	Released
	Modified
)

// death is one entry of a message's dead-letter history.
type death struct {
	queue, reason string
}

// The reasons of RabbitMQ for a dead letter.
const (
	reasonRejected      = "rejected"
	reasonExpired       = "expired"
	reasonMaxLength     = "maxlen"
	reasonDeliveryLimit = "delivery_limit"
)

// entry is a message's place in one queue.
type entry struct {
	seq           uint64 // position: the order in which the queue received it
	msg           *Message
	exchange, key string
	expiry        time.Time // zero: never
	deliveryCount uint32
	redelivered   bool
	annotations   map[string]any // replaced, never changed: deliveries share it
	deaths        []death
}

// annotate gives e a copy of its added annotations with more of them.
func (e *entry) annotate(more map[string]any) {
	if len(more) == 0 {
		return
	}
	merged := make(map[string]any, len(e.annotations)+len(more))
	for k, v := range e.annotations {
		merged[k] = v
	}
	for k, v := range more {
		merged[k] = v
	}
	e.annotations = merged
}
