package mapping

import (
	"sluice/amqp/message"
	"sluice/mapping/failure"
	"sluice/mqtt/packet"
	"sluice/mqtt/topic"
)

// marks are what Downlink understands of the names x-opt-*, in annotations or in application properties (MarksIn).
type marks struct {
	topic, exchange, routingKey   string
	hasTopic, hasExchange, hasKey bool

	qos            packet.QoS
	hasQoS         bool
	retain         bool
	format         byte
	hasFormat      bool
	contentType    string
	hasContentType bool
	user           []packet.UserProperty // nil without the annotation
	responseTopic  string

	traceparent, tracestate string

	publisher         Publisher
	fromDevice        bool
	possibleDuplicate bool

	onlyFor  string // the filter of the subscription that the message is for; empty for all that match
	retained bool   // it is the copy of a retained message
}

// readMarks goes through the annotations once. Those it does not know are lost; those of ours with a wrong value are ignored and
// declared, since a backend may have written them. Then come marks among the application properties; where there is an annotation, it counts.
func readMarks(in *message.Message, lost *losses) marks {
	var m marks
	for name, value := range in.Annotations {
		known, valid := m.read(name, value)
		switch {
		case known && !valid:
			lost.add(FieldAnnotation, name, ReasonInvalid)
		case !known && !ofTheBus(name):
			lost.add(FieldAnnotation, name, ReasonNoPlace)
		}
	}
	for name, value := range in.ApplicationProperties {
		if !IsMark(name) {
			continue
		}
		if _, twice := in.Annotations[name]; twice {
			lost.add(FieldApplication, name, ReasonTwice)
		} else if _, valid := m.read(name, value); !valid {
			lost.add(FieldApplication, name, ReasonInvalid)
		}
	}
	m.exchange, m.hasExchange = plainText(in.Annotations[annotationExchange])
	m.routingKey, m.hasKey = plainText(in.Annotations[annotationRoutingKey])
	return m
}

func (m *marks) read(name string, value any) (known, valid bool) {
	if known, valid = m.readMQTT(name, value); !known {
		known, valid = m.readProvenance(name, value)
	}
	return known, valid
}

func (m *marks) readMQTT(name string, value any) (known, valid bool) {
	switch name {
	case AnnotationTopic:
		m.topic, valid = plainText(value)
		valid = valid && topic.ValidateName(m.topic) == nil
		m.hasTopic = valid
	case AnnotationQoS:
		var qos byte
		qos, valid = smallInteger(value, 2)
		m.qos, m.hasQoS = packet.QoS(qos), valid
	case AnnotationRetain:
		m.retain, valid = value.(bool)
	case AnnotationPayloadFormat:
		m.format, valid = smallInteger(value, 1)
		m.hasFormat = valid
	case AnnotationContentType:
		m.contentType, valid = plainText(value)
		valid = valid && mqttString(m.contentType) == ""
		m.hasContentType = valid
	case AnnotationUser:
		m.user, valid = userList(value)
	case AnnotationResponseTopic:
		m.responseTopic, valid = plainText(value)
		valid = valid && topic.ValidateName(m.responseTopic) == nil
		if !valid {
			m.responseTopic = ""
		}
	case AnnotationTraceparent:
		if m.traceparent, valid = plainText(value); valid {
			_, valid = failure.ParseContext(m.traceparent)
		}
		if !valid {
			m.traceparent = ""
		}
	case AnnotationTracestate:
		m.tracestate, valid = plainText(value)
	default:
		return false, false
	}
	return true, valid
}

func (m *marks) readProvenance(name string, value any) (known, valid bool) {
	switch name {
	case AnnotationTenant:
		m.publisher.Tenant, valid = plainText(value)
	case AnnotationPrincipal:
		m.publisher.Principal, valid = plainText(value)
	case AnnotationClient:
		m.publisher.ClientID, valid = plainText(value)
		m.fromDevice = valid
	case AnnotationNode:
		m.publisher.Node, valid = plainText(value)
	case AnnotationTime:
		valid = true // the same as creation-time
	case AnnotationPossibleDuplicate:
		m.possibleDuplicate, valid = value.(bool)
	case AnnotationFor:
		m.onlyFor, valid = plainText(value)
	case AnnotationRetainedCopy:
		m.retained, valid = value.(bool)
	case AnnotationMarker:
		valid = true // whoever waits for it reads it (MarkerName)
	default:
		return false, false
	}
	return true, valid
}

// userList reads AnnotationUser: a list, or its text where the bus takes no lists.
func userList(value any) ([]packet.UserProperty, bool) {
	list, ok := value.([]any)
	if text, isText := value.(string); isText {
		list, ok = listFrom(text)
	}
	if !ok || len(list)%2 != 0 {
		return nil, false
	}
	user := make([]packet.UserProperty, 0, len(list)/2)
	for i := 0; i < len(list); i += 2 {
		key, okKey := plainText(list[i])
		val, okVal := plainText(list[i+1])
		if !okKey || !okVal {
			return nil, false
		}
		user = append(user, packet.UserProperty{Key: key, Value: val})
	}
	return user, true
}

// resolveTopic finds the topic name of a message: where the bus routed it, and in the device's own words if it carries them.
//
//  1. x-opt-mqtt-topic, if it agrees with the routing key. It may not where a message was copied with its annotations to another
//     address; then the routing key decides, for it is what subscriptions were matched with.
//  2. x-routing-key. The default exchange's is a queue name and says nothing.
//  3. subject, then to: a bus without routing keys, or a message sent straight to a queue.
//
// Rules come between: a message may have the address that they give its topic (1), and the address or subject may have a topic by them (2).
//
// A copy that a gateway put into an inbox has come under no routing key of its topic: its annotation is the truth.
func resolveTopic(m *message.Message, marks *marks, opt DownlinkOptions, lost *losses) (string, error) {
	rules, dialect := opt.Rules, opt.Dialect
	key, routed := routedKey(m, marks, dialect)
	if marks.onlyFor != "" && marks.hasTopic {
		return marks.topic, nil
	}
	if marks.hasTopic {
		if !routed || dialect.isKeyOf(key, marks.topic) || rules != nil && rules.Sends(marks.topic, marks.qos, marks.publisher, arrival(m, marks, dialect)) {
			return marks.topic, nil
		}
		lost.add(FieldAnnotation, AnnotationTopic, ReasonStale)
	}
	if rules != nil {
		if name, ok := rules.Topic(arrival(m, marks, dialect), m.Properties.Subject); ok {
			return name, nil
		}
	}
	var name, from string
	switch {
	case routed:
		name, from = dialect.Topic(key), "routing key"
	case m.Properties.Subject != "":
		name, from = m.Properties.Subject, "subject"
	case dialect.isPlain(m.Properties.To):
		name, from = m.Properties.To, "to"
	default:
		return "", &Undeliverable{"amqp:invalid-field",
			"The message names no topic: set the annotation x-opt-mqtt-topic, a routing key, subject or to."}
	}
	if err := topic.ValidateName(name); err != nil {
		return "", &Undeliverable{"amqp:invalid-field", "The " + from + " of the message is no topic name for MQTT: " + err.Error()}
	}
	return name, nil
}

// routedKey is the routing key the message was routed with, if any: as the bus says, else as to says.
func routedKey(m *message.Message, marks *marks, dialect Dialect) (string, bool) {
	if marks.hasKey {
		toQueue := marks.hasExchange && marks.exchange == ""
		return marks.routingKey, marks.routingKey != "" && !toQueue
	}
	if a, ok := dialect.ParseAddress(m.Properties.To); ok && a.Key != "" {
		return a.Key, true
	}
	return "", false
}

// arrival is the address by which a message came: as the bus says, else as to says. It is zero when neither does.
func arrival(m *message.Message, marks *marks, dialect Dialect) Address {
	switch {
	case marks.hasKey && marks.exchange != "":
		return Address{Exchange: marks.exchange, Key: marks.routingKey}
	case marks.hasKey && marks.hasExchange: // the default exchange routes to the queue that the key names
		return Address{Queue: marks.routingKey}
	case marks.hasKey:
		return Address{}
	}
	a, _ := dialect.ParseAddress(m.Properties.To)
	return a
}

func validName(name string) bool { return topic.ValidateName(name) == nil }
