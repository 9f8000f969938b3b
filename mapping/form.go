package mapping

import (
	"encoding/json"

	"sluice/amqp/message"
)

// Form says how messages are written where there is more than one way. All nodes on a bus have the same; what is written in another form is read as well.
// The zero value is the standard's form; the configuration's default is MarksByBus.
type Form struct {
	Marks  MarksIn
	Events CloudEvents
}

// MarksIn says where the names x-opt-mqtt-* and x-opt-sluice-* stand.
type MarksIn uint8

const (
	// MarksInAnnotations is the standard's place: they are about the message, and not the application's.
	MarksInAnnotations MarksIn = iota
	// MarksInProperties is for a bus that refuses or drops message-annotations, or pays for them. They are application properties of the same names.
	// Those take no lists [AMQP 3.2.5], so that AnnotationUser is the text of a JSON array there.
	MarksInProperties
	// MarksByBus are properties on RabbitMQ and annotations elsewhere. RabbitMQ decodes each annotation of a message and encodes it again, where it
	// leaves properties as they came: a quarter of what it spends on a message of seven marks.
	MarksByBus
)

// on settles what depends on the bus.
func (m MarksIn) on(kind dialectKind) MarksIn {
	switch {
	case m != MarksByBus:
		return m
	case kind == kindRabbitMQ:
		return MarksInProperties
	}
	return MarksInAnnotations
}

// setMark gives the message a mark, and no second one of the same name in the other place.
func (f Form) setMark(m *message.Message, name string, value any) {
	place, other := &m.Annotations, m.ApplicationProperties
	if f.Marks == MarksInProperties {
		place, other = &m.ApplicationProperties, m.Annotations
	}
	if *place == nil {
		*place = make(map[string]any)
	}
	(*place)[name] = value
	delete(other, name)
}

// MarkPossibleDuplicate notes on a message, as Uplink, HandOver and Republish make it, that the bus may hold it already. It stands beside the topic.
func MarkPossibleDuplicate(m *message.Message) {
	if _, there := m.ApplicationProperties[AnnotationTopic]; there {
		m.ApplicationProperties[AnnotationPossibleDuplicate] = true
		return
	}
	m.Annotations[AnnotationPossibleDuplicate] = true
}

// PossibleDuplicate reports whether a gateway noted on the message that the bus may have held it already.
func PossibleDuplicate(m *message.Message) bool {
	flagged, _ := Mark(m, AnnotationPossibleDuplicate).(bool)
	return flagged
}

// Mark gives the value of one of the names x-opt-mqtt-* and x-opt-sluice-*, wherever it stands; nil where it stands nowhere.
func Mark(m *message.Message, name string) any {
	if value, ok := m.Annotations[name]; ok {
		return value
	}
	return m.ApplicationProperties[name]
}

// IsMark reports whether Downlink understands this name, wherever it stands.
func IsMark(name string) bool {
	switch name {
	case AnnotationTopic, AnnotationQoS, AnnotationRetain, AnnotationContentType, AnnotationPayloadFormat, AnnotationUser,
		AnnotationResponseTopic,
		AnnotationTenant, AnnotationPrincipal, AnnotationClient, AnnotationNode, AnnotationTime, AnnotationPossibleDuplicate,
		AnnotationFor, AnnotationRetainedCopy, AnnotationMarker:
		return true
	}
	return false
}

// listText is AnnotationUser as an application property. MQTT's strings are UTF-8, so that JSON gives them back unchanged.
func listText(list []any) string {
	text, err := json.Marshal(list)
	if err != nil {
		panic("mapping: a list of strings has no JSON: " + err.Error())
	}
	return string(text)
}

// listFrom is the reverse; ok is false for what is no JSON array of strings.
func listFrom(text string) (list []any, ok bool) {
	return list, json.Unmarshal([]byte(text), &list) == nil
}
