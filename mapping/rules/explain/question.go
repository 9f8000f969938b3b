package explain

import (
	"errors"
	"fmt"
	"strings"
	"time"

	"sluice/amqp/message"
	"sluice/mapping"
	"sluice/mapping/rules"
	"sluice/mqtt/packet"
	"sluice/mqtt/topic"
)

// Question is what a person asks, in the words of the command line and of the administration port: with a topic about a message of a device,
// with an address or a subject about one of a backend, with a filter about a subscription.
type Question struct {
	Topic            string
	Address, Subject string // of a backend's message
	Filter           string // of a subscription: see Subscribe

	QoS           int
	Retain        bool
	Payload       []byte
	ContentType   string
	ResponseTopic string
	Expiry        uint32   // seconds; zero: none
	User          []string // key=value: User Properties of a device's message, application properties of a backend's
	V311          bool

	Tenant, Principal, ClientID string
}

// Ask answers a question for a bus of this dialect. The error says what is wrong with it.
func Ask(dialect mapping.Dialect, table *rules.Table, q Question) (Explanation, error) {
	user, err := q.check()
	if err != nil {
		return Explanation{}, err
	}
	version := packet.V5
	if q.V311 {
		version = packet.V311
	}
	if q.Topic == "" {
		return Down(dialect, table, Bus{Address: q.Address, Message: q.message(user), Version: version})
	}
	in := Publish{Version: version, Tenant: q.Tenant, Principal: q.Principal, ClientID: q.ClientID}
	in.Packet = packet.Publish{Topic: q.Topic, QoS: packet.QoS(q.QoS), Retain: q.Retain, Payload: q.Payload}
	p := &in.Packet.Properties
	p.User = user
	for _, property := range []struct {
		bit packet.PropertySet
		set bool
	}{{packet.PropContentType, q.ContentType != ""}, {packet.PropResponseTopic, q.ResponseTopic != ""}, {packet.PropMessageExpiry, q.Expiry != 0}} {
		if property.set {
			p.Set |= property.bit
		}
	}
	p.ContentType, p.ResponseTopic, p.MessageExpiry = q.ContentType, q.ResponseTopic, q.Expiry
	return Up(dialect, table, in)
}

func (q *Question) check() ([]packet.UserProperty, error) {
	switch {
	case q.Topic != "" && (q.Address != "" || q.Subject != ""):
		return nil, errors.New("a topic is about a message of a device, address and subject are about one of a backend: give one or the other")
	case q.Topic == "" && q.Address == "" && q.Subject == "":
		return nil, errors.New("nothing is asked: give a topic for a message of a device, or address or subject for one of a backend")
	case q.QoS < 0 || q.QoS > 2:
		return nil, fmt.Errorf("QoS %d: there is 0, 1 and 2", q.QoS)
	case q.Topic != "" && q.V311 && (q.ContentType != "" || q.ResponseTopic != "" || q.Expiry != 0 || len(q.User) > 0):
		return nil, errors.New("MQTT 3.1.1 has no properties: leave out content type, response topic, expiry and user properties")
	}
	if q.ResponseTopic != "" {
		if err := topic.ValidateName(q.ResponseTopic); err != nil {
			return nil, fmt.Errorf("the response topic %q: %w", q.ResponseTopic, err)
		}
	}
	user := make([]packet.UserProperty, len(q.User))
	for i, pair := range q.User {
		key, value, ok := strings.Cut(pair, "=")
		if !ok {
			return nil, fmt.Errorf("the user property %q has no =: write key=value", pair)
		}
		user[i] = packet.UserProperty{Key: key, Value: value}
	}
	return user, nil
}

// message is the backend's message, but for its address.
func (q *Question) message(user []packet.UserProperty) message.Message {
	m := message.Message{
		Header:     message.Header{Durable: q.QoS > 0, Priority: message.DefaultPriority, TTL: time.Duration(q.Expiry) * time.Second},
		Properties: message.Properties{Subject: q.Subject, ContentType: q.ContentType},
		Data:       [][]byte{q.Payload},
	}
	if q.QoS == 2 {
		m.Annotations = map[string]any{"x-opt-mqtt-qos": uint8(2)}
	}
	for _, u := range user {
		if m.ApplicationProperties == nil {
			m.ApplicationProperties = map[string]any{}
		}
		m.ApplicationProperties[u.Key] = u.Value
	}
	return m
}
