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
	m.ApplicationProperties = applicationProperties(in, &lost)
	ordered := orderedUser(in)
	m.Annotations = make(map[string]any, countAnnotations(in, ordered != nil))
	annotate(m.Annotations, in, received)
	if ordered != nil {
		m.Annotations[AnnotationUser] = ordered
	}
	uplinkProperties(m, in, received, &lost)
	if in.Route != nil {
		in.Route.apply(m, &p.Properties, received, &lost)
	}
	return m, lost.sorted()
}

// countAnnotations sizes the map once: growing it would cost more than all the rest.
func countAnnotations(in UplinkMessage, ordered bool) int {
	n := 7 // topic, QoS, time and four of provenance
	for _, present := range [...]bool{
		in.Publish.Retain, in.PossibleDuplicate, ordered,
		in.Publish.Properties.Has(packet.PropPayloadFormat),
		in.Publish.Properties.Has(packet.PropContentType) && !isSymbol(in.Publish.Properties.ContentType),
		in.Route != nil && in.Route.PartitionKey != "",
	} {
		if present {
			n++
		}
	}
	return n
}

func annotate(annotations map[string]any, in UplinkMessage, received time.Time) {
	annotations[AnnotationTopic] = in.Publish.Topic
	annotations[AnnotationQoS] = uint8(in.Publish.QoS)
	if in.Publish.Retain {
		annotations[AnnotationRetain] = true
	}
	if in.From.tenant != nil {
		annotations[AnnotationTenant] = in.From.tenant
	}
	if in.From.principal != nil {
		annotations[AnnotationPrincipal] = in.From.principal
	}
	if in.From.client != nil {
		annotations[AnnotationClient] = in.From.client
	}
	if in.From.node != nil {
		annotations[AnnotationNode] = in.From.node
	}
	annotations[AnnotationTime] = received
	if in.PossibleDuplicate {
		annotations[AnnotationPossibleDuplicate] = true
	}
}

// uplinkProperties converts the properties of PUBLISH except User Properties (MQTT 5, 3.3.2.3).
func uplinkProperties(m *message.Message, in UplinkMessage, received time.Time, lost *losses) {
	p := &in.Publish.Properties
	if p.Has(packet.PropPayloadFormat) {
		m.Annotations[AnnotationPayloadFormat] = p.PayloadFormat
	}
	if p.Has(packet.PropMessageExpiry) {
		m.Header.TTL = ttl(p.MessageExpiry)
		m.Properties.AbsoluteExpiry = received.Add(time.Duration(p.MessageExpiry) * time.Second)
	}
	if p.Has(packet.PropContentType) {
		if isSymbol(p.ContentType) {
			m.Properties.ContentType = p.ContentType
		} else {
			m.Annotations[AnnotationContentType] = p.ContentType
		}
	}
	if p.Has(packet.PropResponseTopic) {
		if topic.ValidateName(p.ResponseTopic) == nil {
			m.Properties.ReplyTo = in.Dialect.ToTopic(p.ResponseTopic)
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

// applicationProperties makes a map of User Properties and of what the rule sets. Of a repeated key it has the first value, as on RabbitMQ.
func applicationProperties(in UplinkMessage, lost *losses) map[string]any {
	user, route, deduplicated := in.Publish.Properties.User, in.Route, in.Dialect.deduplicates()
	size := len(user)
	if route != nil {
		size += len(route.Properties)
	}
	if in.Publish.QoS == 0 {
		deduplicated = "" // it is never sent twice
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
		if route.sets(u.Key) {
			lost.add(FieldUserProperty, u.Key, ReasonRule)
			continue
		}
		if _, repeated := properties[u.Key]; !repeated {
			properties[u.Key] = u.Value
		}
	}
	if len(properties) == 0 {
		return nil
	}
	return properties
}

// orderedUser lists User Properties as key, value, key, value where a map cannot give them back. A map gives them back sorted by key,
// so the list is needed when they come in another order or when a key repeats [MQTT-3.3.2-18]. Otherwise it is nil.
func orderedUser(in UplinkMessage) any {
	user, route := in.Publish.Properties.User, in.Route
	kept, ascending, last := 0, true, ""
	for _, u := range user {
		if in.Dialect.Reserved(u.Key) || route.sets(u.Key) {
			continue
		}
		ascending = ascending && (kept == 0 || last < u.Key)
		last = u.Key
		kept++
	}
	if ascending {
		return nil
	}
	list := make([]any, 0, 2*kept)
	for _, u := range user {
		if !in.Dialect.Reserved(u.Key) && !route.sets(u.Key) {
			list = append(list, u.Key, u.Value)
		}
	}
	return list
}
