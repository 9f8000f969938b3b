package mapping

import "sluice/amqp/message"

// Marker is a message of a gateway to itself: it goes to the inbox at address to, and that it has come back shows that all the inbox got before has
// come as well. name tells markers apart.
//
// It is durable although it is worth nothing later: on Artemis a message that is not durable overtakes those that are, which wait for the disk.
func Marker(d Dialect, to, name string) *message.Message {
	m := &message.Message{
		Header:     message.Header{Durable: true, Priority: message.DefaultPriority},
		Properties: message.Properties{To: to},
		Data:       [][]byte{{}},
	}
	d.form.setMark(m, AnnotationMarker, name)
	return m
}

// MarkerName gives the name of a marker, empty for any other message.
func MarkerName(m *message.Message) string {
	value, ok := m.Annotations[AnnotationMarker]
	if !ok {
		value = m.ApplicationProperties[AnnotationMarker]
	}
	name, _ := plainText(value)
	return name
}
