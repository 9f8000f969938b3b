package mapping

import (
	"strings"

	"sluice/amqp/message"
	"sluice/mqtt/packet"
)

// CloudEvents says how CloudEvents in binary mode cross. MQTT's binding has attributes as User Properties under their bare names, AMQP's has them as
// application properties under a prefix (CloudEvents 1.0.2, MQTT and AMQP protocol bindings, 3.1.3). In structured mode the event is in the payload, and
// crosses as any other does. The zero value is the default.
type CloudEvents struct {
	// Off leaves the names as they are.
	Off bool
	// AMQP leads the names of attributes in the messages that we write, EventColon or EventUnderscore; empty is EventColon. Both are understood.
	AMQP string
	// MQTT leads the names of attributes in the messages of backends as devices get them: empty, as the binding has it, or EventDashed. Both are
	// understood, and devices get each other's events as they were sent.
	MQTT string
}

// The prefixes of attribute names.
const (
	EventColon      = "cloudEvents:" // AMQP
	EventUnderscore = "cloudEvents_" // AMQP, for JMS, whose selectors know no colon
	EventDashed     = "ce-"          // MQTT, as CloudEvents' Go SDK has it
)

// structuredEvent leads the media types of events in structured mode.
const structuredEvent = "application/cloudevents"

// required are the attributes that make an event, all of them (CloudEvents 1.0.2, "Required attributes").
var required = [...]string{"specversion", "id", "source", "type"}

// naming is how the attributes of one event are called on both sides. The zero value is no event: names stay.
type naming struct {
	event      bool
	mqtt, amqp string
}

// up is the naming of a message on its way up.
func (c CloudEvents) up(p *packet.Properties, route *Route) naming {
	if c.Off || len(p.User) == 0 {
		return naming{}
	}
	media := ""
	switch {
	case p.Has(packet.PropContentType):
		media = p.ContentType
	case route != nil:
		media = route.ContentType
	}
	if isStructured(media) {
		return naming{}
	}
	prefix, ok := eventPrefix(p.User)
	if !ok {
		return naming{}
	}
	n := naming{event: true, mqtt: prefix, amqp: c.AMQP}
	if n.amqp == "" {
		n.amqp = EventColon
	}
	return n
}

// down is the naming of a message on its way down.
func (c CloudEvents) down(m *message.Message, marks *marks) naming {
	if c.Off || len(m.ApplicationProperties) < len(required) || structured(m, marks) {
		return naming{}
	}
	for _, prefix := range [...]string{EventColon, EventUnderscore} {
		if hasRequired(m.ApplicationProperties, prefix) {
			return naming{event: true, mqtt: c.MQTT, amqp: prefix}
		}
	}
	return naming{}
}

// structured reports whether the payload of a message from the bus holds a whole event.
func structured(m *message.Message, marks *marks) bool {
	return isStructured(m.Properties.ContentType) || m.Properties.ContentType == "" && isStructured(marks.contentType)
}

// eventPrefix is the prefix under which the User Properties have all required attributes.
func eventPrefix(user []packet.UserProperty) (prefix string, ok bool) {
	if len(user) < len(required) {
		return "", false
	}
	var bare, dashed [len(required)]bool
	for _, u := range user {
		for i, name := range required {
			if rest, ok := strings.CutPrefix(u.Key, EventDashed); ok && rest == name {
				dashed[i] = true
			} else if u.Key == name {
				bare[i] = true
			}
		}
	}
	all := [len(required)]bool{true, true, true, true}
	switch {
	case bare == all:
		return "", true
	case dashed == all:
		return EventDashed, true
	}
	return "", false
}

// hasRequired reports whether the required attributes are there, and can be there on MQTT as well.
func hasRequired(properties map[string]any, prefix string) bool {
	for _, name := range required {
		if text, _, ok := canonical(properties[prefix+name]); !ok || mqttString(text) != "" {
			return false
		}
	}
	return true
}

// toAMQP is the name of the application property for a User Property.
func (n naming) toAMQP(key string) string {
	if rest, ok := strings.CutPrefix(key, n.mqtt); n.event && ok && isAttribute(rest) {
		return n.amqp + rest
	}
	return key
}

// toMQTT is the name of the User Property for an application property; renamed says that it is an attribute.
func (n naming) toMQTT(key string) (name string, renamed bool) {
	if rest, ok := strings.CutPrefix(key, n.amqp); n.event && ok && isAttribute(rest) {
		return n.mqtt + rest, true
	}
	return key, false
}

// isAttribute reports whether an attribute may have this name (CloudEvents 1.0.2, "Attribute naming convention"). What has another stays as it is.
func isAttribute(name string) bool {
	for i := range len(name) {
		if c := name[i]; (c < 'a' || c > 'z') && (c < '0' || c > '9') {
			return false
		}
	}
	return name != ""
}

// isStructured reports whether the payload holds a whole event. Media types have no case (RFC 2045, 5.1).
func isStructured(media string) bool {
	return len(media) >= len(structuredEvent) && strings.EqualFold(media[:len(structuredEvent)], structuredEvent)
}

// likeEvent reports whether a User Property has a name that an attribute has on AMQP.
func likeEvent(key string) bool {
	return strings.HasPrefix(key, EventColon) || strings.HasPrefix(key, EventUnderscore)
}
