package mapping

import (
	"time"

	"sluice/amqp/message"
	"sluice/mqtt/packet"
	"sluice/mqtt/topic"
)

// Provenance is who a device is and through which node it speaks: verified facts, never the device's own words in a message. It is made
// once per connection, which saves an allocation per field and message.
type Provenance struct {
	tenant, principal, client, node any // string; nil when empty
}

// NewProvenance makes a Provenance. Empty strings are left out of messages.
func NewProvenance(tenant, principal, clientID, node string) Provenance {
	return Provenance{boxed(tenant), boxed(principal), boxed(clientID), boxed(node)}
}

func boxed(s string) any {
	if s == "" {
		return nil
	}
	return s
}

// UplinkMessage is a message from a device as Uplink takes it.
type UplinkMessage struct {
	Dialect Dialect         // of the bus it goes to
	Publish *packet.Publish // Topic is set, also where the packet had a Topic Alias; the packet is valid
	From    Provenance
	// MessageID names the message for ever; required (design.md, section 5).
	MessageID string
	Received  time.Time
	// PossibleDuplicate says that the bus may hold the message already, perhaps under this message-id.
	PossibleDuplicate bool
	// Route is what the mapping rule says that matched; nil: none did, and the defaults hold.
	Route *Route
}

// uplinkAllocation keeps the message and its one data section in one allocation.
type uplinkAllocation struct {
	message.Message
	data [1][]byte
}

// Uplink converts a message from a device for the bus; the package comment has the table. The result shares payload and strings with
// in.Publish, which must stay unchanged until the message has been sent. The losses are nil when everything crossed.
func Uplink(in UplinkMessage) (*message.Message, []Loss) {
	p := in.Publish
	out := new(uplinkAllocation)
	m := &out.Message
	received := in.Received.Truncate(time.Millisecond)
	m.Header.Durable = p.QoS > 0
	m.Header.Priority = message.DefaultPriority
	m.Properties.MessageID = in.MessageID
	if in.Route == nil {
		m.Properties.To = in.Dialect.ToTopic(p.Topic)
		m.Properties.Subject = p.Topic
	} else {
		m.Properties.To = in.Route.To
		m.Properties.Subject = in.Route.Subject
	}
	m.Properties.CreationTime = received
	out.data[0] = p.Payload
	m.Data = out.data[:]

	var lost losses
	event := in.Dialect.form.Events.up(&p.Properties, in.Route)
	ordered := orderedUser(in, event)
	size := countMarks(in, ordered != nil)
	var marks map[string]any
	if in.Dialect.form.Marks == MarksInProperties {
		m.ApplicationProperties = applicationProperties(in, event, size, &lost)
		marks = m.ApplicationProperties
	} else {
		m.ApplicationProperties = applicationProperties(in, event, 0, &lost)
		m.Annotations = make(map[string]any, size)
		marks = m.Annotations
	}
	mark(marks, in, received)
	switch {
	case ordered == nil:
	case in.Dialect.form.Marks == MarksInProperties:
		marks[AnnotationUser] = listText(ordered)
	default:
		marks[AnnotationUser] = ordered
	}
	uplinkProperties(m, marks, in, received, &lost)
	if in.Route != nil {
		in.Route.apply(m, &p.Properties, received, &lost)
	}
	in.Dialect.setPartition(m, &in.From)
	return m, lost.sorted()
}

// countMarks sizes the map once: growing it would cost more than all the rest.
func countMarks(in UplinkMessage, ordered bool) int {
	n := 7 // topic, QoS, time and four of provenance
	for _, present := range [...]bool{
		in.Publish.Retain, in.PossibleDuplicate, ordered,
		in.Publish.Properties.Has(packet.PropPayloadFormat),
		in.Publish.Properties.Has(packet.PropContentType) && !isSymbol(in.Publish.Properties.ContentType),
		in.Route != nil && in.Route.PartitionKey != "" || in.Dialect.azure.byKey,
		in.Publish.Properties.Has(packet.PropResponseTopic) && !in.Dialect.HasKeys(),
	} {
		if present {
			n++
		}
	}
	return n
}

func mark(marks map[string]any, in UplinkMessage, received time.Time) {
	marks[AnnotationTopic] = in.Publish.Topic
	marks[AnnotationQoS] = uint8(in.Publish.QoS)
	if in.Publish.Retain {
		marks[AnnotationRetain] = true
	}
	if in.From.tenant != nil {
		marks[AnnotationTenant] = in.From.tenant
	}
	if in.From.principal != nil {
		marks[AnnotationPrincipal] = in.From.principal
	}
	if in.From.client != nil {
		marks[AnnotationClient] = in.From.client
	}
	if in.From.node != nil {
		marks[AnnotationNode] = in.From.node
	}
	marks[AnnotationTime] = received
	if in.PossibleDuplicate {
		marks[AnnotationPossibleDuplicate] = true
	}
}

// uplinkProperties converts the properties of PUBLISH except User Properties (MQTT 5, 3.3.2.3).
func uplinkProperties(m *message.Message, marks map[string]any, in UplinkMessage, received time.Time, lost *losses) {
	p := &in.Publish.Properties
	if p.Has(packet.PropPayloadFormat) {
		marks[AnnotationPayloadFormat] = p.PayloadFormat
	}
	if p.Has(packet.PropMessageExpiry) {
		m.Header.TTL = ttl(p.MessageExpiry)
		m.Properties.AbsoluteExpiry = received.Add(time.Duration(p.MessageExpiry) * time.Second)
	}
	if p.Has(packet.PropContentType) {
		if isSymbol(p.ContentType) {
			m.Properties.ContentType = p.ContentType
		} else {
			marks[AnnotationContentType] = p.ContentType
		}
	}
	if p.Has(packet.PropResponseTopic) {
		if topic.ValidateName(p.ResponseTopic) == nil {
			in.Dialect.setReply(m, marks, p.ResponseTopic)
		} else {
			lost.add(FieldResponseTopic, "", ReasonInvalidTopic)
		}
	}
	if p.Has(packet.PropCorrelationData) {
		data := p.CorrelationData
		if data == nil {
			data = []byte{} // present and empty; nil would be absent
		}
		m.Properties.CorrelationID = data
	}
	if len(p.SubscriptionIDs) > 0 {
		lost.add(FieldSubscription, "", ReasonPerHop)
	}
}

// ttl converts seconds. The wire holds at most 49.7 days; absolute-expiry-time then says when the message really expires. A message that
// expires at once gets one millisecond, since an absent ttl would mean never.
func ttl(seconds uint32) time.Duration {
	return min(max(time.Duration(seconds)*time.Second, time.Millisecond), message.MaxTTL)
}

// isSymbol reports whether an AMQP symbol can hold s [AMQP 1.6.21]. An empty one would be read as absent.
func isSymbol(s string) bool {
	for i := range len(s) {
		if s[i] >= 0x80 {
			return false
		}
	}
	return s != ""
}

// applicationProperties makes a map of User Properties and of what the rule sets, with room for more. Of a repeated key it has the first value, as on
// RabbitMQ.
func applicationProperties(in UplinkMessage, event naming, more int, lost *losses) map[string]any {
	user, route, deduplicated := in.Publish.Properties.User, in.Route, in.Dialect.DuplicateID()
	size := len(user) + more
	if route != nil {
		size += len(route.Properties)
	}
	if in.Publish.QoS < 2 {
		deduplicated = "" // see Dialect.DuplicateID
	}
	if deduplicated != "" {
		size++
	}
	if size == 0 {
		return nil
	}
	properties := make(map[string]any, size)
	if deduplicated != "" {
		properties[deduplicated] = in.MessageID
	}
	if route != nil {
		for _, p := range route.Properties {
			properties[p.Name] = p.Value
		}
	}
	for _, u := range user {
		if in.Dialect.Reserved(u.Key) {
			lost.add(FieldUserProperty, u.Key, ReasonReserved)
			continue
		}
		key := event.toAMQP(u.Key)
		if route.sets(key) {
			lost.add(FieldUserProperty, u.Key, ReasonRule)
			continue
		}
		if _, repeated := properties[key]; !repeated {
			properties[key] = u.Value
		}
	}
	if len(properties) == 0 && more == 0 {
		return nil
	}
	return properties
}

// orderedUser lists User Properties as key, value, key, value where a map cannot give them back. A map gives them back sorted by key,
// so the list is needed when they come in another order or when a key repeats [MQTT-3.3.2-18]. It is also needed for an event and for what looks like one
// on AMQP, since a device may have either form. Otherwise it is nil.
func orderedUser(in UplinkMessage, event naming) []any {
	user, route := in.Publish.Properties.User, in.Route
	kept, ascending, last := 0, !event.event, ""
	for _, u := range user {
		if in.Dialect.Reserved(u.Key) || route.sets(event.toAMQP(u.Key)) {
			continue
		}
		ascending = ascending && (kept == 0 || last < u.Key) && !likeEvent(u.Key)
		last = u.Key
		kept++
	}
	if ascending {
		return nil
	}
	list := make([]any, 0, 2*kept)
	for _, u := range user {
		if !in.Dialect.Reserved(u.Key) && !route.sets(event.toAMQP(u.Key)) {
			list = append(list, u.Key, u.Value)
		}
	}
	return list
}
