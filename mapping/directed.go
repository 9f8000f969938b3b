package mapping

import (
	"crypto/sha256"
	"encoding/hex"
	"maps"

	"sluice/amqp/message"
)

// Direct turns m, as Uplink made it in this dialect, into the copy of a retained message for one subscription: it goes to the inbox at address to, and
// says for which filter it is there, since other subscriptions of that session may match its topic as well.
func Direct(m *message.Message, d Dialect, to, filter string) {
	m.Properties.To = to
	d.form.setMark(m, AnnotationFor, filter)
	d.form.setMark(m, AnnotationRetainedCopy, true)
}

// HandOver is the copy of a message, as it came from the bus, for the inbox at address to: the message has been chosen for that session's
// subscription with this filter. topic is the name that Downlink found. The copy keeps the message-id. What the bus added on the way and what AMQP
// clients cannot write again stays behind; no device would see it.
//
// It goes without the property by which the bus would drop a second copy: one session may get the message for several groups, and knows itself what it
// had.
func HandOver(m *message.Message, d Dialect, topic, to, filter string) *message.Message {
	c := again(m, d, topic, to)
	d.form.setMark(c, AnnotationFor, filter)
	return c
}

// Republish is a message of a backend, as it came from the bus, on its way to all who subscribe to the topic at address to, with the flag RETAIN.
func Republish(m *message.Message, d Dialect, topic, to string) *message.Message {
	c := again(m, d, topic, to)
	d.form.setMark(c, AnnotationRetain, true)
	return c
}

// again is a message as it can be sent on.
func again(m *message.Message, d Dialect, topic, to string) *message.Message {
	c := *m
	c.Header.FirstAcquirer, c.Header.DeliveryCount = false, 0
	c.Properties.To = to
	// The login of who sent it first. RabbitMQ takes it from nobody else, and ends the AMQP session of who tries.
	c.Properties.UserID = nil
	c.Annotations = make(map[string]any, len(m.Annotations)+2)
	for name, value := range m.Annotations {
		if !ofTheBus(name) && writable(value, maxNesting) {
			c.Annotations[name] = value
		}
	}
	c.ApplicationProperties = maps.Clone(m.ApplicationProperties)
	maps.DeleteFunc(c.ApplicationProperties, func(name string, value any) bool {
		return d.ofTheBus(name) || !writable(value, maxNesting)
	})
	d.form.setMark(&c, AnnotationTopic, topic)
	return &c
}

// writable reports whether a value that was read can be written again: message.Described and message.Opaque cannot.
func writable(value any, depth int) bool {
	if depth == 0 {
		return false
	}
	switch v := value.(type) {
	case message.Described, message.Opaque:
		return false
	case []any:
		for _, e := range v {
			if !writable(e, depth-1) {
				return false
			}
		}
	case map[string]any:
		for _, e := range v {
			if !writable(e, depth-1) {
				return false
			}
		}
	}
	return true
}

// DirectedIdentity is the identity of a message as it is delivered for the subscription with this filter alone: on the queue of a shared subscription,
// or as a copy. It keeps it apart from the message itself and from copies for other subscriptions of the same session.
func DirectedIdentity(identity, filter string) string {
	sum := sha256.Sum256([]byte(filter))
	return identity + "@" + hex.EncodeToString(sum[:8])
}
