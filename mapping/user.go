package mapping

import (
	"cmp"
	"slices"
	"strconv"
	"strings"

	"sluice/amqp/message"
	"sluice/mqtt/packet"
)

// userProperties collects the User Properties of a message on its way down, and what cannot be one.
type userProperties struct {
	dialect Dialect
	list    []packet.UserProperty
	lost    *losses
}

// setUser makes the User Properties of a message: those the device gave, else the application properties by key, then what AMQP
// properties have no other place in PUBLISH.
func setUser(p *packet.Publish, m *message.Message, marks *marks, opt DownlinkOptions, lost *losses) {
	u := userProperties{dialect: opt.Dialect, lost: lost}
	event := opt.Dialect.form.Events.down(m, marks)
	if given, ok := givenUser(m, marks, event); ok {
		for _, g := range marks.user {
			u.addOwn(FieldUserProperty, g.Key, g.Key, g.Value)
		}
		u.addApplication(m.ApplicationProperties, given, event)
	} else {
		lost.add(FieldAnnotation, AnnotationUser, ReasonStale)
		u.addApplication(m.ApplicationProperties, nil, event)
	}
	u.addTrace(AnnotationTraceparent, marks.traceparent)
	u.addTrace(AnnotationTracestate, marks.tracestate)
	u.mistaken(opt.Dialect.form.Events, m, marks)
	if !opt.Bare && !marks.retained { // a copy's are the gateway's own
		u.addProperties(m, p.Topic, marks.fromDevice, opt.MessageID)
	}
	p.Properties.User = u.list
}

// givenUser gives the application properties that the device's own list of User Properties accounts for. ok is false when the list tells something
// else than they do: somebody changed the message and left the list as it was.
func givenUser(m *message.Message, marks *marks, event naming) (given map[string]string, ok bool) {
	if len(marks.user) == 0 {
		return nil, true
	}
	if !event.event {
		return agrees(marks.user, m.ApplicationProperties, naming{})
	}
	if prefix, is := eventPrefix(marks.user); is {
		own := naming{event: true, mqtt: prefix, amqp: event.amqp}
		if given, ok = agrees(marks.user, m.ApplicationProperties, own); ok {
			return given, true
		}
	}
	for _, u := range marks.user {
		if _, taken := m.ApplicationProperties[event.toAMQP(u.Key)]; taken && event.toAMQP(u.Key) != u.Key {
			return nil, false // a device would take it for the attribute
		}
	}
	return agrees(marks.user, m.ApplicationProperties, naming{})
}

// agrees compares the first value of each key with the application property that it became.
func agrees(list []packet.UserProperty, application map[string]any, event naming) (first map[string]string, ok bool) {
	first = make(map[string]string, len(application))
	for _, u := range list {
		key := event.toAMQP(u.Key)
		if _, repeated := first[key]; !repeated {
			first[key] = u.Value
		}
	}
	for key, value := range first {
		if text, ok := application[key].(string); !ok || text != value {
			return nil, false
		}
	}
	return first, true
}

// addApplication adds the application properties that are not among those given already, sorted by key.
func (u *userProperties) addApplication(application map[string]any, given map[string]string, event naming) {
	if len(application) <= len(given) {
		return
	}
	from := len(u.list)
	u.list = slices.Grow(u.list, len(application)-len(given))
	for key, value := range application {
		if _, done := given[key]; done || IsMark(key) || u.dialect.ofTheBus(key) {
			continue
		}
		name, attribute := event.toMQTT(key)
		if alike := event.toAMQP(key); !attribute && alike != key {
			if _, taken := application[alike]; taken {
				u.lost.add(FieldApplication, key, ReasonTaken)
				continue
			}
		}
		u.addValue(key, name, value)
	}
	slices.SortFunc(u.list[from:], func(a, b packet.UserProperty) int { return cmp.Compare(a.Key, b.Key) })
}

// addTrace gives the device the trace context of an annotation: it is nearer than the sender's own, of which it was made (W3C Trace Context for AMQP).
func (u *userProperties) addTrace(name, value string) {
	if value == "" {
		return
	}
	i := slices.IndexFunc(u.list, func(p packet.UserProperty) bool { return p.Key == name })
	switch {
	case i < 0:
		u.addOwn(FieldAnnotation, name, name, value)
	case u.list[i].Value != value && mqttString(value) == "":
		u.lost.add(FieldApplication, name, ReasonTwice)
		u.list[i].Value = value
	}
}

// mistaken declares what MQTT cannot tell from an attribute of the event that the User Properties make: a device that echoes it would make it one.
func (u *userProperties) mistaken(events CloudEvents, m *message.Message, marks *marks) {
	if events.Off || structured(m, marks) {
		return
	}
	prefix, isEvent := eventPrefix(u.list)
	for _, p := range u.list {
		rest, named := strings.CutPrefix(p.Key, prefix)
		if !isEvent || !named || !isAttribute(rest) {
			continue
		}
		_, colon := m.ApplicationProperties[EventColon+rest]
		_, underscore := m.ApplicationProperties[EventUnderscore+rest]
		if !colon && !underscore {
			u.lost.add(FieldApplication, p.Key, ReasonAttribute)
		}
	}
}

// addValue adds one application property under a name.
func (u *userProperties) addValue(key, name string, value any) {
	text, exact, ok := canonical(value)
	if !ok {
		u.lost.add(FieldApplication, key, ReasonComplex)
		return
	}
	if u.addOwn(FieldApplication, key, name, text) && !exact {
		u.lost.add(FieldApplication, key, ReasonType)
	}
}

// addOwn adds a property that the sender named; name is what a device gets it as. sluice-* would look like the gateway's word to the device, and so would a
// mark.
func (u *userProperties) addOwn(f Field, key, name, value string) bool {
	if strings.HasPrefix(name, prefixGateway) || IsMark(name) {
		u.lost.add(f, key, ReasonReserved)
		return false
	}
	why := mqttString(name)
	if why == "" {
		why = mqttString(value)
	}
	if why != "" {
		u.lost.add(f, key, why)
		return false
	}
	u.list = append(u.list, packet.UserProperty{Key: name, Value: value})
	return true
}

// addProperties adds what the properties section [AMQP 3.2.4] says beyond MQTT's own properties. Of a message from a device, message-id and
// creation-time are the gateway's, and subject is the topic.
func (u *userProperties) addProperties(m *message.Message, topicName string, fromDevice, showID bool) {
	p := &m.Properties
	if p.MessageID != nil && (!fromDevice || showID) {
		u.addMessageID(p.MessageID)
	}
	if p.Subject != topicName {
		u.addText(FieldSubject, UserSubject, p.Subject)
	}
	if !p.CreationTime.IsZero() && !fromDevice {
		u.list = append(u.list, packet.UserProperty{Key: UserCreated, Value: timeText(p.CreationTime)})
	}
	u.addText(FieldEncoding, UserContentEncoding, p.ContentEncoding)
	u.addText(FieldGroupID, UserGroupID, p.GroupID)
	if p.GroupSequence != nil {
		sequence := strconv.FormatUint(uint64(*p.GroupSequence), 10)
		u.list = append(u.list, packet.UserProperty{Key: UserGroupSequence, Value: sequence})
	}
	if len(p.UserID) > 0 {
		u.lost.add(FieldUserID, "", ReasonPrivate)
	}
	if p.ReplyToGroupID != "" {
		u.lost.add(FieldReplyToGroup, "", ReasonNoPlace)
	}
}

func (u *userProperties) addMessageID(id any) {
	text, exact, ok := canonical(id)
	switch {
	case !ok:
		u.lost.add(FieldMessageID, "", ReasonComplex)
	case u.addText(FieldMessageID, UserMessageID, text) && !exact:
		u.lost.add(FieldMessageID, "", ReasonType)
	}
}

// addText adds a property under a name of ours; an empty one is absent.
func (u *userProperties) addText(f Field, key, value string) bool {
	if value == "" {
		return false
	}
	if why := mqttString(value); why != "" {
		u.lost.add(f, "", why)
		return false
	}
	u.list = append(u.list, packet.UserProperty{Key: key, Value: value})
	return true
}
