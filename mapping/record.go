package mapping

import (
	"time"

	"sluice/amqp/message"
)

// Record is the record of a failure on its way to the inbox at address to of the session whose device it is for. It is delivered at QoS 1, to the
// subscription with this filter alone, which is also its topic. After life the bus may drop it.
func Record(json []byte, contentType, id, to, filter string, life time.Duration) *message.Message {
	return &message.Message{
		Header: message.Header{Durable: true, Priority: message.DefaultPriority, TTL: life},
		Annotations: map[string]any{
			AnnotationTopic: filter, AnnotationFor: filter, AnnotationQoS: uint8(1), AnnotationPayloadFormat: uint8(1),
		},
		Properties: message.Properties{MessageID: id, To: to, ContentType: contentType},
		Data:       [][]byte{json},
	}
}

// IsFor reports whether a message in a session's inbox is for the subscription with this filter alone.
func IsFor(m *message.Message, filter string) bool {
	f, _ := plainText(m.Annotations[AnnotationFor])
	return f == filter
}
