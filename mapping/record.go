package mapping

import (
	"time"

	"sluice/amqp/message"
)

// Record is the record of a failure on its way to the inbox at address to of the session whose device it is for. It is delivered at QoS 1, to the
// subscription with this filter alone, which is also its topic. After life the bus may drop it.
func (d Dialect) Record(json []byte, contentType, id, to, filter string, life time.Duration) *message.Message {
	m := &message.Message{
		Header:     message.Header{Durable: true, Priority: message.DefaultPriority, TTL: life},
		Properties: message.Properties{MessageID: id, To: to, ContentType: contentType},
		Data:       [][]byte{json},
	}
	d.form.setMark(m, AnnotationTopic, filter)
	d.form.setMark(m, AnnotationFor, filter)
	d.form.setMark(m, AnnotationQoS, uint8(1))
	d.form.setMark(m, AnnotationPayloadFormat, uint8(1))
	return m
}

// IsFor reports whether a message in a session's inbox is for the subscription with this filter alone.
func IsFor(m *message.Message, filter string) bool {
	value, ok := m.Annotations[AnnotationFor]
	if !ok {
		value = m.ApplicationProperties[AnnotationFor]
	}
	f, _ := plainText(value)
	return f == filter
}
