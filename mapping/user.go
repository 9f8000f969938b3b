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
	if marks.user != nil && !agrees(marks.user, m.ApplicationProperties) {
		lost.add(FieldAnnotation, AnnotationUser, ReasonStale)
		u.addApplication(m.ApplicationProperties, nil)
	} else {
		for _, given := range marks.user {
			u.addOwn(FieldUserProperty, given.Key, given.Value)
		}
		u.addApplication(m.ApplicationProperties, marks.user)
	}
	if !opt.Bare && !marks.retained { // a copy's are the gateway's own
		u.addProperties(m, p.Topic, marks.fromDevice, opt.MessageID)
	}
	p.Properties.User = u.list
}

// agrees reports whether a list of User Properties tells the same as the application properties: the first value of each key. If not,
// somebody changed the message and left the annotation as it was.
func agrees(given []packet.UserProperty, application map[string]any) bool {
	first := make(map[string]string, len(application))
	for _, u := range given {
		if _, repeated := first[u.Key]; !repeated {
			first[u.Key] = u.Value
		}
	}
	for key, value := range first {
		if text, ok := application[key].(string); !ok || text != value {
			return false
		}
	}
	return true
}

// addApplication adds the application properties whose key is not among those listed already, sorted by key.
func (u *userProperties) addApplication(application map[string]any, listed []packet.UserProperty) {
	if len(application) == 0 {
		return
	}
	done := make(map[string]bool, len(listed))
	for _, given := range listed {
		done[given.Key] = true
	}
	from := len(u.list)
	u.list = slices.Grow(u.list, max(0, len(application)-len(done)))
	for key, value := range application {
		if done[key] || u.dialect.ofTheBus(key) {
			continue
		}
		text, exact, ok := canonical(value)
		if !ok {
			u.lost.add(FieldApplication, key, ReasonComplex)
			continue
		}
		if u.addOwn(FieldApplication, key, text) && !exact {
			u.lost.add(FieldApplication, key, ReasonType)
		}
	}
	slices.SortFunc(u.list[from:], func(a, b packet.UserProperty) int { return cmp.Compare(a.Key, b.Key) })
}

// addOwn adds a property that the sender named. sluice-* would look like the gateway's word to the device.
func (u *userProperties) addOwn(f Field, key, value string) bool {
	if strings.HasPrefix(key, prefixGateway) {
		u.lost.add(f, key, ReasonReserved)
		return false
	}
	why := mqttString(key)
	if why == "" {
		why = mqttString(value)
	}
	if why != "" {
		u.lost.add(f, key, why)
		return false
	}
	u.list = append(u.list, packet.UserProperty{Key: key, Value: value})
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
