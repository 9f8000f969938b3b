package mapping

import (
	"maps"
	"strings"
	"time"

	"sluice/amqp/message"
	"sluice/mapping/failure"
	"sluice/mqtt/packet"
)

// Refusal is a failure of one message: who refused it, or whose message was refused, and in which words.
type Refusal struct {
	failure.Occurrence
	// ID names the refusal, and the copy of the message in the quarantine.
	ID string
	// Device is the device that refused the message, or published it.
	Device Publisher
	// User are the User Properties of a device's negative acknowledgement.
	User []packet.UserProperty
	// CorrelationID is the message's, as text; empty without one.
	CorrelationID string
}

// The annotations of a message in the quarantine, in addition to its own.
const (
	prefixQuarantine        = "x-opt-sluice-quarantine-"
	annotationQuarantineID  = prefixQuarantine + "id"              // string: names it
	annotationQuarantinedAt = prefixQuarantine + "time"            // timestamp
	annotationAddress       = prefixQuarantine + "address"         // string: where the message was to go, or came by
	annotationTo            = prefixQuarantine + "to"              // string: its property to, where that is something else
	annotationTTL           = prefixQuarantine + "ttl"             // ulong: its ttl in milliseconds, where it has one
	annotationVolatile      = prefixQuarantine + "volatile"        // boolean: it was not durable
	annotationUserID        = prefixQuarantine + "user-id"         // binary: its property user-id, which does not come back
	annotationName          = prefixQuarantine + "name"            // string: of the failure (docs/errors.md)
	annotationCode          = prefixQuarantine + "code"            // ubyte: MQTT 5 reason code
	annotationCondition     = prefixQuarantine + "condition"       // symbol, as a string
	annotationReason        = prefixQuarantine + "reason"          // string: a sentence, or the device's Reason String
	annotationDetail        = prefixQuarantine + "detail"          // string: the bus's own words
	annotationUserOf        = prefixQuarantine + "user-properties" // list of string, as x-opt-mqtt-user-properties: of the device's refusal
	annotationRule          = prefixQuarantine + "rule"            // string: the mapping rule's name
	annotationTenantOf      = prefixQuarantine + "tenant"          // string, as the next two: whose device refused it or published it
	annotationPrincipalOf   = prefixQuarantine + "principal"
	annotationClientOf      = prefixQuarantine + "client"
	annotationTopicOf       = prefixQuarantine + "topic"     // string
	annotationPacketID      = prefixQuarantine + "packet-id" // ushort
	annotationTraceOf       = prefixQuarantine + "trace"     // string: trace id, 32 hexadecimal digits
)

// Quarantine is the copy of a message for the quarantine at address to: the message unchanged, with annotations that say why it is there. The properties
// to and user-id and the header's ttl are kept as annotations: to has to name the quarantine, only the sender itself may send its user-id, and nothing
// may expire there unseen. What the bus added on
// the way and what AMQP clients cannot write again stays behind.
func (d Dialect) Quarantine(m *message.Message, to string, r *Refusal) *message.Message {
	c := rewritable(m)
	address := d.originalAddress(m)
	texts := [...]struct{ name, value string }{
		{annotationQuarantineID, r.ID}, {annotationAddress, address}, {annotationName, r.Failure.Name}, {annotationCondition, r.Failure.Condition},
		{annotationReason, r.Message()}, {annotationDetail, r.Detail}, {annotationRule, r.Rule}, {annotationTenantOf, r.Device.Tenant},
		{annotationPrincipalOf, r.Device.Principal}, {annotationClientOf, r.Device.ClientID}, {annotationTopicOf, r.Topic}, {annotationTraceOf, r.Trace.String()},
	}
	for _, t := range texts {
		if t.value != "" {
			d.form.setMark(c, t.name, t.value)
		}
	}
	if m.Properties.To != "" && m.Properties.To != address {
		d.form.setMark(c, annotationTo, m.Properties.To)
	}
	d.form.setMark(c, annotationQuarantinedAt, r.At.Truncate(time.Millisecond))
	d.form.setMark(c, annotationCode, byte(r.Code()))
	if r.PacketID != 0 {
		d.form.setMark(c, annotationPacketID, uint16(r.PacketID))
	}
	if len(r.User) > 0 {
		d.form.setMark(c, annotationUserOf, d.form.list(r.User))
	}
	if m.Header.TTL > 0 {
		d.form.setMark(c, annotationTTL, uint64(m.Header.TTL/time.Millisecond))
	}
	if !m.Header.Durable {
		d.form.setMark(c, annotationVolatile, true)
	}
	if len(m.Properties.UserID) > 0 {
		// A bus takes it only from the user of that name: RabbitMQ ends the session of any other.
		d.form.setMark(c, annotationUserID, m.Properties.UserID)
		c.Properties.UserID = nil
	}
	c.Header.TTL, c.Header.Durable = 0, true
	c.Properties.To = to
	return c
}

// Quarantined is what the annotations of a message in the quarantine say.
type Quarantined struct {
	ID, Address, Name, Condition, Reason, Detail, Rule string
	Tenant, Principal, Client, Topic, Trace            string
	At                                                 time.Time
	Code                                               packet.ReasonCode
	PacketID                                           uint16
	User                                               []packet.UserProperty
}

// ReadQuarantined reads what Quarantine wrote. ok is false for a message that somebody else has put there.
func ReadQuarantined(m *message.Message) (q Quarantined, ok bool) {
	text := func(name string) string {
		s, _ := plainText(markOf(m, name))
		return s
	}
	q = Quarantined{
		ID: text(annotationQuarantineID), Address: text(annotationAddress), Name: text(annotationName), Condition: text(annotationCondition),
		Reason: text(annotationReason), Detail: text(annotationDetail), Rule: text(annotationRule), Tenant: text(annotationTenantOf),
		Principal: text(annotationPrincipalOf), Client: text(annotationClientOf), Topic: text(annotationTopicOf), Trace: text(annotationTraceOf),
	}
	q.At, _ = markOf(m, annotationQuarantinedAt).(time.Time)
	code, _ := markOf(m, annotationCode).(uint8)
	q.Code = packet.ReasonCode(code)
	q.PacketID, _ = markOf(m, annotationPacketID).(uint16)
	user := markOf(m, annotationUserOf)
	if text, ok := user.(string); ok {
		user, _ = listFrom(text)
	}
	q.User, _ = userList(user)
	return q, q.ID != ""
}

// Release undoes Quarantine: the message as it was, on its way to where it was to go. ok is false for a message that is not from the quarantine.
func (d Dialect) Release(m *message.Message) (out *message.Message, ok bool) {
	q, ok := ReadQuarantined(m)
	if !ok || q.Address == "" {
		return nil, false
	}
	c := rewritable(m)
	c.Properties.To = q.Address
	if name := d.DuplicateID(); name != "" {
		delete(c.ApplicationProperties, name) // the bus may have had it before, which is why it is here
	}
	if ms, has := markOf(m, annotationTTL).(uint64); has {
		c.Header.TTL = min(time.Duration(ms)*time.Millisecond, message.MaxTTL)
	}
	if volatile, _ := markOf(m, annotationVolatile).(bool); volatile {
		c.Header.Durable = false
	}
	return c, true
}

// rewritable is a message as it can be sent again, without what a quarantine has written.
func rewritable(m *message.Message) *message.Message {
	c := *m
	c.Header.FirstAcquirer, c.Header.DeliveryCount = false, 0
	foreign := func(name string, value any) bool {
		return ofTheBus(name) || strings.HasPrefix(name, prefixQuarantine) || !writable(value, maxNesting)
	}
	c.Annotations, c.ApplicationProperties = maps.Clone(m.Annotations), maps.Clone(m.ApplicationProperties)
	maps.DeleteFunc(c.Annotations, foreign)
	maps.DeleteFunc(c.ApplicationProperties, foreign)
	return &c
}

// markOf gives a mark, wherever it stands; nil without one.
func markOf(m *message.Message, name string) any {
	if value, ok := m.Annotations[name]; ok {
		return value
	}
	return m.ApplicationProperties[name]
}

// originalAddress is where a message was sent: as the bus says, else as to says.
func (d Dialect) originalAddress(m *message.Message) string {
	exchange, hasExchange := plainText(m.Annotations[annotationExchange])
	key, hasKey := plainText(m.Annotations[annotationRoutingKey])
	switch {
	case hasExchange && exchange != "":
		return d.To(exchange, key)
	case hasExchange && hasKey: // the default exchange routes to the queue that the key names
		return d.ToQueue(key)
	}
	return m.Properties.To
}

// list is a list of User Properties as a mark holds it: key, value, key, value.
func (f Form) list(user []packet.UserProperty) any {
	list := make([]any, 0, 2*len(user))
	for _, u := range user {
		list = append(list, u.Key, u.Value)
	}
	if f.Marks == MarksInProperties {
		return listText(list)
	}
	return list
}
