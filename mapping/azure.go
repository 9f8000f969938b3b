package mapping

import (
	"crypto/sha256"
	"encoding/hex"
	"strings"
	"unicode/utf8"

	"sluice/amqp/message"
)

// azure is what Service Bus and Event Hubs need beyond the entity. Their addresses have no place for a topic: subject and annotation have it, and a
// reply-to has the topic for the reply in an annotation beside it.
type azure struct {
	replies string // the entity where backends send their replies; empty: none is received
	byKey   bool   // the bus parts messages by key
}

// AnnotationResponseTopic (string) is the Response Topic where reply-to cannot hold it.
const AnnotationResponseTopic = "x-opt-mqtt-response-topic"

// maxPartitionKey is the longest partition key of Service Bus and Event Hubs, in characters.
const maxPartitionKey = 128

// ServiceBus is the dialect of Azure Service Bus: topics go to an entity, a queue or topic of Service Bus. Backends send their replies to
// another, from which nodes receive; empty where they do not.
func ServiceBus(entity, replies string) Dialect {
	return Dialect{kind: kindAzure, root: entity, azure: azure{replies: replies}}
}

// EventHubs is the dialect of Azure Event Hubs: as ServiceBus, and where a rule gives no partition key it is the client identifier. So the messages
// of a device keep their order.
func EventHubs(entity, replies string) Dialect {
	return Dialect{kind: kindAzure, root: entity, azure: azure{replies: replies, byKey: true}}
}

// HasKeys reports whether addresses have a place for a topic.
func (d Dialect) HasKeys() bool { return d.kind != kindAzure }

// HasInboxes reports whether the bus keeps the messages of a session: whether there can be a queue for it. Where there cannot, subscriptions are granted
// QoS 0.
func (d Dialect) HasInboxes() bool { return d.kind != kindAzure }

func (azure) parse(entity, s string) (Address, bool) {
	switch {
	case s == "":
		return Address{}, false
	case strings.EqualFold(s, entity):
		return Address{Exchange: entity}, true
	}
	return Address{Queue: s}, true
}

// setReply says where a reply goes, and on which topic.
func (d Dialect) setReply(m *message.Message, marks map[string]any, topic string) {
	if d.HasKeys() {
		m.Properties.ReplyTo = d.ToTopic(topic)
		return
	}
	m.Properties.ReplyTo = d.azure.replies
	marks[AnnotationResponseTopic] = topic
}

// setPartition gives a message a partition key if it has none and the bus parts messages by it, and shortens one that the bus would refuse.
func (d Dialect) setPartition(m *message.Message, from *Provenance) {
	if d.kind != kindAzure {
		return
	}
	key, ruled := m.Annotations[AnnotationPartitionKey].(string)
	if !ruled && d.azure.byKey {
		key, _ = from.client.(string)
	}
	if key == "" || ruled && utf8.RuneCountInString(key) <= maxPartitionKey {
		return
	}
	if m.Annotations == nil {
		m.Annotations = make(map[string]any, 1)
	}
	m.Annotations[AnnotationPartitionKey] = partitionKey(key)
}

// partitionKey is a key as it is, or half its hash where it is too long. Equal keys stay equal, which is all that they are for.
func partitionKey(key string) string {
	if utf8.RuneCountInString(key) <= maxPartitionKey {
		return key
	}
	sum := sha256.Sum256([]byte(key))
	return hex.EncodeToString(sum[:16])
}
