package mapping

import (
	"time"

	"sluice/amqp/message"
	"sluice/mqtt/packet"
)

// Route is what a mapping rule says about one message on its way up, in place of the defaults. Package mapping/rules fills it in. Uplink
// keeps nothing of it but strings and values, so a Route may be used again for the next message.
type Route struct {
	// To and Subject are the properties of these names. Both are taken as they are: an empty subject is absent.
	To, Subject string
	// ContentType is for a message that names none; ASCII, empty for none. ContentEncoding is for every message, MQTT has no such property.
	ContentType, ContentEncoding string
	// TTL is for a message without Message Expiry; zero is none. TTLMax bounds the life of every message; zero is no bound.
	TTL, TTLMax time.Duration
	Priority    uint8
	GroupID     string
	// PartitionKey is the annotation x-opt-partition-key; empty is none.
	PartitionKey string
	// Properties are application properties. A User Property of the same name does not cross: what a rule says is the operator's word, which no
	// device can forge.
	Properties []Property
}

// Property is an application property that a rule sets. Value is a string, boxed once where it is constant.
type Property struct {
	Name  string
	Value any
}

// sets reports whether the rule gives the application property with this name. A nil Route gives none.
func (r *Route) sets(name string) bool {
	if r == nil {
		return false
	}
	for i := range r.Properties {
		if r.Properties[i].Name == name {
			return true
		}
	}
	return false
}

// apply puts what the rule says beyond address, subject and properties into a message that is complete otherwise.
func (r *Route) apply(m *message.Message, p *packet.Properties, received time.Time, lost *losses) {
	m.Header.Priority = r.Priority
	m.Properties.ContentEncoding = r.ContentEncoding
	m.Properties.GroupID = r.GroupID
	if !p.Has(packet.PropContentType) {
		m.Properties.ContentType = r.ContentType
	}
	if r.PartitionKey != "" {
		if m.Annotations == nil {
			m.Annotations = make(map[string]any, 1)
		}
		m.Annotations[AnnotationPartitionKey] = r.PartitionKey
	}
	r.limitLife(m, p, received, lost)
}

// limitLife applies TTL and TTLMax. A message without expiry lives for ever, so that the bound applies to it as well.
func (r *Route) limitLife(m *message.Message, p *packet.Properties, received time.Time, lost *losses) {
	own := p.Has(packet.PropMessageExpiry)
	life := r.TTL
	if own {
		life = time.Duration(p.MessageExpiry) * time.Second
	}
	bounded := r.TTLMax > 0 && (life > r.TTLMax || life == 0 && !own)
	if bounded {
		life = r.TTLMax
		if own {
			lost.add(FieldMessageExpiry, "", ReasonRule)
		}
	}
	if life > 0 && (bounded || !own) {
		m.Header.TTL = min(max(life, time.Millisecond), message.MaxTTL)
		m.Properties.AbsoluteExpiry = received.Add(life)
	}
}

// Resolver finds topics where the defaults do not hold: the other direction of mapping rules. Package mapping/rules has it.
type Resolver interface {
	// Sends reports whether the rules send a message on this topic, from this publisher, to this address. It tells a message that a rule has sent
	// from one that was copied elsewhere with its annotations.
	Sends(topic string, qos packet.QoS, from Publisher, to Address) bool
	// Topic is the topic of a message that came by this address with this subject; ok is false where no rule says one. The topic is valid.
	Topic(at Address, subject string) (topic string, ok bool)
}
