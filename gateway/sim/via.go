package sim

import (
	"strings"

	"sluice/amqp/message"
	"sluice/mapping"
	"sluice/mqtt/packet"
)

// via is how a message came to a queue. The same message can come to a device by several ways, each with its own rules.
type via uint8

const (
	viaTopic    via = iota // the queue's bindings match
	viaRetained            // a node's copy of a retained message
	viaGroup               // the queue is that of a group
	viaHandOver            // a node's copy of a message of a group
)

// suffix is what leads apart the keys of one message.
func (v via) suffix() string { return [...]string{"", "~retained", "~group", "~shared"}[v] }

func suffixOf(key string) string {
	if i := strings.IndexByte(key, '~'); i >= 0 {
		return key[i:]
	}
	return ""
}

// record gives the application message of a key, whichever way it went.
func (o *oracle) record(key string) *record {
	key, _, _ = strings.Cut(key, "~")
	return o.records[key]
}

func viaOf(q *queue, m *message.Message) via {
	retained, _ := m.Annotations[mapping.AnnotationRetainedCopy].(bool)
	switch {
	case strings.HasPrefix(q.name, "shared."):
		return viaGroup
	case retained:
		return viaRetained
	case forFilter(m) != "":
		return viaHandOver
	}
	return viaTopic
}

// forFilter is the filter of the subscription that a copy is for.
func forFilter(m *message.Message) string {
	filter, _ := m.Annotations[mapping.AnnotationFor].(string)
	return filter
}

// identity is that of the message as it is recorded.
func (e *entry) identity() string {
	id := mapping.Identity(e.m)
	if filter := forFilter(e.m); filter != "" {
		id = mapping.DirectedIdentity(id, filter)
	}
	return id
}

// keyOf names a message as the device gets it: RETAIN says that it is the copy of a retained message, and topics of groups it has as a member only.
func (d *device) keyOf(p *packet.Publish) string {
	key := payloadKey(p.Topic, p.Payload)
	switch {
	case p.Retain:
		return key + viaRetained.suffix()
	case d.group != "" && strings.HasPrefix(p.Topic, "g/"):
		return key + viaHandOver.suffix()
	}
	return key
}
