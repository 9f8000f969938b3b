package mapping

import (
	"strings"

	"sluice/mapping/failure"
)

// The annotations we write. x-opt-mqtt-* hold what MQTT has and AMQP has no field for; backends may set them too. x-opt-sluice-*
// are provenance: a gateway writes them and no device can.
const (
	AnnotationTopic         = "x-opt-mqtt-topic"           // string: the topic name as the device wrote it
	AnnotationQoS           = "x-opt-mqtt-qos"             // ubyte: 0, 1 or 2
	AnnotationRetain        = "x-opt-mqtt-retain"          // boolean, only when true
	AnnotationContentType   = "x-opt-mqtt-content-type"    // string: a Content Type that content-type cannot hold
	AnnotationPayloadFormat = "x-opt-mqtt-payload-format"  // ubyte: 0 or 1
	AnnotationUser          = "x-opt-mqtt-user-properties" // list of string: key, value, key, value

	AnnotationTenant            = "x-opt-sluice-tenant"
	AnnotationPrincipal         = "x-opt-sluice-principal"
	AnnotationClient            = "x-opt-sluice-client"
	AnnotationNode              = "x-opt-sluice-node"
	AnnotationTime              = "x-opt-sluice-time" // timestamp: when the gateway received the message
	AnnotationPossibleDuplicate = "x-opt-sluice-possible-duplicate"
	// AnnotationPartitionKey is the name that Azure Event Hubs and Service Bus read; only mapping rules set it.
	AnnotationPartitionKey = "x-opt-partition-key"
	// AnnotationFor names the filter of the one subscription that a message in a session's inbox is for, AnnotationRetainedCopy (boolean) says
	// that it is the copy of a retained message.
	AnnotationFor          = "x-opt-sluice-for"
	AnnotationRetainedCopy = "x-opt-sluice-retained"
	// AnnotationMarker names a Marker.
	AnnotationMarker = "x-opt-sluice-marker"

	// The trace context that somebody on the way has added to a message (W3C Trace Context for AMQP, draft); the sender's own is among the application
	// properties, by the same names. We read these annotations and write none: a receiver must understand every annotation whose name does not begin
	// with x-opt- [AMQP 3.2.10].
	AnnotationTraceparent = failure.Traceparent
	AnnotationTracestate  = "tracestate"

	annotationExchange   = "x-exchange"
	annotationRoutingKey = "x-routing-key"
)

// The User Properties we add to messages from the bus.
const (
	UserMessageID       = "sluice-msgid"
	UserSubject         = "sluice-subject"
	UserCreated         = "sluice-created"
	UserContentEncoding = "sluice-content-encoding"
	UserGroupID         = "sluice-group-id"
	UserGroupSequence   = "sluice-group-sequence"
)

const (
	prefixGateway    = "sluice-"
	prefixAnnotation = "x-opt-"
)

// forges reports whether a device uses a name that only a gateway may give. What it sets would look like provenance to a backend, at
// the latest on a bus where annotations are written as application properties.
func forges(name string) bool {
	return strings.HasPrefix(name, prefixGateway) || strings.HasPrefix(name, prefixAnnotation)
}

// ofTheBus reports whether an annotation is the bus's own account of how it carried the message. It says nothing about the message
// itself, so leaving it out is no loss.
func ofTheBus(annotation string) bool {
	switch annotation {
	case annotationExchange, annotationRoutingKey, "x-delivery-count", "x-acquired-count", "x-opt-deaths", "x-opt-mqtt-client-id",
		// Service Bus and Event Hubs
		"x-opt-sequence-number", "x-opt-enqueued-time", "x-opt-offset", "x-opt-enqueue-sequence-number", "x-opt-locked-until", "x-opt-message-state",
		"x-opt-partition-id", "x-opt-deadletter-source":
		return true
	}
	return strings.HasPrefix(annotation, "x-opt-rabbitmq-")
}
