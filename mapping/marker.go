package mapping

import "sluice/amqp/message"

// Marker is a message of a gateway to itself: it goes to the inbox at address to, and that it has come back shows that all the inbox got before has
// come as well. name tells markers apart.
func Marker(to, name string) *message.Message {
	return &message.Message{
		Header:      message.Header{Priority: message.DefaultPriority},
		Annotations: map[string]any{AnnotationMarker: name},
		Properties:  message.Properties{To: to},
		Data:        [][]byte{{}},
	}
}

// MarkerName gives the name of a marker, empty for any other message.
func MarkerName(m *message.Message) string {
	name, _ := plainText(m.Annotations[AnnotationMarker])
	return name
}
